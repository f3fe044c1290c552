"""Keep sink, deadlines and end of a stream that waits by itself, however it waits.

`Scopes` runs the waits where deadlines are cancel scopes (trio, AnyIO).
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .._deadline import NEVER, PHASES, PhaseTimer
from .._exceptions import ReadError, TimeoutException, WriteError
from .base import Sink, Stream, lent_only
from .errors import closed_here, peer_closed, peer_name, read_failed, write_failed
from .tls import TLSStream, handshake

__all__ = ["NEVER", "DeadlineStream", "Scopes"]


class DeadlineStream(Stream):
    """Keep sink, deadlines and end of a stream, with a timer for each direction."""

    __slots__ = (
        "_address",
        "_arrived",
        "_clock",
        "_closed",
        "_ended",
        "_fault",
        "_lends",
        "_read_timer",
        "_sink",
        "_told",
        "_unsent",
        "_write_timer",
    )

    def __init__(self, address: Any, clock: Callable[[], float]) -> None:
        self._address = address
        self._clock = clock
        self._sink: Any = None
        self._lends = False  # the sink never gives a buffer
        self._read_timer = PhaseTimer("connect")
        self._write_timer = PhaseTimer("connect")
        self._arrived = False  # something came since the deadline was set
        self._ended = False  # the peer will send no more
        self._told = False  # the sink knows that
        self._closed = False
        self._fault: Exception | None = None  # what the next receive() raises
        self._unsent: list[memoryview] = []  # what was not taken yet; goes out before anything else

    def attach(self, sink: Sink) -> None:
        self._sink = sink
        self._lends = lent_only(sink)
        self._told = False

    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        if phase == "read":
            # The same as for any phase, without a call: this is done for each request.
            timer = self._read_timer
            timer.phase = phase
            timer.at = timer.hard if at is None or at > timer.hard else at
            timer.budget = budget
            self._arrived = False
            return
        kind = PHASES[phase]
        if kind.receiving:
            self._read_timer.set(phase, at, budget)
            self._arrived = False
        if kind.sending:
            self._write_timer.set(phase, at, budget)

    def set_hard_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        kind = PHASES[phase]
        if kind.receiving:
            self._read_timer.set_hard(at, budget)
        if kind.sending:
            self._write_timer.set_hard(at, budget)

    @property
    def unsent(self) -> int:
        return sum(map(len, self._unsent)) if self._unsent else 0

    async def start_tls(
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
        alpn: Sequence[str] | None = None,
    ) -> TLSStream:
        return await handshake(self, context, server_hostname, session, alpn)

    def _expired(self, now: float) -> TimeoutException:
        peer, timer = peer_name(self._address), self._read_timer
        return timer.expired(now, f"{peer} {PHASES[timer.phase].silence}", f"{peer} had more to send")

    def _write_expired(self, now: float, detail: str = "") -> TimeoutException:
        peer = peer_name(self._address)
        timer = self._write_timer
        return timer.expired(now, f"{peer} {PHASES[timer.phase].silence}{detail}", f"{peer} had more to take{detail}")

    def _tell_end(self) -> bool:
        """Tell the sink, once, that no more will come; return whether that ends the wait. May raise."""
        self._told = True
        return bool(self._sink.eof_received(True))

    def _end(self) -> bool:
        """End reading: return True if the sink has enough; raise what the sink raises, or ReadError."""
        if self._closed:
            raise ReadError(closed_here(self._address, "while it was read"))
        self._ended = True
        if self._told or not self._tell_end():
            raise peer_closed(self._address)
        return True

    def _break_off(self) -> None:
        """Tell the sink of an unclean end, which may be an attack."""
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
    """Run the waits of one stream, reading and writing, each in a cancel scope of its own.

    A scope is entered only when a wait really begins. A scope that was cancelled by its own deadline is a timeout, not
    a cancellation.
    """

    __slots__ = ("_clock", "_going_on", "_new_scope", "_now")

    def __init__(self, clock: Callable[[], float], new_scope: Callable[..., Any], now: Callable[[], float]) -> None:
        self._clock = clock
        self._new_scope = new_scope
        self._now = now
        self._going_on: dict[Any, bool] = {}  # whether each writes

    async def wait(self, stream: DeadlineStream, wait: Callable[[], Awaitable[None]], writes: bool) -> None:
        """Await `wait()` until the deadline of `stream`, whose scopes these are, for it; it may move meanwhile."""
        scope = self._new_scope(deadline=self.deadline((stream._write_timer if writes else stream._read_timer).at))
        self._going_on[scope] = writes
        try:
            with scope:
                await wait()
                return
        finally:
            del self._going_on[scope]
        if stream._closed:
            raise ReadError(closed_here(stream._address, "while it was waited for"))
        now = stream._clock()
        raise stream._write_expired(now) if writes else stream._expired(now)

    def move(self, stream: DeadlineStream) -> None:
        """Apply the deadlines of the stream, which have moved, to the waits."""
        for scope, writes in self._going_on.items():
            scope.deadline = self.deadline((stream._write_timer if writes else stream._read_timer).at)

    def cancel(self) -> None:
        """Cancel the waits: the stream is closed."""
        for scope in self._going_on:
            scope.cancel()

    def deadline(self, at: float) -> float:
        """Convert `at` to the event loop's own clock."""
        return at if at == NEVER else self._now() + at - self._clock()
