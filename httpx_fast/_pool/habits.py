"""How long peers keep idle connections: what they say, and what is learnt from those that they closed.

A request on a connection that the peer is just closing fails, and not every request may be sent again. So a connection
is not used when its peer has announced to close it about now (Keep-Alive, RFC 2068 s.19.7.1.1), or was seen doing so.
Seconds and counts only; no connection, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from .._origin import Origin

# What a peer may be ahead: its time runs from when it has sent a response, ours from when we have read it, and the next
# request is on its way for a while.
MARGIN: Final = 1.0  # seconds
# A connection that is closed sooner than this was closed for another reason: a limit of requests, a restart, an error.
MIN_AGE: Final = 1.0  # seconds of idleness
# A peer that was restarted seems to have closed early; what was learnt from that must not hold for ever.
MEMORY: Final = 600.0  # seconds
MAX_LEARNT: Final = 1024  # origins; a crawler meets millions

_MAX_DIGITS: Final = 9  # of a number that means anything here


def promised(values: Iterable[bytes]) -> tuple[float, float]:
    """Seconds and requests that the values of Keep-Alive fields grant a connection; infinite where they say nothing."""
    granted = {b"timeout": math.inf, b"max": math.inf}
    for value in values:
        for parameter in value.split(b","):
            name, _, number = parameter.partition(b"=")
            name, number = name.strip().lower(), number.strip(b' \t"')
            if name in granted and number.isdigit() and len(number) <= _MAX_DIGITS:
                granted[name] = min(granted[name], int(number))
    return granted[b"timeout"], granted[b"max"]


class Habits:
    """For how long connections to an origin may be idle, where they were seen to be closed early."""

    __slots__ = ("_learnt",)

    def __init__(self) -> None:
        self._learnt: dict[Origin, tuple[float, float]] = {}  # seconds, and until when they hold; oldest first

    def learn(self, origin: Origin, age: float, now: float) -> bool:
        """A connection to `origin` was found closed by the peer after `age` seconds; whether that says anything."""
        if age < MIN_AGE:
            return False
        known = self.expiry(origin, now)
        seconds = max(age - MARGIN, age / 2)
        self._learnt.pop(origin, None)
        self._learnt[origin] = (seconds if known is None else min(known, seconds)), now + MEMORY
        if len(self._learnt) > MAX_LEARNT:
            del self._learnt[next(iter(self._learnt))]
        return True

    def expiry(self, origin: Origin, now: float) -> float | None:
        """Seconds that a connection may be idle; None where nothing was learnt."""
        known = self._learnt.get(origin)
        if known is None:
            return None
        seconds, until = known
        if now >= until:
            del self._learnt[origin]
            return None
        return seconds

    def learnt(self, now: float) -> Mapping[Origin, float]:
        """All that is known."""
        return {origin: seconds for origin, (seconds, until) in self._learnt.items() if now < until}
