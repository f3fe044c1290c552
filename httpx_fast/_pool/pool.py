"""The connection pool of one transport, in one world: blocking (any number of threads), one asyncio loop, or trio.

`plan.py` decides; this room does what it says: dials, waits, wakes, closes. Rules:

- The plan is touched under the lock only, and nothing is awaited while holding it.
- A connection that is leased has one owner, who gives it back through `release`, once, synchronously. If the owner is
  collected instead, its connection waits in `dropped` for the next who has the lock: a finalizer may run within any
  line, so it takes no lock that it could find held by its own thread.
- Who waits keeps the deadline that it came with, whatever it is granted on the way.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import AsyncIterator, Sequence
from types import FrameType
from typing import TypeAlias

from .._conn.dial import DialOptions, dial, keep_session
from .._conn.http1 import Budgets, Http1Connection
from .._exceptions import ConnectError, ReadError, RemoteProtocolError, RequestError, WriteError, timed_out
from .._journey import ConnectionFacts, Journey
from .._kernel.select import ResponseHead
from .._net.base import Backend, Stream, Waiter
from .._origin import Route
from .._trace import Tracer
from .._wire.events import FieldLine, RequestHead
from .._wire.h1 import ENDED
from .plan import CLOSED, Answer, Plan, Ticket

#: Final head; whole body, or None; interim heads; trailers; the lease while the body is unread.
Reply: TypeAlias = "tuple[ResponseHead, bytes | None, list[ResponseHead], Sequence[FieldLine], Lease | None]"


class Turn(Ticket[Http1Connection]):
    """A place in the queue, and how to wake who stands there."""

    __slots__ = ("waiter",)

    def __init__(self, waiter: Waiter) -> None:
        super().__init__()
        self.waiter = waiter


class Lease:
    """The right to read the rest of one response, and to nothing else of its connection."""

    __slots__ = ("_connection", "_journey", "_made_at", "_pool", "trailers")

    def __init__(self, pool: Pool, connection: Http1Connection, journey: Journey) -> None:
        self._pool = pool
        self._connection: Http1Connection | None = connection
        self._journey = journey
        self._made_at = _caller()
        self.trailers: Sequence[FieldLine] = ()

    async def next_chunk(self) -> bytes:
        """The next piece of the body; b"" after its end, when the lease has ended by itself."""
        connection = self._connection
        if connection is None:
            return b""
        try:
            piece = await connection.next_chunk()
        except BaseException as error:
            if isinstance(error, RequestError):
                error.journey = self._journey
            self.close()
            raise
        if not piece or connection.complete:
            self.trailers = connection.trailers
            self.close()
            if self.trace is not None:
                await self.trace.deliver()
        return piece

    @property
    def trace(self) -> Tracer | None:
        """Who is told of what the response's end brought about."""
        return self._journey.trace

    def tunnel(self) -> tuple[Stream, bytes] | None:
        """Stream and first octets of a connection that speaks HTTP no longer, for the lease's owner; else None."""
        connection = self._connection
        return connection.detach() if connection is not None and connection.upgraded else None

    def close(self) -> None:
        """Gives the connection back; it is closed if the body was not read to its end. Repeatable."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)

    def __del__(self) -> None:
        connection = self._connection
        if connection is None:
            return
        self._pool.drop(connection)
        warnings.warn(
            f"a response of {connection.route.origin} was neither read to its end nor closed; it was requested at "
            f"{self._made_at}",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )


class Pool:
    """Connections by route, within limits."""

    def __init__(
        self,
        backend: Backend,
        options: DialOptions,
        max_connections: int | None,
        max_keepalive_connections: int | None,
        keepalive_expiry: float | None,
    ) -> None:
        self.backend = backend
        self.clock = backend.clock
        self._options = options
        self._limit = max_connections
        self._plan: Plan[Http1Connection] = Plan(max_connections, max_keepalive_connections, keepalive_expiry)
        self._lock = threading.Lock()
        self._dropped: deque[Http1Connection] = deque()
        self._take_up_soon = backend.from_any_thread(self._take_up_dropped)
        #: `close()` for who lives in another world or thread; RuntimeError if this world has ended.
        self.close_soon = backend.from_any_thread(self.close)

    async def request(
        self,
        head: RequestHead,
        body: bytes | AsyncIterator[bytes],
        framing: int,
        budgets: Budgets,
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
        while True:
            connection: Http1Connection | None = None
            try:
                found = self._ask(route, journey.started)
                if found.__class__ is Http1Connection and found.alive():
                    connection = found
                    journey.leased = journey.started
                else:
                    connection = await self._lease(route, found, budgets, journey, since)
                await connection.exchange(head, body, framing, budgets, journey, whole and journey.trace is None)
                break
            except BaseException as error:
                again = connection is not None and _met_dead_connection(error, connection, journey)
                if connection is not None:
                    self.release(connection)
                if again and isinstance(body, bytes) and (head.idempotent if replay is None else replay):
                    journey.begin_again(f"the reused connection was dead: {error}")
                    continue
                if isinstance(error, RequestError):
                    error.journey = journey
                    if journey.stopped is None:
                        journey.stopped = self.clock()
                if journey.trace is not None:
                    await journey.trace.deliver()
                raise
        received = connection.head
        assert received is not None
        interim = connection.interim
        if connection.state != ENDED or journey.trace is not None:
            return received, None, interim, (), Lease(self, connection, journey)
        octets, trailers = connection.take_whole(), connection.trailers
        self.release(connection)
        return received, octets, interim, trailers, None

    def release(self, connection: Http1Connection) -> None:
        """Ends a lease: the connection goes to the next who waits, becomes idle, or is closed."""
        facts = connection.facts
        if facts.requests == 1 and facts.tls_version is not None and connection.head is not None:
            keep_session(self._options, connection.route, connection.stream)
        now = self.clock()
        reusable = connection.rest(now)
        plan = self._plan
        with self._lock:
            plan.release(connection, reusable, now)
            if plan.granted or plan.doomed:
                self._carry_out()

    def close(self) -> None:
        """Closes what is idle now, and what is leased when it comes back."""
        with self._lock:
            self._plan.close()
            self._carry_out()

    def _ask(self, route: Route, now: float) -> Http1Connection | Answer | Turn:
        """What the plan answers to a request; a place in the queue if it has nothing."""
        plan = self._plan
        with self._lock:
            if self._dropped:
                self._release_dropped()
            found = plan.request(route, now)
            if found is None:
                turn = Turn(self.backend.waiter())
                plan.wait(route, turn)
                return turn
            if plan.doomed:
                self._carry_out()
            return found

    def drop(self, connection: Http1Connection) -> None:
        """Ends a lease whose owner was collected, as soon as that can be done: callable from finalizers."""
        self._dropped.append(connection)
        try:
            self._take_up_soon()
        except RuntimeError:  # the event loop is closed
            connection.close()

    def _take_up_dropped(self) -> None:
        # Held by this very thread, where a finalizer runs within one of these blocks: the next request takes them up.
        if self._lock.acquire(blocking=False):
            try:
                self._release_dropped()
            finally:
                self._lock.release()

    def _release_dropped(self) -> None:
        """Under the lock."""
        while self._dropped:
            connection = self._dropped.popleft()
            now = self.clock()
            self._plan.release(connection, connection.rest(now), now)
        self._carry_out()

    async def _lease(
        self, route: Route, found: Http1Connection | Answer | Turn, budgets: Budgets, journey: Journey, since: float
    ) -> Http1Connection:
        """Makes a leased connection that is alive of what the plan answered; `since` is when waiting began."""
        while True:
            if isinstance(found, Turn):
                found = await self._wait(found, budgets.pool, since, journey.trace)
            if found is CLOSED:
                raise ConnectError(f"the pool was closed before a connection to {route.origin} could be had")
            if journey.leased is None:
                journey.leased = self.clock()
            if isinstance(found, Answer):
                return await self._dial(route, budgets.connect, journey)
            if found.alive():
                return found
            with self._lock:
                found = self._plan.replace(found, self.clock())  # type: ignore[assignment]  # nothing is shared yet
                self._carry_out()

    async def _wait(
        self, turn: Turn, budget: float | None, since: float, trace: Tracer | None
    ) -> Http1Connection | Answer:
        """Waits in the queue. PoolTimeout when the turn does not come within `budget` seconds of `since`."""
        plan = self._plan
        try:
            if trace is not None:
                await trace.started("pool.wait", {"timeout": budget})
            await turn.waiter.wait(None if budget is None else since + budget)
        except BaseException as error:
            # Cancelled: what may have been granted in the meantime goes to the next in the queue.
            with self._lock:
                plan.cancel(turn, self.clock())
                self._carry_out()
            if trace is not None:
                trace.ended(error=error)
            raise
        with self._lock:
            # A grant that came in the last moment is taken: it is better than an error.
            grant = turn.grant
            if grant is None:
                plan.cancel(turn, self.clock())
                self._carry_out()
                detail = (
                    f"{plan.open} of {self._limit} connections are open ({plan.leased} in use, "
                    f"{plan.dialling} connecting, {plan.idle} idle), {plan.waiting} more requests wait"
                )
        if grant is not None:
            if trace is not None:
                trace.ended()
            return grant
        failure = timed_out("pool", self.clock() - since, budget or 0.0, detail)
        if trace is not None:
            trace.ended(error=failure)
        raise failure

    async def _dial(self, route: Route, budget: float | None, journey: Journey) -> Http1Connection:
        """Uses up a leave to dial."""
        facts = journey.connection = ConnectionFacts()
        facts.trace = journey.trace
        try:
            stream = await dial(self.backend, route, self._options, budget, facts)
            connection = Http1Connection(stream, route, facts, self.clock, self._lost)
        except BaseException:
            with self._lock:
                self._plan.dial_failed(route)
                self._carry_out()
            raise
        facts.trace = None
        with self._lock:
            self._plan.connected(route, connection)
        return connection

    def _lost(self, connection: Http1Connection) -> None:
        """An idle connection died (told by its stream)."""
        with self._lock:
            if self._plan.dead(connection):
                connection.close()
            self._carry_out()

    def _carry_out(self) -> None:
        """Does what the plan decided: under the lock, and without waiting."""
        plan = self._plan
        for connection in plan.doomed:
            connection.close()
        plan.doomed.clear()
        for turn in plan.granted:
            assert isinstance(turn, Turn)
            turn.waiter.set()
        plan.granted.clear()


def _met_dead_connection(error: BaseException, connection: Http1Connection, journey: Journey) -> bool:
    """Whether a request failed because the peer had closed, or was closing, the idle connection that it was given.

    A server may close any time (RFC 9112 s.9.3.1). That nothing of an answer was seen does not prove that nothing was
    done, hence `replay`. One further try is enough: it is sent over a connection that was looked at after the failure.
    """
    return (
        isinstance(error, (ReadError, WriteError, RemoteProtocolError))
        and journey.reused
        and not connection.touched
        and not journey.attempts
    )


_PACKAGE = os.path.dirname(os.path.dirname(__file__))


def _caller() -> str:
    """File and line of the innermost code outside this package that is at work: who asked for the response."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return "an unknown place" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
