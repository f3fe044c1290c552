"""httpx-retries: a transport around ours, or around whatever the client has."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from httpx_retries import Retry, RetryTransport

from httpx_fast.testing import Reply


def failing_twice(serve):
    replies = iter([Reply(503), Reply(502, [("Retry-After", "0")]), Reply(200, [], b"at last")])
    return serve(lambda request: next(replies))


def test_blocking(serve):
    site = failing_twice(serve)
    with httpx.Client(transport=RetryTransport(retry=Retry(total=3, backoff_factor=0))) as client:
        assert client.get(site.url).text == "at last"
    assert len(site.seen) == 3


def test_asynchronous_around_a_transport_of_ours(serve):
    site = failing_twice(serve)

    async def ask() -> httpx.Response:
        transport = RetryTransport(transport=httpx.AsyncHTTPTransport(), retry=Retry(total=3, backoff_factor=0))
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.get(site.url)

    assert asyncio.run(ask()).text == "at last"
    assert len(site.seen) == 3


def test_a_refused_connection_is_tried_again_until_the_retries_are_used_up():
    attempts = []

    class Counted(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            attempts.append(request)
            raise httpx.ConnectError("refused", request=request)

    transport = RetryTransport(Counted(), Retry(total=2, backoff_factor=0))
    with httpx.Client(transport=transport) as client, pytest.raises(httpx.ConnectError, match="refused"):
        client.get("http://127.0.0.1:1/")
    assert len(attempts) == 3
