"""Lets others see each exchange of a client: recordings, OpenTelemetry, Sentry.

Nothing is patched, and a client that nobody observes pays nothing: what observes takes the place of how the client
waits, `flow.Side`, which is looked up for each exchange anyway. Redirects and rounds of authentication are exchanges.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from .._models import Request, Response

__all__ = ["Observer", "observe"]

_lock = threading.Lock()


class Observer(Protocol):
    """Is told of each exchange, in the thread or task that sends the request."""

    def begins(self, request: Request) -> Any:
        """Take note of a request that is about to be sent, and may be changed; the result is given to `ended`."""

    def ended(self, begun: Any, request: Request, response: Response | None, error: BaseException | None) -> None:
        """Take note of its response, which may be still unread, or of what was raised."""


class _Observed:
    """A `flow.Side` whose exchanges are seen; all else is that of the one behind it."""

    def __init__(self, side: Any, observers: tuple[Observer, ...]) -> None:
        self.side = side
        self.observers = observers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.side, name)

    def exchange(self, transport: Any, request: Request) -> Any:
        begun = [(observer, observer.begins(request)) for observer in self.observers]
        try:
            response = self.side.exchange(transport, request)
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
        side = client._side
        if isinstance(side, _Observed):
            client._side = _Observed(side.side, (*side.observers, observer))
        else:
            client._side = _Observed(side, (observer,))

    def end() -> None:
        with _lock:
            side = client._side
            if not isinstance(side, _Observed):
                return
            left = tuple(each for each in side.observers if each is not observer)
            if left:
                client._side = _Observed(side.side, left)
            else:
                del client._side  # that of the class is behind it

    return end
