"""What the tests of the clients share: bodies that know whether they were closed, and a server that is a function."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import httpx_fast
from httpx_fast import AsyncByteStream, SyncByteStream


class Body(SyncByteStream, AsyncByteStream):
    """A body for both clients; `closed` counts how often it was closed, `fails` is raised after the pieces."""

    def __init__(self, *pieces: bytes, fails: BaseException | None = None) -> None:
        self.pieces = pieces
        self.fails = fails
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.fails is not None:
            raise self.fails

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


@pytest.fixture
def make_body() -> type[Body]:
    return Body


class Site:
    """A server that is a function, with what was asked of it."""

    def __init__(self, backend: Any, handler: Callable[[httpx_fast.Request], httpx_fast.Response]) -> None:
        self.backend = backend
        self.handler = handler
        self.requests: list[httpx_fast.Request] = []

    def __call__(self, request: httpx_fast.Request) -> httpx_fast.Response:
        self.requests.append(request)
        return self.handler(request)

    def client(self, **options: Any) -> Any:
        return self.backend.client(transport=httpx_fast.MockTransport(self), **options)

    def get(self, url: str, *, client: dict[str, Any] | None = None, **options: Any) -> Any:
        return self.request("GET", url, client=client, **options)

    def request(self, method: str, url: str, *, client: dict[str, Any] | None = None, **options: Any) -> Any:
        """One request with a client of its own; its response."""

        async def body() -> Any:
            async with self.client(**(client or {})) as opened:
                return await opened.request(method, url, **options)

        return self.backend.run(body)


@pytest.fixture
def site(backend: Any) -> Callable[..., Site]:
    """Makes a `Site` of a handler, in each world."""
    return lambda handler: Site(backend, handler)
