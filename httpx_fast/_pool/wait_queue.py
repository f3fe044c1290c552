"""Who waits in a pool, for what, and in which order: the queues that the plan decides over.

- The requests of a route that wait stand in its lane, first come first served.
- A lane that needs a place to dial stands in the line. The line knows the lanes by their first tickets: so a place goes
  to the ticket that came first of all that could use it, and lanes that can do nothing with one now (what they dial
  already may serve all of them; their host has all it may have) are passed by without being looked through.
- Nothing here decides, dials or counts places.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Hashable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Final, Generic, TypeVar

C = TypeVar("C")  # connections, which are compared by identity

# Entries of the line that may stand for nothing before it is looked through: they vanish when they come to its top,
# which is never while the first of all waits and others come and give up behind it.
_MIN_TIDY: Final = 64


class Answer(enum.Enum):
    """What a request is told where it gets no connection."""

    DIAL = "dial"  # a place is reserved: dial, then say connected() or dial_failed()
    CLOSED = "closed"  # the plan is closed: there will be no connection

    def alive(self) -> bool:
        """Return False: it is no connection. All that `Leases.ask()` returns is asked this."""
        return False


class PendingRequest(Generic[C]):
    """One wait. Subclasses add how the one who waits is woken."""

    __slots__ = ("grant", "route_state", "number", "overtaken", "reserved")

    def __init__(self) -> None:
        self.route_state: RouteState[C] | None = None
        self.number = 0  # tickets are numbered as they come
        self.grant: C | Answer | None = None  # None while waiting
        self.overtaken = 0  # connections, or uses of one, handed past this ticket while it was the first of all
        self.reserved: C | None = None  # the shared connection that takes no more uses, so that this ticket gets room

    def alive(self) -> bool:
        """Return False, as `Answer` does."""
        return False


class Host(Generic[C]):
    """What the routes to one origin have together, where connections are limited by origin."""

    __slots__ = ("blocked", "idle", "route_states", "name", "open")

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.route_states = 0
        self.open = 0
        self.idle: OrderedDict[C, None] = OrderedDict()  # oldest first
        self.blocked: dict[RouteState[C], None] = {}  # lanes that were in the line, and wait for a place of this host


class RouteState(Generic[C]):
    """A route's share of a pool; it exists as long as there is anything in it."""

    __slots__ = (
        "dialling",
        "host",
        "idle",
        "is_queued",
        "open",
        "route",
        "spare",
        "special",
        "dials_singly",
        "unsettled",
        "waiting",
    )

    def __init__(self, route: Hashable, host: Host[C] | None, may_share: bool) -> None:
        self.route = route
        self.host = host
        self.open = 0
        self.dialling = 0
        self.unsettled = 0  # shared connections whose peer has yet to say how many uses it takes
        self.is_queued = False  # it has an entry in the line
        self.dials_singly = may_share  # one dial at a time: its connection may serve all who wait
        self.special = host is not None  # there is more to it than `idle`: a host, or shared connections
        # What can be used, newest last: for that a plain dict is enough, at a third of the cost of an ordered one.
        self.idle: dict[C, None] = {}
        # Ordered dicts find their ends in constant time after many deletions at them, which plain ones do not.
        self.spare: OrderedDict[C, None] = OrderedDict()  # shared ones that are leased and have uses left
        self.waiting: OrderedDict[PendingRequest[C], None] = OrderedDict()

    def first(self) -> PendingRequest[C] | None:
        return next(iter(self.waiting), None)

    @property
    def may_dial(self) -> bool:
        """Whether it would use a place: nothing is under way that may serve all who wait."""
        return not (self.dials_singly and (self.dialling or self.unsettled))


class StreamSlots(Generic[C]):
    """How a shared connection is used."""

    __slots__ = ("limit", "reserved_for", "settled", "uses")

    def __init__(self, limit: int, settled: bool) -> None:
        self.limit = limit  # of uses at once; -1 when it takes no more for good
        self.settled = settled  # the limit is the peer's own, not our guess before it has said so
        self.uses = 1
        self.reserved_for: PendingRequest[C] | None = (
            None  # whom it is to make room for: it takes no more uses until that is served
        )

    @property
    def spare(self) -> bool:
        return self.uses < self.limit and self.reserved_for is None


class WaitQueue(Generic[C]):
    """Lanes that need a place, by the numbers of their first tickets.

    A lane has one entry at most. Its number may be that of a ticket which left: then it is too low, never too high, so
    it is put right when it comes to the top. Each step takes the logarithm of the number of lanes that wait.
    """

    __slots__ = ("_entries", "_tidy_at")

    def __init__(self) -> None:
        self._entries: list[tuple[int, RouteState[C]]] = []
        self._tidy_at = _MIN_TIDY

    def add(self, route_state: RouteState[C]) -> None:
        """Lets a lane stand in the line, if anybody waits in it."""
        first = route_state.first()
        if route_state.is_queued or first is None:
            return
        route_state.is_queued = True
        heappush(self._entries, (first.number, route_state))
        if len(self._entries) > self._tidy_at:
            self._tidy()

    def only(self, route_state: RouteState[C]) -> bool:
        """Whether no other lane stands in the line."""
        entries = self._entries
        return not entries or (len(entries) == 1 and entries[0][1] is route_state)

    def first(self, max_per_host: float) -> PendingRequest[C] | None:
        """The ticket that came first of those whose lane could use a place; the others' lanes leave the line."""
        entries = self._entries
        while entries:
            number, route_state = entries[0]
            pending = route_state.first()
            host = route_state.host
            if pending is None or not route_state.may_dial:
                self._drop()
            elif pending.number != number:
                heapreplace(entries, (pending.number, route_state))
            elif host is not None and host.open >= max_per_host and not host.idle:
                host.blocked[route_state] = None
                self._drop()
            else:
                return pending
        return None

    def _drop(self) -> None:
        _, route_state = heappop(self._entries)
        route_state.is_queued = False

    def _tidy(self) -> None:
        for _, route_state in self._entries:
            route_state.is_queued = bool(route_state.waiting)
        self._entries = [entry for entry in self._entries if entry[1].is_queued]
        heapify(self._entries)
        self._tidy_at = max(2 * len(self._entries), _MIN_TIDY)
