"""Which connection a request gets: the pool's decisions, told what happened and answering what to do.

It does no I/O, reads no clock, holds no lock and knows no HTTP: routes are anything hashable, connections any objects
compared by identity. Whoever owns it calls it under one lock, and after every call closes what is in `doomed`, wakes
what is in `granted`, and clears both.

1. A connection is leased to one request, idle, or being dialled; the three together never pass `max_connections`.
2. Of the idle connections of a route the one released last is taken: the others may then grow old and go.
3. At the limit the connection idle for longest, of whatever route, makes room for one that is needed now.
4. Who finds neither waits. While anybody waits nothing is idle and no place is free, so that nobody is overtaken by a
   newcomer, and only a release, a failed dial or a cancelled grant can serve a waiter.
5. A freed connection goes to the first waiter of its route, a place without a connection to the first of all. A route
   that keeps its connections busy could so starve the others; hence MAX_OVERTAKEN.

Every step takes constant time (`expire` and `close`: per connection that goes).
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

C = TypeVar("C", bound=Hashable)

# Connections handed past the first waiter before one is given up for it. A new handshake costs some ten times a short
# exchange, so being just at every turn would cost more than it gives; being overtaken 16 times is hardly felt.
MAX_OVERTAKEN: Final = 16


class Answer(enum.Enum):
    """What a request is told where it gets no connection."""

    DIAL = "dial"  # a place is reserved: dial, then say connected() or dial_failed()
    CLOSED = "closed"  # the plan is closed: there will be no connection


DIAL: Final = Answer.DIAL
CLOSED: Final = Answer.CLOSED


class Ticket(Generic[C]):
    """One wait. Subclasses add how the one who waits is woken."""

    __slots__ = ("grant", "overtaken", "route")

    def __init__(self) -> None:
        self.route: Hashable = None
        self.grant: C | Answer | None = None  # None while waiting
        self.overtaken = 0  # connections handed past this ticket while it was the first of all


class _Lane(Generic[C]):
    """A route's share of the plan; it exists as long as there is anything in it."""

    __slots__ = ("idle", "open", "route", "waiting")

    def __init__(self, route: Hashable) -> None:
        self.route = route
        self.open = 0
        # Ordered dicts here and below: unlike lists they let go of any member in constant time, and unlike plain dicts
        # they find their oldest member in constant time after many deletions.
        self.idle: OrderedDict[C, None] = OrderedDict()
        self.waiting: OrderedDict[Ticket[C], None] = OrderedDict()


