"""Makes a leased connection that is alive of what the plan answered to a request: waits, dials, looks, replaces.

A request that waits keeps the deadline that it came with, whatever it is granted on the way.
"""

from __future__ import annotations

from .._conn.base import Connection, RequestTimeouts
from .._deadline import Deadline, sooner, timed_out
from .._encodings import load_codecs
from .._exceptions import PoolTimeout
from .._journey import Journey
from .._net.base import Waiter
from .._origin import Route
from .._trace import Tracer
from .caution import WATCH, objection, stays
from .closing import closed_while
from .dialler import Dialler
from .leases import Leases, QueuedRequest
from .losses import DEAD_ON_USE
from .plan import CLOSED, Answer


class Acquirer:
    """Waits in the queue, and dials."""

    __slots__ = ("_dialler", "_leases")

    def __init__(self, leases: Leases, dialler: Dialler) -> None:
        self._leases = leases
        self._dialler = dialler

    async def acquire(
        self,
        route: Route,
        found: Connection | Answer | QueuedRequest,
        timeouts: RequestTimeouts,
        journey: Journey,
        since: float,
        once: bool,
    ) -> Connection:
        """Return a leased connection that is alive; `since` is when waiting began.

        The request may not be sent again if it is for `once`.
        """
        leases = self._leases
        while True:
            if isinstance(found, QueuedRequest):
                if leases.finalized:  # by a finalizer that ran while this request was queued
                    leases.release_finalized()
                own = timeouts.pool
                at, budget = sooner(None if own is None else since + own, own, timeouts.deadline)
                # Awaited right here: a coroutine less for each of the tasks that wait, who may be thousands.
                try:
                    await self._waiter(found, journey, budget).wait(at)
                except BaseException:
                    # Cancelled: what may have been granted in the meantime goes to the next in the queue.
                    self._leave(found)
                    raise
                found = self._grant(found, journey, at, budget)
            if found is CLOSED:
                raise closed_while(route.origin, journey)
            if isinstance(found, Answer):
                load_codecs()  # takes long the first time; dialling begins after it
            if journey.leased is None:
                journey.leased = leases.clock()
            if isinstance(found, Answer):
                connection = await self._dialler.dial(route, timeouts.connect, journey, timeouts.deadline)
                if once:
                    connection.set_mark()
                return connection
            if once:
                reason = objection(found, leases.hints, leases.clock())
                if reason is WATCH:
                    reason = None if await self._stays(found, journey, timeouts.deadline) else DEAD_ON_USE
            else:
                reason = None if found.alive() else DEAD_ON_USE
            if reason is None:
                return found
            found = leases.replace(route, found, since, reason)

    async def _stays(self, connection: Connection, journey: Journey, deadline: Deadline | None) -> bool:
        """Return whether a leased connection stays open for the moment in which many peers close theirs."""
        try:
            return await stays(connection, self._leases.hints, self._leases.clock, deadline)
        except BaseException:
            exchange = connection.sole_exchange
            assert exchange is not None
            self._leases.release(connection, exchange, journey)
            raise

    def _waiter(self, queued: QueuedRequest, journey: Journey, budget: float | None) -> Waiter:
        return queued.waiter

    def _grant(
        self, queued: QueuedRequest, journey: Journey, at: float | None, budget: float | None
    ) -> Connection | Answer:
        """Return what a request was granted. Raises PoolTimeout if that is nothing at the end of `budget` seconds."""
        if queued.grant is not None:
            return queued.grant
        leases = self._leases
        with leases.lock:
            # A grant that came in the last moment is taken: it is better than an error.
            grant = queued.grant
            if grant is not None:
                return grant
            leases.plan.cancel(queued, leases.clock())
            stats = leases.stats()
            decided = leases.decided()
        leases.carry_out(*decided)
        assert at is not None
        assert budget is not None
        failure = timed_out("pool", leases.clock() - (at - budget), budget, str(stats))
        assert isinstance(failure, PoolTimeout)
        failure.pool = stats
        raise failure

    def _leave(self, queued: QueuedRequest) -> None:
        """End a wait without a connection."""
        leases = self._leases
        with leases.lock:
            grant = queued.grant
            usable = grant is None or isinstance(grant, Answer) or grant.facts not in leases.retired
            leases.plan.cancel(queued, leases.clock(), usable)
            decided = leases.decided()
        leases.carry_out(*decided)


class TracedAcquirer(Acquirer):
    """The same for requests that are traced, with `pool.wait` as a step of its own."""

    __slots__ = ()

    def _waiter(self, queued: QueuedRequest, journey: Journey, budget: float | None) -> Waiter:
        assert journey.trace is not None
        return _TracedWaiter(queued.waiter, journey.trace, budget)

    def _grant(
        self, queued: QueuedRequest, journey: Journey, at: float | None, budget: float | None
    ) -> Connection | Answer:
        trace = journey.trace
        assert trace is not None
        try:
            grant = super()._grant(queued, journey, at, budget)
        except PoolTimeout as error:
            trace.ended(error=error)
            raise
        trace.ended()
        return grant


class _TracedWaiter(Waiter):
    """Begins the step `pool.wait`, and ends it where waiting fails."""

    __slots__ = ("_budget", "_trace", "_waiter")

    def __init__(self, waiter: Waiter, trace: Tracer, budget: float | None) -> None:
        self._waiter = waiter
        self._trace = trace
        self._budget = budget

    def set(self) -> None:
        self._waiter.set()

    async def wait(self, at: float | None) -> bool:
        try:
            await self._trace.started("pool.wait", {"timeout": self._budget})
            return await self._waiter.wait(at)
        except BaseException as error:
            self._trace.ended(error=error)
            raise
