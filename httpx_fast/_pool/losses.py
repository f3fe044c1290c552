"""Remembers the connections that a pool lost, by route, so that a new connection can say why it was needed.

A dial replaces a connection that was lost if there is one; otherwise the route needs more connections at once than it
ever had. So the losses of a route, and what is open now, are together as many as were open at the most. Nothing is
recorded for a request that is given a connection. No clock, no connection.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

MAX_ROUTES: Final = 1024  # a crawler meets millions
MAX_RUNS: Final = 16  # of one route; losses for the same reason, one after the other, are one run

#: Why a connection is new. Each is a loss of another, but for the first two.
FIRST: Final = "first"  # none of this route was needed before
ALL_BUSY: Final = "all_busy"  # the others are in use or being made
EXPIRED: Final = "expired"  # idle for `keepalive_expiry`, or for as long as the peer keeps connections
PEER_CLOSED: Final = "peer_closed"
MAX_AGE: Final = "max_age"
MAX_REQUESTS: Final = "max_requests"  # the peer takes no more requests on one connection
DRAINING: Final = "draining"  # the peer sent GOAWAY, or the user called `drain()`
LIMIT: Final = "limit"  # closed to keep `max_connections`, `max_keepalive_connections` or `max_per_host`
DEAD_ON_USE: Final = "dead_on_use"  # found closed when a request was to be sent
FORK: Final = "fork"  # it belongs to the parent process
OTHER_LOOP: Final = "other_loop"  # it belongs to another event loop
REPLAYED: Final = "replayed"  # the request is sent again, since its connection failed
GIVEN_UP: Final = "given_up"  # its response was not read to the end, or its request was cancelled, timed out or failed


class Loss(NamedTuple):
    """Hold why a connection was lost, and how many seconds it had been idle, as far as it was."""

    reason: str
    idle: float | None


class Ending(NamedTuple):
    """Hold when a connection is used no more, and why; and for how long it was idle before its last request."""

    at: float
    reason: str
    idle: float | None = None


class _Run:
    """Count losses of one route for the same reason; `idle` is of the last one."""

    __slots__ = ("count", "idle", "reason")

    def __init__(self, reason: str, idle: float | None) -> None:
        self.reason = reason
        self.idle = idle
        self.count = 1


class Losses:
    """Remember losses, the newest first."""

    __slots__ = ("_runs_of",)

    def __init__(self) -> None:
        self._runs_of: OrderedDict[Hashable, list[_Run]] = OrderedDict()  # the route used last is last

    def add(self, route: Hashable, reason: str, idle: float | None = None) -> None:
        """Note the loss of a connection of this route."""
        runs = self._runs_of.setdefault(route, [])
        self._runs_of.move_to_end(route)
        if runs and runs[-1].reason == reason:
            runs[-1].count += 1
            runs[-1].idle = idle
            return
        runs.append(_Run(reason, idle))
        if len(runs) > MAX_RUNS:
            del runs[0]
        if len(self._runs_of) > MAX_ROUTES:
            self._runs_of.popitem(last=False)

    def __contains__(self, route: Hashable) -> bool:
        return route in self._runs_of

    def take_over(self, other: Losses) -> None:
        """Note the losses of a pool whose event loop has ended, in place of which this one is used."""
        for route, runs in other._runs_of.items():
            for _ in range(sum(run.count for run in runs)):
                self.add(route, OTHER_LOOP, runs[-1].idle)

    def take(self, route: Hashable) -> Loss | None:
        """Return the loss that a new connection of this route makes up for, and forget it; None if there is none."""
        runs = self._runs_of.get(route)
        if runs is None:
            return None
        last = runs[-1]
        last.count -= 1
        if not last.count:
            runs.pop()
            if not runs:
                del self._runs_of[route]
        return Loss(last.reason, last.idle)
