"""Remembers what was learnt of peers, so that the next connection is used as they like it.

How long they keep idle connections: what they say, and what is learnt from those that they closed. A request on a
connection that the peer is just closing fails, and not every request may be sent again. So a connection is not used
when its peer has announced to close it about now (Keep-Alive, RFC 2068 s.19.7.1.1), or was seen doing so.

After how many responses they close a connection without saying so: some after each. A connection that has served as
many is not used for a request that may not be sent again.

How many requests at once they take on one connection of HTTP/2: what is above that they refuse, and it has to be sent
again. And whether they want HTTP/1.1, and how long it takes to connect to them. Seconds and counts only; no connection,
no clock.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

from .._conn.keep_alive import MARGIN
from .._origin import Origin

# A connection that is closed sooner than this was closed for another reason: a limit of requests, a restart, an error.
MIN_AGE: Final = 1.0  # seconds of idleness
# A peer that was restarted seems to have closed early; what was learnt from that must not hold for ever.
MEMORY: Final = 600.0  # seconds
MAX_LEARNT: Final = 1024  # origins; a crawler meets millions

# Responses after which a peer of which nothing is known is watched for a moment. Silent limits are mostly 1; of a
# higher one the first request that may not be repeated is at risk, and those after it are not.
WATCHED: Final = 4
# Connections that ended after the same number of responses, one after the other, before that is believed: a restart
# ends some after any number.
BELIEVED: Final = 2
# A peer that reloads, or ends a worker, closes connections in numbers: each after the response that it just gives.
UNREST: Final = 1.0  # seconds

T = TypeVar("T")


class Verdict(enum.Enum):
    """Hold what a peer does with a connection after so many responses."""

    KEEPS = enum.auto()
    UNKNOWN = enum.auto()
    CLOSES = enum.auto()


class _Ends:
    """Record how connections of one origin ended early, and how many responses others gave."""

    __slots__ = ("at", "last", "stayed", "times")

    def __init__(self) -> None:
        self.at = -math.inf  # when the last one ended
        self.stayed = 0  # responses after which a connection was seen to stay open
        self.last = 0  # responses that the last one to end had given
        self.times = 0  # connections that ended after as many, one after the other


class _Memory(Generic[T]):
    """Remember one value of each origin, until it is too old, or there are too many origins."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Origin, tuple[T, float]] = {}  # what, and until when it holds; oldest first

    def put(self, origin: Origin, what: T, now: float) -> None:
        self._known.pop(origin, None)
        self._known[origin] = what, now + MEMORY
        if len(self._known) > MAX_LEARNT:
            del self._known[next(iter(self._known))]

    def get(self, origin: Origin, now: float) -> T | None:
        known = self._known.get(origin)
        if known is None:
            return None
        what, until = known
        if now >= until:
            del self._known[origin]
            return None
        return what

    def all(self, now: float) -> dict[Origin, T]:
        return {origin: what for origin, (what, until) in self._known.items() if now < until}


class OriginHints:
    """Remember what was learnt of origins."""

    __slots__ = ("_dials", "_ends", "_idle", "_old", "_streams", "ends_seen")

    def __init__(self) -> None:
        #: Some peer has closed a connection soon after a response: `after()` is to be asked of all connections.
        self.ends_seen: bool = False
        self._idle: _Memory[float] = _Memory()
        self._streams: _Memory[int] = _Memory()
        self._dials: _Memory[float] = _Memory()
        self._old: _Memory[bool] = _Memory()
        self._ends: _Memory[_Ends] = _Memory()

    def learn(self, origin: Origin, age: float, now: float) -> bool:
        """Note that the peer had closed a connection after `age` seconds; return whether that says anything."""
        if age < MIN_AGE:
            return False
        known = self.expiry(origin, now)
        seconds = max(age - MARGIN, age / 2)
        self._idle.put(origin, seconds if known is None else min(known, seconds), now)
        return True

    def ended(self, origin: Origin, served: int, now: float) -> None:
        """Note that a peer closed a connection unannounced, soon after the last of `served` responses."""
        ends = self._ends.get(origin, now) or _Ends()
        ends.times = ends.times + 1 if ends.last == served else 1
        ends.last = served
        ends.at = now
        self.ends_seen = True
        self._ends.put(origin, ends, now)

    def stayed(self, origin: Origin, served: int, now: float) -> None:
        """Note that a connection is open some time after its response number `served`."""
        ends = self._ends.get(origin, now)
        if ends is None:
            ends = _Ends()
            self._ends.put(origin, ends, now)
        ends.stayed = max(ends.stayed, served)
        if served >= ends.last:
            ends.last = ends.times = 0

    def after(self, origin: Origin, served: int, made: float, now: float) -> Verdict:
        """Return what the peer does with a connection made at `made` after `served` responses, the last just now."""
        ends = self._ends.get(origin, now)
        if ends is None:
            return Verdict.UNKNOWN if served <= WATCHED else Verdict.KEEPS
        if served > ends.stayed + 1 or served > ends.last > 0:
            self.stayed(origin, served - 1, now)
        if served == ends.last:
            return Verdict.CLOSES if ends.times >= BELIEVED else Verdict.UNKNOWN
        if made < ends.at and now < ends.at + UNREST:
            return Verdict.UNKNOWN
        return Verdict.KEEPS if served <= ends.stayed or served > WATCHED else Verdict.UNKNOWN

    def expiry(self, origin: Origin, now: float) -> float | None:
        """Return the seconds that a connection may be idle; None where nothing was learnt."""
        return self._idle.get(origin, now)

    def learnt(self, now: float) -> Mapping[Origin, float]:
        """Return the idle times that are known."""
        return self._idle.all(now)

    def learn_streams(self, origin: Origin, count: int, now: float) -> None:
        """Note that the peer takes so many requests at once on one connection.

        A peer that takes none for now is remembered to take one: a connection on which nothing is asked hears nothing.
        """
        self._streams.put(origin, max(count, 1), now)

    def streams(self, origin: Origin, now: float) -> int | None:
        """Return how many requests at once a new connection may begin with; None where nothing was learnt."""
        return self._streams.get(origin, now)

    def learn_dial(self, origin: Origin, seconds: float, now: float) -> None:
        """Note how long it took to make a connection; later ones count for as much as all before them."""
        known = self._dials.get(origin, now)
        self._dials.put(origin, seconds if known is None else (known + seconds) / 2, now)

    def dial_time(self, origin: Origin, now: float) -> float:
        """Return how many seconds it takes to make a connection, by those that were made; 0 where none was."""
        return self._dials.get(origin, now) or 0.0

    def learn_http1(self, origin: Origin, now: float) -> None:
        """Note that the peer wants HTTP/1.1 (RFC 9113 s.7, HTTP_1_1_REQUIRED)."""
        self._old.put(origin, True, now)

    def wants_http1(self, origin: Origin, now: float) -> bool:
        return self._old.get(origin, now) is not None
