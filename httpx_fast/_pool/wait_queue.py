"""The requests that wait in a pool, and their order: the queues that the plan decides over.

- The waiting requests of a route are in its `RouteState`, first come first served.
- A route that needs a place to dial is in a `WaitQueue`. That orders routes by their first requests: so a place goes to
  the request that came first of all that could use it, and routes that can do nothing with one now (what they dial
  already may serve all of them; their host has all it may have) are passed by without being looked through.
- A request is patient while it waits for one of its route's own connections, and takes a place that is free, but has no
  connection of another route closed for its sake. There is one queue for routes whose first request is patient, and one
  for the others.
- Nothing here decides, dials or counts places.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Hashable
from heapq import heapify, heappop, heappush, heapreplace
from math import inf
from typing import Final, Generic, TypeVar
from weakref import ref

C = TypeVar("C")  # connections, which are compared by identity

# Stale entries of the queue that are left alone before it is looked through: they vanish when they come to its top,
# which is never while the first of all waits and others come and give up behind it.
_MIN_TIDY: Final = 64


class Answer(enum.Enum):
    """Hold what a request gets in place of a connection."""

    DIAL = "dial"  # a place is reserved: dial, then say connected() or dial_failed()
    CLOSED = "closed"  # the plan is closed: there will be no connection

    def alive(self, now: float = inf) -> bool:
        """Return False: it is no connection. All that `Leases.ask()` returns is asked this."""
        return False

    def alive_now(self) -> bool:
        """Return False likewise."""
        return False


class PendingRequest(Generic[C]):
    """Hold one waiting request. Subclasses add how it is woken."""

    __slots__ = ("grant", "route_state", "number", "overtaken", "reserved")

    def __init__(self) -> None:
        self.route_state: RouteState[C] | None = None
        self.number: int = 0  # requests are numbered as they come
        self.grant: C | Answer | None = None  # None while waiting
        self.overtaken: int = 0  # connections, or uses of one, handed past this request while it was the first of all
        self.reserved: C | None = None  # a shared connection, kept for this request

    def alive(self, now: float = inf) -> bool:
        """Return False, as `Answer` does."""
        return False

    def alive_now(self) -> bool:
        """Return False, as `Answer` does."""
        return False


class Host(Generic[C]):
    """Hold what the routes to one host share, where connections are limited by host."""

    __slots__ = ("blocked", "idle", "route_states", "name", "open")

    def __init__(self, name: Hashable) -> None:
        self.name: Hashable = name
        self.route_states: int = 0
        self.open: int = 0
        self.idle: OrderedDict[C, None] = OrderedDict()  # oldest first
        self.blocked: dict[RouteState[C], None] = {}  # routes that were in the queue, and wait for a place of this host


class RouteState(Generic[C]):
    """Hold what a pool has for one route; it exists as long as there is anything in it."""

    __slots__ = (
        "dialling",
        "host",
        "idle",
        "impatient",
        "open",
        "queue",
        "route",
        "spare",
        "special",
        "dials_singly",
        "unsettled",
        "waiting",
    )

    def __init__(self, route: Hashable, host: Host[C] | None, may_share: bool) -> None:
        self.route: Hashable = route
        self.host: Host[C] | None = host
        self.open: int = 0
        self.dialling: int = 0
        self.unsettled: int = 0  # shared connections whose peer has yet to say how many uses it takes
        self.impatient: int = 0  # the number of the last request that is not patient; nor are those before it
        self.queue: WaitQueue[C] | None = None  # the one that it has an entry in
        self.dials_singly: bool = may_share  # one dial at a time: its connection may serve all who wait
        self.special: bool = host is not None  # there is more to it than `idle`: a host, or shared connections
        # What can be used, newest last: for that a plain dict is enough, at a third of the cost of an ordered one.
        self.idle: dict[C, None] = {}
        # Ordered dicts find their ends in constant time after many deletions at them, which plain ones do not.
        self.spare: OrderedDict[C, None] = OrderedDict()  # shared ones that are leased and have uses left
        self.waiting: OrderedDict[PendingRequest[C], None] = OrderedDict()

    def __lt__(self, other: object) -> bool:
        """Have entries of one number, which are of one route, in any order."""
        return False

    def first(self) -> PendingRequest[C] | None:
        return next(iter(self.waiting), None)

    @property
    def may_dial(self) -> bool:
        """Return whether it would use a place: nothing is being made that may serve all its requests."""
        return not (self.dials_singly and (self.dialling or self.unsettled))


class StreamSlots(Generic[C]):
    """Count the uses of a shared connection."""

    __slots__ = ("limit", "reserved_for", "settled", "uses")

    def __init__(self, limit: int, settled: bool) -> None:
        self.limit = limit  # of uses at once; -1 when it takes no more for good
        self.settled = settled  # the limit is the peer's own, not our guess before it has said so
        self.uses = 1
        self.reserved_for: PendingRequest[C] | None = (
            None  # the request that it is reserved for: it takes no more uses until that is served
        )

    @property
    def spare(self) -> bool:
        return self.uses < self.limit and self.reserved_for is None


class WaitQueue(Generic[C]):
    """Order the routes that need a connection, by the numbers of their first requests.

    A route has one valid entry at most, here or in the other queue. Its number may be that of a request which left: it
    is too low then, never too high, so it is put right when it comes to the top, as is an entry in the wrong queue.
    Each step takes the logarithm of the number of routes that wait.
    """

    __slots__ = ("__weakref__", "_entries", "_impatient", "_patient_one", "_tidy_at")

    def __init__(self, patient: WaitQueue[C] | None = None) -> None:
        self._entries: list[tuple[int, RouteState[C]]] = []
        self._tidy_at = _MIN_TIDY
        # One of the two is None: whoever has the queue for patient requests has the other one, too.
        self._patient_one = None if patient is None else ref(patient)
        self._impatient: WaitQueue[C] | None = WaitQueue(self) if patient is None else None

    @property
    def other(self) -> WaitQueue[C]:
        """Return the queue for routes whose first request is not patient; of that one, the one for patient ones."""
        found = self._impatient
        if found is None:
            assert self._patient_one is not None
            found = self._patient_one()
            assert found is not None
        return found

    def add(self, route_state: RouteState[C]) -> None:
        """Queue a route, if a request waits for it."""
        first = route_state.first()
        if route_state.queue is self or first is None:
            return
        route_state.queue = self
        heappush(self._entries, (first.number, route_state))
        if len(self._entries) > self._tidy_at:
            self._tidy()

    def only(self, route_state: RouteState[C]) -> bool:
        """Return whether no other route is queued."""
        entries = self._entries
        return not entries or (len(entries) == 1 and entries[0][1] is route_state)

    def first(self, max_per_host: float) -> PendingRequest[C] | None:
        """Return the first request whose route could use a place; routes before it that could not leave the queue."""
        entries = self._entries
        for_patient = self._patient_one is None
        while entries:
            number, route_state = entries[0]
            pending = route_state.first()
            host = route_state.host
            if route_state.queue is not self:
                heappop(entries)
            elif pending is None or not route_state.may_dial:
                self._drop()
            elif (pending.number > route_state.impatient) is not for_patient:
                self._drop()
                self.other.add(route_state)
            elif pending.number != number:
                heapreplace(entries, (pending.number, route_state))
            elif host is not None and host.open >= max_per_host and (for_patient or not host.idle):
                host.blocked[route_state] = None
                self._drop()
            else:
                return pending
        return None

    def _drop(self) -> None:
        _, route_state = heappop(self._entries)
        route_state.queue = None

    def _tidy(self) -> None:
        valid = {route_state: number for number, route_state in self._entries if route_state.queue is self}
        for route_state in list(valid):
            if not route_state.waiting:
                route_state.queue = None
                del valid[route_state]
        self._entries = [(number, route_state) for route_state, number in valid.items()]
        heapify(self._entries)
        self._tidy_at = max(2 * len(self._entries), _MIN_TIDY)
