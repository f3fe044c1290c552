"""Which connection a request gets: the pool's decisions, told what happened and answering what to do.

It does no I/O, reads no clock, holds no lock and knows no HTTP: routes are anything hashable, connections any objects
compared by identity. Whoever owns it calls it under one lock, and after every call closes what is in `doomed`, wakes
what is in `granted`, and clears both.

1. A connection is leased, idle, or being dialled; the three together never pass `max_connections`, nor those of one
   host `max_per_host`.
2. Of the idle connections of a route the one released last is taken: the others may then grow old and go.
3. At a limit the connection idle for longest, of whatever route (of the host), makes room for one that is needed now.
4. Who finds neither waits. While anybody waits who could use a place nothing is idle and no place is free, so that
   nobody is overtaken by a newcomer, and only a release, a failed dial or a cancelled grant can serve him.
5. A freed connection goes to the first waiter of its route, a place without a connection to the first of all who could
   use it. A route that keeps its connections busy could so starve the others; hence MAX_OVERTAKEN.
6. A shared connection (HTTP/2) has as many uses as its peer allows, and is leased while it has any. A route that may
   be shared dials one connection at a time, and the others wait for what comes of it, although places may be free: also
   until its peer has said how many uses it takes. If it is a connection for one (HTTP/1.1) all may dial, now and as
   long as anything of the route is here.
7. Uses are given past the first of all MAX_OVERTAKEN times too; then one shared connection takes no more of them, and
   makes room when its last one has ended.
8. A shared connection that takes no more uses for good has no place any more, although its last uses go on: one long
   response must not keep others from connecting.

Every step takes constant time, but for the line's logarithm of waiting routes (`expire` and `close`: per connection
that goes).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

from .state import DRAINS, Places
from .wait_queue import Answer, C, Lane, Line, Share, Ticket

__all__ = ["CLOSED", "DIAL", "MAX_OVERTAKEN", "Answer", "Plan", "Ticket"]

# Connections handed past the first waiter before one is given up for it. A new handshake costs some ten times a short
# exchange, so being just at every turn would cost more than it gives; being overtaken 16 times is hardly felt.
MAX_OVERTAKEN: Final = 16

DIAL: Final = Answer.DIAL
CLOSED: Final = Answer.CLOSED


def _itself(route: Hashable) -> Hashable:
    return route


class Plan(Places[C]):
    """The state of a pool. Counts of connections, `None` for no limit; `keepalive_expiry` and `now` in seconds.

    `host_of` gives the host of a route, for `max_per_host`.
    """

    __slots__ = ("_tickets",)

    def __init__(
        self,
        max_connections: int | None,
        max_keepalive: int | None,
        keepalive_expiry: float | None,
        max_per_host: int | None = None,
        host_of: Callable[[Any], Hashable] = _itself,
    ) -> None:
        super().__init__(max_connections, max_keepalive, keepalive_expiry, max_per_host, host_of)
        self._tickets = 0

    def request(self, route: Hashable, now: float, may_share: bool = False) -> C | Answer | None:
        """A connection, leave to dial one, or None: then `wait()`, under the same lock.

        `may_share` says that a connection of this route may turn out to be shared.
        """
        if now >= self._expire_from:
            self.expire(now)
        lane = self._lanes.get(route)
        if lane is not None:
            if lane.special:
                found = self._use(lane)
                if found is not None:
                    return found
            elif lane.idle:
                connection, _ = lane.idle.popitem()
                del self._idle_since[connection]
                self.idle -= 1
                self.leased += 1
                return connection
            elif lane.waiting:
                return None  # nothing is free then, as the fourth rule says
        if self._closed:
            return CLOSED
        if lane is None:
            lane = self._open_lane(route, may_share)
        return DIAL if lane.may_dial and self._reserve(lane) else None

    def wait(self, route: Hashable, ticket: Ticket[C]) -> None:
        """Queues `ticket`; when its turn comes it is in `granted`, with what it gets in `ticket.grant`."""
        lane = ticket.lane = self._lanes[route]
        self._tickets += 1
        ticket.number = self._tickets
        lane.waiting[ticket] = None
        self.waiting += 1
        if lane.may_dial:
            self._line.add(lane)

    def cancel(self, ticket: Ticket[C], now: float, reusable: bool = True) -> None:
        """Ends a wait; what was granted meanwhile, and not taken up, is given back, as `release()` has it."""
        lane = ticket.lane
        assert lane is not None
        grant = ticket.grant
        if grant is None:
            if ticket in lane.waiting:
                self._unqueue(lane, ticket)
                self._tidy(lane)
            return
        ticket.grant = None
        if grant is DIAL:
            self.dial_failed(lane.route)
        elif not isinstance(grant, Answer):
            self.release(grant, reusable, now)

    def connected(self, route: Hashable, connection: C, limit: int | None = None, settled: bool = True) -> None:
        """A dial came to its end: its connection is leased to the one who dialled.

        `limit` is how many uses it has at once if it is shared (DRAINS: only this), None if it is not. It is
        not `settled` as long as its peer has not said so: then no other is dialled before `limit()` tells what it does.
        """
        if self._ended:
            self.doomed.append(connection)
            return
        lane = self._lane_of[connection] = self._lanes[route]
        self.dialling -= 1
        lane.dialling -= 1
        self.leased += 1
        lane.together = limit is not None
        if limit is not None:
            lane.special = True
            self._shared[connection] = Share(max(limit, 0), settled)
            lane.unsettled += not settled
            if self._closed or limit == DRAINS:
                self._line.add(lane)
                self.drain(connection)
                return
            self._spread(lane, connection)
        if lane.waiting:
            self._line.add(lane)
            self._fill()

    def dial_failed(self, route: Hashable) -> None:
        """A dial failed or was given up: its place goes to the next in line."""
        if self._ended:
            return
        lane = self._lanes[route]
        self.dialling -= 1
        lane.dialling -= 1
        self._line.add(lane)
        self._vacate(lane)

    def release(self, connection: C, reusable: bool, now: float, until: float | None = None) -> None:
        """A lease ends, or a use of a shared connection, which takes no more of them if it is not `reusable`.

        A connection that is not wanted any more is in `doomed` then. `until` is when it goes if it is idle then, where
        that is sooner than `keepalive_expiry` says.
        """
        try:
            lane = self._lane_of[connection]
        except KeyError:
            if not self._ended:
                self._end_adrift(connection)
            return
        if lane.special or self.waiting or not reusable:
            if lane.waiting and reusable and not lane.special and self._line.only(lane):
                self._hand_over(lane, connection)
                return
            if not self._rests(lane, connection, reusable):
                return
            self._rest(lane, connection, now)
        else:
            self.leased -= 1
            lane.idle[connection] = None
            self._idle_since[connection] = now
            self.idle += 1
        if until is not None and until < now + self._expiry:
            self._go_at(until, connection, now)
        # The one just used is the one most likely to be alive and needed, so the oldest goes.
        if self.idle > self._max_keepalive:
            self._discard(next(iter(self._idle_since)))

    def replace(self, connection: C, now: float) -> C | Answer | None:
        """A leased connection turned out to be dead: what its holder gets for it, ahead of all who wait.

        Its turn has come already; with a release and a new request it would go to the end of the queue. It goes there
        only where others still use a shared connection, or have another or are dialling one: then None may be the
        answer, as to a request.
        """
        if self._ended:
            return CLOSED
        lane = self._adrift.get(connection) or self._lane_of[connection]
        share = self._shared.get(connection)
        if share is not None:
            lane.spare.pop(connection, None)
            if connection in self._adrift or share.uses > 1 or lane.dialling or lane.spare:
                self.drain(connection)
                self._end_adrift(connection)
                return self.request(lane.route, now, True)
        self.leased -= 1
        if self._closed:
            self._retire(lane, connection)
            return CLOSED
        self.doomed.append(connection)
        self._let_go(lane, connection)
        if not lane.idle:
            self.dialling += 1
            lane.dialling += 1
            return DIAL
        other = self._wake(lane)
        self._vacate(lane)
        return other

    def dead(self, connection: C) -> bool:
        """Forgets an idle connection, which the caller closes; False, and nothing done, if it is not idle."""
        if connection not in self._idle_since:
            return False
        self._forget(connection)
        return True

    def limit(self, connection: C, limit: int) -> None:
        """The peer of a shared connection allows another number of uses at once; nothing if it is not known here."""
        share = self._shared.get(connection)
        if share is None or share.limit == DRAINS:
            return
        share.limit = limit
        lane = self._lane_of[connection]
        self._settle(lane, share)
        if connection not in self._idle_since:
            self._spread(lane, connection)
        elif not limit:
            lane.idle.pop(connection, None)
        elif connection not in lane.idle:
            lane.idle[connection] = None
            heir = lane.first()
            if heir is not None:
                self._wake(lane)
                self._grant(lane, heir, connection)
                self._spread(lane, connection)
        if lane.waiting:
            self._fill()

    def drain(self, connection: C) -> None:
        """A shared connection takes no more uses, and goes with the last one; nothing if it is not known here."""
        share = self._shared.get(connection)
        if share is None or share.limit == DRAINS:
            return
        if connection in self._idle_since:
            self._discard(connection)
            return
        lane = self._lane_of[connection]
        self._cast_off(connection)
        self._vacate(lane)

    def close(self) -> None:
        """Dooms every connection and turns away who waits. Nothing is left then, and later calls change nothing: a
        connection whose dial ends is doomed at once.
        """
        self.retire()
        self._ended = True
        self.doomed += [*self._lane_of, *self._adrift]
        self.leased = self.dialling = 0
        for held in (self._lanes, self._hosts, self._lane_of, self._adrift, self._shared):
            held.clear()
        self._line = Line()

    def retire(self) -> None:
        """Dooms what is idle and turns away who waits; what is leased or dialled is doomed when it is released."""
        self._closed = True
        self._max_keepalive = 0
        while self._idle_since:
            self._discard(next(iter(self._idle_since)))
        for connection in [each for each in self._shared if each not in self._adrift]:
            lane = self._lane_of[connection]
            self._cast_off(connection)
            self._free(lane)
            self._tidy(lane)
        for ticket in self.tickets():
            assert ticket.lane is not None
            self._grant(ticket.lane, ticket, CLOSED)
            self._tidy(ticket.lane)

    # What is done ahead of requests, and behind them.

    def warm(self, route: Hashable, count: int, may_share: bool) -> int:
        """How many of `count` further connections of a route may be dialled; `reserve()` them, under the same lock.

        Only free places count, of which the connections are to be idle: what is idle makes room for requests, never for
        this. One connection is tried first where it may turn out to be shared.
        """
        if self._closed:
            return 0
        lane = self._lanes.get(route)
        together = may_share if lane is None else lane.together
        room = min(count, self._max_connections - self.open, self._max_keepalive - self.idle)
        if self._max_per_host != math.inf:
            host = self._hosts.get(self._host_of(route))
            room = min(room, self._max_per_host - (0 if host is None else host.open))
        if together:
            room = min(room, 0 if lane is not None and lane.dialling else 1)
        return max(int(room), 0)

    def reserve(self, route: Hashable, may_share: bool) -> None:
        """Takes one of the places that `warm()` told of: dial, then say connected() or dial_failed()."""
        self._reserve(self._lanes.get(route) or self._open_lane(route, may_share))

    def hide(self, route: Hashable) -> list[C]:
        """The idle connections of a route, oldest first, which no request is given until `show()`."""
        lane = self._lanes.get(route)
        if lane is None:
            return []
        hidden = list(lane.idle)
        lane.idle.clear()
        return hidden

    def show(self, connections: Iterable[C]) -> None:
        """Connections that were hidden may be given to requests again, as far as they are still here."""
        for connection in connections:
            share = self._shared.get(connection)
            if connection in self._idle_since and (share is None or share.limit):
                self._lane_of[connection].idle[connection] = None

    def serving(self, route: Hashable) -> tuple[list[C], int]:
        """The connections of a route that take requests, now or when they are released; how many are dialled."""
        lane = self._lanes.get(route)
        if lane is None:
            return [], 0
        return [each for each, its in self._lane_of.items() if its is lane], lane.dialling

    def outdate(self) -> list[C]:
        """Dooms what is idle; shared connections take no more uses. Gives what is leased, for the caller to remember:
        it is to be released as not reusable.
        """
        while self._idle_since:
            self._discard(next(iter(self._idle_since)))
        for connection in list(self._shared):
            self.drain(connection)
        return [*self._lane_of, *self._adrift]

    # Uses of shared connections.

    def _use(self, lane: Lane[C]) -> C | None:
        """A use of the connection of the lane that had one to spare last, or else an idle one."""
        while lane.spare:
            connection = next(reversed(lane.spare))
            share = self._shared[connection]
            if self.waiting and not self._may_use(lane, connection, share, math.inf):
                del lane.spare[connection]
                continue
            share.uses += 1
            if share.uses >= share.limit:
                del lane.spare[connection]
            return connection
        return self._wake(lane) if lane.idle else None

    def _wake(self, lane: Lane[C]) -> C:
        """Leases the idle connection of the lane that was released last."""
        connection, _ = lane.idle.popitem()
        self._stir(lane, connection)
        self.leased += 1
        share = self._shared.get(connection)
        if share is not None:
            share.uses = 1
            if share.spare:
                lane.spare[connection] = None
        return connection

    def _rests(self, lane: Lane[C], connection: C, reusable: bool) -> bool:
        """Ends a lease, or a use; whether the connection is to be idle then."""
        share = self._shared.get(connection)
        if share is not None:
            if not reusable:
                self.drain(connection)
                self._end_adrift(connection)
                return False
            if not self._end_use(lane, connection, share):
                return False
        self.leased -= 1
        if not reusable:
            self._retire(lane, connection)
            return False
        return not (self.waiting and self._pass_on(lane, connection))

    def _end_use(self, lane: Lane[C], connection: C, share: Share[C]) -> bool:
        """One use of a shared connection less; whether that was the last one."""
        share.uses -= 1
        if share.uses:
            if lane.waiting:
                self._spread(lane, connection)
            elif share.uses < share.limit and share.rival is None:
                lane.spare[connection] = None
            return False
        lane.spare.pop(connection, None)
        self._break_promise(share)
        return True

    def _spread(self, lane: Lane[C], connection: C) -> None:
        """Gives the uses that a leased connection has left to who waits for its route, and keeps the rest to spare."""
        share = self._shared[connection]
        while share.spare and (heir := lane.first()) is not None:
            if not self._may_use(lane, connection, share, heir.number):
                break
            share.uses += 1
            self._grant(lane, heir, connection)
        if share.spare:
            lane.spare[connection] = None
        else:
            lane.spare.pop(connection, None)

    def _may_use(self, lane: Lane[C], connection: C, share: Share[C], number: float) -> bool:
        """Whether a use may go to the ticket of that number; if not, the connection is promised to the first of all.

        It takes one connection to make room for a ticket: when it was promised that, the others serve freely.
        """
        first = self._claimant(lane)
        if first is None or first.promised is not None or self._may_pass(first, lane, number):
            return True
        first.promised = connection
        share.rival = first
        return False

    # Who gets what is free.

    def _claimant(self, lane: Lane[C]) -> Ticket[C] | None:
        """The first of all who could use the place of a connection of `lane`."""
        first = self._line.first(self._max_per_host)
        if lane.host is not None:
            for other in lane.host.blocked:
                ticket = other.first()
                if ticket is not None and other.may_dial and (first is None or ticket.number < first.number):
                    first = ticket
        return first

    def _may_pass(self, first: Ticket[C], lane: Lane[C], number: float) -> bool:
        """Whether something of `lane` may go to the ticket of that number, which counts if it is past the first."""
        if first.lane is lane or first.number > number:
            return True
        if first.overtaken >= MAX_OVERTAKEN:
            return False
        first.overtaken += 1
        return True

    def _hand_over(self, lane: Lane[C], connection: C) -> None:
        """Gives a leased connection to the next of its route: what `_pass_on` does where nobody else is to be asked.

        A pool whose requests are all to one host does nothing else while there is more to do than it has connections.
        """
        ticket, _ = lane.waiting.popitem(last=False)
        self.waiting -= 1
        ticket.grant = connection
        self.granted.append(ticket)
        if ticket.promised is not None:
            self._keep_no_promise(ticket)

    def _pass_on(self, lane: Lane[C], connection: C) -> bool:
        """Gives a freed connection to one who waits for its route, or up for who could use its place; False if none."""
        share = self._shared.get(connection)
        heir = lane.first() if share is None or share.limit else None
        first = self._claimant(lane)
        if heir is not None and (first is None or self._may_pass(first, lane, heir.number)):
            self.leased += 1
            self._grant(lane, heir, connection)
            if share is not None:
                share.uses = 1
                self._spread(lane, connection)
            return True
        if first is None:
            return False
        self._retire(lane, connection)
        return True

    def _retire(self, lane: Lane[C], connection: C) -> None:
        """Dooms a connection that was leased."""
        self.doomed.append(connection)
        self._let_go(lane, connection)
        self._vacate(lane)

    def _vacate(self, lane: Lane[C]) -> None:
        """Passes a place of this lane on."""
        self._free(lane)
        if self.waiting:
            self._fill()
        self._tidy(lane)

    def _fill(self) -> None:
        """Gives places to the first of all, as long as there are any."""
        while (ticket := self._line.first(self._max_per_host)) is not None:
            lane = ticket.lane
            assert lane is not None
            if not self._reserve(lane):
                return
            self._grant(lane, ticket, DIAL)

    def _grant(self, lane: Lane[C], ticket: Ticket[C], grant: C | Answer) -> None:
        ticket.grant = grant
        self.granted.append(ticket)
        self._unqueue(lane, ticket)

    def _unqueue(self, lane: Lane[C], ticket: Ticket[C]) -> None:
        """Ends a wait."""
        del lane.waiting[ticket]
        self.waiting -= 1
        if ticket.promised is not None:
            self._keep_no_promise(ticket)

    def _keep_no_promise(self, ticket: Ticket[C]) -> None:
        """A wait has ended: the connection that was to make room for it takes uses again."""
        connection, ticket.promised = ticket.promised, None
        assert connection is not None
        self._shared[connection].rival = None
        self._spread(self._lane_of[connection], connection)
