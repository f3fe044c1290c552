"""Decide which waiting request gets what is free: connections, uses of shared ones, and slots, as `plan.py` says.

These are the steps that the events of the plan have in common.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from .losses import EXPIRED, PEER_CLOSED
from .state import PoolState
from .wait_queue import Answer, C, PendingRequest, RouteState, StreamSlots

# Connections handed past the first waiter before one is given up for it. A new handshake costs some ten times a short
# exchange, so strict order for each request would cost more than it gives; being overtaken 16 times is hardly felt.
MAX_OVERTAKEN: Final = 16

DIAL: Final = Answer.DIAL


class Granting(PoolState[C]):
    """Grant free connections and slots to the waiting requests."""

    __slots__ = ()
    waiting: int

    def foresee(self, route: Hashable, now: float) -> C | Answer | None:
        """Return what `request()` would answer, and change nothing."""
        route_state = self._route_states.get(route)
        if route_state is not None:
            for connection in reversed(route_state.spare):
                first = self._first_pending(route_state) if self.waiting else None
                if (
                    first is None
                    or first.reserved
                    or first.route_state is route_state
                    or first.overtaken < MAX_OVERTAKEN
                ):
                    return connection
            for connection in reversed(route_state.idle):
                if not self._has_expired(connection, now):
                    return connection
            if route_state.waiting and not route_state.special:
                return None
        if self._closed:
            return Answer.CLOSED
        if route_state is not None and not route_state.may_dial:
            return None
        host = self._hosts.get(self._host_of(route)) if route_state is None else route_state.host
        has_place, oldest = self._has_place(host)
        if oldest is not None and route_state is not None:
            has_place = not self._would_be_patient(route_state) and not route_state.waiting
        return DIAL if has_place else None

    # What is idle goes.

    def expire(self, now: float) -> None:
        """Close what has been idle for `keepalive_expiry`, or until its own time."""
        while (at := self.next_expiry()) is not None:
            if at > now:
                self._expire_from = at
                return
            self._now = now
            sooner = self._early
            if sooner and sooner[0][0] == at:
                self._drop_idle(sooner[0][2], sooner[0][4])
            else:
                self._drop_idle(next(iter(self._idle_since)), EXPIRED)
        # What is released from now on expires no sooner than this, or says so.
        self._expire_from = now + self._expiry

    def dead(self, connection: C, now: float) -> bool:
        """Forget an idle connection, which the caller closes; return False, and do nothing, if it is not idle."""
        if connection not in self._idle_since:
            return False
        self._now = now
        self._forget(connection, PEER_CLOSED)
        if self.waiting:
            self._fill()
        return True

    def _drop_idle(self, connection: C, reason: str) -> None:
        """Close a connection that is idle; its place goes to the next request, which may wait for it patiently."""
        self._close_idle(connection, reason)
        if self.waiting:
            self._fill()

    # Uses of shared connections.

    def _spread(self, route_state: RouteState[C], connection: C) -> None:
        """Give the uses that a leased connection has left to waiting requests of its route; keep the rest to spare."""
        slots = self._slots_of[connection]
        while slots.spare and (next_pending := route_state.first()) is not None:
            if not self._may_use(route_state, connection, slots, next_pending.number):
                break
            slots.uses += 1
            self._grant(route_state, next_pending, connection)
        if slots.spare:
            route_state.spare[connection] = None
        else:
            route_state.spare.pop(connection, None)

    def _may_use(self, route_state: RouteState[C], connection: C, slots: StreamSlots[C], number: float) -> bool:
        """Return whether a use may go to that request; if not, reserve the connection for the first of all.

        It takes one connection to make room for a request: when one is reserved, the others serve freely.
        """
        first = self._first_pending(route_state)
        if first is None or first.reserved is not None or self._may_pass(first, route_state, number):
            return True
        first.reserved = connection
        slots.reserved_for = first
        return False

    # Who gets what is free.

    def _may_pass(self, first: PendingRequest[C], route_state: RouteState[C], number: float) -> bool:
        """Return whether something of `route_state` may go to that request; it counts if it passes the first."""
        if first.route_state is route_state or first.number > number:
            return True
        if first.overtaken >= MAX_OVERTAKEN:
            return False
        first.overtaken += 1
        return True

    def _reuse_place(self, route_state: RouteState[C]) -> None:
        """Give a freed place of this route to the next request."""
        self._free(route_state)
        if self.waiting:
            self._fill()
        self._tidy(route_state)

    def _fill(self) -> None:
        """Give places to the first of all requests, as long as there are any."""
        while (pending := self._next_to_dial()) is not None:
            route_state = pending.route_state
            assert route_state is not None
            if not self._reserve(route_state):
                return
            self._grant(route_state, pending, DIAL)

    def _would_be_patient(self, route_state: RouteState[C]) -> bool:
        """Return whether connections of the route will be released, and those of others may be closed instead."""
        return route_state.open > 0 and len(self._route_states) > 1

    def _next_to_dial(self) -> PendingRequest[C] | None:
        """Return the request that a place goes to next: a patient one only if the place is free."""
        first = self._wait_queue.first(self._max_per_host)
        if len(self._route_state_of) + self.dialling < self._max_connections:
            patient = self._patient_queue.first(self._max_per_host)
            if patient is not None and (first is None or patient.number < first.number):
                return patient
        return first

    def _grant(self, route_state: RouteState[C], pending: PendingRequest[C], grant: C | Answer) -> None:
        pending.grant = grant
        self.granted.append(pending)
        self._unqueue(route_state, pending)

    def _unqueue(self, route_state: RouteState[C], pending: PendingRequest[C]) -> None:
        """End a wait."""
        del route_state.waiting[pending]
        self.waiting -= 1
        if pending.reserved is not None:
            self._cancel_reservation(pending)

    def _cancel_reservation(self, pending: PendingRequest[C]) -> None:
        """End the reservation of a connection for a wait that has ended: it takes uses again."""
        connection, pending.reserved = pending.reserved, None
        assert connection is not None
        self._slots_of[connection].reserved_for = None
        self._spread(self._route_state_of[connection], connection)

    def _first_pending(self, route_state: RouteState[C]) -> PendingRequest[C] | None:
        """Return the first request, of those that are not patient, that could use the place of a connection."""
        first = self._wait_queue.first(self._max_per_host)
        if route_state.host is not None:
            for other in route_state.host.blocked:
                pending = other.first()
                if pending is None or pending.number > other.impatient or not other.may_dial:
                    continue
                if first is None or pending.number < first.number:
                    first = pending
        return first
