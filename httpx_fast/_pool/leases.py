"""The leases of a pool: its plan under its lock, and what the plan decides carried out.

- The plan is touched under the lock only; nothing is awaited, closed or told to a connection while the lock is held.
- A lease has one owner, who ends it once, without waiting: by `release`, or by `release_from_finalizer` where a
  finalizer may be what calls. A finalizer may run within any line, also one that holds the lock, so it never waits
  for a lock that its own thread may hold: then the lease is queued, and the next code that can take the lock ends it.
- `close()` closes connections that are in use. Their users find out by an error of the network; `explain()` puts
  ClientClosed in its place, wherever it leaves the pool. What they release afterwards is not known any more.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakMethod

from .. import _debug
from .._conn.base import Connection, Exchange
from .._conn.options import DialOptions
from .._conn.sessions import Sessions
from .._exceptions import RequestError
from .._journey import Journey
from .._kernel.constants import HAS_KEEP_ALIVE
from .._net.base import Backend, Waiter
from .._origin import Origin, Route
from .callers import caller
from .closing import closed_while, is_caused_by_closing
from .expiry import Expiry
from .losses import DEAD_ON_USE, DRAINING, FIRST, FORK, GIVEN_UP, OTHER_LOOP, PEER_CLOSED, Ending, Loss
from .origin_hints import OriginHints
from .plan import Answer, Plan
from .replay import BROKEN
from .retired import RetiredConnections
from .stats import PoolStats
from .view import longest_lease
from .wait_queue import PendingRequest, RouteState

# Seconds after which it is not another thread that holds the lock: none holds it for longer than microseconds.
_OWN_LOCK: Final = 0.05


#: Connections to close, and requests to wake.
_Decided: TypeAlias = tuple[list[Connection], list[PendingRequest[Connection]]]


class PoolLimits(NamedTuple):
    """Limits of a pool: counts, None for none; `keepalive_expiry` and `max_age` in seconds."""

    max_connections: int | None
    max_keepalive_connections: int | None
    keepalive_expiry: float | None
    max_per_host: int | None = None
    max_age: float | None = None


class QueuedRequest(PendingRequest[Connection]):
    """A request in the queue, and how to wake it."""

    __slots__ = ("asked_at", "patient", "route", "since", "waiter")

    def __init__(self, route: Route, since: float, waiter: Waiter) -> None:
        # What the base class sets, without a second call: thousands of these may wait at once.
        self.route_state: RouteState[Connection] | None = None
        self.number: int = 0
        self.grant: Connection | Answer | None = None
        self.overtaken: int = 0
        self.reserved: Connection | None = None
        self.route: Route = route
        self.since: float = since
        self.waiter: Waiter = waiter
        #: The line of the user's code, if that is recorded.
        self.asked_at: str | None = caller(2) if _debug._on else None
        self.patient: bool = False  # it waits before an idle connection of another route is closed for it


class Ended(NamedTuple):
    """A lease that a finalizer ended."""

    connection: Connection
    exchange: Exchange
    journey: Journey


def _nowhere() -> None:
    """Stand for a transport with one pool only."""


class Leases:
    """Hold what the parts of a pool share: plan, lock and hints. Lease connections and take them back."""

    def __init__(self, backend: Backend, options: DialOptions, limits: PoolLimits) -> None:
        self.backend = backend
        self.clock: Callable[[], float] = backend.clock
        self.limits = limits
        self.may_share: bool = options.http2
        self.sessions: Sessions = options.sessions
        self.hints: OriginHints = OriginHints()
        self.closed: bool = False
        self.has_http1_peers: bool = False  # some are known to want HTTP/1.1
        #: Where the responses were asked for that are still to be read.
        self.held: dict[Journey, str] = {}
        #: Says of a route whether any pool of the same transport has used it; weak, since that has this pool.
        self.used_in_loops: Callable[[], Callable[[Route], bool] | None] = _nowhere
        self.finalized: deque[Ended | None] = deque()  # None: the transport itself was collected
        # Any thread may take the lock of a blocking pool; others are used in the thread of their event loop.
        self._any_thread = backend.name == "blocking"
        self._thread = threading.get_ident()
        self._call_in_loop = backend.loop_caller()
        self.expiry: Expiry = Expiry(backend, self.hints, limits.max_age, WeakMethod(self._expire))
        self._begin()

    def _begin(self) -> None:
        limits = self.limits
        self.lock: threading.Lock = threading.Lock()
        self.plan: Plan[Connection] = Plan(
            limits.max_connections,
            limits.max_keepalive_connections,
            limits.keepalive_expiry,
            limits.max_per_host,
            attrgetter("origin"),
        )
        self.retired: RetiredConnections = RetiredConnections()
        self.expiry.begin(self.plan, self.retired)

    def begin_anew(self) -> list[Connection]:
        """Forget all connections, in the child of a fork, and return them: they are the parent's."""
        inherited = list(self.plan.connections())
        losses, now = self.plan.losses, self.clock()
        for connection, since, _ in inherited:
            losses.add(connection.route, FORK, None if since is None else now - since)
        self._begin()
        self.plan.losses = losses
        self.sessions.forget_open()
        self.held.clear()
        self.finalized.clear()
        if self.closed:
            self.plan.close()
        return [connection for connection, *_ in inherited]

    # Leases begin.

    def ask(self, route: Route, now: float) -> Connection | Answer | QueuedRequest:
        """Return what the plan answers to a request; its place in the queue where the plan has nothing."""
        if self.finalized:
            self.release_finalized()
        plan, lock = self.plan, self.lock
        lock.acquire()  # once per request; `with` costs twice as much
        try:
            found: Connection | Answer | QueuedRequest | None = plan.request(route, now, self.may_share)
            if found is None:
                found = self.queue(route, now)
            if not (plan.to_close or plan.granted):
                return found
            decided = self.decided()
        finally:
            lock.release()
        self.carry_out(*decided)
        return found

    def queue(self, route: Route, since: float) -> QueuedRequest:
        """Add a request to the queue, under the lock."""
        queued = QueuedRequest(route, since, self.backend.waiter())
        queued.patient = self.plan.wait(route, queued)
        return queued

    def hurry(self, queued: QueuedRequest, idle: float = 0.0) -> None:
        """Have a connection that was `idle` for so many seconds closed for a request that waits patiently.

        With 0 it waits patiently no longer, whether there is one or not.
        """
        with self.lock:
            if idle:
                self.plan.nudge(queued, self.clock(), idle)
            else:
                self.plan.hurry(queued, self.clock())
            decided = self.decided()
        self.carry_out(*decided)

    def replace(
        self, route: Route, connection: Connection, since: float, reason: str = DEAD_ON_USE
    ) -> Connection | Answer | QueuedRequest:
        """Return a replacement for a leased connection that turned out dead, or is not to be used for that `reason`."""
        now, idle_since = self.clock(), connection.idle_since
        idle = None if idle_since is None else now - idle_since
        with self.lock:
            found: Connection | Answer | QueuedRequest | None = self.plan.replace(connection, now, reason, idle)
            if found is None:
                found = self.queue(route, since)
            decided = self.decided()
        self.carry_out(*decided)
        return found

    # Leases end.

    def release(
        self,
        connection: Connection,
        exchange: Exchange,
        journey: Journey,
        ended_at: float | None = None,
        broken: bool = False,
    ) -> None:
        """End a lease: the connection goes to the next waiting request, becomes idle, or is closed.

        `ended_at` is when the response ended, if that was just now. `broken` says that the peer ended the connection
        instead of answering.
        """
        head = exchange.head
        if journey.nth == 1 and head is not None:
            self.sessions.seen(connection.route, connection.stream)
        now = self.clock() if ended_at is None else ended_at
        reusable = exchange.rest(now)
        expiry = self.expiry
        ending: Ending | None = None
        if reusable and (expiry.watchful or (head is not None and head.flags & HAS_KEEP_ALIVE)):
            ending = expiry.ending(connection, head, now)
            reusable = ending.at > now
        elif not reusable:
            ending = self._why_lost(connection, journey, broken)
        plan, lock = self.plan, self.lock
        decided: _Decided | PendingRequest[Connection] | None = None
        lock.acquire()
        try:
            plan.release(connection, reusable, now, ending)
            # What is handed on is not idle.
            if ending is not None or (expiry.needs_timer and not plan.granted):
                expiry.set_timer(now)
            if plan.granted or plan.to_close:
                # The usual hand-over is to one request, at a third of the cost.
                decided = self.decided() if plan.to_close or len(plan.granted) > 1 else plan.granted.pop()
        finally:
            lock.release()
        if decided is not None:
            if isinstance(decided, tuple):
                self.carry_out(*decided)
                return
            decided.waiter.set()  # type: ignore[attr-defined]  # all that wait in this plan are `QueuedRequest`
        if self.finalized:
            self.release_finalized()

    def _why_lost(self, connection: Connection, journey: Journey, broken: bool) -> Ending:
        """Return why a connection is not used after the request on this journey, which has ended."""
        if connection.multiplexed:
            return Ending(0.0, DRAINING)
        if broken:
            return Ending(0.0, PEER_CLOSED, journey.idle)
        return Ending(0.0, PEER_CLOSED if journey.stopped is None else GIVEN_UP)

    def release_from_finalizer(self, connection: Connection, exchange: Exchange, journey: Journey) -> None:
        """End a lease from code that may be a finalizer: in any thread, and within any line.

        It is ended at once where the pool lives in this thread and the lock is free, else as soon as that can be done.
        """
        self.held.pop(journey, None)
        if self._is_here() and self.lock.acquire(blocking=False):
            self.lock.release()
            self.release(connection, exchange, journey)
        else:
            self.finalized.append(Ended(connection, exchange, journey))
            self._release_finalized_soon()

    def close_from_finalizer(self) -> int:
        """Close what is idle, and what is leased when it is released; return how many connections there were.

        For the finalizer of the pool's transport, which may run in any thread and within any line. Responses that are
        still read are read to their end.
        """
        count = self.plan.open + self.plan.draining
        if count:
            self.finalized.append(None)
            self._release_finalized_soon()
        return count

    def release_failed(self, connection: Connection, error: BaseException, journey: Journey) -> None:
        """End the lease of an exchange that failed. A multiplexed connection says by itself whether it is broken."""
        exchange = connection.sole_exchange
        if exchange is not None:
            idle = journey.idle
            unanswered = isinstance(error, BROKEN) and journey.reused and connection.left_unanswered(journey)
            if unanswered and idle is not None:
                with self.lock:
                    self.learn_end(connection, journey.nth - 1, idle, self.clock())
            self.release(connection, exchange, journey, None, unanswered)
            return
        # Refused twice on one connection, a request is to find another. After the first time it may not: then it was
        # not known yet how many the peer takes.
        refused = (
            isinstance(error, RequestError)
            and error.unprocessed
            and any(attempt.connection is connection.facts for attempt in journey.attempts)
        )
        now = self.clock()
        with self.lock:
            self.plan.release(connection, not refused, now, Ending(now, DRAINING) if refused else None)
            self.expiry.set_timer(now)
            decided = self.decided()
        self.carry_out(*decided)

    def release_idle(self, connection: Connection) -> None:
        """End the lease of a connection that was opened ahead of requests, and has served none."""
        connection.idle_since = now = self.clock()
        ending = self.expiry.ending(connection, None, now)
        with self.lock:
            self.plan.release(connection, ending.at > now, now, ending)
            self.expiry.set_timer(now)
            decided = self.decided()
        self.carry_out(*decided)

    def _is_here(self) -> bool:
        return self._any_thread or self._thread == threading.get_ident()

    def _release_finalized_soon(self) -> None:
        """Release what finalizers have queued: now if the lock can be had, else in the pool's own event loop."""
        if self._is_here() and self.lock.acquire(timeout=_OWN_LOCK):
            self.lock.release()
            self.release_finalized()
            return
        try:
            self._call_in_loop(self.release_finalized)
        except RuntimeError:  # the event loop is closed
            for ended in self._take_finalized():
                if ended is not None:
                    self.close_connection(ended.connection)
                elif self.lock.acquire(timeout=_OWN_LOCK):
                    self.lock.release()
                    self.stop_accepting()

    def release_finalized(self) -> None:
        """Release what finalizers have queued, unless the lock is held."""
        # Held by this very thread, where a finalizer runs within one of these blocks: the next request does it then.
        if not self.lock.acquire(blocking=False):
            return
        self.lock.release()
        for ended in self._take_finalized():
            if ended is None:
                self.stop_accepting()
            else:
                self.release(*ended)

    def _take_finalized(self) -> Iterator[Ended | None]:
        with suppress(IndexError):  # another thread may take the last one
            while True:
                yield self.finalized.popleft()

    # Decisions of the plan.

    def decided(self) -> _Decided:
        """Take from the plan, under the lock, which connections to close and which requests to wake."""
        plan = self.plan
        to_close, granted = plan.to_close, plan.granted
        if to_close:
            plan.to_close = []
            if self.retired:
                self.retired.gone([connection.facts for connection in to_close])
                if not self.retired:
                    self.expiry.look_again(self.clock())
        if granted:
            plan.granted = []
        return to_close, granted

    def carry_out(self, to_close: list[Connection], granted: list[PendingRequest[Connection]]) -> None:
        """Do what the plan decided; not under the lock, since closing may make a connection call the pool."""
        for connection in to_close:
            self.close_connection(connection)
        for queued in granted:
            assert isinstance(queued, QueuedRequest)
            queued.waiter.set()
        if self.finalized:
            self.release_finalized()

    def close_connection(self, connection: Connection) -> None:
        """Close a connection that the plan has forgotten."""
        connection.close()
        self.sessions.ended(connection.route, connection.stream)

    def close(self) -> None:
        """Close all connections, and turn away every request that waits."""
        with self.lock:
            self.closed = True
            self.plan.close()
            decided = self.decided()
            self.expiry.stop_timer()
        self.carry_out(*decided)

    def stop_accepting(self) -> None:
        """Close what is idle, and from now on what is released."""
        with self.lock:
            self.plan.stop_accepting()
            decided = self.decided()
            self.expiry.stop_timer()
        self.carry_out(*decided)

    def _expire(self) -> None:
        """Close what has been idle for long enough: called by the timer."""
        now = self.clock()
        with self.lock:
            self.expiry.timer_fired(now)
            decided = self.decided()
        self.carry_out(*decided)

    # Errors, and what is learnt of peers.

    def explain(self, error: BaseException, origin: Origin, journey: Journey) -> BaseException:
        """Return what to raise in place of `error`: ClientClosed if it came of `close()`, else the same.

        The one place where exceptions that leave a pool are given their journey.
        """
        if self.closed and is_caused_by_closing(error):
            error = closed_while(origin, journey)
        if isinstance(error, RequestError):
            error.journey = journey
        return error

    def why_new(self, route: Route) -> Loss:
        """Return, under the lock, why a connection is dialled."""
        loss = self.plan.why_new(route)
        used = self.used_in_loops() if loss.reason == FIRST else None
        if used is not None and used(route):
            return Loss(OTHER_LOOP, None)
        return loss

    def learn_end(self, connection: Connection, served: int, age: float, now: float) -> None:
        """Learn, under the lock, of a peer that closed a connection `age` seconds after its last response."""
        origin = connection.route.origin
        if self.hints.learn(origin, age, now):
            self.expiry.watchful = True
        elif served and not connection.multiplexed:
            self.hints.ended(origin, served, now)

    def stats(self) -> PoolStats:
        """Count, under the lock, what there is now."""
        plan, now = self.plan, self.clock()
        return PoolStats(
            plan.leased,
            plan.idle,
            plan.dialling,
            plan.waiting,
            self.limits.max_connections,
            self.limits.max_per_host,
            longest_lease(plan, self.held, now),
            self.hints.learnt(now),
            plan.draining,
        )
