"""Opens connections of one route before requests ask for them. A part of the pool, whose lock it is given.

Whoever warms up never takes what requests have or wait for: it counts what is there, and dials into free places only.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from .._conn.http1 import Http1Connection
from .lease import Connection
from .plan import Plan
from .retired import RetiredConnections

if TYPE_CHECKING:
    from .._origin import Route
    from .pool import Pool


class Warming:
    """One call of `Pool.warm()`."""

    def __init__(self, pool: Pool, plan: Plan[Connection], lock: threading.Lock, retired: RetiredConnections) -> None:
        self._pool = pool
        self._plan = plan
        self._lock = lock
        self._retired = retired

    async def run(self, route: Route, count: int, budget: float | None) -> int:
        """As `Pool.warm()`."""
        self._look_at_idle(route)
        for _ in range(2):  # where one may turn out to be enough it is dialled alone first
            with self._lock:
                missing = self._missing(route, count)
            if missing:
                await self._pool.backend.together([partial(self._open, route, count, budget)] * missing)
        with self._lock:
            connections, dialled = self._plan.serving(route)
            return len(self._fresh(connections)) + dialled

    def _look_at_idle(self, route: Route) -> None:
        """Finds idle connections that their peers have closed: not in all worlds that is pushed."""
        with self._lock:
            idle = self._plan.hide(route)
        try:
            for connection in idle:
                connection.alive_now()
        finally:
            with self._lock:
                self._plan.show(idle)

    async def _open(self, route: Route, count: int, budget: float | None) -> None:
        # A place is taken when it is used: a task that is cancelled before it begins could give none back.
        with self._lock:
            if not self._missing(route, count):
                return
            self._plan.reserve(route, self._pool.may_share)
        await self._pool.open_ahead(route, budget)

    def _missing(self, route: Route, count: int) -> int:
        """Under the lock: how many connections may be dialled for there to be `count`."""
        connections, dialled = self._plan.serving(route)
        fresh = self._fresh(connections)
        if any(not isinstance(connection, Http1Connection) for connection in fresh):
            return 0
        return self._plan.warm(route, count - len(fresh) - dialled, self._pool.may_share)

    def _fresh(self, connections: list[Connection]) -> list[Connection]:
        return [connection for connection in connections if connection.facts not in self._retired]
