"""Times of a shared HTTP/2 session: when a silent peer is pinged, and when waiting tasks are woken.

Nothing here locks, reads or writes: `http2_shared` does that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from .._deadline import NEVER, PhaseTimer
from .._exceptions import ReadError
from .._net.base import Waiter
from .._wire.h2 import Session

#: Seconds that a peer has to answer a PING.
PING_PATIENCE: Final = 15.0
#: Seconds for which a peer may send nothing at all before a connection that leaves a request unanswered is given up.
MAX_SILENCE: Final = 1.0

#: Starts a timer: seconds, and the function to call then; returns what cancels it.
StartTimer: TypeAlias = Callable[[float, Callable[[], object]], Callable[[], object]]


class PeerCheck:
    """Decide when a peer that sends nothing while exchanges wait is pinged, and when it is dead.

    `busy_since` is when the first of the exchanges began that are under way. Silence adds up over exchanges that are
    given up, one after the other, without time between them: else requests with short timeouts would wait for a dead
    peer for ever.
    """

    __slots__ = ("_count", "_last_heard", "_ping_after", "_session", "_silence", "_timer", "busy_since")

    def __init__(self, session: Session, ping_after: float | None) -> None:
        self._session = session
        self._ping_after = NEVER if ping_after is None else ping_after
        self._timer = PhaseTimer("pong")
        self._count = 0  # PINGs so far
        self.busy_since = 0.0
        self._silence = 0.0  # seconds that exchanges which were given up have waited since something arrived, ...
        self._last_heard = 0.0  # which was then

    def due(self) -> float:
        """Return when to ping, or to give up the peer, unless something arrives before."""
        heard = self._heard()
        return self._timer.at if self._is_pinged(heard) else heard + self._ping_after

    def dead(self, now: float) -> ReadError | None:
        """Return the error of a peer that has not answered a PING in time; None if it is to be pinged now."""
        heard = self._heard()
        if not self._is_pinged(heard):
            return None
        return ReadError(
            f"the peer sent nothing for {now - heard:.3g} s and did not answer a PING within "
            f"{PING_PATIENCE:.3g} s: the connection is dead"
        )

    def ping(self, now: float) -> float:
        """Make the session ping the peer; return when to check again. Call it under the session's lock."""
        self._count += 1
        self._timer.begin("pong", now, PING_PATIENCE)
        self._session.ping(self._count.to_bytes(8, "big"), now)
        return now + min(PING_PATIENCE, self._ping_after)

    def given_up(self, now: float) -> bool:
        """Note that an exchange is given up unanswered; return whether the peer is silent for too long by now."""
        moment = self._session.moment
        silence = now - self._heard()
        self._silence, self._last_heard, self.busy_since = silence, moment, now
        return silence >= MAX_SILENCE

    def _heard(self) -> float:
        """Return when the peer was heard last, without the time since then in which nothing was asked."""
        moment = self._session.moment
        heard = max(self.busy_since, moment)
        return heard - self._silence if moment == self._last_heard else heard

    def _is_pinged(self, heard: float) -> bool:
        session = self._session
        return bool(session.pinged) and session.pinged_at >= heard


class Sleeper(Protocol):
    """Name what `WakeTimer` needs of a task that waits."""

    waiter: Waiter | None


class WakeTimer:
    """Wake tasks of an event loop at their deadlines, with one timer for all of them.

    The timer is set again only when it fires too early: deadlines move on with each arrival.
    """

    __slots__ = ("_cancel", "_clock", "_start", "at", "sleepers")

    def __init__(self, start: StartTimer | None, clock: Callable[[], float]) -> None:
        assert start is not None
        self._start = start
        self._clock = clock
        #: When to wake each task that waits, NEVER included. After a change call `set()` if that is before `at`.
        self.sleepers: dict[Any, float] = {}
        self.at = NEVER  # when the timer fires
        self._cancel: Callable[[], object] | None = None

    def cancel(self) -> None:
        """Stop the timer."""
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def set(self, at: float, now: float) -> None:
        """Have the timer fire at `at`."""
        self.cancel()
        self.at = at
        self._cancel = self._start(max(at - now, 0.0), self._on_time)

    def _on_time(self) -> None:
        """Wake the tasks whose deadline has passed."""
        self._cancel = None
        self.at = NEVER
        now = self._clock()
        next_at = NEVER
        for sleeper, at in self.sleepers.items():
            if at > now:
                next_at = min(next_at, at)
            elif sleeper.waiter is not None:
                sleeper.waiter.set()
        if next_at != NEVER:
            self.set(next_at, now)
