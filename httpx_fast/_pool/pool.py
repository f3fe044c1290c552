"""The connection pool of one transport, on one backend: blocking (any number of threads), one asyncio loop, or trio.

`plan.py` decides which connection a request gets; `leases.py` carries that out, `acquirer.py` waits, `dialler.py`
dials, `exchange.py` sends and sends again. What is here is what a transport sees of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from weakref import WeakMethod

from .._conn.options import DialOptions
from .._conn.protocols import load
from .._deadline import PhaseTimer
from .._journey import ConnectionFacts, Journey
from .._net.base import Backend
from .._origin import Origin, Route
from .dialler import Dialler
from .exchange import Exchanges, Reply
from .fork import watch
from .lease import Lease
from .leases import Leases, PoolLimits, QueuedRequest
from .owner import ConnectionOwner
from .plan import DIAL, Answer
from .stats import ConnectionInfo, PoolStats, WaiterInfo
from .view import connection_info, connection_infos
from .warming import Warming

__all__ = ["Lease", "Pool", "Reply"]


class Pool:
    """Keep connections by route, within limits: counts, None for no limit; `keepalive_expiry`, `max_age` in seconds."""

    def __init__(
        self,
        backend: Backend,
        options: DialOptions,
        max_connections: int | None,
        max_keepalive_connections: int | None,
        keepalive_expiry: float | None,
        max_per_host: int | None = None,
        max_age: float | None = None,
    ) -> None:
        limits = PoolLimits(max_connections, max_keepalive_connections, keepalive_expiry, max_per_host, max_age)
        load(options.http1, options.http2)
        self.backend = backend
        self.clock: Callable[[], float] = backend.clock
        self.closed: bool = False
        #: Lets requests wait for their turn, by the rate of the limits; None without one. Its transport makes it.
        self.pacer: Any = None
        #: What the client, or transport, counts that sends requests again over this pool.
        self.retry_stats: Callable[[], Mapping[Origin, Any]] | None = None
        self.leases: Final = Leases(backend, options, limits)
        self.owner: Final = ConnectionOwner(self.leases)
        self.dialler: Final = Dialler(self.leases, options, self.owner)
        #: Sends a request: see `Exchanges.request`. No method of its own, which would cost each request a call.
        self.request: Final = Exchanges(self.leases, self.dialler, options).request
        #: Ends what a transport that was collected has left: see `Leases.close_from_finalizer`.
        self.close_from_finalizer: Final = self.leases.close_from_finalizer
        # Here and below no object keeps its own methods: then a closed client is freed at once, by reference counts.
        self._call_in_loop = backend.loop_caller()
        watch(self)

    def __repr__(self) -> str:
        return f"<Pool {'closed' if self.closed else self.stats()}>"

    def _repr_html_(self) -> str:
        from .html import pool_html  # few look

        return pool_html(self.stats(), self.connections(), self.waiters())

    def know_others(self, has_used: Callable[[Route], bool], ended: Iterable[Pool]) -> None:
        """Tell apart connections that are new since others belong to other event loops, which run or have `ended`.

        `has_used` is a method that says of a route whether any pool of the transport has used it.
        """
        self.leases.used_in_loops = WeakMethod(has_used)
        with self.leases.lock:
            for pool in ended:
                self.leases.plan.losses.take_over(pool.leases.plan.losses)

    def has_used(self, route: Route) -> bool:
        """Return whether there is a connection of this route, or there was one. May be called from any thread."""
        plan = self.leases.plan
        return plan.has(route) or route in plan.losses

    def begin_anew(self) -> None:
        """Forget all connections, in the child of a fork: they are the parent's."""
        self.dialler.forget()
        for connection in self.leases.begin_anew():
            # Not closed by its stream, which would shut down what the parent goes on using.
            connection.stream.get_extra_info("socket").close()

    async def warm(self, route: Route, count: int, budget: float | None) -> int:
        """Open connections until `count` are there for `route`, within the limits; return how many are there then.

        Those count that are in use or being made. One that takes many requests at once (HTTP/2) is enough. Nothing is
        waited for but dialling, `budget` seconds for each. Raises ConnectError, ConnectTimeout: what was opened stays.
        """
        return await Warming(self.leases, self.dialler).run(route, count, budget)

    def close(self) -> None:
        """Close all connections, those in use and those being dialled too; their users, and waiters, get ClientClosed.

        To be called where the pool lives, or when its event loop has ended. Repeatable.
        """
        self.closed = True
        if self.pacer is not None:
            self.pacer.close()
        self.leases.close()
        self.dialler.abort()

    def close_soon(self) -> None:
        """Have `close()` called in the pool's own event loop, from any thread. RuntimeError if that has ended."""
        self._call_in_loop(self.close)

    def retire_soon(self) -> None:
        """Have `retire()` called likewise."""
        self._call_in_loop(self.retire)

    def retire(self) -> set[ConnectionFacts]:
        """Give no later request a connection that there is now: close the idle ones, others when they are released.

        Returns the facts of those that are in use, or dialled.
        """
        leases = self.leases
        with leases.lock:
            found = leases.retired.begin([connection.facts for connection in leases.plan.retire(self.clock())])
            leases.expiry.watchful |= bool(found)
            decided = leases.decided()
        leases.carry_out(*decided)
        return found

    async def drain(self, timeout: float | None) -> int:
        """Call `retire()` and wait for connections in use; return how many still are after `timeout` seconds."""
        leases = self.leases
        found = self.retire()
        waiter = self.backend.waiter()
        timer = PhaseTimer("drain", None, self.clock(), timeout)
        with leases.lock:
            if not leases.retired.left_of(found):
                return 0
            leases.retired.wait(waiter)
        try:
            await waiter.wait(timer.until)
        finally:
            with leases.lock:
                leases.retired.give_up(waiter)
                left = leases.retired.left_of(found)
        return left

    def cut(self, journey: Journey) -> None:
        """End the exchange on this journey, from any thread: where it is waited for an exception is raised."""
        leases = self.leases
        journey.detail().cut = True
        with leases.lock:
            found = [each for each, *_ in leases.plan.connections() if journey in each.users()]
            for connection in found:
                if not connection.multiplexed:
                    connection.cut(journey)  # while the lock is held it cannot become another request's
        for connection in found:
            if connection.multiplexed:
                connection.cut(journey)

    def stats(self) -> PoolStats:
        """Return counts, as they are now."""
        with self.leases.lock:
            stats = self.leases.stats()
        if self.retry_stats is None:
            return stats
        from dataclasses import replace

        return replace(stats, retries=self.retry_stats())

    def foresee(self, route: Route) -> tuple[str, ConnectionInfo | None]:
        """Return what a request of `route` would get now: "reuse", with the connection, "connect", "wait" or "closed".

        Nothing is changed, and no connection is looked at: whether a peer has just closed one is found out when it is
        used.
        """
        leases = self.leases
        now = self.clock()
        with leases.lock:
            if leases.has_http1_peers and leases.hints.wants_http1(route.origin, now):
                route = route._replace(http1=True)
            found = leases.plan.foresee(route, now)
            if found is None:
                return "wait", None
            if isinstance(found, Answer):
                return ("connect" if found is DIAL else "closed"), None
            return "reuse", connection_info(leases.plan, found, leases.held, now)

    def connections(self) -> list[ConnectionInfo]:
        """Describe every connection, and every one that is being made."""
        leases = self.leases
        with leases.lock:
            return connection_infos(leases.plan, leases.held, self.clock())

    def waiters(self) -> list[WaiterInfo]:
        """Describe the requests that wait for a connection, first come first."""
        now = self.clock()
        with self.leases.lock:
            pending = self.leases.plan.pending_requests()
        return [
            WaiterInfo(queued.route, now - queued.since, queued.asked_at)
            for queued in pending
            if isinstance(queued, QueuedRequest)
        ]
