"""Functions of users around each exchange of a client: `Client(middlewares=[...])`.

A middleware is given a request and `call_next`, which sends it and returns the response. The first one of the list is
the outermost. Redirects and rounds of authentication are exchanges of their own, what a retry rule sends again is part
of one. Rules:

1. The requests of a client without middlewares do not pass through this module.
2. A request that a middleware makes goes to the transport of its URL, with the timeouts and the end of the first one.
3. A response that is not returned belongs to the middleware, which closes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from types import CoroutineType
from typing import Any, TypeAlias, cast

from .._byte_streams import SyncByteStream
from .._drive import drive
from .._models import Request, Response

#: Around an exchange of `Client`, and of `AsyncClient`.
Middleware: TypeAlias = Callable[[Request, Callable[[Request], Response]], Response]
AsyncMiddleware: TypeAlias = Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]

#: Has a transport exchange a request for a response, or for what to await for one.
Exchange: TypeAlias = Callable[[Any, Request], Any]


def checked(middlewares: Any) -> tuple[Any, ...]:
    """Return the middlewares that a client was given. Raises TypeError for what is none."""
    if not isinstance(middlewares, (list, tuple)):
        raise TypeError(f"expected a list of callables as middlewares, got {middlewares!r}")
    found = tuple(cast("Iterable[Any]", middlewares))
    for each in found:
        if not callable(each):
            raise TypeError(f"expected callables as middlewares, got {each!r}")
    return found


def checked_hooks(event_hooks: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the event hooks that a client was given, by kind. Raises TypeError, ValueError."""
    if not isinstance(event_hooks, Mapping):
        raise TypeError(f"expected a dict with lists of callables as event_hooks, got {event_hooks!r}")
    hooks = {kind: event_hooks.get(kind, ()) for kind in ("request", "response")}
    unknown = event_hooks.keys() - hooks.keys()
    if unknown:
        named = ", ".join(sorted(map(repr, unknown)))
        raise ValueError(f"event_hooks has {named}, which nothing calls; expected 'request' and 'response'")
    for kind, called in hooks.items():
        if not isinstance(called, Iterable) or not all(map(callable, called)):
            raise TypeError(f"expected a list of callables as event_hooks[{kind!r}], got {called!r}")
    return {kind: list(called) for kind, called in hooks.items()}


def around(client: Any, exchange: Exchange) -> Exchange:
    """Return `exchange` with the middlewares of `client` around it."""
    middlewares = client._middlewares
    if not middlewares:
        return exchange
    blocking = client._io.body_type is SyncByteStream
    send = _send_blocking if blocking else _send_async
    step = _step_blocking if blocking else _step_async

    def exchanged(transport: Any, request: Request) -> Any:
        call_next: Callable[[Request], Any] = partial(send, client, exchange, transport, request)
        for middleware in reversed(middlewares):
            call_next = partial(step, middleware, call_next)
        return call_next(request)

    return exchanged


def _asked(client: Any, exchange: Exchange, transport: Any, first: Request, request: Request) -> Any:
    """Have a transport exchange `request`, which stands for `first` if a middleware has made it."""
    if request is not first:
        if not isinstance(request, Request):
            raise TypeError(f"expected a Request as argument of call_next(), got {type(request).__name__}")
        if request._dispatch.timeout is None:
            client._set_timeout(request)
        request._dispatch = request._dispatch.following(first._dispatch)
        transport = client._transport_for_url(request.url)
    return exchange(transport, request)


def _send_blocking(client: Any, exchange: Exchange, transport: Any, first: Request, request: Request) -> Any:
    response = _asked(client, exchange, transport, first, request)
    if isinstance(response, CoroutineType):
        response = drive(cast("Coroutine[Any, Any, Any]", response))
    return _named(response, request)


async def _send_async(client: Any, exchange: Exchange, transport: Any, first: Request, request: Request) -> Any:
    response = _asked(client, exchange, transport, first, request)
    if not isinstance(response, Response) and hasattr(response, "__await__"):
        response = await response
    return _named(response, request)


def _named(response: Any, request: Request) -> Any:
    """Return a response, which knows its request from now on: a middleware may ask for it."""
    if isinstance(response, Response):
        response.request = request
    return response


def _step_blocking(middleware: Middleware, call_next: Callable[[Request], Response], request: Request) -> Any:
    response: Any = middleware(request, call_next)
    if isinstance(response, CoroutineType):
        response.close()
        raise TypeError(f"middleware {middleware!r} is asynchronous; Client calls middlewares, AsyncClient awaits them")
    return response


async def _step_async(
    middleware: AsyncMiddleware, call_next: Callable[[Request], Awaitable[Response]], request: Request
) -> Any:
    response: Any = middleware(request, call_next)
    if not hasattr(response, "__await__"):
        raise TypeError(f"middleware {middleware!r} returned {type(response).__name__}; AsyncClient awaits middlewares")
    return await response
