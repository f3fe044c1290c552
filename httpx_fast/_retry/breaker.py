"""The circuit breaker of one origin. Pure: the time is given.

    closed --(too many of the last exchanges failed)--> open --(open_for seconds)--> half open
    half open --(as many probes as allowed succeeded)--> closed
    half open --(a probe failed)--> open

Every exchange asks for a permit before it is sent, and gives it back with what came of it; a cancelled one gives it
back without. What was sent before the circuit opened says nothing about it afterwards: a permit counts only in the
period in which it was given.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from .budget import Window
from .settings import Breaker

SLICES: Final = 10  # parts of the window, which the oldest leaves as a whole

State: TypeAlias = Literal["closed", "open", "half open"]
#: The period in which an exchange was allowed.
Permit: TypeAlias = int


class Circuit:
    """The state of a circuit, and what it was told."""

    __slots__ = ("_period", "_probing", "_succeeded", "_until", "_window", "opened", "refused", "settings", "state")

    def __init__(self, settings: Breaker) -> None:
        self.settings = settings
        self.state: State = "closed"
        self.opened = 0  # how often it opened
        self.refused = 0  # exchanges that were not allowed
        self._period = 0
        self._until = 0.0
        self._probing = 0  # probes that are under way
        self._succeeded = 0  # probes that succeeded in this period
        self._window = Window(SLICES, settings.window / SLICES)

    def ask(self, now: float) -> Permit | None:
        """Return the permit for an exchange; None if the circuit is open."""
        if self.state == "open" and now >= self._until:
            self._begin("half open")
        if self.state == "closed":
            return self._period
        if self.state == "half open" and self._probing < self.settings.probes:
            self._probing += 1
            return self._period
        self.refused += 1
        return None

    def will_allow(self, at: float) -> bool:
        """Return whether an exchange may be allowed at that time, as things are."""
        return self.state == "closed" or at >= self._until

    def retry_in(self, now: float) -> float:
        """Return the seconds until the circuit is half open."""
        return max(self._until - now, 0.0) if self.state == "open" else 0.0

    def succeeded(self, permit: Permit, now: float) -> None:
        """Note that an exchange succeeded."""
        if permit != self._period:
            return
        if self.state == "closed":
            self._window.add(now, 1, 0)
            return
        self._probing -= 1
        self._succeeded += 1
        if self._succeeded >= self.settings.probes:
            self._begin("closed")

    def failed(self, permit: Permit, now: float) -> None:
        """Note that an exchange failed."""
        if permit != self._period:
            return
        if self.state == "closed":
            window, settings = self._window, self.settings
            window.add(now, 1, 1)
            if window.first < settings.minimum or window.second < settings.failures * window.first:
                return
        self._begin("open")
        self._until = now + self.settings.open_for
        self.opened += 1

    def given_up(self, permit: Permit) -> None:
        """Note that an exchange ended without saying anything about the origin: it was cancelled, say."""
        if permit == self._period and self.state == "half open":
            self._probing -= 1

    def _begin(self, state: State) -> None:
        self.state = state
        self._period += 1
        self._probing = self._succeeded = 0
        self._window = Window(SLICES, self.settings.window / SLICES)
