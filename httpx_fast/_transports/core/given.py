"""Transports whose `_pool` was replaced: their requests go through the pool that they were given, in httpcore's shape.

Guards against SSRF, and transports for another proxy or resolver, are built so. The methods of the transports look for
such a pool once one was given; until then a request costs nothing more.
"""

from __future__ import annotations

import threading
from functools import wraps
from typing import Any

from ..._exceptions import map_httpcore_exceptions
from ..._models import Request, Response
from ..http import AsyncHTTPTransport, HTTPTransport
from .bodies import AsyncResponseStream, ResponseStream
from .messages import core_request

_lock = threading.Lock()
_ready = False


def give(transport: Any, pool: Any) -> None:
    """Have `transport` send its requests through `pool`."""
    expected = "handle_request" if isinstance(transport, HTTPTransport) else "handle_async_request"
    if not callable(getattr(pool, expected, None)):
        raise TypeError(f"expected a pool with {expected}() as _pool, got {type(pool).__name__}")
    transport.__dict__["_given_pool"] = pool
    _look_for_pools()


def given_to(transport: Any) -> Any:
    """Return the pool that a transport was given, None if it has its own."""
    return transport.__dict__.get("_given_pool")


def _look_for_pools() -> None:
    """Replace the methods of the transports by ones that look for a pool that was given, once."""
    global _ready
    with _lock:
        if _ready:
            return
        _ready = True
        _replace_blocking(HTTPTransport)
        _replace_asynchronous(AsyncHTTPTransport)


def _replace_blocking(kind: Any) -> None:
    handle_request, close, warm = kind.handle_request, kind.close, kind.warm

    @wraps(handle_request)
    def handle_or_pass(self: Any, request: Request) -> Response:
        pool = given_to(self)
        if pool is None:
            response: Response = handle_request(self, request)
            return response
        with map_httpcore_exceptions():
            reply = pool.handle_request(core_request(request))
        return _response(reply, ResponseStream)

    @wraps(close)
    def close_both(self: Any) -> None:
        pool = given_to(self)
        if pool is not None:
            pool.close()
        if hasattr(self, "_options"):  # else it was never set up: the given pool is all that it has
            close(self)

    @wraps(warm)
    def warm_own(self: Any, request: Request, n: int = 1) -> int:
        _refuse_warming(self)
        count: int = warm(self, request, n)
        return count

    kind.handle_request, kind.close, kind.warm = handle_or_pass, close_both, warm_own


def _replace_asynchronous(kind: Any) -> None:
    handle_async_request, aclose, awarm = kind.handle_async_request, kind.aclose, kind.awarm

    @wraps(handle_async_request)
    async def handle_or_pass(self: Any, request: Request) -> Response:
        pool = given_to(self)
        if pool is None:
            response: Response = await handle_async_request(self, request)
            return response
        with map_httpcore_exceptions():
            reply = await pool.handle_async_request(core_request(request))
        return _response(reply, AsyncResponseStream)

    @wraps(aclose)
    async def close_both(self: Any) -> None:
        pool = given_to(self)
        if pool is not None:
            await pool.aclose()
        if hasattr(self, "_options"):
            await aclose(self)

    @wraps(awarm)
    async def warm_own(self: Any, request: Request, n: int = 1) -> int:
        _refuse_warming(self)
        count: int = await awarm(self, request, n)
        return count

    kind.handle_async_request, kind.aclose, kind.awarm = handle_or_pass, close_both, warm_own


def _response(reply: Any, body: Any) -> Response:
    received = getattr(reply, "_received", None)  # of a pool of ours: nothing is lost on the way
    if received is not None:
        response: Response = received
        return response
    return Response(reply.status, headers=reply.headers, stream=body(reply.stream), extensions=reply.extensions)


def _refuse_warming(transport: Any) -> None:
    if given_to(transport) is not None:
        raise RuntimeError("the pool that this transport was given makes its connections; none can be opened ahead")
