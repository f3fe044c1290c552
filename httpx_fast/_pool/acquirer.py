"""Makes a leased connection that is alive of what the plan answered to a request: waits, dials, looks, replaces.

A request that waits keeps the deadline that it came with, whatever it is granted on the way.
"""

from __future__ import annotations

from typing import Final

from .._conn.base import Connection, RequestTimeouts
from .._deadline import Deadline, PhaseTimer
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

# Seconds. However long dialling took, a request waits no longer for a connection of its own route before an idle one of
# another is closed for it.
MAX_PATIENCE: Final = 1.0
# How many times as long as dialling takes a request has waited when it looks for a connection of others that is idle;
# at the last time it takes one that has been used just now.
PATIENCE: Final = (1, 2, 4, 8, 16)
# For how many times as long a connection of others has been idle that is closed before.
IDLE: Final = 2
# A request that has less than so many times that is not made to wait: it is to lose a small part of its time at most.
SHARE: Final = 10


class Acquirer:
    """Wait in the queue, and open connections."""

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
                if found.patient or journey.trace is not None or timeouts.deadline is not None:
                    found = await self._wait(found, timeouts, journey, since)
                else:
                    # The same, awaited right here: one coroutine and one timer less for each waiting task, of which
                    # there may be thousands.
                    queued, budget = found, timeouts.pool
                    try:
                        await queued.waiter.wait(None if budget is None else since + budget)
                    except BaseException:
                        self._leave(queued)
                        raise
                    found = queued.grant or self._grant(queued, journey, PhaseTimer("pool", None, since, budget))
            if isinstance(found, Answer):
                if found is CLOSED:
                    raise closed_while(route.origin, journey)
                load_codecs()  # takes long the first time; dialling begins after it
                if journey.leased is None:
                    journey.leased = leases.clock()
                connection = await self._dialler.dial(route, timeouts.connect, journey, timeouts.deadline)
                if once:
                    connection.set_mark()
                return connection
            if journey.leased is None:
                journey.leased = leases.clock()
            if once:
                reason = objection(found, leases.hints, leases.clock())
                if reason is WATCH:
                    reason = None if await self._stays(found, journey, timeouts.deadline) else DEAD_ON_USE
            else:
                reason = None if found.alive() else DEAD_ON_USE
            if reason is None:
                return found
            found = leases.replace(route, found, since, reason)

    async def _wait(
        self, queued: QueuedRequest, timeouts: RequestTimeouts, journey: Journey, since: float
    ) -> Connection | Answer:
        """Wait in the queue and return what was granted. Raises PoolTimeout."""
        timer = PhaseTimer("pool", timeouts.deadline, since, timeouts.pool)
        waiter = self._waiter(queued, journey, timer)
        try:
            if queued.patient:
                await self._wait_patiently(queued, waiter, timer)
            await waiter.wait(timer.until)
        except BaseException:
            # Cancelled: what may have been granted in the meantime goes to the next in the queue.
            self._leave(queued)
            raise
        return self._grant(queued, journey, timer)

    async def _stays(self, connection: Connection, journey: Journey, deadline: Deadline | None) -> bool:
        """Return whether a leased connection stays open for the moment in which many peers close theirs."""
        try:
            return await stays(connection, self._leases.hints, self._leases.clock, deadline)
        except BaseException:
            exchange = connection.sole_exchange
            assert exchange is not None
            self._leases.release(connection, exchange, journey)
            raise

    async def _wait_patiently(self, queued: QueuedRequest, waiter: Waiter, timer: PhaseTimer) -> None:
        """Wait for a connection of the request's own route before an idle one of another is closed for it.

        First for as long as dialling takes: a connection that is dialled would be there no sooner. After that one is
        closed that has been idle for longer, since others do without it; later any that is, or becomes, idle. Closing
        what others need a moment later would only have them do the same. A request with little time is not made to
        wait.
        """
        leases = self._leases
        now = leases.clock()
        seconds = min(leases.hints.dial_time(queued.route.origin, now), MAX_PATIENCE)
        if timer.left(now) >= SHARE * seconds:
            for times in PATIENCE:
                if await waiter.wait(now + times * seconds):
                    return
                leases.hurry(queued, IDLE * seconds if times < PATIENCE[-1] else 0.0)
        else:
            leases.hurry(queued)

    def _waiter(self, queued: QueuedRequest, journey: Journey, timer: PhaseTimer) -> Waiter:
        return queued.waiter

    def _grant(self, queued: QueuedRequest, journey: Journey, timer: PhaseTimer) -> Connection | Answer:
        """Return what a request was granted. Raises PoolTimeout if that is nothing at the end of its time."""
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
        failure = timer.expired(leases.clock(), str(stats))
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

    def _waiter(self, queued: QueuedRequest, journey: Journey, timer: PhaseTimer) -> Waiter:
        assert journey.trace is not None
        return _TracedWaiter(queued.waiter, journey.trace, timer.granted)

    def _grant(self, queued: QueuedRequest, journey: Journey, timer: PhaseTimer) -> Connection | Answer:
        trace = journey.trace
        assert trace is not None
        try:
            grant = super()._grant(queued, journey, timer)
        except PoolTimeout as error:
            trace.ended(error=error)
            raise
        trace.ended()
        return grant


class _TracedWaiter(Waiter):
    """Begin the step `pool.wait` with the first wait, and end it where waiting fails."""

    __slots__ = ("_budget", "_started", "_trace", "_waiter")

    def __init__(self, waiter: Waiter, trace: Tracer, budget: float | None) -> None:
        self._waiter = waiter
        self._trace = trace
        self._budget = budget
        self._started = False

    def set(self) -> None:
        self._waiter.set()

    async def wait(self, at: float | None) -> bool:
        try:
            if not self._started:
                self._started = True
                await self._trace.started("pool.wait", {"timeout": self._budget})
            return await self._waiter.wait(at)
        except BaseException as error:
            self._trace.ended(error=error)
            raise
