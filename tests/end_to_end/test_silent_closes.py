"""Peers that close a connection without a word, and requests that may not be sent twice: none is lost, none is doubled.

The kernel makes no difference here. "In the same turn" is made for certain: the peer has closed, and the event loop has
had no chance to see it, since the test waits for the peer without giving up its turn.
"""

from __future__ import annotations

import ssl
import sys
import threading
from collections import Counter
from typing import Any

import anyio
import pytest
from peers import OK, PATIENCE, answering

import httpx_fast
from httpx_fast._conn.http1 import Http1Connection
from httpx_fast._pool import caution
from httpx_fast.testing import Close, Delay, Http2, Read, ReadFrames, Repeat, Reset, Send, Tell, Tls, frames, response

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

ANSWER = [Read(), Send(response(b"good"))]
GOOD = [Repeat(*ANSWER)]


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def secure(request: pytest.FixtureRequest) -> bool:
    return request.param


class Ground:
    """The lab as a test of either scheme sees it."""

    def __init__(self, lab: Any, backend: Any, secure: bool) -> None:
        self.lab = lab
        self._backend = backend
        self._first = [Tls()] if secure else []
        self._options = {"verify": lab.client_context()} if secure else {}
        self.url = lab.tls_url() if secure else lab.url()

    def serve(self, *scripts: list[Any]) -> None:
        self.lab.serve(*([*self._first, *script] for script in scripts))

    def client(self) -> Any:
        return self._backend.client(**self._options)

    def count(self) -> Counter[str]:
        return Counter(request.method for request in self.lab.requests)


@pytest.fixture
def ground(fault_lab, backend, secure) -> Ground:
    return Ground(fault_lab, backend, secure)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is waited for closes, however busy the machine is."""
    monkeypatch.setattr(caution, "GRACE", PATIENCE)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for: one look has to do."""
    monkeypatch.setattr(caution, "GRACE", 0.0)


@pytest.mark.parametrize("delay", [None, 0.001], ids=["at once", "a moment later"])
def test_peer_that_closes_after_each_response_loses_no_post(backend, ground, patient, delay):
    ground.serve([*ANSWER, *([] if delay is None else [Delay(delay)])])

    async def body():
        async with ground.client() as client:
            for _ in range(10):
                assert (await client.get(ground.url)).text == "good"
                assert (await client.post(ground.url, content=b"pay")).text == "good"

    backend.run(body)
    assert ground.count() == {"GET": 10, "POST": 10}


def test_peer_that_closes_with_its_response_loses_no_post_of_many_tasks(backend, ground, patient):
    ground.serve([*ANSWER])

    async def body():
        async with ground.client() as client:

            async def post():
                for _ in range(5):
                    assert (await client.post(ground.url, content=b"pay")).text == "good"

            await backend.together(*[post] * 10)

    backend.run(body)
    assert ground.count() == {"POST": 50}


def test_count_after_which_a_peer_closes_is_remembered(backend, ground, monkeypatch):
    # Waited for in full where the peer stays: after the first and second response, each once.
    monkeypatch.setattr(caution, "GRACE", 0.3)
    ground.serve([Repeat(*ANSWER, times=3), Delay(0.001)])

    async def body():
        async with ground.client() as client:
            journeys = [(await client.post(ground.url, content=b"pay")).journey for _ in range(12)]
        return [journey.nth for journey in journeys]

    assert backend.run(body) == [1, 2, 3] * 4
    assert ground.count() == {"POST": 12}


@pytest.mark.parametrize(
    "options",
    [
        {"method": "POST", "content": b"pay"},
        {"method": "PATCH", "content": b"pay"},
        {"method": "GET", "extensions": {"replay": False}},
    ],
    ids=["POST", "PATCH", "GET that may not be sent again"],
)
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
def test_connection_that_was_closed_in_the_same_turn_is_not_used(backend, ground, hasty, end, options):
    async def body():
        closed = threading.Event()
        ground.serve([*ANSWER, end, Tell(closed)], GOOD)
        async with ground.client() as client:
            assert (await client.get(ground.url)).text == "good"
            assert closed.wait(PATIENCE)
            answer = await client.request(url=ground.url, **options)
            assert (answer.text, answer.journey.nth, answer.journey.attempts) == ("good", 1, ())

    backend.run(body)


