"""Sends one request: attempts, and replays of those that failed in a way that allows another.

Every attempt leases a connection, has it exchange the request for a response, and ends the lease, unless a body is
left to be read: that takes the lease along.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TypeAlias

from .._conn.base import Connection, Exchange, Head, RequestTimeouts
from .._conn.options import DialOptions
from .._exceptions import ReadError, RequestError, TransportError, UnsupportedProtocol
from .._head import FieldLine, RequestHead
from .._journey import Journey
from .._origin import Origin, Route
from .._wire.events import Http1Required, NoWebSockets
from .acquirer import Acquirer, TracedAcquirer
from .caution import objection
from .dialler import Dialler
from .lease import Lease, TracedLease
from .leases import Leases
from .replay import Pieces, Replays

#: The response to one request: final head; whole body, or None; interim heads; trailers; the lease of the rest of the
#: body, which the caller owns, or None; and the journey. No named tuple: making and unpacking one costs a warm GET 2 %
#: of all it does.
Reply: TypeAlias = "tuple[Head, bytes | None, Sequence[Head], Sequence[FieldLine], Lease | None, Journey]"


class Exchanges:
    """Send the requests of a pool, each over a connection of its route.

    Where a reply has a lease the caller owns it: it reads the rest of the body there, and closes it. `replay` says
    whether the request may be sent again when a reused connection turns out to be dead: None for those that are
    idempotent. A RequestError that is raised carries `journey`.
    """

    __slots__ = ("_acquirer", "_leases", "_options", "_traced")

    def __init__(self, leases: Leases, dialler: Dialler, options: DialOptions) -> None:
        self._leases = leases
        self._options = options
        self._acquirer = Acquirer(leases, dialler)
        self._traced: TracedExchanges | None = TracedExchanges(leases, dialler, options)

    async def request(
        self,
        head: RequestHead,
        route: Route,
        body: bytes | Pieces,
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
        replay: bool | None = None,
    ) -> Reply:
        """Send a request and return its response, with all of its body if `whole`."""
        if journey.trace is not None and self._traced is not None:
            return await self._traced.request(head, route, body, framing, timeouts, journey, whole, replay)
        leases = self._leases
        # What may not be sent again is given a connection with more care; a body in pieces may be gone by then.
        once = head.once if replay is None else not replay
        if framing and not isinstance(body, bytes):
            once = True
        replays: Replays | None = None
        while True:
            connection: Connection | None = None
            try:
                if leases.has_http1_peers and leases.hints.wants_http1(route.origin, journey.started):
                    route = route._replace(http1=True)
                found = leases.ask(route, journey.started)
                at = journey.started if replays is None else inf  # another try goes over a connection that was polled
                if objection(found, leases.hints, journey.started) is None if once else found.alive(at):
                    idle: Connection = found  # type: ignore[assignment]  # nothing else that it may be is alive
                    connection = idle
                    journey.leased = journey.sending = journey.started  # nothing came between: one look at the clock
                else:
                    since = journey.started if replays is None else replays.since
                    connection = await self._acquirer.acquire(route, found, timeouts, journey, since, once)
                    if journey.details is not None and journey.is_cut:
                        raise ReadError("the request was given up on this side before it was sent")
                together = whole and timeouts.first_byte is None  # else the head is waited for before the body is
                exchange = await connection.exchange(head, body, framing, timeouts, journey, together)
                break
            except BaseException as caught:
                replays = replays or Replays(journey.started)
                again = self._route_of_replay(caught, route, connection, replays, head, body, journey, replay)
                if again is None:
                    raise
                route = again
        # `whole` is off where the reader cannot give the body whole; wanted in pieces it may have come at once anyway.
        if not exchange.whole and (journey.trace is not None or not exchange.ended):
            return exchange.head, None, exchange.interim, (), self._lend(connection, exchange, journey), journey
        reply = (exchange.head, exchange.take_whole(), exchange.interim, exchange.trailers, None, journey)
        leases.release(connection, exchange, journey, journey.done, False)  # all arguments: defaults cost
        return reply

    def _lend(self, connection: Connection, exchange: Exchange, journey: Journey) -> Lease:
        return Lease(self._leases, connection, exchange, journey)

    def _route_of_replay(
        self,
        caught: BaseException,
        route: Route,
        connection: Connection | None,
        replays: Replays,
        head: RequestHead,
        body: bytes | Pieces,
        journey: Journey,
        replay: bool | None,
    ) -> Route | None:
        """Return the route of another attempt; None if there is none, and `caught` is to be raised.

        Raises what is to be raised in place of `caught`.
        """
        leases = self._leases
        error = self._fall_back(route.origin, caught) if isinstance(caught, Http1Required) else caught
        error = leases.explain(error, route.origin, journey)
        if connection is not None:
            reason = None
            if not leases.closed and not journey.is_cut and (isinstance(body, bytes) or body.again):
                reason = replays.replay_reason(error, connection, journey, head, replay)
            leases.release_failed(connection, error, journey)
            if reason is not None:
                replays.begin_again(journey, reason)
                return route._replace(http1=True) if isinstance(error, NoWebSockets) else route
        if isinstance(error, RequestError) and journey.stopped is None:
            journey.stopped = leases.clock()
        if error is not caught:
            raise error from caught
        return None

    def _fall_back(self, origin: Origin, error: Http1Required) -> TransportError:
        """Remember that an origin wants HTTP/1.1, if for all requests; return what to raise if that is ruled out."""
        if not self._options.http1:
            return UnsupportedProtocol(f"{origin} wants HTTP/1.1, which http1=False rules out: {error}")
        if not isinstance(error, NoWebSockets):
            leases = self._leases
            with leases.lock:
                leases.hints.learn_http1(origin, leases.clock())
            leases.has_http1_peers = True
        return error


class TracedExchanges(Exchanges):
    """Send the requests that are traced: every step is delivered where the request's own code runs."""

    __slots__ = ()

    def __init__(self, leases: Leases, dialler: Dialler, options: DialOptions) -> None:
        self._leases = leases
        self._options = options
        self._acquirer = TracedAcquirer(leases, dialler)
        self._traced = None

    async def request(
        self,
        head: RequestHead,
        route: Route,
        body: bytes | Pieces,
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
        replay: bool | None = None,
    ) -> Reply:
        """Do the same; the head is waited for before the body is, since it is a step of its own."""
        try:
            return await super().request(head, route, body, framing, timeouts, journey, False, replay)
        except BaseException:
            assert journey.trace is not None
            await journey.trace.deliver()
            raise

    def _lend(self, connection: Connection, exchange: Exchange, journey: Journey) -> Lease:
        return TracedLease(self._leases, connection, exchange, journey)
