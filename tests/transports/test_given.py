"""Transports whose `_pool` is replaced: that pool sends their requests, and no connection is made beside it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from either import done
from peers import OK, always
from runners import Runner

import httpx_fast
from httpx_fast._alias import httpcore as stand_in


class Pool:
    """Notes the paths that a pool is asked for."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.paths: list[bytes] = []
        self.closed = False


class BlockingPool(Pool):
    def handle_request(self, request):
        self.paths.append(request.url.target)
        return self.pool.handle_request(request)

    def close(self):
        self.closed = True
        self.pool.close()


class AsyncPool(Pool):
    async def handle_async_request(self, request):
        self.paths.append(request.url.target)
        return await self.pool.handle_async_request(request)

    async def aclose(self):
        self.closed = True
        await self.pool.aclose()


def pool_of(backend: Runner, core: Any) -> Pool:
    if backend.asynchronous:
        return AsyncPool(core.AsyncConnectionPool())
    return BlockingPool(core.ConnectionPool())


def transport_of(backend: Runner, pool: Any, how: str) -> Any:
    kind: Any = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport

    class Own(kind):  # type: ignore[misc]
        def __init__(self) -> None:
            if how != "instead":
                super().__init__()
            if how != "later":
                self._pool = pool

    transport = Own()
    if how == "later":
        transport._pool = pool
    assert transport._pool is pool
    return transport


@pytest.mark.parametrize("library", ["stand-in", "httpcore", "httpcore2"])
@pytest.mark.parametrize("how", ["in place", "instead", "later"])
def test_requests_go_through_the_pool_that_is_set(backend: Runner, peer, library, how):
    core = stand_in if library == "stand-in" else pytest.importorskip(library)
    server = peer(always(OK))

    async def body() -> None:
        pool = pool_of(backend, core)
        async with backend.client(transport=transport_of(backend, pool, how)) as client:
            assert (await client.get(server.url("/a"))).text == "ok"
            assert (await client.post(server.url("/b"), content=backend.content([b"1", b"2"]))).text == "ok"
            async with client.stream("GET", server.url("/c")) as response:
                assert await response.aread() == b"ok"
            with socket.socket() as refusing, pytest.raises(httpx_fast.ConnectError) as caught:
                refusing.bind(("127.0.0.1", 0))  # and does not listen
                await client.get(f"http://127.0.0.1:{refusing.getsockname()[1]}/d")
            assert caught.value.request.url.path == "/d"
            with pytest.raises(RuntimeError, match="makes its connections"):
                await client.warm(server.url("/"))
        assert pool.paths == [b"/a", b"/b", b"/c", b"/d"]
        assert pool.closed

    backend.run(body)


def test_others_keep_their_own_pool(backend: Runner, peer):
    server = peer(always(OK))

    async def body() -> None:
        pool = pool_of(backend, stand_in)
        given = transport_of(backend, pool, "later")
        async with backend.client() as client:
            assert (await client.get(server.url())).text == "ok"
            assert client._transport._pool is not pool
        await done(given.aclose() if backend.asynchronous else given.close())
        assert pool.paths == []

    backend.run(body)


@pytest.mark.parametrize("wrong", [5, None, stand_in.ConnectionPool, "async"])
def test_what_is_no_pool_of_its_kind_is_refused(wrong):
    pool = stand_in.AsyncConnectionPool() if wrong == "async" else wrong
    if wrong is stand_in.ConnectionPool:
        transport: Any = httpx_fast.AsyncHTTPTransport()
        pool = wrong()
    else:
        transport = httpx_fast.HTTPTransport()
    with pytest.raises(TypeError, match=r"expected a pool with handle_(async_)?request\(\) as _pool, got "):
        transport._pool = pool


def test_a_pool_that_is_set_while_a_tool_patches_the_transport_stays(backend: Runner, peer, monkeypatch):
    server = peer(always(OK))
    kind: Any = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
    name = "handle_async_request" if backend.asynchronous else "handle_request"

    async def body() -> None:
        pool = pool_of(backend, stand_in)
        with monkeypatch.context() as patch:
            patch.setattr(kind, name, lambda self, request: httpx_fast.Response(418))
            transport = transport_of(backend, pool, "later")
        async with backend.client(transport=transport) as client:
            assert (await client.get(server.url("/a"))).text == "ok"
        assert pool.paths == [b"/a"]

    backend.run(body)
