"""Lets others see each exchange of a client: recordings, OpenTelemetry, Sentry.

Nothing is patched, and a client that nobody observes pays nothing: what observes takes the place of `client._exchange`,
which is looked up for each exchange anyway. Redirects and rounds of authentication are exchanges; what the client's
retry rule sends again is one exchange, whose journey has the attempts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from .._models import Request, Response

__all__ = ["Observer", "first_exchange", "observe", "observe_all", "replace_exchange"]

_lock = threading.Lock()
#: Who observes all clients, and wants to know of each that is made.
_everywhere: tuple[tuple[Observer, Callable[[Any], object] | None], ...] = ()


class Observer(Protocol):
    """Receive each exchange, in the thread or task that sends the request."""

    def begins(self, request: Request) -> Any:
        """Take note of a request that is about to be sent, and may be changed; the result is given to `ended`."""

    def ended(self, begun: Any, request: Request, response: Response | None, error: BaseException | None) -> None:
        """Take note of its response, which may be still unread, or of what was raised."""


class Observed:
    """Replace `client._exchange`: call it, and report each call to the observers."""

    def __init__(self, exchange: Callable[[Any, Request], Any], observers: tuple[Observer, ...]) -> None:
        self.exchange: Callable[[Any, Request], Any] = exchange
        self.observers: tuple[Observer, ...] = observers

    def __call__(self, transport: Any, request: Request) -> Any:
        begun = [(observer, observer.begins(request)) for observer in self.observers]
        try:
            response = self.exchange(transport, request)
        except BaseException as error:
            _tell(begun, request, None, error)
            raise
        if isinstance(response, Response):
            _tell(begun, request, response, None)
        elif hasattr(response, "__await__"):
            return _awaited(response, begun, request)
        return response


async def _awaited(waiting: Any, begun: list[tuple[Observer, Any]], request: Request) -> Any:
    try:
        response = await waiting
    except BaseException as error:
        _tell(begun, request, None, error)
        raise
    if isinstance(response, Response):
        _tell(begun, request, response, None)
    return response


def _tell(
    begun: list[tuple[Observer, Any]], request: Request, response: Response | None, error: BaseException | None
) -> None:
    if response is not None and response._request is None:
        response._request = request
    for observer, token in reversed(begun):
        observer.ended(token, request, response, error)


def observe(client: Any, observer: Observer) -> Callable[[], None]:
    """Have `observer` told of all that `client` sends from now on; return a function that ends it. Repeatable."""
    with _lock:
        exchange = client._exchange
        if isinstance(exchange, Observed):
            client._exchange = Observed(exchange.exchange, (*exchange.observers, observer))
        else:
            client._exchange = Observed(exchange, (observer,))

    def end() -> None:
        with _lock:
            exchange = client._exchange
            if isinstance(exchange, Observed):
                left = tuple(each for each in exchange.observers if each is not observer)
                client._exchange = Observed(exchange.exchange, left) if left else exchange.exchange

    return end


def observe_all(observer: Observer, made: Callable[[Any], object] | None = None) -> Callable[[], None]:
    """Have `observer` told of all that clients send which are made from now on; `made` is called with each client.

    The function that is returned ends it for clients that are made later; those that there are go on.
    """
    global _everywhere
    entry = (observer, made)
    with _lock:
        _everywhere = (*_everywhere, entry)

    def end() -> None:
        global _everywhere
        with _lock:
            _everywhere = tuple(each for each in _everywhere if each is not entry)

    return end


def first_exchange(client: Any, exchange: Callable[[Any, Request], Any]) -> Callable[[Any, Request], Any]:
    """Return the exchange function of a new client: `exchange`, wrapped by the observers of all clients."""
    everywhere = _everywhere
    for _, made in everywhere:
        if made is not None:
            made(client)
    return Observed(exchange, tuple(observer for observer, _ in everywhere)) if everywhere else exchange


def replace_exchange(client: Any, exchange: Callable[[Any, Request], Any]) -> None:
    """Have `client` send by `exchange` from now on, seen by the same observers as before."""
    with _lock:
        seen = client._exchange
        client._exchange = Observed(exchange, seen.observers) if isinstance(seen, Observed) else exchange
