"""The places of a pool, and what takes them: connections that are leased, idle or being dialled, by route and host.

The books, kept right at every step; which request gets what is decided in `plan.py`. No step looks through more than
it changes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Final, Generic

from .wait_queue import C, Host, Lane, Line, Share, Ticket

DRAINS: Final = -1  # the limit of a shared connection that takes no more uses

# Entries of connections that expire sooner than the others, which may be of idle times that are over.
_MIN_TIDY: Final = 64


class Places(Generic[C]):
    """Counts of connections, `None` for no limit; `keepalive_expiry` in seconds."""

    __slots__ = (
        "_adrift",
        "_closed",
        "_ended",
        "_expire_from",
        "_expiry",
        "_host_of",
        "_hosts",
        "_idle_since",
        "_lane_of",
        "_lanes",
        "_line",
        "_max_connections",
        "_max_keepalive",
        "_max_per_host",
        "_shared",
        "_sooner",
        "_sooner_count",
        "dialling",
        "doomed",
        "granted",
        "idle",
        "leased",
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
        self.leased: int = 0
        self.idle: int = 0
        self.dialling: int = 0
        self.waiting: int = 0
        self.doomed: list[C] = []
        self.granted: list[Ticket[C]] = []
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
        self._lanes: dict[Hashable, Lane[C]] = {}
        self._lane_of: dict[C, Lane[C]] = {}  # of every connection that is leased or idle
        self._shared: dict[C, Share[C]] = {}  # of every connection that is shared
        # Lanes of shared connections that take no more uses: they have no place, and go with their last use.
        self._adrift: dict[C, Lane[C]] = {}
        self._idle_since: OrderedDict[C, float] = OrderedDict()  # oldest first
        # When idle connections go that go sooner than the others: time, number, connection, and since when it is idle.
        self._sooner: list[tuple[float, int, C, float]] = []
        self._sooner_count = 0
        self._line: Line[C] = Line()
        self._closed = False  # nothing is dialled any more, nor kept
        self._ended = False  # nor is anything left: what is still told of connections means nothing

    @property
    def open(self) -> int:
        """Places taken."""
        return self.leased + self.idle + self.dialling

    def next_expiry(self) -> float | None:
        """When the first of the idle connections expires; None where none will."""
        at = next(iter(self._idle_since.values())) + self._expiry if self.idle else math.inf
        sooner = self._sooner
        while sooner and self._idle_since.get(sooner[0][2]) != sooner[0][3]:
            heappop(sooner)
        if sooner:
            at = min(at, sooner[0][0])
        return None if at == math.inf else at

    def expire(self, now: float) -> None:
        """Dooms what has been idle for `keepalive_expiry`, or until its own time."""
        while (at := self.next_expiry()) is not None:
            if at > now:
                self._expire_from = at
                return
            sooner = self._sooner
            self._discard(sooner[0][2] if sooner and sooner[0][0] == at else next(iter(self._idle_since)))
        # What is released from now on expires no sooner than this, or says so.
        self._expire_from = now + self._expiry

    def connections(self) -> Iterator[tuple[C, float | None, Share[C] | None]]:
        """Every connection that is leased, idle or adrift, since when it is idle, and how it is shared."""
        for connection in (*self._lane_of, *self._adrift):
            yield connection, self._idle_since.get(connection), self._shared.get(connection)

    @property
    def draining(self) -> int:
        """Connections without a place, whose last uses have yet to end."""
        return len(self._adrift)

    def dials(self) -> list[tuple[Any, int]]:
        """The routes that are dialled, and how many times."""
        return [(lane.route, lane.dialling) for lane in self._lanes.values() if lane.dialling]

    def tickets(self) -> list[Ticket[C]]:
        """Who waits, first come first."""
        return sorted((each for lane in self._lanes.values() for each in lane.waiting), key=lambda each: each.number)

    # Places.

    def _reserve(self, lane: Lane[C]) -> bool:
        """Takes a place for the lane to dial, that of an idle connection if need be; False if there is none."""
        host = lane.host
        oldest: C | None = None
        if host is not None and host.open >= self._max_per_host:
            if not host.idle:
                return False
            oldest = next(iter(host.idle))
        elif self.leased + self.idle + self.dialling >= self._max_connections:
            if not self.idle:
                return False
            oldest = next(iter(self._idle_since))
        self.dialling += 1
        lane.dialling += 1
        lane.open += 1
        if host is not None:
            host.open += 1
        if oldest is not None:
            self._discard(oldest)
        return True

    def _free(self, lane: Lane[C]) -> None:
        """A place of this lane is free; lanes that waited for one of its host need places as all others do."""
        lane.open -= 1
        host = lane.host
        if host is not None:
            host.open -= 1
            for other in host.blocked:
                self._line.add(other)
            host.blocked.clear()

    def _discard(self, connection: C) -> None:
        """Dooms a connection that is idle."""
        self.doomed.append(connection)
        self._forget(connection)

    def _forget(self, connection: C) -> None:
        """Frees the place of a connection that is idle; nobody can be waiting for it."""
        lane = self._lane_of[connection]
        self._stir(lane, connection)
        self._let_go(lane, connection)
        self._free(lane)
        self._tidy(lane)

    def _let_go(self, lane: Lane[C], connection: C) -> None:
        """Forgets whose a connection was, and how it was shared."""
        del self._lane_of[connection]
        share = self._shared.pop(connection, None) if lane.special else None
        if share is not None:
            lane.spare.pop(connection, None)
            self._break_promise(share)
            self._settle(lane, share)

    def _settle(self, lane: Lane[C], share: Share[C]) -> None:
        """A limit is not waited for any more: who did so may stand in the line."""
        if not share.settled:
            share.settled = True
            lane.unsettled -= 1
            self._line.add(lane)

    def _cast_off(self, connection: C) -> None:
        """Frees the place of a shared connection that is in use, and takes no more uses."""
        lane, share = self._lane_of[connection], self._shared[connection]
        self.leased -= 1
        self._let_go(lane, connection)
        self._adrift[connection] = lane
        self._shared[connection] = share
        share.limit = DRAINS

    def _end_adrift(self, connection: C) -> None:
        """A use of a connection that has no place ends."""
        share = self._shared[connection]
        share.uses -= 1
        if not share.uses:
            del self._shared[connection], self._adrift[connection]
            self.doomed.append(connection)

    def _break_promise(self, share: Share[C]) -> None:
        """A shared connection is not what makes room for somebody any more."""
        rival, share.rival = share.rival, None
        if rival is not None:
            rival.promised = None

    # Rest.

    def _rest(self, lane: Lane[C], connection: C, now: float) -> None:
        """A leased connection is idle from now on."""
        lane.idle[connection] = None
        self._idle_since[connection] = now
        self.idle += 1
        if lane.special:
            if lane.host is not None:
                lane.host.idle[connection] = None
            share = self._shared.get(connection)
            if share is not None and not share.limit:
                del lane.idle[connection]  # of no use until its peer allows one

    def _stir(self, lane: Lane[C], connection: C) -> None:
        """A connection is idle no longer."""
        lane.idle.pop(connection, None)
        del self._idle_since[connection]
        self.idle -= 1
        if lane.host is not None:
            del lane.host.idle[connection]

    def _go_at(self, until: float, connection: C, now: float) -> None:
        """An idle connection goes sooner than the others."""
        self._expire_from = min(self._expire_from, until)
        self._sooner_count += 1
        heappush(self._sooner, (until, self._sooner_count, connection, now))
        if len(self._sooner) > _MIN_TIDY + 2 * self.idle:
            self._sooner = [entry for entry in self._sooner if self._idle_since.get(entry[2]) == entry[3]]
            heapify(self._sooner)

    # Lanes.

    def _open_lane(self, route: Hashable, may_share: bool) -> Lane[C]:
        host: Host[C] | None = None
        if self._max_per_host != math.inf:
            name = self._host_of(route)
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = Host(name)
            host.lanes += 1
        lane = self._lanes[route] = Lane(route, host, may_share)
        return lane

    def _tidy(self, lane: Lane[C]) -> None:
        """Drops an empty lane: a crawler meets millions of routes, and is in touch with a few."""
        if lane.open or lane.waiting or self._lanes.get(lane.route) is not lane:
            return
        del self._lanes[lane.route]
        host = lane.host
        if host is not None:
            host.blocked.pop(lane, None)
            host.lanes -= 1
            if not host.lanes:
                del self._hosts[host.name]
