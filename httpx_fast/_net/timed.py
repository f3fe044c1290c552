"""Sink, deadline and end of a stream: what every stream keeps that waits by itself, however it waits.

`Scopes` is the way to wait where deadlines are cancel scopes (trio, AnyIO).
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from .._exceptions import ReadError, TimeoutException, WriteError
from .base import Sink, Stream
from .faults import closed_here, expired, peer_closed, peer_name, read_failed, write_failed
from .tls import TLSStream, handshake

NEVER = float("inf")  # a deadline that never comes


class TimedStream(Stream):
    """What every stream keeps that waits by itself; `_at` is NEVER where no deadline is armed."""

    __slots__ = (
        "_address",
        "_arrived",
        "_at",
        "_budget",
        "_clock",
        "_closed",
        "_ended",
        "_fault",
        "_phase",
        "_sink",
        "_told",
        "_unsent",
    )

    def __init__(self, address: Any, clock: Callable[[], float]) -> None:
        self._address = address
        self._clock = clock
        self._sink: Any = None
        self._phase = "connect"
        self._at = NEVER
        self._budget: float | None = None
        self._arrived = False  # something came since the deadline was set
        self._ended = False  # the peer will send no more
        self._told = False  # the sink knows that
        self._closed = False
        self._fault: Exception | None = None  # what the next receive() raises
        self._unsent: list[memoryview] = []  # what was not taken yet; goes out before anything else

    def attach(self, sink: Sink) -> None:
        self._sink = sink
        self._told = False

    def arm(self, phase: str, at: float | None, budget: float | None) -> None:
        self._phase = phase
        self._at = NEVER if at is None else at
        self._budget = budget
        self._arrived = False

    async def start_tls(
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
    ) -> TLSStream:
        return await handshake(self, context, server_hostname, session)

    def _postpone(self, phase: str) -> None:
        """Something moved in `phase`: its budget begins anew."""
        if self._phase == phase and self._budget is not None and self._at != NEVER:
            self._at = self._clock() + self._budget

    def _expired(self, now: float, detail: str) -> TimeoutException:
        return expired(self._phase, now, self._at, self._budget, f"{peer_name(self._address)} {detail}")

    def _tell_end(self) -> bool:
        """Tells the sink, once, that no more will come; whether that is enough for who waits. May raise."""
        self._told = True
        return bool(self._sink.eof_received(True))

    def _end(self) -> bool:
        """No more will come. True if the sink has enough; raises what the sink raises, or ReadError."""
        if self._closed:
            raise ReadError(closed_here(self._address, "while it was read"))
        self._ended = True
        if self._told or not self._tell_end():
            raise peer_closed(self._address)
        return True

    def _break_off(self) -> None:
        """Nothing good can come any more: to the sink that is an end which may be an attack."""
        if not self._told:
            self._told = True
            try:
                self._sink.eof_received(False)
            except Exception:  # noqa: BLE001  # the fault that led here is the one to tell
                return

    def _read_failed(self, error: OSError) -> ReadError:
        if self._closed:
            return ReadError(closed_here(self._address, "while it was read"))
        return read_failed(self._address, error)

    def _write_failed(self, error: OSError) -> WriteError:
        if self._closed:
            return WriteError(closed_here(self._address, "while it was written to"))
        return write_failed(self._address, error)


class Scopes:
    """The waits of one stream that are going on, reading and writing, each in a cancel scope of its own.

    A scope is entered only when a wait really begins. Whose scope it was tells running out of time from being
    cancelled.
    """

    __slots__ = ("_going_on", "_new_scope", "_now", "_stream")

    def __init__(self, stream: TimedStream, new_scope: Callable[..., Any], now: Callable[[], float]) -> None:
        self._stream = stream
        self._new_scope = new_scope
        self._now = now
        self._going_on: set[Any] = set()

    async def wait(self, wait: Callable[[], Awaitable[None]], complaint: str) -> None:
        """Awaits `wait()` until the stream's deadline, wherever that moves meanwhile."""
        stream = self._stream
        scope = self._new_scope(deadline=self.deadline(stream._at))
        self._going_on.add(scope)
        try:
            with scope:
                await wait()
                return
        finally:
            self._going_on.discard(scope)
        if stream._closed:
            raise ReadError(closed_here(stream._address, "while it was waited for"))
        raise stream._expired(stream._clock(), complaint)

    def move(self) -> None:
        """The stream's deadline has moved."""
        if self._going_on:
            deadline = self.deadline(self._stream._at)
            for scope in self._going_on:
                scope.deadline = deadline

    def cancel(self) -> None:
        """The stream is closed."""
        for scope in self._going_on:
            scope.cancel()

    def deadline(self, at: float) -> float:
        """`at` on the world's own clock, which begins anywhere."""
        return at if at == NEVER else self._now() + at - self._stream._clock()
