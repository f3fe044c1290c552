"""End many waits of one event loop at their deadlines, with one timer for all of them.

A pool at its limit lets ten thousand tasks wait. A timer of the loop for each would cost 4 us to set and to cancel, and
five objects that the garbage collector walks through while they wait. So the deadlines are kept in a heap here, and the
loop has one timer, for the first of them. The entry of a wait that has ended is not searched for: it is removed when it
comes to the top, or with others when half of the heap are such entries.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final, Protocol

from .deadline_stream import NEVER

_MIN_TIDY: Final = 64  # entries


class Wait(Protocol):
    """Name what is needed of a wait; a future has it."""

    def done(self) -> bool:
        """Return whether the wait has ended."""
        ...

    def set_result(self, result: Any, /) -> None:
        """End the wait with False: its deadline has passed."""


class Timer(Protocol):
    """Name what is needed of a timer."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """Name what is needed of an event loop."""

    def call_later(
        self, delay: float, callback: Callable[..., Any], /, *args: Any, context: contextvars.Context | None = None
    ) -> Timer: ...


class Deadlines:
    """End waits at their deadlines, in the loop that runs when one is added."""

    __slots__ = ("_clock", "_count", "_ended", "_entries", "_loop", "_tidy_at", "_timer", "_timer_at")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._loop: Loop | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._entries: list[tuple[float, int, Wait]] = []
        self._count = 0  # of all that ever were: entries of the same time are never compared further
        self._ended = 0  # waits that ended before their time since this was last tidied
        self._tidy_at = _MIN_TIDY  # entries; cancelled waits are not reported
        self._timer: Timer | None = None
        self._timer_at = NEVER

    def add(self, loop: Loop, at: float, wait: Wait) -> None:
        """End `wait` at `at` (monotonic seconds) unless it is done by then."""
        if loop is not self._loop:  # the one before has ended, and its timer with it
            self._loop = loop
            self._begin_anew()
        self._count += 1
        entries = self._entries
        heappush(entries, (at, self._count, wait))
        if at < self._timer_at:
            self._set_timer(at)
        if len(entries) > self._tidy_at:
            self._tidy()

    def ended(self) -> None:
        """Note that a wait ended before its deadline."""
        self._ended += 1
        if 2 * self._ended > len(self._entries) + _MIN_TIDY:
            self._tidy()

    def _tidy(self) -> None:
        self._entries = entries = [entry for entry in self._entries if not entry[2].done()]
        heapify(entries)
        self._ended = 0
        self._tidy_at = 2 * len(entries) + _MIN_TIDY

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        assert self._loop is not None
        self._timer = self._loop.call_later(self._delay(at), self._on_time, context=contextvars.Context())
        self._timer_at = at

    def _delay(self, at: float) -> float:
        """Return the seconds after which to look at the clock; it may be too early."""
        return max(at - self._clock(), 0.0)

    def _on_time(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        now = self._clock()
        entries = self._entries
        due: list[Any] = []
        while entries and (entries[0][0] <= now or entries[0][2].done()):
            due.append(heappop(entries)[2])
        for wait in due:  # apart from the loop above: each may add another
            if not wait.done():
                wait.set_result(False)
        entries = self._entries
        if entries and entries[0][0] < self._timer_at:
            self._set_timer(entries[0][0])
