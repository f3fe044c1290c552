"""The state of a pool's plan: connections that are leased, idle or being dialled, by route and host.

Counts are right after every step; which request gets what is decided in `plan.py`. No step looks through more than it
changes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Final, Generic

from .losses import ALL_BUSY, DRAINING, FIRST, LIMIT, Ending, Loss, Losses
from .wait_queue import C, Host, PendingRequest, RouteState, StreamSlots, WaitQueue

GOING_AWAY: Final = -1  # the limit of a shared connection that takes no more uses
UNLIMITED: Final = 2**31 - 1  # the limit of a shared connection whose peer sets none

# Entries of connections that expire sooner than the others, which may be of idle times that are over.
_MIN_TIDY: Final = 64


class PoolState(Generic[C]):
    """Count connections against limits, `None` for no limit; `keepalive_expiry` in seconds."""

    __slots__ = (
        "_going_away",
        "_closed",
        "_ended",
        "_expire_from",
        "_expiry",
        "_host_of",
        "_last_number",
        "_hosts",
        "_idle_since",
        "_route_state_of",
        "_route_states",
        "_wait_queue",
        "_patient_queue",
        "_max_connections",
        "_max_keepalive",
        "_max_per_host",
        "_now",
        "_slots_of",
        "_early",
        "_early_count",
        "dialling",
        "to_close",
        "granted",
        "losses",
        "waiting",
    )

    def __init__(
        self,
        max_connections: int | None,
        max_keepalive: int | None,
        keepalive_expiry: float | None,
        max_per_host: int | None,
        host_of: Callable[[Any], Hashable],
    ) -> None:
        self.dialling: int = 0
        self.waiting: int = 0
        self.to_close: list[C] = []
        self.granted: list[PendingRequest[C]] = []
        self._max_connections: float = math.inf if max_connections is None else max_connections
        self._max_keepalive: float = math.inf if max_keepalive is None else max_keepalive
        self._max_per_host: float = math.inf if max_per_host is None else max_per_host
        self._expiry: float = math.inf if keepalive_expiry is None else keepalive_expiry
        if self._expiry <= 0:
            self._max_keepalive = 0
        # Before this time nothing expires: one comparison per request instead of a look at the oldest connection.
        self._expire_from = math.inf if self._expiry == math.inf else -math.inf
        self._host_of = host_of
        self._hosts: dict[Hashable, Host[C]] = {}
        self._route_states: dict[Hashable, RouteState[C]] = {}
        self._route_state_of: dict[C, RouteState[C]] = {}  # of every connection that is leased or idle
        self._slots_of: dict[C, StreamSlots[C]] = {}  # of every connection that is shared
        # Routes of shared connections that take no more uses: they have no place, and are closed after their last use.
        self._going_away: dict[C, RouteState[C]] = {}
        self._idle_since: OrderedDict[C, float] = OrderedDict()  # oldest first
        # When idle connections go that go sooner than the others: time, number, connection, and since when it is idle.
        # And why they go then.
        self._early: list[tuple[float, int, C, float, str]] = []
        self._early_count = 0
        self._patient_queue: WaitQueue[C] = WaitQueue()
        self._wait_queue: WaitQueue[C] = self._patient_queue.other
        self.losses: Losses = Losses()
        self._now = -math.inf  # when a connection was last dialled or lost, for the idle times of those that are lost
        self._last_number = 0  # requests that wait are numbered as they come
        self._closed = False  # nothing is dialled any more, nor kept
        self._ended = False  # nor is anything left: what is still told of connections means nothing

    @property
    def open(self) -> int:
        """Return the count of places taken."""
        return len(self._route_state_of) + self.dialling

    @property
    def leased(self) -> int:
        """Return the count of connections that are leased. Counting them with each request would cost it 2 %."""
        return len(self._route_state_of) - len(self._idle_since)

    @property
    def idle(self) -> int:
        """Return the count of connections that are idle."""
        return len(self._idle_since)

    def next_expiry(self) -> float | None:
        """Return when the first of the idle connections expires; None where none will."""
        at = next(iter(self._idle_since.values())) + self._expiry if self._idle_since else math.inf
        sooner = self._early
        while sooner and self._idle_since.get(sooner[0][2]) != sooner[0][3]:
            heappop(sooner)
        if sooner:
            at = min(at, sooner[0][0])
        return None if at == math.inf else at

    def connections(self) -> Iterator[tuple[C, float | None, StreamSlots[C] | None]]:
        """Iterate over all connections: each with the time since when it is idle, and its slots if it is shared."""
        for connection in (*self._route_state_of, *self._going_away):
            yield connection, self._idle_since.get(connection), self._slots_of.get(connection)

    @property
    def draining(self) -> int:
        """Return the count of connections without a place, whose last uses have yet to end."""
        return len(self._going_away)

    def dials(self) -> list[tuple[Any, int]]:
        """Return the routes that are dialled, and how many times."""
        return [
            (route_state.route, route_state.dialling)
            for route_state in self._route_states.values()
            if route_state.dialling
        ]

    def pending_requests(self) -> list[PendingRequest[C]]:
        """Return the requests that wait, first come first."""
        return sorted(
            (each for route_state in self._route_states.values() for each in route_state.waiting),
            key=lambda each: each.number,
        )

    def has(self, route: Hashable) -> bool:
        """Return whether anything of a route is connected; dials do not count."""
        route_state = self._route_states.get(route)
        return route_state is not None and route_state.open > route_state.dialling

    def why_new(self, route: Hashable) -> Loss:
        """Return why a connection is dialled now, for which a place is taken; it makes up for a loss from now on."""
        loss = self.losses.take(route)
        if loss is not None:
            return loss
        route_state = self._route_states.get(route)
        return Loss(FIRST if route_state is None or route_state.open <= 1 else ALL_BUSY, None)

    # Connections ahead of requests.

    def warm(self, route: Hashable, count: int, may_share: bool) -> int:
        """Return how many of `count` further connections may be dialled; `reserve()` them, under the same lock.

        Only free places count, of which the connections are to be idle: what is idle makes room for requests, never for
        this. One connection is tried first where it may turn out to be shared.
        """
        if self._closed:
            return 0
        route_state = self._route_states.get(route)
        dials_singly = may_share if route_state is None else route_state.dials_singly
        room = min(count, self._max_connections - self.open, self._max_keepalive - len(self._idle_since))
        if self._max_per_host != math.inf:
            host = self._hosts.get(self._host_of(route))
            room = min(room, self._max_per_host - (0 if host is None else host.open))
        if dials_singly:
            room = min(room, 0 if route_state is not None and route_state.dialling else 1)
        return max(int(room), 0)

    def reserve(self, route: Hashable, may_share: bool) -> None:
        """Take one of the places that `warm()` returned: dial, then call connected() or dial_failed()."""
        self._reserve(self._route_states.get(route) or self._add_route_state(route, may_share))

    def hide(self, route: Hashable) -> list[C]:
        """Return the idle connections of a route, oldest first, which no request is given until `show()`."""
        route_state = self._route_states.get(route)
        if route_state is None:
            return []
        hidden = list(route_state.idle)
        route_state.idle.clear()
        return hidden

    def show(self, connections: Iterable[C]) -> None:
        """Let hidden connections be given to requests again, as far as they are still here."""
        for connection in connections:
            slots = self._slots_of.get(connection)
            if connection in self._idle_since and (slots is None or slots.limit):
                self._route_state_of[connection].idle[connection] = None

    def serving(self, route: Hashable) -> tuple[list[C], int]:
        """Return the connections of a route that take requests, now or when released, and how many are dialled."""
        route_state = self._route_states.get(route)
        if route_state is None:
            return [], 0
        return [each for each, its in self._route_state_of.items() if its is route_state], route_state.dialling

    # Places.

    def _oldest_idle(self, route_state: RouteState[C]) -> C | None:
        """Return the idle connection that makes room for one of this route, if room is needed and there is one."""
        host = route_state.host
        if host is not None and host.open >= self._max_per_host:
            return next(iter(host.idle), None)
        return next(iter(self._idle_since), None)

    def _reserve(self, route_state: RouteState[C], may_close: bool = True) -> bool:
        """Take a place for a route to dial; return False if there is none.

        That of an idle connection is taken if need be, and if it `may_close` one.
        """
        host = route_state.host
        has_place, oldest = self._has_place(host)
        if not has_place or (oldest is not None and not may_close):
            return False
        self.dialling += 1
        route_state.dialling += 1
        route_state.open += 1
        if host is not None:
            host.open += 1
        if oldest is not None:
            self._close_idle(oldest, LIMIT)
        return True

    def _has_place(self, host: Host[C] | None) -> tuple[bool, C | None]:
        """Return whether there is a place to dial, and the idle connection that has to be closed for it, if any."""
        if host is not None and host.open >= self._max_per_host:
            oldest = next(iter(host.idle), None)
            return oldest is not None, oldest
        if len(self._route_state_of) + self.dialling >= self._max_connections:
            oldest = next(iter(self._idle_since), None)
            return oldest is not None, oldest
        return True, None

    def _has_expired(self, connection: C, now: float) -> bool:
        """Return whether an idle connection is to be closed when `expire()` is called next."""
        since = self._idle_since[connection]
        return since + self._expiry <= now or any(
            at <= now and other is connection and begun == since for at, _, other, begun, *_ in self._early
        )

    def _free(self, route_state: RouteState[C]) -> None:
        """Free a place of this route; routes that waited for one of its host need places as all others do."""
        route_state.open -= 1
        if not route_state.open and route_state.waiting:
            route_state.impatient = self._last_number  # no connection of its own will be released
            self._queue(route_state)
        host = route_state.host
        if host is not None:
            host.open -= 1
            for other in host.blocked:
                self._queue(other)
            host.blocked.clear()

    def _close_idle(self, connection: C, reason: str) -> None:
        """Close a connection that is idle."""
        self.to_close.append(connection)
        self._forget(connection, reason)

    def _forget(self, connection: C, reason: str) -> None:
        """Free the place of a connection that is idle; no request can be waiting for it."""
        route_state = self._route_state_of[connection]
        self.losses.add(route_state.route, reason, max(self._now - self._idle_since[connection], 0.0))
        self._end_idle(route_state, connection)
        self._unbind(route_state, connection)
        self._free(route_state)
        self._tidy(route_state)

    def _unbind(self, route_state: RouteState[C], connection: C) -> None:
        """Forget the route of a connection, and its slots."""
        del self._route_state_of[connection]
        slots = self._slots_of.pop(connection, None) if route_state.special else None
        if slots is not None:
            route_state.spare.pop(connection, None)
            self._drop_reservation(slots)
            self._settle(route_state, slots)

    def _settle(self, route_state: RouteState[C], slots: StreamSlots[C]) -> None:
        """Stop waiting for the peer's limit: requests that did so may be queued for a place."""
        if not slots.settled:
            slots.settled = True
            route_state.unsettled -= 1
            self._queue(route_state)

    def _set_going_away(self, connection: C, reason: str = DRAINING) -> None:
        """Free the place of a shared connection that is in use, and takes no more uses."""
        route_state, slots = self._route_state_of[connection], self._slots_of[connection]
        self.losses.add(route_state.route, reason)
        self._unbind(route_state, connection)
        self._going_away[connection] = route_state
        self._slots_of[connection] = slots
        slots.limit = GOING_AWAY

    def _end_use_going_away(self, connection: C) -> None:
        """End a use of a connection that has no place."""
        slots = self._slots_of[connection]
        slots.uses -= 1
        if not slots.uses:
            del self._slots_of[connection], self._going_away[connection]
            self.to_close.append(connection)

    def _drop_reservation(self, slots: StreamSlots[C]) -> None:
        """Let a shared connection be used again, that was reserved for a waiting request."""
        reserved_for, slots.reserved_for = slots.reserved_for, None
        if reserved_for is not None:
            reserved_for.reserved = None

    def _queue(self, route_state: RouteState[C]) -> None:
        """Queue a route for a place, if a request waits for it."""
        first = route_state.first()
        if first is not None:
            (self._patient_queue if first.number > route_state.impatient else self._wait_queue).add(route_state)

    # Rest.

    def _begin_idle(self, route_state: RouteState[C], connection: C, now: float) -> None:
        """Note that a leased connection is idle from now on."""
        route_state.idle[connection] = None
        self._idle_since[connection] = now
        if route_state.special:
            if route_state.host is not None:
                route_state.host.idle[connection] = None
            slots = self._slots_of.get(connection)
            if slots is not None and not slots.limit:
                del route_state.idle[connection]  # of no use until its peer allows one

    def _lease_idle(self, route_state: RouteState[C]) -> C:
        """Lease the idle connection of the route that was released last."""
        connection, _ = route_state.idle.popitem()
        del self._idle_since[connection]
        if route_state.host is not None:
            del route_state.host.idle[connection]
        slots = self._slots_of.get(connection)
        if slots is not None:
            slots.uses = 1
            if slots.limit > 1 and slots.reserved_for is None:
                route_state.spare[connection] = None
        return connection

    def _end_idle(self, route_state: RouteState[C], connection: C) -> None:
        """Note that a connection is idle no longer."""
        route_state.idle.pop(connection, None)
        del self._idle_since[connection]
        if route_state.host is not None:
            del route_state.host.idle[connection]

    def _expire_at(self, ending: Ending, connection: C, now: float) -> None:
        """Have an idle connection expire sooner than the others."""
        self._expire_from = min(self._expire_from, ending.at)
        self._early_count += 1
        heappush(self._early, (ending.at, self._early_count, connection, now, ending.reason))
        if len(self._early) > _MIN_TIDY + 2 * len(self._idle_since):
            self._early = [entry for entry in self._early if self._idle_since.get(entry[2]) == entry[3]]
            heapify(self._early)

    # Lanes.

    def _add_route_state(self, route: Hashable, may_share: bool) -> RouteState[C]:
        host: Host[C] | None = None
        if self._max_per_host != math.inf:
            name = self._host_of(route)
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = Host(name)
            host.route_states += 1
        route_state = self._route_states[route] = RouteState(route, host, may_share)
        return route_state

    def _tidy(self, route_state: RouteState[C]) -> None:
        """Drop a route without connections: a crawler meets millions of routes, and uses a few at a time."""
        if route_state.open or route_state.waiting or self._route_states.get(route_state.route) is not route_state:
            return
        del self._route_states[route_state.route]
        host = route_state.host
        if host is not None:
            host.blocked.pop(route_state, None)
            host.route_states -= 1
            if not host.route_states:
                del self._hosts[host.name]
