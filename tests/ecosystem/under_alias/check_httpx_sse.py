"""httpx-sse: events from a server that sends them in pieces."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from httpx_sse import EventSource, SSEError, aconnect_sse, connect_sse

from httpx_fast.testing import Reply

PIECES = [b"event: greet\ndata: he", b"llo\nid: 1\n\n: note\n", b'data: {"a":\ndata: 1}\nretry: 10\r\n\r\n']


@pytest.fixture
def url(serve) -> str:
    return serve(lambda request: Reply(200, [("Content-Type", "text/event-stream; charset=utf-8")], PIECES)).url


def check(events: list) -> None:
    assert [(event.event, event.data, event.id, event.retry) for event in events] == [
        ("greet", "hello", "1", None),
        ("message", '{"a":\n1}', "1", 10),
    ]
    assert events[1].json() == {"a": 1}


def test_blocking(url: str):
    with httpx.Client() as client, connect_sse(client, "GET", url) as source:
        check(list(source.iter_sse()))


def test_asynchronous(url: str):
    async def ask() -> list:
        async with httpx.AsyncClient() as client, aconnect_sse(client, "GET", url) as source:
            return [event async for event in source.aiter_sse()]

    check(asyncio.run(ask()))


def test_what_is_no_event_stream_is_refused(serve):
    site = serve(lambda request: Reply(200, [("Content-Type", "text/plain")], b"data: 1\n\n"))
    with (
        httpx.Client() as client,
        client.stream("GET", site.url) as response,
        pytest.raises(SSEError, match="text/plain"),
    ):
        list(EventSource(response).iter_sse())
    assert issubclass(SSEError, httpx.TransportError)
