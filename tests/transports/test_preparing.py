"""Requests that nobody has touched are prepared in fewer steps; the result is that of the steps for all requests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import httpx_fast

BUILT: list[dict[str, Any]] = [
    {"method": "GET", "url": "http://a.test/"},
    {"method": "GET", "url": "https://a.test/b?c=d", "timeout": 3},
    {"method": "GET", "url": "https://a.test/", "timeout": None},
    {"method": "HEAD", "url": "http://a.test/", "timeout": httpx_fast.Timeout(1, first_byte=2)},
    {"method": "DELETE", "url": "http://a.test/"},
    {"method": "POST", "url": "http://a.test/"},
    {"method": "POST", "url": "http://a.test/", "json": {"a": 1}},
    {"method": "POST", "url": "http://a.test/", "content": b"body"},
    {"method": "POST", "url": "http://a.test/", "data": {"a": ["b", "c"]}},
]


class Recording:
    """A pool that notes what it is asked."""

    clock = staticmethod(lambda: 7.0)
    pacer = None

    def request(self, *arguments: Any) -> Any:
        head, route, content, framing, timeouts, journey, whole, replay = arguments
        return head, route, content, framing, tuple(timeouts), journey.head, whole, replay


@pytest.mark.parametrize("built", BUILT, ids=str)
def test_short_way_and_long_way_ask_the_pool_for_the_same(built: dict[str, Any], monkeypatch: Any) -> None:
    pool: Any = Recording()
    with httpx_fast.Client(headers={"X-A": "1"}) as client:
        transport: Any = client._transport
        for _ in range(2):  # the second is made from a template
            request = client.build_request(**built)
        expected = transport._prepare_any(request, pool)
        monkeypatch.setattr(transport, "_prepare_any", lambda *_: "the long way")
        assert transport._prepare(request, pool) == expected


@pytest.mark.parametrize(
    "touch",
    [
        pytest.param(lambda request: request.headers.update({"X-B": "2"}), id="headers"),
        pytest.param(lambda request: setattr(request, "url", httpx_fast.URL("http://b.test/")), id="url"),
        pytest.param(lambda request: setattr(request, "method", "PUT"), id="method"),
        pytest.param(lambda request: request.extensions.update(replay=True), id="extensions"),
    ],
)
def test_what_was_touched_is_looked_at_as_a_whole(touch: Any, monkeypatch: Any) -> None:
    with httpx_fast.Client() as client:
        transport: Any = client._transport
        for _ in range(2):
            request = client.build_request("GET", "http://a.test/")
        touch(request)
        asked = SimpleNamespace(clock=Recording.clock, pacer=None)
        monkeypatch.setattr(transport, "_prepare_any", lambda *found: found)
        assert transport._prepare(request, asked) == (request, asked)
