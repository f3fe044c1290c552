"""Opens connections of one route before requests ask for them.

It never takes what requests have or wait for: it counts what is there, and dials into free places only.
"""

from __future__ import annotations

from functools import partial

from .._conn.base import Connection
from .._encodings import load_codecs
from .._exceptions import RequestError
from .._journey import Journey
from .._origin import Route
from .dialler import Dialler
from .leases import Leases


class Warming:
    """Open connections ahead of requests."""

    __slots__ = ("_dialler", "_leases")

    def __init__(self, leases: Leases, dialler: Dialler) -> None:
        self._leases = leases
        self._dialler = dialler

    async def run(self, route: Route, count: int, budget: float | None) -> int:
        """Open connections until there are `count`; see `Pool.warm()`."""
        leases = self._leases
        self._look_at_idle(route)
        for _ in range(2):  # where one may turn out to be enough it is dialled alone first
            with leases.lock:
                missing = self._missing(route, count)
            if missing:
                await leases.backend.together([partial(self._open, route, count, budget)] * missing)
        with leases.lock:
            connections, dialled = leases.plan.serving(route)
            return len(self._fresh(connections)) + dialled

    def _look_at_idle(self, route: Route) -> None:
        """Find idle connections that their peers have closed: not all backends push that."""
        leases = self._leases
        with leases.lock:
            idle = leases.plan.hide(route)
        try:
            for connection in idle:
                connection.alive_now()
        finally:
            with leases.lock:
                leases.plan.show(idle)

    async def _open(self, route: Route, count: int, budget: float | None) -> None:
        """Open one connection, if there are still too few. A RequestError that is raised carries a journey."""
        # A place is taken when it is used: a task that is cancelled before it begins could give none back.
        leases = self._leases
        with leases.lock:
            if not self._missing(route, count):
                return
            leases.plan.reserve(route, leases.may_share)
        load_codecs()
        journey = Journey(leases.clock(), leases.clock)
        journey.leased = journey.started
        try:
            connection = await self._dialler.dial(route, budget, journey)
        except RequestError as error:
            leases.explain(error, route.origin, journey)
            journey.stopped = leases.clock()
            raise
        connection.facts.warmed = True
        leases.release_idle(connection)

    def _missing(self, route: Route, count: int) -> int:
        """Count, under the lock, how many connections may be dialled for there to be `count`."""
        plan, may_share = self._leases.plan, self._leases.may_share
        connections, dialled = plan.serving(route)
        fresh = self._fresh(connections)
        if any(connection.multiplexed for connection in fresh):
            return 0
        return plan.warm(route, count - len(fresh) - dialled, may_share)

    def _fresh(self, connections: list[Connection]) -> list[Connection]:
        retired = self._leases.retired
        return [connection for connection in connections if connection.facts not in retired]
