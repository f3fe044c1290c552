"""Deadlines: how long one phase of a request may take, and how long all of it.

- `PHASES` names every phase: which exception its timeout is, what a stream waits for in it, what messages say.
- `PhaseTimer` holds the deadline of one kind of wait: this phase until then, the whole until then. Streams have one for
  each direction, exchanges of HTTP/2 and tunnels one for each side, a wait for a connection has one.
- `Deadline` is the end of a whole `send()`. It is made where that begins, and shared by all that follows from it:
  further requests of redirects and authentication, replays, retries, the body. Nothing renews it.

Times are seconds on the clock of a pool; `NEVER` is a deadline that never comes. To add a phase: a line in `PHASES`,
and `PhaseTimer.begin()` where its wait begins; if users set its length, a field of `RequestTimeouts` and one of the
public `Timeout`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Final, NamedTuple

from ._exceptions import ConnectTimeout, PoolTimeout, ReadTimeout, TimeoutException, WriteTimeout

__all__ = ["NEVER", "PHASES", "Deadline", "Phase", "PhaseTimer", "RateCheck", "RequestTimeouts", "Total", "timed_out"]

NEVER: Final = inf


class Phase(NamedTuple):
    """Describe one phase and its timeout."""

    name: str
    reported: str  # the phase that the exception names
    error: type[TimeoutException]
    doing: str  # the activity that messages name
    receiving: bool  # limits receiving on a stream
    sending: bool  # limits sending on a stream
    renewed: bool  # progress of the peer restarts the budget
    silence: str  # the complaint about the peer when the time is up


PHASES: Final = {
    phase.name: phase
    for phase in (
        Phase("connect", "connect", ConnectTimeout, "connecting", True, True, False, "sent nothing"),
        Phase("read", "read", ReadTimeout, "reading", True, False, True, "sent nothing"),
        Phase("first_byte", "read", ReadTimeout, "waiting for the response", True, False, False, "did not answer"),
        Phase("write", "write", WriteTimeout, "sending", False, True, True, "took nothing more"),
        Phase(
            "frame", "write", WriteTimeout, "sending a WebSocket frame", False, True, False, "did not take all of it"
        ),
        Phase("pool", "pool", PoolTimeout, "waiting for a connection", False, False, False, ""),
        # Waits that end with an exception of their own, or with none: only their times are counted here.
        Phase("drain", "read", ReadTimeout, "waiting for requests under way", False, False, False, ""),
        Phase("message", "read", ReadTimeout, "waiting for a message", False, False, False, "sent no message"),
        Phase("ping", "read", ReadTimeout, "waiting to send a ping", False, False, False, ""),
        Phase("close", "write", WriteTimeout, "closing a WebSocket", False, False, False, "did not close"),
        Phase("pong", "read", ReadTimeout, "waiting for the answer to a ping", False, False, False, "did not answer"),
    )
}


class Total(float):
    """Mark seconds as those of a whole `send()`, so that messages say that the total ran out and not the phase."""

    __slots__ = ()


def timed_out(phase: str, elapsed: float, budget: float, detail: str) -> TimeoutException:
    """Return the exception of a phase (a name in `PHASES`); times in seconds.

    If `budget` is a `Total`, the time of the whole request has run out, not that of the phase.
    """
    found = PHASES[phase]
    whole = isinstance(budget, Total)
    limit = "total" if whole else phase
    meanwhile = f", while {found.doing}" if whole else ""
    failure = found.error(f"{limit} timed out after {elapsed:.3g} s of {budget:.3g} s{meanwhile}: {detail}")
    failure.phase, failure.limit, failure.elapsed, failure.budget = found.reported, limit, elapsed, float(budget)
    return failure


class Deadline:
    """Hold the deadline of a `send()` that may take `seconds`, from now on."""

    __slots__ = ("_began", "_clock", "at", "budget")

    def __init__(self, seconds: float) -> None:
        self.budget: Total = Total(seconds)
        self._began = time.monotonic()
        self._clock: Callable[[], float] = time.monotonic
        self.at: float = NEVER  # on the clock of the pools; not known before `on()`

    def on(self, clock: Callable[[], float]) -> Deadline:
        """Set `at` on this clock, counting what has passed so far, and return the deadline itself."""
        if self.at == NEVER:
            self.at = clock() + self.budget - (time.monotonic() - self._began)
            self._clock = clock
        return self

    def elapsed(self, now: float) -> float:
        """Return the seconds since the `send()` began."""
        return now - self.at + self.budget

    def overdue(self) -> float | None:
        """Return the seconds since the `send()` began, if they are more than it was granted."""
        now = self.on(self._clock)._clock()
        return self.elapsed(now) if now >= self.at else None

    def expired(self, phase: str, now: float, detail: str) -> TimeoutException:
        """Return the timeout of a `send()` that was in this phase when its deadline came."""
        return timed_out(phase, self.elapsed(now), self.budget, detail)


class PhaseTimer:
    """Hold the deadline of one kind of wait: `at`, the sooner of the phase's own and of a hard one that nothing moves.

    With `since` the phase has begun then, for `budget` seconds (None for no limit).
    """

    __slots__ = ("at", "budget", "hard", "hard_budget", "phase")

    def __init__(
        self,
        phase: str,
        deadline: Deadline | None = None,
        since: float | None = None,
        budget: float | None = None,
    ) -> None:
        self.phase: str = phase
        self.budget: float | None = budget
        self.hard: float = NEVER
        self.hard_budget: float | None = None
        if deadline is not None:
            self.hard, self.hard_budget = deadline.at, deadline.budget
        self.at: float = self.hard if since is None or budget is None else min(since + budget, self.hard)

    def begin(self, phase: str, since: float, budget: float | None) -> None:
        """Begin a phase at `since`, which ends after `budget` seconds (None for never) or with the hard deadline."""
        self.phase = phase
        self.budget = budget
        at = self.hard
        if budget is not None and since + budget < at:
            at = since + budget
        self.at = at

    def stop(self) -> None:
        """End the phase: only the hard deadline is left."""
        self.budget = None
        self.at = self.hard

    def set(self, phase: str, at: float | None, budget: float | None) -> None:
        """Begin a phase, which ends at `at` (None for never) or with the hard deadline; `budget` is its whole length.

        Streams do the same without this call on the hot path.
        """
        self.phase = phase
        self.at = self.hard if at is None or at > self.hard else at
        self.budget = budget

    def set_hard(self, at: float | None, budget: float | None) -> None:
        """Limit every phase from the next `set()` or `postpone()` on to `at`; None for no hard deadline."""
        self.hard = NEVER if at is None else at
        self.hard_budget = budget

    def postpone(self, clock: Callable[[], float]) -> None:
        """Restart the budget after progress of the peer, if the phase is one that progress renews."""
        if self.budget is not None and self.at != NEVER and PHASES[self.phase].renewed:
            at = clock() + self.budget
            self.at = min(self.hard, at)

    def renewed(self, heard: float) -> float:
        """Restart the budget at the time when the peer was last `heard`, if the phase is one that this renews.

        Return when the wait ends now. This is for callers that look only when the time seems to be up.
        """
        kind = PHASES[self.phase]
        if self.budget is not None and kind.receiving and kind.renewed:
            at = heard + self.budget
            if at > self.at:
                self.at = min(self.hard, at)
        return self.at

    @property
    def until(self) -> float | None:
        """Return when the wait ends, None for never."""
        return None if self.at == NEVER else self.at

    @property
    def granted(self) -> float | None:
        """Return the seconds of the deadline that ends the wait: the phase's, or a `Total`; None for no limit."""
        return self.budget if self.at < self.hard else self.hard_budget

    def left(self, now: float) -> float:
        """Return the seconds that are left, 0 at the end; NEVER for no limit."""
        return max(self.at - now, 0.0)

    def expired(self, now: float, complaint: str, unfinished: str | None = None) -> TimeoutException:
        """Return the timeout: of the phase, with a complaint about the peer, or of the whole, with what it cut off.

        Without `unfinished` the complaint is said of both.
        """
        if self.at >= self.hard:
            return self.hard_expired(self.phase, now, complaint if unfinished is None else unfinished)
        return _expired(self.phase, now, self.at, self.budget, complaint)

    def hard_expired(self, phase: str, now: float, unfinished: str) -> TimeoutException:
        """Return the timeout of the whole, in this phase."""
        return _expired(phase, now, self.hard, self.hard_budget, unfinished)


