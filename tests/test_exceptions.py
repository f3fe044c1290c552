"""Exceptions as values: what other processes, retries and logs do with them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import httpx_fast as httpx
from httpx_fast import websockets
from httpx_fast.testing import FaultLab, Hold, Read

REQUEST = httpx.Request("GET", "http://a.example/")
EXCEPTIONS = [
    each
    for each in vars(httpx).values()
    if isinstance(each, type) and issubclass(each, (httpx.HTTPError, httpx.StreamError))
]


def copies(error: Any) -> list[Any]:
    return [pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)]


def made(kind: Any) -> Any:
    if kind is httpx.HTTPStatusError:
        return kind("not found", request=REQUEST, response=httpx.Response(404, request=REQUEST, content=b"where?"))
    return kind() if kind.__init__.__code__.co_argcount == 1 else kind("it failed")


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_every_exception_can_be_copied_and_pickled(kind):
    error = made(kind)
    error.note = "mine"
    for again in copies(error):
        assert (type(again), str(again), again.note) == (kind, str(error), "mine")


def test_the_copy_of_a_status_error_has_request_and_response():
    for again in copies(made(httpx.HTTPStatusError)):
        assert again.request.url == REQUEST.url
        assert again.response.text == "where?"


@pytest.mark.parametrize(
    "error",
    [
        websockets.WebSocketDisconnect(1001, "going away"),
        websockets.WebSocketUpgradeError(httpx.Response(403)),
        websockets.WebSocketNetworkError("lost"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_of_websockets_can_be_copied_and_pickled(error):
    for again in copies(error):
        assert (type(again), str(again)) == (type(error), str(error))


def test_a_timeout_on_an_open_connection_is_pickled_with_its_journey():
    with FaultLab() as lab, httpx.Client(timeout=httpx.Timeout(5, read=0.05)) as client:
        lab.serve(Read(), Hold())
        with pytest.raises(httpx.ReadTimeout, match="read timed out") as caught:
            client.get(lab.url("/slow"))
        lab.release()
    for again in copies(caught.value):
        assert (again.phase, again.budget, again.request.url.path) == ("read", 0.05, "/slow")
        assert (again.journey.phase, again.journey.nth, again.journey.total) == ("wait", 1, caught.value.journey.total)
        assert again.journey.connection.peer_address == caught.value.journey.connection.peer_address
