"""Limit how many TLS handshakes of one event loop are under way at once.

OpenSSL needs 55 KiB while a handshake is under way, and 24 KiB once it is over. A thousand at once leave the process
with the peak, since malloc gives back little of memory in small pieces. A handshake takes half a millisecond of
processor time, so more at once than `MAX_HANDSHAKES` end no sooner, unless peers are further away than 128 ms.

Rules:

- First in, first out. Whoever cannot begin at once waits, under its own deadline for connecting.
- A place is held for `PATIENCE` seconds at most: peers that accept connections and never answer do not keep others
  waiting. The handshake itself goes on.
- All calls are made in the event loop that the queue belongs to.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from .._deadline import NEVER, PhaseTimer

MAX_HANDSHAKES: Final = 256
PATIENCE: Final = 1.0  # seconds; three to four round trips to a peer at the other end of the world


class Waiter(Protocol):
    """Name what is needed of a wait for one event: see `base.Waiter`."""

    def set(self) -> None: ...

    def wait(self, at: float | None) -> Awaitable[bool]: ...


class Turn:
    """Stand for one handshake; `began` is None while it waits for its turn."""

    __slots__ = ("began", "waiter")

    def __init__(self, began: float | None) -> None:
        self.began: float | None = began
        self.waiter: Waiter | None = None


class HandshakeQueue:
    """Let handshakes of one event loop begin in the order in which they were asked for."""

    __slots__ = ("_clock", "_limit", "_under_way", "_waiting")

    def __init__(self, clock: Callable[[], float], limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._under_way: OrderedDict[Turn, None] = OrderedDict()  # by the time when they began
        self._waiting: OrderedDict[Turn, None] = OrderedDict()

    def begin(self) -> Turn | None:
        """Return a turn that has begun, for `end()`; None if `wait()` is needed for one."""
        now = self._clock()
        under_way = self._under_way
        if len(under_way) >= self._limit:
            self._expire(now)
            if len(under_way) >= self._limit:
                return None
        # Nobody waits while there is room.
        turn = Turn(now)
        under_way[turn] = None
        return turn

    async def wait(self, new_waiter: Callable[[], Waiter], timer: PhaseTimer, peer: str) -> Turn:
        """Return a turn once it has begun, for `end()`. Raises ConnectTimeout. Cancelled, it leaves nothing behind."""
        turn = Turn(None)
        self._waiting[turn] = None
        try:
            while turn.began is None:
                turn.waiter = waiter = new_waiter()
                await waiter.wait(self._wake_at(timer))
                now = self._clock()
                self._expire(now)
                # `_expire` may have begun it, which a type checker does not see.
                if turn.began is None and now >= timer.at:  # pyright: ignore[reportUnnecessaryComparison]
                    raise timer.expired(
                        now,
                        f"the TLS handshake with {peer} waited for its turn, {self._limit} may be under way at once",
                    )
        except BaseException:
            self.end(turn)
            raise
        return turn

    def end(self, turn: Turn) -> None:
        """Let the next one begin in place of `turn`, which is over, or was given up while it waited; repeatable."""
        if turn.began is None:
            self._waiting.pop(turn, None)
        elif turn in self._under_way:
            del self._under_way[turn]
            if self._waiting:
                self._begin_next(self._clock())

    def _wake_at(self, timer: PhaseTimer) -> float | None:
        """Return when to look again: at the deadline, or when the oldest handshake has had its time."""
        oldest = next(iter(self._under_way)).began
        assert oldest is not None
        at = min(timer.at, oldest + PATIENCE)
        return None if at == NEVER else at

    def _expire(self, now: float) -> None:
        under_way = self._under_way
        while under_way:
            began = next(iter(under_way)).began
            if began is None or began + PATIENCE > now:
                break
            under_way.popitem(last=False)
        self._begin_next(now)

    def _begin_next(self, now: float) -> None:
        while self._waiting and len(self._under_way) < self._limit:
            turn, _ = self._waiting.popitem(last=False)
            turn.began = now
            self._under_way[turn] = None
            if turn.waiter is not None:
                with contextlib.suppress(RuntimeError):  # the event loop is closed: coroutines are being dropped
                    turn.waiter.set()


_queues: weakref.WeakKeyDictionary[Any, HandshakeQueue] = weakref.WeakKeyDictionary()


def handshakes_of(loop: Any, backend: Any, clock: Callable[[], float]) -> HandshakeQueue | None:
    """Return the queue of an event loop; None if the loop cannot be remembered without keeping it alive.

    A backend with a clock of its own has a queue of its own.
    """
    owner = loop if clock is time.monotonic else backend
    try:
        queue = _queues.get(owner)
        if queue is None:
            queue = _queues[owner] = HandshakeQueue(clock, MAX_HANDSHAKES)
    except TypeError:  # no weak references
        return None
    return queue
