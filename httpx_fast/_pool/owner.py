"""Receives what connections report to the pool that owns them.

Called from any thread, or from a callback of the event loop; a connection holds none of its own locks then.
"""

from __future__ import annotations

from .._conn.base import Connection
from .._net.base import Backend
from .leases import Leases
from .state import UNLIMITED


class ConnectionOwner:
    """Pass reports of a connection to the plan."""

    __slots__ = ("_leases", "backend")

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.backend: Backend = leases.backend

    def lost(self, connection: Connection) -> None:
        """Forget a connection that died, or was closed by the peer, while nothing was under way."""
        leases = self._leases
        now, since = leases.clock(), connection.idle_since
        with leases.lock:
            if since is not None:
                leases.learn_end(connection, connection.facts.requests, now - since, now)
            idle = leases.plan.dead(connection, now)
            if not idle:
                leases.plan.going_away(connection)
            decided = leases.decided()
        if idle:
            leases.close_connection(connection)
        leases.carry_out(*decided)

    def limit_changed(self, connection: Connection, limit: int | None) -> None:
        """Note how many requests the peer takes at once from now on, None for any number."""
        leases = self._leases
        count = UNLIMITED if limit is None else limit
        with leases.lock:
            leases.hints.learn_streams(connection.route.origin, count, leases.clock())
            leases.plan.limit(connection, count)
            decided = leases.decided()
        leases.carry_out(*decided)

    def draining(self, connection: Connection) -> None:
        """Give a connection to no more requests; those under way go on, or fail by themselves."""
        leases = self._leases
        with leases.lock:
            leases.plan.going_away(connection)
            decided = leases.decided()
        leases.carry_out(*decided)
