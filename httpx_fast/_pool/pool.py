"""The connection pool of one transport, in one world: blocking (any number of threads), one asyncio loop, or trio.

`plan.py` decides; this room does what it says: dials, waits, wakes, closes. Rules:

- The plan is touched under the lock only; nothing is awaited, closed or told to a connection while holding it.
- What is leased has one owner, who gives it back, once, synchronously: by `release`, or `release_from_finalizer` where
  that may be a finalizer's doing. If the owner is collected instead, it waits in `dropped` for the next who can take
  the lock: a finalizer may run within any line, so it waits for no lock that it could find held by its own thread.
- `close()` closes what others use, dial or wait for, and they find out by an error of the network, or by waking with
  nothing: `told()` makes ClientClosed of that, wherever it leaves the pool. What they give back afterwards is not known
  any more. `close_from_finalizer()` closes only what nobody uses, and the rest when it is released.
- Who waits keeps the deadline that it came with, whatever it is granted on the way.
- Connections that have been idle for long enough are closed by a timer on asyncio. trio and blocking code have no timer
  that is not a task or a thread: there the next request does it, whatever its route.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any, Final, TypeAlias

from .._conn.base import RequestTimeouts
from .._conn.dial import Dialled, DialOptions, dial
from .._conn.http1 import Http1Connection
from .._conn.protocols import PROTOCOLS
from .._deadline import Deadline, sooner, timed_out
from .._encodings import load_codecs
from .._exceptions import (
    PoolTimeout,
    RequestError,
    TransportError,
    UnsupportedProtocol,
)
from .._journey import ConnectionFacts, Journey
from .._kernel.constants import HAS_KEEP_ALIVE
from .._net.base import Abortable, Backend, Waiter
from .._origin import Origin, Route
from .._trace import Tracer
from .._wire.events import FieldLine, Http1Required, NoWebSockets, RequestHead
from .._wire.h1 import IDLE
from .caution import fit
from .closing import closed_while, comes_of_closing
from .fork import watch
from .lease import Connection, Exchange, Head, Lease
from .origin_hints import OriginHints
from .plan import CLOSED, Answer, PendingRequest, Plan
from .replay import Pieces, Replays, left_unanswered
from .retired import RetiredConnections
from .state import GOING_AWAY
from .stats import ConnectionInfo, PoolStats, WaiterInfo
from .view import connection_infos, longest_lease
from .warming import Warming

__all__ = ["Lease", "Pool", "Reply"]

#: Final head; whole body, or None; interim heads; trailers; the lease while the body is unread.
Reply: TypeAlias = "tuple[Head, bytes | None, Sequence[Head], Sequence[FieldLine], Lease | None]"

#: Uses of a connection whose peer sets them no limit.
UNLIMITED: Final = 2**31 - 1

# Requests that go out at once to a peer of which nothing is known, before it has said how many it takes; that comes
# with its first bytes, one round trip later, and the others wait for it. Most servers take 100 and more, some take 30
# or 10; what is above that they refuse, and it goes out a second time.
FIRST_STREAMS: Final = 10

_LATE: Final = 0.001  # seconds; a timer may come a little before what it was set for

# Seconds after which it is not another thread that has the lock: none has it for longer than microseconds.
_OWN: Final = 0.05


class QueuedRequest(PendingRequest[Connection]):
    """A place in the queue, and how to wake who stands there."""

    __slots__ = ("route", "since", "waiter")

    def __init__(self, route: Route, since: float, waiter: Waiter) -> None:
        super().__init__()
        self.route = route
        self.since = since
        self.waiter = waiter


class Pool:
    """Connections by route, within limits: counts, None for none; `keepalive_expiry` and `max_age` in seconds."""

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
        self.backend = backend
        self.clock = backend.clock
        self._told = backend.pushes  # an idle connection knows by itself that it is dead
        #: Where the responses were asked for that are still to be read.
        self.held: dict[Journey, str] = {}
        self._options = options
        self._sessions = options.sessions
        self._limits = max_connections, max_per_host
        self._kept = max_keepalive_connections, keepalive_expiry
        self._max_age = max_age
        self.may_share = options.http2
        self._plan = self._new_plan()
        self._lock = threading.Lock()
        self._guests: dict[Journey, Connection] = {}  # requests that have a use of a shared connection
        self._hints = OriginHints()
        self._old_peers = False  # some are known to want HTTP/1.1
        self._watchful = max_age is not None  # there may be more to say of how long a connection is kept
        self._dropped: deque[tuple[Connection, Exchange, Journey] | None] = deque()  # None: who had the pool
        self._dials: set[Abortable[Dialled]] = set()
        self.closed = False
        self._retired = RetiredConnections()
        self._thread = threading.get_ident()
        self._take_up_soon = backend.from_any_thread(self._take_up_dropped)
        #: `close()` for who lives in another world or thread; RuntimeError if this world has ended.
        self.close_soon = backend.from_any_thread(self.close)
        #: `retire()` likewise.
        self.retire_soon = backend.from_any_thread(self.retire)
        self._timer = backend.timer()
        self._untimed = self._timer is not None  # the timer is to be set when something is idle
        self._reap_at = inf  # what goes sooner needs it to be set anew
        self._cancel_timer: Callable[[], object] | None = None
        watch(self)

    def _new_plan(self) -> Plan[Connection]:
        (connections, per_host), (keepalive, expiry) = self._limits, self._kept
        return Plan(connections, keepalive, expiry, per_host, attrgetter("origin"))

    def begin_anew(self) -> None:
        """In the child of a fork: forgets all connections, which are the parent's."""
        inherited = [connection for connection, *_ in self._plan.connections()]
        self._lock = threading.Lock()
        self._plan = self._new_plan()
        self._retired = RetiredConnections()
        self._cancel_timer = None
        self._reap_at = inf
        self._sessions.forget_open()
        for registered in (self.held, self._guests, self._dropped, self._dials):
            registered.clear()
        if self.closed:
            self._plan.close()
        for connection in inherited:
            # Not closed by its stream, which would shut down what the parent goes on using.
            connection.stream.get_extra_info("socket").close()

    async def request(
        self,
        head: RequestHead,
        body: bytes | Pieces,
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
        replay: bool | None = None,
    ) -> Reply:
        """Sends a request over a connection of its route and returns its response, with all of its body if `whole`.

        Where the reply has a lease the caller owns it: it reads the rest of the body there, and closes it. `replay`
        says whether the request may be sent again when a reused connection turns out to be dead: None for those that
        are idempotent. A RequestError that is raised carries `journey`.
        """
        route = head.route
        assert route is not None
        since = journey.started
        # What may not be sent again is given a connection with more care; a body in pieces may be gone by then.
        once = head.once if replay is None else not replay
        if framing and not isinstance(body, bytes):
            once = True
        replays: Replays | None = None
        while True:
            connection: Connection | None = None
            try:
                if self._old_peers and self._hints.wants_http1(route.origin, since):
                    route = route._replace(http1=True)
                found = self._ask(route, journey.started)
                if (
                    not once
                    and type(found) is Http1Connection
                    and (found.state == IDLE if self._told else found.alive())
                ):
                    connection = found
                    journey.leased = journey.sending = journey.started  # nothing came between: one look at the clock
                else:
                    connection = await self._lease(route, found, timeouts, journey, since, once)
                # A head that has a time of its own, and one that is told of, are waited for before the body is.
                together = whole and journey.trace is None and timeouts.first_byte is None
                exchange = await connection.exchange(head, body, framing, timeouts, journey, together)
                break
            except BaseException as caught:
                error = self._fall_back(route.origin, caught) if isinstance(caught, Http1Required) else caught
                if self.closed:
                    error = self.told(error, route.origin, journey)
                if isinstance(error, NoWebSockets):
                    route = route._replace(http1=True)
                if connection is not None:
                    reason = None
                    if not self.closed and (isinstance(body, bytes) or body.again):
                        if replays is None:
                            replays = Replays()
                        reason = replays.reason(error, connection, journey, head, replay)
                    self._failed(connection, error, journey)
                    if reason is not None:
                        leased = journey.leased
                        journey.begin_again(reason)
                        if leased is not None:
                            since += journey.started - leased  # its budget is for all waits, and for nothing else
                        continue
                if isinstance(error, RequestError):
                    error.journey = journey
                    if journey.stopped is None:
                        journey.stopped = self.clock()
                if journey.trace is not None:
                    await journey.trace.deliver()
                if error is not caught:
                    raise error from caught
                raise
        received = exchange.head
        assert received is not None
        interim = exchange.interim
        # Wanted whole it is there whole, but where the reader found that nothing of it is to be had so (`whole` is off
        # then). It may have come at once even if it was wanted in pieces.
        if not exchange.whole and (journey.trace is not None or not exchange.ended):
            return received, None, interim, (), Lease(self, connection, exchange, journey)
        data, trailers = exchange.take_whole(), exchange.trailers
        self.release(connection, exchange, journey)
        return received, data, interim, trailers, None

    def release(self, connection: Connection, exchange: Exchange, journey: Journey) -> None:
        """Ends a lease: the connection goes to the next who waits, becomes idle, or is closed."""
        head = exchange.head
        if journey.nth == 1 and head is not None:
            self._sessions.seen(connection.route, connection.stream)
        now = self.clock()
        reusable = exchange.rest(now)
        if self.held or self._guests:
            self.held.pop(journey, None)
            self._guests.pop(journey, None)
        until: float | None = None
        if reusable and (self._watchful or (head is not None and head.flags & HAS_KEEP_ALIVE)):
            until = self._kept_until(connection, head, now)
            reusable = until > now
        plan, lock = self._plan, self._lock
        lock.acquire()
        try:
            plan.release(connection, reusable, now, until)
            if until is not None or self._untimed:
                self._set_timer(now)
            decided = self._decided() if plan.granted or plan.to_close else None
        finally:
            lock.release()
        if decided is not None:
            self._carry_out(*decided)
        if self._dropped:
            self._take_up_dropped()

    def release_from_finalizer(self, connection: Connection, exchange: Exchange, journey: Journey) -> None:
        """As `release`, for who may be a finalizer in the pool's own thread: a user's generator that was collected."""
        lock = self._lock
        if lock.acquire(blocking=False):
            lock.release()
            self.release(connection, exchange, journey)
            return
        self._dropped.append((connection, exchange, journey))
        if lock.acquire(timeout=_OWN):
            lock.release()
            self._take_up_dropped()
        else:
            self._take_up_later()

    def abandon(self, connection: Connection, exchange: Exchange, journey: Journey) -> None:
        """As `drop`, but at once where the pool lives in this thread."""
        if self._thread == threading.get_ident():
            self.release_from_finalizer(connection, exchange, journey)
        else:
            self.drop(connection, exchange, journey)

    def drop(self, connection: Connection, exchange: Exchange, journey: Journey) -> None:
        """Ends a lease whose owner was collected, as soon as that can be done: callable from finalizers."""
        self._dropped.append((connection, exchange, journey))
        self._take_up_later()

    def close(self) -> None:
        """Closes all connections, those in use and those being dialled too; who uses them or waits gets ClientClosed.

        To be called in the pool's own world, or when that has ended. Repeatable.
        """
        with self._lock:
            self.closed = True
            self._plan.close()
            dials = list(self._dials)
            decided = self._decided()
            self._stop_timer()
        for dialled in dials:
            dialled.abort()
        self._carry_out(*decided)

    def close_from_finalizer(self) -> int:
        """Closes what is idle, and what is leased when it is released; how many connections there were.

        For the finalizer of who had the pool, which may run in any thread and within any line: nobody waits here for
        responses that are still read, and they are read to their end.
        """
        count = self._plan.open + self._plan.draining
        if count:
            self._dropped.append(None)
            here = self.backend.name == "blocking" or self._thread == threading.get_ident()
            if here and self._lock.acquire(timeout=_OWN):
                self._lock.release()
                self._take_up_dropped()
            else:
                self._take_up_later()
        return count

    def told(self, error: BaseException, origin: Origin, journey: Journey) -> BaseException:
        """`error`, or ClientClosed in its place if it came of `close()`."""
        return closed_while(origin, journey) if self.closed and comes_of_closing(error) else error

    # Ahead of requests, and between them.

    async def warm(self, route: Route, count: int, budget: float | None) -> int:
        """Opens connections until `count` are there for `route`, within the limits; how many are there then.

        Those count that are in use or being made. One that takes many requests at once (HTTP/2) is enough. Nothing is
        waited for but dialling, `budget` seconds for each. Raises ConnectError, ConnectTimeout: what was opened stays.
        """
        return await Warming(self, self._plan, self._lock, self._retired).run(route, count, budget)

    async def open_ahead(self, route: Route, budget: float | None) -> None:
        """Uses up a leave to dial for the requests to come. A RequestError that is raised carries a journey."""
        journey = Journey(self.clock(), self.clock)
        journey.leased = journey.started
        try:
            # Cancelled here, the place is given back. Nothing is awaited between the end of dialling and the release.
            connection = await self._dial(route, budget, journey)
        except RequestError as error:
            error.journey = journey
            journey.stopped = self.clock()
            raise
        connection.facts.warmed = True
        connection.idle_since = now = self.clock()
        until = self._kept_until(connection, None, now)
        with self._lock:
            self._plan.release(connection, until > now, now, until)
            self._set_timer(now)
            decided = self._decided()
        self._carry_out(*decided)

    def retire(self) -> set[ConnectionFacts]:
        """No later request is given a connection that there is now: the idle ones are closed, others when released."""
        with self._lock:
            leased = self._plan.retire()
            found = self._retired.begin([connection.facts for connection in leased])
            self._watchful |= bool(found)
            decided = self._decided()
        self._carry_out(*decided)
        return found

    async def drain(self, timeout: float | None) -> int:
        """`retire()`, and waits for what is in use; how much of that still is, after `timeout` seconds."""
        found = self.retire()
        waiter = self.backend.waiter()
        with self._lock:
            if not self._retired.left_of(found):
                return 0
            self._retired.wait(waiter)
        try:
            await waiter.wait(None if timeout is None else self.clock() + timeout)
        finally:
            with self._lock:
                self._retired.give_up(waiter)
                left = self._retired.left_of(found)
        return left

    # What it tells.

    def stats(self) -> PoolStats:
        """Counts, as they are now."""
        with self._lock:
            return self._stats()

    def connections(self) -> list[ConnectionInfo]:
        """Every connection, and every one that is being made."""
        with self._lock:
            return connection_infos(self._plan, self._guests, self.held, self.clock())

    def waiters(self) -> list[WaiterInfo]:
        """Who waits for a connection, first come first."""
        now = self.clock()
        with self._lock:
            return [
                WaiterInfo(queued.route, now - queued.since)
                for queued in self._plan.pending_requests()
                if isinstance(queued, QueuedRequest)
            ]

    def _stats(self) -> PoolStats:
        plan = self._plan
        now = self.clock()
        return PoolStats(
            plan.leased,
            plan.idle,
            plan.dialling,
            plan.waiting,
            *self._limits,
            longest_lease(plan, self._guests, self.held, now),
            self._hints.learnt(now),
            plan.draining,
        )

    # What connections tell. From any thread, or from a callback of the loop; they hold none of their own locks then.

    def lost(self, connection: Connection) -> None:
        """It died, or was closed by the peer, while nothing was under way."""
        now, since = self.clock(), connection.idle_since
        with self._lock:
            if since is not None:
                self._learn_end(connection, connection.facts.requests, now - since, now)
            idle = self._plan.dead(connection)
            if not idle:
                self._plan.going_away(connection)
            decided = self._decided()
        if idle:
            self._close(connection)
        self._carry_out(*decided)

    def _learn_end(self, connection: Connection, served: int, age: float, now: float) -> None:
        """Under the lock: what is learnt of a peer that closed a connection `age` seconds after its last response."""
        origin = connection.route.origin
        if self._hints.learn(origin, age, now):
            self._watchful = True
        elif served and isinstance(connection, Http1Connection):
            self._hints.ended(origin, served, now)

    def limit_changed(self, connection: Connection, limit: int | None) -> None:
        """Its peer takes that many requests at once from now on, None for any number."""
        count = UNLIMITED if limit is None else limit
        with self._lock:
            self._hints.learn_streams(connection.route.origin, count, self.clock())
            self._plan.limit(connection, count)
            decided = self._decided()
        self._carry_out(*decided)

    def draining(self, connection: Connection) -> None:
        """It takes no more requests; those under way go on, or fail by themselves."""
        with self._lock:
            self._plan.going_away(connection)
            decided = self._decided()
        self._carry_out(*decided)

    # Leases.

    def _ask(self, route: Route, now: float) -> Connection | Answer | QueuedRequest:
        """What the plan answers to a request; a place in the queue if it has nothing."""
        if self._dropped:
            self._take_up_dropped()
        plan, lock = self._plan, self._lock
        lock.acquire()  # once per request; `with` costs twice as much
        try:
            found = plan.request(route, now, self.may_share)
            if found is None:
                return self._queue(route, now)
            if not plan.to_close:
                return found
            decided = self._decided()
        finally:
            lock.release()
        self._carry_out(*decided)
        return found

    def _queue(self, route: Route, since: float) -> QueuedRequest:
        queued = QueuedRequest(route, since, self.backend.waiter())
        self._plan.wait(route, queued)
        return queued

    async def _lease(
        self,
        route: Route,
        found: Connection | Answer | QueuedRequest,
        timeouts: RequestTimeouts,
        journey: Journey,
        since: float,
        once: bool,
    ) -> Connection:
        """Makes a leased connection that is alive of what the plan answered; `since` is when waiting began.

        The request may not be sent again if it is for `once`.
        """
        while True:
            if isinstance(found, QueuedRequest):
                queued, trace, own = found, journey.trace, timeouts.pool
                if self._dropped:  # by a finalizer that ran while this turn was made
                    self._take_up_dropped()
                at, budget = sooner(None if own is None else since + own, own, timeouts.deadline)
                # Awaited right here: a coroutine less for each of the tasks that wait, who may be thousands.
                try:
                    if trace is not None:
                        await trace.started("pool.wait", {"timeout": budget})
                    await queued.waiter.wait(at)
                except BaseException as error:
                    # Cancelled: what may have been granted in the meantime goes to the next in the queue.
                    self._leave(queued)
                    if trace is not None:
                        trace.ended(error=error)
                    raise
                found = queued.grant or self._give_up(queued, at, budget, trace)
                if trace is not None:
                    trace.ended()
            if found is CLOSED:
                raise closed_while(route.origin, journey)
            if journey.leased is None:
                journey.leased = self.clock()
            if isinstance(found, Answer):
                found = await self._dial(route, timeouts.connect, journey, timeouts.deadline)
                if once and isinstance(found, Http1Connection):
                    found.set_mark()
            elif not (await self._fit(found, journey, timeouts.deadline) if once else self._alive(found)):
                found = self._replace(route, found, since)
                continue
            if found.__class__ is not Http1Connection:
                self._guests[journey] = found
            return found

    def _alive(self, connection: Connection) -> bool:
        """One look at a leased connection; where it is told of its end (asyncio) that needs no call of the system."""
        if self._told and isinstance(connection, Http1Connection):
            return connection.state == IDLE
        return connection.alive()

    async def _fit(self, connection: Connection, journey: Journey, deadline: Deadline | None) -> bool:
        """As `_alive()`, for a request that may not be sent again."""
        if not isinstance(connection, Http1Connection):
            return connection.alive_now()
        try:
            return await fit(connection, self._hints, self.clock, deadline)
        except BaseException:
            self.release(connection, connection, journey)
            raise

    def _replace(self, route: Route, connection: Connection, since: float) -> Connection | Answer | QueuedRequest:
        """What who was given a dead connection gets instead."""
        with self._lock:
            found: Connection | Answer | QueuedRequest | None = self._plan.replace(connection, self.clock())
            if found is None:
                found = self._queue(route, since)
            decided = self._decided()
        self._carry_out(*decided)
        return found

    def _give_up(
        self, queued: QueuedRequest, at: float | None, budget: float | None, trace: Tracer | None
    ) -> Connection | Answer:
        """Raises PoolTimeout: the turn did not come before `at`, which is when `budget` seconds were over."""
        with self._lock:
            # A grant that came in the last moment is taken: it is better than an error.
            grant = queued.grant
            if grant is not None:
                return grant
            self._plan.cancel(queued, self.clock())
            stats = self._stats()
            decided = self._decided()
        self._carry_out(*decided)
        assert at is not None
        assert budget is not None
        failure = timed_out("pool", self.clock() - (at - budget), budget, str(stats))
        assert isinstance(failure, PoolTimeout)
        failure.pool = stats
        if trace is not None:
            trace.ended(error=failure)
        raise failure

    def _leave(self, queued: QueuedRequest) -> None:
        """Ends a wait without a connection."""
        with self._lock:
            grant = queued.grant
            usable = grant is None or isinstance(grant, Answer) or grant.facts not in self._retired
            self._plan.cancel(queued, self.clock(), usable)
            decided = self._decided()
        self._carry_out(*decided)

    async def _dial(
        self, route: Route, budget: float | None, journey: Journey, deadline: Deadline | None = None
    ) -> Connection:
        """Uses up a leave to dial."""
        load_codecs()
        facts = journey.connection = ConnectionFacts()
        facts.trace = journey.trace
        options = self._options
        dialled = self.backend.abortable(partial(dial, self.backend, route, options, budget, facts, deadline))
        with self._lock:
            if self.closed:
                raise closed_while(route.origin, journey)
            self._dials.add(dialled)
            self._retired.dial_begins(facts)
        try:
            connection = self._connected(await dialled.run(), route, facts)
        except BaseException as error:
            with self._lock:
                self._dials.discard(dialled)
                self._retired.dial_ends(facts, connected=False)
                self._plan.dial_failed(route)
                decided = self._decided()
            self._carry_out(*decided)
            told = self.told(error, route.origin, journey)
            if told is not error:
                raise told from error
            raise
        facts.trace = None
        limit: int | None = None
        settled = True
        if not isinstance(connection, Http1Connection):
            # What came while it was made may have broken it: the plan, which did not know it then, is not told again.
            limit = GOING_AWAY if connection.draining else UNLIMITED if connection.limit is None else connection.limit
            settled = connection.settled or self._hints.streams(route.origin, self.clock()) is not None
        with self._lock:
            self._dials.discard(dialled)
            self._retired.dial_ends(facts, connected=True)
            if limit is not None and facts in self._retired:
                limit = GOING_AWAY  # those who wait for a use of it get one that is dialled now
            self._plan.connected(route, connection, limit, settled)
            decided = self._decided()
        self._carry_out(*decided)
        if self.closed:
            raise closed_while(route.origin, journey)
        return connection

    def _connected(self, dialled: Dialled, route: Route, facts: ConnectionFacts) -> Connection:
        """Return a connection in the protocol that `dial()` found to be spoken."""
        first_limit = self._hints.streams(route.origin, self.clock()) or FIRST_STREAMS
        make: Any = PROTOCOLS[dialled.protocol]
        connection: Connection = make(dialled.opened, route, facts, self, self._options.ping_after, first_limit)
        return connection

    def _fall_back(self, origin: Origin, error: Http1Required) -> TransportError:
        """Remembers that an origin wants HTTP/1.1, if for all requests; what to raise where that cannot be spoken."""
        options = self._options
        if not options.http1:
            return UnsupportedProtocol(f"{origin} wants HTTP/1.1, which http1=False rules out: {error}")
        if not isinstance(error, NoWebSockets):
            with self._lock:
                self._hints.learn_http1(origin, self.clock())
            self._old_peers = True
        return error

    # What goes back.

    def _failed(self, connection: Connection, error: BaseException, journey: Journey) -> None:
        """Ends the lease of an exchange that failed. A shared connection says by itself whether it is broken."""
        if isinstance(connection, Http1Connection):
            idle = journey.idle
            if idle is not None and left_unanswered(error, connection, journey):
                with self._lock:
                    self._learn_end(connection, journey.nth - 1, idle, self.clock())
            self.release(connection, connection, journey)
            return
        self._guests.pop(journey, None)
        # Refused twice on one connection, a request is to find another. After the first time it may not: then it was
        # not known yet how many the peer takes.
        refused = (
            isinstance(error, RequestError)
            and error.unprocessed
            and any(attempt.connection is connection.facts for attempt in journey.attempts)
        )
        now = self.clock()
        with self._lock:
            self._plan.release(connection, not refused, now)
            self._set_timer(now)
            decided = self._decided()
        self._carry_out(*decided)

    def _kept_until(self, connection: Connection, head: Head | None, now: float) -> float:
        """When a connection is too old to be used again, or likely to be closed by its peer."""
        facts = connection.facts
        if facts in self._retired:
            return now
        until = inf
        if self._max_age is not None:
            until = (facts.tls_done or facts.tcp_done or now) + self._max_age
        learnt = self._hints.expiry(connection.route.origin, now)
        if learnt is not None:
            until = min(until, now + learnt)
        return min(until, connection.usable_until(head, now))

    def _take_up_dropped(self) -> None:
        """Gives back what collected owners had."""
        # Held by this very thread, where a finalizer runs within one of these blocks: the next request takes them up.
        if not self._lock.acquire(blocking=False):
            return
        self._lock.release()
        for left in self._all_dropped():
            if left is None:
                self._stop_accepting()
            else:
                self.release(*left)

    def _stop_accepting(self) -> None:
        """Closes what is idle, and from now on what is released."""
        with self._lock:
            self._plan.stop_accepting()
            decided = self._decided()
            self._stop_timer()
        self._carry_out(*decided)

    def _take_up_later(self) -> None:
        """Has the pool's own world give back what collected owners had."""
        try:
            self._take_up_soon()
        except RuntimeError:  # the event loop is closed
            for left in self._all_dropped():
                if left is not None:
                    self._close(left[0])
                elif self._lock.acquire(timeout=_OWN):
                    self._lock.release()
                    self._stop_accepting()

    def _all_dropped(self) -> Iterator[tuple[Connection, Exchange, Journey] | None]:
        with suppress(IndexError):  # another thread may take the last one
            while True:
                yield self._dropped.popleft()

    def _set_timer(self, now: float) -> None:
        """Under the lock: sees to it that the next idle connection is closed when its time has come."""
        if self._timer is None:
            return
        at = self._plan.next_expiry()
        if at is None or at >= self._reap_at:
            return
        if self._cancel_timer is not None:
            self._cancel_timer()
        self._reap_at = at
        self._untimed = False
        try:
            self._cancel_timer = self._timer(max(at - now, 0.0) + _LATE, self._reap)
        except RuntimeError:  # the loop has ended, and nothing happens in it any more
            self._cancel_timer = None

    def _stop_timer(self) -> None:
        """Under the lock, when nothing will be idle any more."""
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None

    def _reap(self) -> None:
        """The timer: closes what has been idle for long enough."""
        now = self.clock()
        with self._lock:
            self._cancel_timer = None
            self._reap_at = inf
            self._untimed = True
            self._plan.expire(now)
            self._set_timer(now)
            decided = self._decided()
        self._carry_out(*decided)

    def _decided(self) -> tuple[list[Connection], list[PendingRequest[Connection]]]:
        """Under the lock: what the plan wants closed, and whom it wants woken."""
        plan = self._plan
        to_close, granted = plan.to_close, plan.granted
        if to_close:
            plan.to_close = []
            if self._retired:
                self._retired.gone([connection.facts for connection in to_close])
                if not self._retired:
                    self._watchful = self._max_age is not None or bool(self._hints.learnt(self.clock()))
        if granted:
            plan.granted = []
        return to_close, granted

    def _carry_out(self, to_close: list[Connection], granted: list[PendingRequest[Connection]]) -> None:
        """Does what the plan decided; not under the lock, since closing may make a connection tell something."""
        for connection in to_close:
            self._close(connection)
        for queued in granted:
            assert isinstance(queued, QueuedRequest)
            queued.waiter.set()
        if self._dropped:
            self._take_up_dropped()

    def _close(self, connection: Connection) -> None:
        connection.close()
        self._sessions.ended(connection.route, connection.stream)