class Plan(Generic[C]):
    """The state of a pool. Counts of connections, `None` for no limit; `keepalive_expiry` and `now` in seconds."""

    __slots__ = (
        "_closed",
        "_expire_from",
        "_expiry",
        "_idle_since",
        "_lane_of",
        "_lanes",
        "_max_connections",
        "_max_keepalive",
        "_waiting",
        "dialling",
        "doomed",
        "granted",
        "idle",
        "leased",
    )

    def __init__(self, max_connections: int | None, max_keepalive: int | None, keepalive_expiry: float | None) -> None:
        self.leased = 0
        self.idle = 0
        self.dialling = 0
        self.doomed: list[C] = []
        self.granted: list[Ticket[C]] = []
        self._max_connections: float = math.inf if max_connections is None else max_connections
        self._max_keepalive: float = math.inf if max_keepalive is None else max_keepalive
        self._expiry: float = math.inf if keepalive_expiry is None else keepalive_expiry
        if self._expiry <= 0:
            self._max_keepalive = 0
        # Before this time nothing expires: one comparison per request instead of a look at the oldest connection.
        self._expire_from = math.inf if self._expiry == math.inf else -math.inf
        self._lanes: dict[Hashable, _Lane[C]] = {}
        self._lane_of: dict[C, _Lane[C]] = {}  # of every connection that is leased or idle
        self._idle_since: OrderedDict[C, float] = OrderedDict()  # oldest first
        self._waiting: OrderedDict[Ticket[C], None] = OrderedDict()  # first come first
        self._closed = False

    @property
    def open(self) -> int:
        """Places taken."""
        return self.leased + self.idle + self.dialling

    @property
    def waiting(self) -> int:
        """Tickets that wait."""
        return len(self._waiting)

    def request(self, route: Hashable, now: float) -> C | Answer | None:
        """A connection, leave to dial one, or None: then `wait()`, under the same lock."""
        if now >= self._expire_from:
            self.expire(now)
        lane = self._lanes.get(route)
        if lane is not None and lane.idle:
            connection, _ = lane.idle.popitem()
            del self._idle_since[connection]
            self.idle -= 1
            self.leased += 1
            return connection
        if self._closed:
            return CLOSED
        if self.leased + self.idle + self.dialling >= self._max_connections:
            if not self.idle:
                return None
            self._discard(next(iter(self._idle_since)))
        self._reserve(route)
        return DIAL

    def wait(self, route: Hashable, ticket: Ticket[C]) -> None:
        """Queues `ticket`; when its turn comes it is in `granted`, with what it gets in `ticket.grant`."""
        ticket.route = route
        self._lane(route).waiting[ticket] = None
        self._waiting[ticket] = None

    def cancel(self, ticket: Ticket[C], now: float) -> None:
        """Ends a wait; what was granted meanwhile, and not taken up, is given back."""
        grant = ticket.grant
        if grant is None:
            if ticket in self._waiting:
                self._unqueue(ticket)
                self._tidy(self._lanes[ticket.route])
            return
        ticket.grant = None
        if grant is DIAL:
            self.dial_failed(ticket.route)
        elif not isinstance(grant, Answer):
            self.release(grant, True, now)

    def connected(self, route: Hashable, connection: C) -> None:
        """A dial came to its end: its connection is leased to the one who dialled."""
        self.dialling -= 1
        self.leased += 1
        self._lane_of[connection] = self._lanes[route]

    def dial_failed(self, route: Hashable) -> None:
        """A dial failed or was given up: its place goes to the next in line."""
        self.dialling -= 1
        self._vacate(self._lanes[route])

    def release(self, connection: C, reusable: bool, now: float) -> None:
        """A lease ends. A connection that is not wanted any more is in `doomed` then."""
        self.leased -= 1
        if not reusable:
            self._retire(connection)
        elif self._waiting:
            self._hand_over(connection)
        else:
            self._lane_of[connection].idle[connection] = None
            self._idle_since[connection] = now
            self.idle += 1
            # The one just used is the one most likely to be alive and needed, so the oldest goes.
            if self.idle > self._max_keepalive:
                self._discard(next(iter(self._idle_since)))

    def replace(self, connection: C) -> C | Answer:
        """A leased connection turned out to be dead: what its holder gets for it, ahead of all who wait.

        Its turn has come already; with a release and a new request it would go to the end of the queue.
        """
        lane = self._lane_of[connection]
        if self._closed:
            self.leased -= 1
            self._retire(connection)
            return CLOSED
        self.doomed.append(connection)
        del self._lane_of[connection]
        if not lane.idle:
            self.leased -= 1
            self.dialling += 1
            return DIAL
        lane.open -= 1
        other, _ = lane.idle.popitem()
        del self._idle_since[other]
        self.idle -= 1
        return other

    def dead(self, connection: C) -> bool:
        """Forgets an idle connection, which the caller closes; False, and nothing done, if it is not idle."""
        if connection not in self._idle_since:
            return False
        self._forget(connection)
        return True

    def next_expiry(self) -> float | None:
        """When the connection idle for longest expires; None where none will."""
        if not self.idle or self._expiry == math.inf:
            return None
        return next(iter(self._idle_since.values())) + self._expiry

    def expire(self, now: float) -> None:
        """Dooms what has been idle for `keepalive_expiry`."""
        while (at := self.next_expiry()) is not None:
            if at > now:
                self._expire_from = at
                return
            self._discard(next(iter(self._idle_since)))
        # What is released from now on expires no sooner than this.
        self._expire_from = now + self._expiry

    def close(self) -> None:
        """Dooms what is idle and turns away who waits; what is leased or dialled is doomed when it is released."""
        self._closed = True
        self._max_keepalive = 0
        while self._idle_since:
            self._discard(next(iter(self._idle_since)))
        while self._waiting:
            ticket = next(iter(self._waiting))
            self._grant(ticket, CLOSED)
            self._tidy(self._lanes[ticket.route])

    def _hand_over(self, connection: C) -> None:
        """Gives a freed connection to one who waits for its route, or its place to the first of all."""
        first = next(iter(self._waiting))
        heir = next(iter(self._lane_of[connection].waiting), None)
        if heir is None or (heir is not first and first.overtaken >= MAX_OVERTAKEN):
            self._retire(connection)
            return
        if heir is not first:
            first.overtaken += 1
        self.leased += 1
        self._grant(heir, connection)

    def _retire(self, connection: C) -> None:
        """Dooms a connection that was leased."""
        self.doomed.append(connection)
        self._vacate(self._lane_of.pop(connection))

    def _vacate(self, lane: _Lane[C]) -> None:
        """Passes a place of this lane that has become free to the first of all."""
        lane.open -= 1
        if self._waiting:
            ticket = next(iter(self._waiting))
            self._reserve(ticket.route)
            self._grant(ticket, DIAL)
        self._tidy(lane)

    def _discard(self, connection: C) -> None:
        """Dooms a connection that is idle."""
        self.doomed.append(connection)
        self._forget(connection)

    def _forget(self, connection: C) -> None:
        """Frees the place of a connection that is idle; nobody can be waiting for it."""
        self.idle -= 1
        del self._idle_since[connection]
        lane = self._lane_of.pop(connection)
        del lane.idle[connection]
        lane.open -= 1
        self._tidy(lane)

    def _reserve(self, route: Hashable) -> None:
        self.dialling += 1
        self._lane(route).open += 1

    def _grant(self, ticket: Ticket[C], grant: C | Answer) -> None:
        self._unqueue(ticket)
        ticket.grant = grant
        self.granted.append(ticket)

    def _unqueue(self, ticket: Ticket[C]) -> None:
        del self._waiting[ticket]
        del self._lanes[ticket.route].waiting[ticket]

    def _lane(self, route: Hashable) -> _Lane[C]:
        lane = self._lanes.get(route)
        if lane is None:
            lane = self._lanes[route] = _Lane(route)
        return lane

    def _tidy(self, lane: _Lane[C]) -> None:
        """Drops an empty lane: a crawler meets millions of routes, and is in touch with a few."""
        if not lane.open and not lane.waiting:
            del self._lanes[lane.route]
