"""Pools in httpcore's shape that were set as `_pool` of a transport, and send its requests in place of its own.

Guards against SSRF, and transports for another proxy or resolver, are built so.
"""

from __future__ import annotations

from typing import Any, NoReturn

from ..._exceptions import map_httpcore_exceptions
from ..._models import Request, Response
from ..http import HTTPTransport
from .bodies import AsyncResponseStream, ResponseStream
from .messages import core_request


def given_pool(transport: Any, pool: Any) -> GivenPool | AsyncGivenPool:
    """Return what `transport` is to send its requests through. Raises TypeError if `pool` is none of its kind."""
    blocking = isinstance(transport, HTTPTransport)
    expected = "handle_request" if blocking else "handle_async_request"
    if not callable(getattr(pool, expected, None)):
        raise TypeError(f"expected a pool with {expected}() as _pool, got {type(pool).__name__}")
    return GivenPool(pool) if blocking else AsyncGivenPool(pool)


class GivenPool:
    """Send requests of a blocking transport through `pool`."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    def send(self, request: Request) -> Response:
        with map_httpcore_exceptions():
            reply = self.pool.handle_request(core_request(request))
        return _response(reply, ResponseStream)

    def close(self) -> None:
        self.pool.close()

    def warm(self) -> NoReturn:
        _refuse_warming()


class AsyncGivenPool:
    """Send requests of an asynchronous transport through `pool`."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    async def send(self, request: Request) -> Response:
        with map_httpcore_exceptions():
            reply = await self.pool.handle_async_request(core_request(request))
        return _response(reply, AsyncResponseStream)

    async def close(self) -> None:
        await self.pool.aclose()

    def warm(self) -> NoReturn:
        _refuse_warming()


def _response(reply: Any, body: Any) -> Response:
    received = getattr(reply, "_received", None)  # of a pool of ours: nothing is lost on the way
    if received is not None:
        response: Response = received
        return response
    return Response(reply.status, headers=reply.headers, stream=body(reply.stream), extensions=reply.extensions)


def _refuse_warming() -> NoReturn:
    raise RuntimeError("the pool that this transport was given makes its connections; none can be opened ahead")