class RateCheck:
    """Measure how quickly a peer gives (phase "read") or takes ("write"), over the time for which it is waited for.

    `begin()` before each wait, `end()` after it. What the peer gave while nobody waited counts, that time does not.
    """

    __slots__ = ("_began", "_count", "_waited", "least", "of", "phase", "until", "window")

    def __init__(self, phase: str, least: float, window: float, of: object) -> None:
        self.phase: str = phase
        self.least: float = least  # bytes per second
        self.window: float = window  # seconds
        self.of: object = of  # the exchange that is measured
        self.until: float = NEVER  # when the wait that goes on ends a window
        self._began = self._waited = 0.0
        self._count = 0

    def begin(self, now: float) -> float:
        """Begin a wait; return when it is to be ended, at the latest."""
        self._began = now
        self.until = now + self.window - self._waited
        return self.until

    def add(self, count: int) -> None:
        """Count bytes for which nobody waited."""
        self._count += count

    def is_over(self, error: TimeoutException, now: float) -> bool:
        """Return whether a wait has failed because its window is over, and not by a timeout of the request."""
        return error.limit != "total" and now >= self.until

    def end(self, now: float, count: int) -> TimeoutException | None:
        """End a wait in which so many bytes came, or went; return the timeout if they are too few over a window."""
        self._waited += now - self._began
        self._count += count
        if now < self.until:
            return None
        seen, waited = self._count / self._waited if self._waited else NEVER, self._waited
        self._waited, self._count = 0.0, 0
        if seen >= self.least:
            return None
        kind = PHASES[self.phase]
        verb = "sent" if kind.receiving else "took"
        failure = kind.error(
            f"min_rate not kept, while {kind.doing}: peer {verb} {seen:.3g} bytes per second over {waited:.3g} s, "
            f"expected {self.least:.3g} or more"
        )
        failure.phase, failure.limit, failure.elapsed, failure.budget = kind.reported, "min_rate", waited, self.window
        return failure


def _expired(phase: str, now: float, at: float, budget: float | None, detail: str) -> TimeoutException:
    """Return the timeout of a phase that began `budget` seconds before its deadline `at`, which has passed."""
    granted = budget if budget is not None else max(at - now, 0.0)
    return timed_out(phase, max(now - at + granted, 0.0), granted, detail)


class RequestTimeouts(NamedTuple):
    """Hold the seconds of each phase of a request, None for no limit; and the deadline of the whole `send()`."""

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None
    first_byte: float | None = None  # from the end of sending to the response's head, in place of `read`
    deadline: Deadline | None = None
    min_rate: tuple[float, float] | None = None  # bytes per second of a body, over so many seconds
    expect: float | None = None  # for 100 (Continue), before the body is sent; None sends it at once

    def until_head(self, sent: float, heard: float) -> tuple[str, float | None, float | None]:
        """Return phase, end and budget of the wait for a response's head.

        The request was sent at `sent`, and something last came of the peer at `heard`.
        """
        budget = self.first_byte
        if budget is not None:
            return "first_byte", sent + budget, budget
        budget = self.read
        return "read", None if budget is None else heard + budget, budget