def test_body_that_cannot_be_read_twice_meets_no_closed_connection(backend, ground, hasty):
    async def body():
        closed = threading.Event()
        ground.serve([*ANSWER, Close(), Tell(closed)], GOOD)
        async with ground.client() as client:
            await client.get(ground.url)
            assert closed.wait(PATIENCE)
            answer = await client.request("PUT", ground.url, content=backend.content([b"a", b"b"]))
            assert (answer.text, answer.journey.attempts) == ("good", ())

    backend.run(body)


def test_request_that_crossed_the_peers_close_is_sent_again(backend, peer, hasty, monkeypatch):
    if sys.platform != "linux":
        pytest.skip("only Linux tells what was acknowledged")
    leave = threading.Event()

    def stays_for_a_moment(dialogue):
        dialogue.read_request()
        dialogue.send(OK)
        assert leave.wait(PATIENCE)

    server = peer(stays_for_a_moment, answering(OK))
    set_mark = Http1Connection.set_mark  # what is done last before a request goes out

    def close_after_the_look(connection):
        set_mark(connection)
        if connection.facts.requests:
            leave.set()
            assert server.closed[0].wait(PATIENCE)

    monkeypatch.setattr(Http1Connection, "set_mark", close_after_the_look)

    async def body():
        async with backend.client() as client:
            await client.get(server.url())
            answer = await client.post(server.url(), content=b"pay")
            assert answer.text == "ok"
            (attempt,) = answer.journey.attempts
            assert (attempt.nth, answer.journey.nth) == (2, 1)
            assert attempt.failure.startswith("the peer did nothing with it: peer closed the connection")

    backend.run(body)
    assert server.accepted == 2


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
def test_request_that_was_read_is_not_sent_again(backend, ground, hasty, end, nth):
    async def body():
        ground.serve([*ANSWER * (nth - 1), Read(), end], GOOD)
        async with ground.client() as client:
            if nth == 2:
                await client.get(ground.url)
            with pytest.raises((httpx_fast.ReadError, httpx_fast.RemoteProtocolError), match=r"closed|ECONNRESET"):
                await client.post(ground.url, content=b"pay")

    backend.run(body)
    assert ground.count()["POST"] == 1


def test_total_timeout_holds_while_a_peer_is_watched(backend, ground, patient):
    async def body():
        ground.serve(GOOD)
        async with ground.client() as client:
            await client.get(ground.url)
            with pytest.raises(httpx_fast.TimeoutException, match="total"):
                await client.post(ground.url, content=b"pay", timeout=httpx_fast.Timeout(30, total=0.05))
            assert client.pool.stats().leased == 0
            assert (await client.get(ground.url)).text == "good"

    backend.run(body)
    assert ground.count() == {"GET": 2}


def test_cancelled_while_a_peer_is_watched_the_pool_is_whole(backend, ground, patient):
    if not backend.asynchronous:
        pytest.skip("nobody cancels a thread")

    async def body():
        ground.serve(GOOD)
        async with ground.client() as client:
            await client.get(ground.url)
            with anyio.move_on_after(0.05) as scope:
                await client.post(ground.url, content=b"pay")
            assert scope.cancelled_caught
            assert client.pool.stats().leased == 0
            assert (await client.get(ground.url)).text == "good"

    backend.run(body)
    assert ground.count() == {"GET": 2}


HTTP2_ENDS = {"GOAWAY": [Send(frames.goaway(1))], "GOAWAY and end": [Send(frames.goaway(1)), Close()], "end": [Close()]}


@pytest.mark.parametrize("end", HTTP2_ENDS)
def test_http2_connection_that_ended_in_the_same_turn_is_not_used(backend, fault_lab, end):
    async def body():
        ended = threading.Event()
        answered = [Http2(), Read(), Send(frames.response(b"good"))]
        fault_lab.serve(
            [Tls("h2"), *answered, *HTTP2_ENDS[end], Tell(ended), ReadFrames()],
            [Tls("h2"), Http2(), Repeat(Read(), Send(frames.response(b"good")))],
        )
        context: ssl.SSLContext = fault_lab.client_context("h2")
        async with backend.client(http2=True, verify=context) as client:
            assert (await client.get(fault_lab.tls_url())).text == "good"
            assert ended.wait(PATIENCE)
            answer = await client.post(fault_lab.tls_url(), content=b"pay")
            assert (answer.text, answer.journey.nth, answer.journey.attempts) == ("good", 1, ())

    backend.run(body)
    assert Counter(request.method for request in fault_lab.requests) == {"GET": 1, "POST": 1}
