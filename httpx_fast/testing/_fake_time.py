"""The time that a `FakeClock` shows to connections: the real one, and what it was moved by.

A wait under this time ends where real ones end, in the kernel or in a timer of the event loop, but after `SLICE` real
seconds at the latest; then it looks at this time again. So the time may be moved from any thread, and no wait has to be
found and woken. `_fake_sync`, `_fake_asyncio` and `_fake_trio` are the backends that wait so.

With `grace` the time moves by itself: when one wait has gone on for that many real seconds, it jumps to the first of
the deadlines that are waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final, cast

from .._deadline import NEVER

SLICE: Final = 0.002  # real seconds
_STALE: Final = 0.1  # real seconds after which a wait that has not looked at the time is over


class FakeTime:
    """Tell the time, as `time.monotonic` does, and move it. Safe to share between threads."""

    def __init__(self, grace: float | None = None) -> None:
        self._moved = 0.0
        self._grace = grace
        self._lock = threading.Lock()
        self._waits: dict[float, tuple[float, float]] = {}  # by deadline: the first and last real time it was seen

    def __call__(self) -> float:
        return time.monotonic() + self._moved

    def move(self, seconds: float) -> None:
        """Let time pass; waits see it within `SLICE` real seconds."""
        with self._lock:
            self._moved += seconds

    def nap(self, at: float) -> float:
        """Return for how many real seconds to wait before looking at the time again, in a wait until `at`."""
        if at == NEVER:
            return NEVER
        if self._grace is not None:
            self._jump(at, self._grace)
        return min(max(at - self(), 0.0), SLICE)

    def _jump(self, at: float, grace: float) -> None:
        now = time.monotonic()
        with self._lock:
            waits = {wait: seen for wait, seen in self._waits.items() if now - seen[1] < _STALE}
            began = waits[at][0] if at in waits else now
            waits[at] = began, now
            self._waits = waits
            if now - began >= grace:
                self._moved = max(self._moved, min(waits) - now)
                waits.clear()  # what follows from it has its own time to come


class SlicedWait:
    """Wait in slices, before a `Waiter` that gives up at the time that it is given."""

    __slots__ = ()

    _clock: Any

    async def wait(self, at: float | None) -> bool:
        """Return True once set, False when `at` comes first."""
        wait: Callable[[float | None], Awaitable[bool]] = cast("Any", super()).wait
        if at is None:
            return await wait(None)
        clock = self._clock
        while not await wait(clock() + clock.nap(at)):
            if clock() >= at:
                return False
        return True


class SlicedConnects:
    """Wait in slices, before a `Connector`: one that reports nothing is asked again."""

    __slots__ = ()

    _clock: Any

    async def wait(self, sockets: Collection[Any], until: float) -> Iterable[Any]:
        """Return sockets whose connect has ended; none if there is none yet."""
        wait: Callable[[Collection[Any], float], Awaitable[Iterable[Any]]] = cast("Any", super()).wait
        clock = self._clock
        return await wait(sockets, until if until == NEVER else clock() + clock.nap(until))
