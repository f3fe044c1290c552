"""When a whole `send()` has to be over: the instant that no wait of it may pass, whatever else is granted.

A `Deadline` is made where a `send()` begins, and shared by all that follows from it: further requests of redirects and
authentication, replays, retries, the body. Nothing renews it. It knows no clock but the system's: which instant it is
on the clock of a pool is worked out by the first who asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

__all__ = ["Deadline", "Total", "sooner"]


class Total(float):
    """Seconds granted to a whole `send()`: a budget that is not its phase's own, as messages then say."""

    __slots__ = ()


class Deadline:
    """The end of a `send()` that is granted `seconds`, from now on."""

    __slots__ = ("_began", "_clock", "at", "budget")

    def __init__(self, seconds: float) -> None:
        self.budget = Total(seconds)
        self._began = time.monotonic()
        self._clock: Callable[[], float] = time.monotonic
        self.at = inf  # on the clock of the pools; not known before `on()`

    def on(self, clock: Callable[[], float]) -> Deadline:
        """Itself, with `at` on this clock; what has passed so far is counted."""
        if self.at == inf:
            self.at = clock() + self.budget - (time.monotonic() - self._began)
            self._clock = clock
        return self

    def elapsed(self, now: float) -> float:
        """Seconds since the `send()` began."""
        return now - self.at + self.budget

    def overdue(self) -> float | None:
        """Seconds since the `send()` began, if they are more than it was granted."""
        now = self.on(self._clock)._clock()
        return self.elapsed(now) if now >= self.at else None


def sooner(at: float | None, budget: float | None, deadline: Deadline | None) -> tuple[float | None, float | None]:
    """The end of a wait, and the budget that ends it: the phase's own, or the whole send's where that comes first."""
    if deadline is None or (at is not None and at <= deadline.at):
        return at, budget
    return deadline.at, deadline.budget
