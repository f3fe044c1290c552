"""Opening and closing a client, with all of its transports."""

from __future__ import annotations

import pytest

import httpx_fast
from httpx_fast import Response


def echo(request):
    return Response(
        200,
        json={
            "method": request.method,
            "url": str(request.url),
            "headers": request.headers.multi_items(),
            "content": request.content.decode(),
        },
    )


def ok(request):
    return Response(200, content=b"ok")


@pytest.fixture
def client():
    with httpx_fast.Client(transport=httpx_fast.MockTransport(echo)) as opened:
        yield opened


def test_client_opens_with_its_first_request_or_its_block(backend):
    async def body():
        client = backend.client(transport=httpx_fast.MockTransport(ok))
        assert not client.is_closed
        await client.get("http://a.test/")
        with pytest.raises(RuntimeError, match="open already"):
            await client.__aenter__()
        await client.aclose()
        assert client.is_closed
        with pytest.raises(RuntimeError, match="closed and cannot be opened again"):
            await client.__aenter__()

    backend.run(body)


def test_closed_client_sends_nothing(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(ok)) as client:
            pass
        assert client.is_closed
        with pytest.raises(RuntimeError, match="has been closed"):
            await client.get("http://a.test/")
        await client.aclose()

    backend.run(body)


class Transport(httpx_fast.BaseTransport, httpx_fast.AsyncBaseTransport):
    """Notes how it is entered, left and closed."""

    def __init__(self, fails=""):
        self.fails = fails
        self.events = []

    def note(self, event):
        self.events.append(event)
        if event == self.fails:
            raise OSError(f"{event} failed")

    def __enter__(self):
        self.note("enter")
        return self

    def __exit__(self, *exc_info):
        self.note("exit")

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, *exc_info):
        self.__exit__(*exc_info)

    def close(self):
        self.note("close")

    async def aclose(self):
        self.close()


def test_block_enters_and_leaves_all_transports(backend):
    own, mounted = Transport(), Transport()

    async def body():
        async with backend.client(transport=own, mounts={"all://a.test": mounted, "all://b.test": None}):
            assert own.events == mounted.events == ["enter"]

    backend.run(body)
    assert own.events == mounted.events == ["enter", "exit"]


def test_close_closes_all_transports_once_even_if_one_fails(backend):
    own, mounted = Transport(fails="close"), Transport()

    async def body():
        client = backend.client(transport=own, mounts={"all://a.test": mounted})
        with pytest.raises(OSError, match="close failed"):
            await client.aclose()
        await client.aclose()
        assert client.is_closed

    backend.run(body)
    assert own.events == mounted.events == ["close"]


def test_transports_that_were_entered_are_closed_when_the_next_one_fails(backend):
    own, mounted = Transport(), Transport(fails="enter")

    async def body():
        client = backend.client(transport=own, mounts={"all://a.test": mounted})
        with pytest.raises(OSError, match="enter failed"):
            await client.__aenter__()
        assert client.is_closed

    backend.run(body)
    assert own.events == ["enter", "close"]
