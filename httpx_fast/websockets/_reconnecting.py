"""Open a WebSocket again when it has ended: an iterator over sessions, for blocking and asynchronous clients.

The rules, which are those of event streams (`_client/event_streams`) as far as they can be:

1. The next session is opened when the loop asks for it; the one before is closed by then. Leaving the `with` block
   closes the last one.
2. Only messages are progress, or a session that lasted: `attempts` counts connections in a row without.
3. What a server refuses for good raises: a handshake answered by a status that is not among `statuses`, a session
   closed with a code that is not among `close_codes`. Code 1000, and none, end the loop.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, NoReturn, Self

from .._client.reconnect import FINAL_ERRORS, Reconnect
from .._drive import drive
from .._exceptions import TransportError
from .._retry.backoff import retry_after
from .._wire.websocket import NORMAL
from ._client import AsyncSession, SyncSession
from ._session import HTTPXWSException, WebSocketDisconnect, WebSocketNetworkError, WebSocketUpgradeError

__all__ = ["AsyncWebSocketSessions", "WebSocketSessions"]

_NO_CODE = 1005  # of a close frame without one
_ENDED = (NORMAL, _NO_CODE)


class _Sessions:
    """Decide whether there is a next session, and when; a subclass opens and closes."""

    def __init__(
        self,
        client: Any,
        connect: Callable[[], Any],
        url: Any,
        reconnect: Any,
        *,
        clock: Callable[[], float] = time.monotonic,
        date: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if reconnect is not True and not isinstance(reconnect, Reconnect):
            raise TypeError(f"expected True or a Reconnect as reconnect, got {reconnect!r}")
        self._rule: Reconnect = Reconnect() if reconnect is True else reconnect
        self._client: Any = client
        self._connect = connect
        self._url = url
        self._clock = clock
        self._date = date
        self._chance = chance
        self._manager: Any = None  # of the session that is open
        self._session: Any = None
        self._opened_at = 0.0
        self._fruitless: int | None = None  # connections in a row without a message; None before the first one
        self._entered = self._over = False
        if client._retrier is None:
            client._retry_by(None)  # it lets time pass, and is woken by close()
        retrier: Any = self._client._retrier
        self._closings: int = retrier.closings

    async def _open(self) -> Any:
        """Enter the context of the next session and return the session."""
        raise NotImplementedError

    async def _close(self, manager: Any, *exc_info: Any) -> None:
        raise NotImplementedError

    async def _next(self) -> Any:
        """Return the next session; None if there is none."""
        if not self._entered:
            raise RuntimeError(f"expected a `with` block around iterating over {type(self).__name__}")
        error: Exception | None = None
        if self._session is not None:
            error = await self._leave()
        while not self._over:
            asked = self._seconds_asked(error)
            if self._fruitless is None:
                self._fruitless = 0
            else:
                self._fruitless += 1
                if self._rule.attempts is not None and self._fruitless > self._rule.attempts:
                    _give_up(error, f"{self._rule.attempts} connections in a row brought no message")
                await self._pause(self._rule.pause(self._fruitless, self._chance(), None, asked))
            try:
                session = await self._open()
            except (TransportError, HTTPXWSException) as caught:
                if not self._is_mended(caught):
                    raise
                error = caught
                continue
            self._session, self._opened_at = session, self._clock()
            session._reopens = self._reopens
            return session
        return None

    async def _leave(self) -> Exception | None:
        """Close the session; note whether it brought anything; return what ended it. Raises that, if it is final."""
        session, manager = self._session, self._manager
        self._session = self._manager = None
        end: HTTPXWSException | None = session._end
        await self._close(manager, None, None, None)
        lasted = self._clock() - self._opened_at > self._rule.backoff_max
        if session._got_message or lasted or end is None:
            self._fruitless = 0
        if isinstance(end, WebSocketDisconnect) and end.code in _ENDED:
            self._over = not self._rule.at_end
        elif end is not None and not self._is_mended(end):
            raise end
        return end

    def _is_mended(self, error: Exception) -> bool:
        """Return whether another connection may do better."""
        if isinstance(error, WebSocketUpgradeError):
            return error.response.status_code in self._rule.statuses
        if isinstance(error, WebSocketDisconnect):
            return error.code in self._rule.close_codes or (error.code in _ENDED and bool(self._rule.at_end))
        return isinstance(error, (WebSocketNetworkError, TransportError)) and not isinstance(error, FINAL_ERRORS)

    def _reopens(self, error: HTTPXWSException) -> bool:
        """Return whether iteration over the messages of a session just ends with this error."""
        return self._is_mended(error) or (isinstance(error, WebSocketDisconnect) and error.code in _ENDED)

    def _seconds_asked(self, error: Exception | None) -> float | None:
        if not isinstance(error, WebSocketUpgradeError):
            return None
        return retry_after(error.response.headers.get("retry-after"), self._date())

    async def _pause(self, seconds: float) -> None:
        """Let time pass. Raises ClientClosed."""
        if seconds:
            await self._client._retrier.pause(self._client.build_request("GET", self._url), seconds, self._closings)

    async def _end(self, *exc_info: Any) -> None:
        manager, self._manager, self._session = self._manager, None, None
        self._over = True
        if manager is not None:
            await self._close(manager, *exc_info)


class WebSocketSessions(_Sessions, Generic[SyncSession]):
    """Iterate over sessions of `Client`, each opened when the one before has ended. Use it in `with`."""

    def __enter__(self) -> Self:
        self._entered = True
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        drive(self._end(exc_type, exc, tb))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SyncSession:
        """Open the next session. Raises what the last attempt did, when there is to be no further one."""
        session: SyncSession | None = drive(self._next())
        if session is None:
            raise StopIteration
        return session

    async def _open(self) -> Any:
        manager = self._connect()
        session = manager.__enter__()
        self._manager = manager
        return session

    async def _close(self, manager: Any, *exc_info: Any) -> None:
        manager.__exit__(*exc_info)


class AsyncWebSocketSessions(_Sessions, Generic[AsyncSession]):
    """Iterate over sessions of `AsyncClient`, each opened when the one before has ended. Use it in `async with`."""

    async def __aenter__(self) -> Self:
        self._entered = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._end(exc_type, exc, tb)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AsyncSession:
        """Open the next session. Raises what the last attempt did, when there is to be no further one."""
        session: AsyncSession | None = await self._next()
        if session is None:
            raise StopAsyncIteration
        return session

    async def _open(self) -> Any:
        manager = self._connect()
        session = await manager.__aenter__()
        self._manager = manager
        return session

    async def _close(self, manager: Any, *exc_info: Any) -> None:
        await manager.__aexit__(*exc_info)


def _give_up(error: Exception | None, why: str) -> NoReturn:
    assert error is not None  # connections that the loop left count as fruitful
    error.add_note(f"The WebSocket was not opened again: {why}.")
    raise error
