"""Decides which connection a request gets: told what happened, it answers what to do.

It does no I/O, reads no clock, holds no lock and knows no HTTP: routes are anything hashable, connections any objects
compared by identity. Its owner calls it under one lock, and after every call closes what is in `to_close`, wakes what
is in `granted`, and clears both.

1. A connection is leased, idle, or being dialled; the three together never pass `max_connections`, nor those of one
   host `max_per_host`.
2. Of the idle connections of a route the one released last is taken: the others may then grow old and go.
3. At a limit the connection idle for longest, of whatever route (of the host), makes room for one that is needed now:
   where the route has no connection at all, and for a request that has waited for as long as dialling takes. Before
   that it is patient: one of its route's own is likely to be released sooner, and costs no handshake.
4. A request that finds neither waits. While one waits no place is free that it could use, and while one waits that is
   not patient nothing is idle: so no newcomer overtakes it, and only a release, a failed dial or a cancelled grant can
   serve it.
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
from collections.abc import Callable, Hashable
from typing import Any, Final

from .granting import DIAL, MAX_OVERTAKEN, Granting
from .losses import DEAD_ON_USE, DRAINING, EXPIRED, GIVEN_UP, LIMIT, Ending
from .state import GOING_AWAY
from .wait_queue import Answer, C, PendingRequest, RouteState, StreamSlots, WaitQueue

__all__ = ["CLOSED", "DIAL", "MAX_OVERTAKEN", "Answer", "Plan", "PendingRequest"]

_GIVEN_UP: Final = Ending(0.0, GIVEN_UP)

# Connections of a route for each that is dialled in place of idle ones of others.
GROWTH: Final = 4

CLOSED: Final = Answer.CLOSED


def _itself(route: Hashable) -> Hashable:
    return route


class Plan(Granting[C]):
    """Decide for a pool. Limits are counts of connections, None for no limit; `keepalive_expiry` and `now` in seconds.

    `host_of` gives the host of a route, for `max_per_host`.
    """

    __slots__ = ()

    # Said again for type checkers, which take what a method changes for an attribute of this class.
    dialling: int
    to_close: list[C]
    waiting: int

    def __init__(
        self,
        max_connections: int | None,
        max_keepalive: int | None,
        keepalive_expiry: float | None,
        max_per_host: int | None = None,
        host_of: Callable[[Any], Hashable] = _itself,
    ) -> None:
        super().__init__(max_connections, max_keepalive, keepalive_expiry, max_per_host, host_of)

    def request(self, route: Hashable, now: float, may_share: bool = False) -> C | Answer | None:
        """Return a connection, DIAL (a place is taken), or None: then call `wait()`, under the same lock.

        `may_share` says that a connection of this route may turn out to be shared.
        """
        if now >= self._expire_from:
            self.expire(now)
        route_state = self._route_states.get(route)
        if route_state is not None:
            if route_state.special:
                if route_state.spare:
                    found = self._use(route_state)
                    if found is not None:
                        return found
                if route_state.idle:
                    return self._lease_idle(route_state)
            elif route_state.idle:
                connection, _ = route_state.idle.popitem()
                del self._idle_since[connection]
                return connection
            elif route_state.waiting:
                return None  # nothing is free then, as the fourth rule says
        if self._closed:
            return CLOSED
        if route_state is None:
            route_state = self._add_route_state(route, may_share)
        self._now = now
        may_close = not self._would_be_patient(route_state) and not route_state.waiting
        if not (route_state.may_dial and self._reserve(route_state, may_close)):
            return None
        if self.waiting:
            self._fill()
        return DIAL

    def wait(self, route: Hashable, pending: PendingRequest[C]) -> bool:
        """Queue `pending`; when it is served it is in `granted`, with what it gets in `pending.grant`.

        Return whether it is patient: then call `hurry()` when it has waited for long enough.
        """
        route_state = pending.route_state = self._route_states[route]
        number = self._last_number
        self._last_number = pending.number = number + 1
        if route_state.impatient == number and route_state.queue is self._wait_queue and len(self._route_states) == 1:
            # The only route, and queued: what follows comes to the same. So it is while one host is asked for more
            # than the pool has connections.
            route_state.impatient = pending.number
            route_state.waiting[pending] = None
            self.waiting += 1
            return False
        last = next(reversed(route_state.waiting)) if route_state.waiting else None
        route_state.waiting[pending] = None
        self.waiting += 1
        patient = self._would_be_patient(route_state)
        hurries = not patient and last is not None and last.number > route_state.impatient
        if not patient:
            route_state.impatient = pending.number
        if route_state.may_dial:
            self._queue(route_state)
            if hurries:
                self._fill()
        return patient

    def nudge(self, pending: PendingRequest[C], now: float, idle: float) -> None:
        """Close a connection of another route for one that waits patiently, if that has been idle for so many seconds.

        The first request of the route gets its place. A route grows by a quarter at a time: what it dials serves those
        who wait for it, and what is closed at once for all of them would be missed by others at once.
        """
        route_state = pending.route_state
        assert route_state is not None
        if pending.grant is not None or not route_state.may_dial:
            return
        if route_state.dialling * (GROWTH + 1) >= route_state.open:
            return
        oldest = self._oldest_idle(route_state)
        if oldest is None or now - self._idle_since[oldest] < idle:
            return
        self._now = now
        first = route_state.first()
        assert first is not None
        if self._reserve(route_state):
            self._grant(route_state, first, DIAL)

    def hurry(self, pending: PendingRequest[C], now: float) -> None:
        """Let a request wait patiently no longer, nor those of its route before it: an idle connection of another
        route is closed for it, now or when there is one.
        """
        route_state = pending.route_state
        assert route_state is not None
        if pending.grant is None and pending.number > route_state.impatient:
            route_state.impatient = pending.number
            self._now = now
            if route_state.may_dial:
                self._queue(route_state)
                self._fill()

    def cancel(self, pending: PendingRequest[C], now: float, reusable: bool = True) -> None:
        """End a wait; what was granted meanwhile, and not taken, is released, as `release()` has it."""
        route_state = pending.route_state
        assert route_state is not None
        grant = pending.grant
        if grant is None:
            if pending in route_state.waiting:
                self._unqueue(route_state, pending)
                self._tidy(route_state)
            return
        pending.grant = None
        if grant is DIAL:
            self.dial_failed(route_state.route)
        elif not isinstance(grant, Answer):
            self.release(grant, reusable, now)

    def connected(self, route: Hashable, connection: C, limit: int | None = None, settled: bool = True) -> None:
        """Note that a dial has succeeded: its connection is leased to the request that dialled.

        `limit` is how many uses it has at once if it is shared (GOING_AWAY: only this), None if it is not. It is
        not `settled` as long as its peer has not said so: then no other is dialled before `limit()` tells what it does.
        """
        if self._ended:
            self.to_close.append(connection)
            return
        route_state = self._route_state_of[connection] = self._route_states[route]
        self.dialling -= 1
        route_state.dialling -= 1
        route_state.dials_singly = limit is not None
        if limit is not None:
            route_state.special = True
            self._slots_of[connection] = StreamSlots(max(limit, 0), settled)
            route_state.unsettled += not settled
            if self._closed or limit == GOING_AWAY:
                self._queue(route_state)
                self.going_away(connection)
                return
            self._spread(route_state, connection)
        if route_state.waiting:
            self._queue(route_state)
            self._fill()

    def dial_failed(self, route: Hashable) -> None:
        """Note that a dial failed or was given up: its place goes to the next in the queue."""
        if self._ended:
            return
        route_state = self._route_states[route]
        self.dialling -= 1
        route_state.dialling -= 1
        self._queue(route_state)
        self._reuse_place(route_state)

    def release(self, connection: C, reusable: bool, now: float, ending: Ending | None = None) -> None:
        """End a lease, or a use of a shared connection, which takes no more of them if it is not `reusable`.

        A connection that is not wanted any more is in `to_close` then. `ending` says why it is not reusable; or when
        and why it expires if it is idle then, where that is sooner than `keepalive_expiry` says.
        """
        try:
            route_state = self._route_state_of[connection]
        except KeyError:
            if not self._ended:
                self._end_use_going_away(connection)
            return
        if self.waiting or not reusable or route_state.host is not None:
            if (
                reusable
                and not route_state.special
                and route_state.waiting
                and (len(self._route_states) == 1 or self._wait_queue.only(route_state))
            ):
                self._hand_over(route_state, connection)
                return
            self._now = now
            if not self._becomes_idle(route_state, connection, None if reusable else ending or _GIVEN_UP):
                return
            self._begin_idle(route_state, connection, now)
        else:
            # Nobody waits, so nothing is reserved either.
            slots = self._slots_of.get(connection) if route_state.special else None
            if slots is None:
                route_state.idle[connection] = None
            else:
                slots.uses -= 1
                if slots.uses:
                    if slots.uses < slots.limit:
                        route_state.spare[connection] = None
                    return
                route_state.spare.pop(connection, None)
                if slots.limit:  # else it is of no use until its peer allows one
                    route_state.idle[connection] = None
            self._idle_since[connection] = now
        if ending is not None and ending.at < now + self._expiry:
            self._expire_at(ending, connection, now)
        # The one just used is the one most likely to be alive and needed, so the oldest goes.
        if len(self._idle_since) > self._max_keepalive:
            self._now = now
            self._drop_idle(next(iter(self._idle_since)), EXPIRED if self._expiry <= 0 else LIMIT)

    def replace(
        self, connection: C, now: float, reason: str = DEAD_ON_USE, idle: float | None = None
    ) -> C | Answer | None:
        """Return the replacement for a leased connection that turned out dead, ahead of all requests that wait.

        It was served already; with a release and a new request it would go to the end of the queue. It goes there
        only where others still use a shared connection, or have another or are dialling one: then None may be the
        answer, as to a request. `reason` is why it is not used, and `idle` for how long it was idle.
        """
        if self._ended:
            return CLOSED
        self._now = now
        route_state = self._going_away.get(connection) or self._route_state_of[connection]
        slots = self._slots_of.get(connection)
        if slots is not None:
            route_state.spare.pop(connection, None)
            if connection in self._going_away or slots.uses > 1 or route_state.dialling or route_state.spare:
                self.going_away(connection, reason)
                self._end_use_going_away(connection)
                return self.request(route_state.route, now, True)
        if self._closed:
            self._close_leased(route_state, connection, reason, idle)
            return CLOSED
        self.losses.add(route_state.route, reason, idle)
        self.to_close.append(connection)
        self._unbind(route_state, connection)
        if not route_state.idle:
            self.dialling += 1
            route_state.dialling += 1
            return DIAL
        other = self._lease_idle(route_state)
        self._reuse_place(route_state)
        return other

    def limit(self, connection: C, limit: int) -> None:
        """Set how many uses at once the peer of a shared connection allows; do nothing if it is not known here."""
        slots = self._slots_of.get(connection)
        if slots is None or slots.limit == GOING_AWAY:
            return
        slots.limit = limit
        route_state = self._route_state_of[connection]
        self._settle(route_state, slots)
        if connection not in self._idle_since:
            self._spread(route_state, connection)
        elif not limit:
            route_state.idle.pop(connection, None)
        elif connection not in route_state.idle:
            route_state.idle[connection] = None
            next_pending = route_state.first()
            if next_pending is not None:
                self._lease_idle(route_state)
                self._grant(route_state, next_pending, connection)
                self._spread(route_state, connection)
        if route_state.waiting:
            self._fill()

    def going_away(self, connection: C, reason: str = DRAINING) -> None:
        """Give out no more uses of a shared connection, and close it after the last; nothing if it is not known."""
        slots = self._slots_of.get(connection)
        if slots is None or slots.limit == GOING_AWAY:
            return
        if connection in self._idle_since:
            self._drop_idle(connection, reason)
            return
        route_state = self._route_state_of[connection]
        self._set_going_away(connection, reason)
        self._reuse_place(route_state)

    def close(self) -> None:
        """Close every connection and refuse the requests that wait. Nothing is left, and later calls change nothing: a
        connection whose dial ends is closed at once.
        """
        self.stop_accepting()
        self._ended = True
        self.to_close += [*self._route_state_of, *self._going_away]
        self.dialling = 0
        for held in (self._route_states, self._hosts, self._route_state_of, self._going_away, self._slots_of):
            held.clear()
        self._patient_queue = WaitQueue()
        self._wait_queue = self._patient_queue.other

    def stop_accepting(self) -> None:
        """Close what is idle and refuse the requests that wait; what is leased or dialled is closed when released."""
        self._closed = True
        self._max_keepalive = 0
        while self._idle_since:
            self._close_idle(next(iter(self._idle_since)), GIVEN_UP)
        for connection in [each for each in self._slots_of if each not in self._going_away]:
            route_state = self._route_state_of[connection]
            self._set_going_away(connection)
            self._free(route_state)
            self._tidy(route_state)
        for pending in self.pending_requests():
            assert pending.route_state is not None
            self._grant(pending.route_state, pending, CLOSED)
            self._tidy(pending.route_state)

    def retire(self, now: float) -> list[C]:
        """Close what is idle; shared connections take no more uses. Return what is leased, for the caller to remember:
        it is to be released as not reusable.
        """
        self._now = now
        while self._idle_since:
            self._drop_idle(next(iter(self._idle_since)), DRAINING)
        for connection in list(self._slots_of):
            self.going_away(connection)
        return [*self._route_state_of, *self._going_away]

    # Uses of shared connections.

    def _use(self, route_state: RouteState[C]) -> C | None:
        """Take a use of the connection of the route that had one to spare last, if any may be taken."""
        while route_state.spare:
            connection = next(reversed(route_state.spare))
            slots = self._slots_of[connection]
            if self.waiting and not self._may_use(route_state, connection, slots, math.inf):
                del route_state.spare[connection]
                continue
            slots.uses += 1
            if slots.uses >= slots.limit:
                del route_state.spare[connection]
            return connection
        return None

    def _becomes_idle(self, route_state: RouteState[C], connection: C, ending: Ending | None) -> bool:
        """End a lease, or a use; return whether the connection is to be idle then.

        `ending` says why it is not used again, None if it may be.
        """
        slots = self._slots_of.get(connection)
        if slots is not None:
            if ending is not None:
                self.going_away(connection, ending.reason)
                self._end_use_going_away(connection)
                return False
            if not self._end_use(route_state, connection, slots):
                return False
        if ending is not None:
            self._close_leased(route_state, connection, ending.reason, ending.idle)
            return False
        return not (self.waiting and self._pass_on(route_state, connection))

    def _end_use(self, route_state: RouteState[C], connection: C, slots: StreamSlots[C]) -> bool:
        """End one use of a shared connection; return whether that was the last one."""
        slots.uses -= 1
        if slots.uses:
            if route_state.waiting:
                self._spread(route_state, connection)
            elif slots.uses < slots.limit and slots.reserved_for is None:
                route_state.spare[connection] = None
            return False
        route_state.spare.pop(connection, None)
        self._drop_reservation(slots)
        return True

    def _hand_over(self, route_state: RouteState[C], connection: C) -> None:
        """Give a leased connection to the next of its route: what `_pass_on` does where no other route waits.

        A pool whose requests are all to one host does nothing else while there is more to do than it has connections.
        """
        pending, _ = route_state.waiting.popitem(last=False)
        self.waiting -= 1
        pending.grant = connection
        self.granted.append(pending)
        if pending.reserved is not None:
            self._cancel_reservation(pending)

    def _pass_on(self, route_state: RouteState[C], connection: C) -> bool:
        """Give a freed connection to a request of its route, or close it for one that needs a place; False if none."""
        slots = self._slots_of.get(connection)
        next_pending = route_state.first() if slots is None or slots.limit else None
        first = self._first_pending(route_state)
        if next_pending is not None and (first is None or self._may_pass(first, route_state, next_pending.number)):
            self._grant(route_state, next_pending, connection)
            if slots is not None:
                slots.uses = 1
                self._spread(route_state, connection)
            return True
        if first is None:
            return False
        self._close_leased(route_state, connection, LIMIT)
        return True

    def _close_leased(self, route_state: RouteState[C], connection: C, reason: str, idle: float | None = None) -> None:
        """Close a connection that was leased."""
        self.losses.add(route_state.route, reason, idle)
        self.to_close.append(connection)
        self._unbind(route_state, connection)
        self._reuse_place(route_state)
