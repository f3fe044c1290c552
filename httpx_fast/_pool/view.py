"""Snapshots of the connections in a pool's plan. Taken under the pool's lock; they change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .._conn.base import Connection
from .._journey import ConnectionFacts, Journey
from .plan import Plan
from .state import GOING_AWAY
from .stats import ConnectionInfo, Windows
from .wait_queue import C, StreamSlots


def connection_infos(plan: Plan[Connection], held: Mapping[Journey, str], now: float) -> list[ConnectionInfo]:
    """Describe every connection of the plan, and those that are dialled.

    `held` says where responses were asked for that are still read.
    """
    infos = [_info(connection, since, slots, held, now) for connection, since, slots in plan.connections()]
    return infos + [ConnectionInfo(route, "connecting") for route, count in plan.dials() for _ in range(count)]


def connection_info(
    plan: Plan[Connection], connection: Connection, held: Mapping[Journey, str], now: float
) -> ConnectionInfo:
    """Describe one connection of the plan."""
    return next(_info(*entry, held, now) for entry in plan.connections() if entry[0] is connection)


def longest_lease(plan: Plan[Connection], held: Mapping[Journey, str], now: float) -> ConnectionInfo | None:
    """Describe the connection that one request has had for longest."""
    leases = [
        (journey.leased, entry)
        for entry in plan.connections()
        if entry[1] is None
        for journey in entry[0].users()
        if journey.leased is not None
    ]
    if not leases:
        return None
    _, longest = min(leases, key=lambda lease: lease[0])
    return _info(*longest, held, now)


def _info(
    connection: Connection,
    since: float | None,
    slots: StreamSlots[C] | None,
    held: Mapping[Journey, str],
    now: float,
) -> ConnectionInfo:
    facts: ConnectionFacts = connection.facts
    made = facts.tls_done or facts.tcp_done
    users = connection.users() if since is None else ()
    leased = [journey.leased for journey in users if journey.leased is not None]
    limit: int | None = 1
    state: Literal["leased", "idle", "draining"] = "leased" if since is None else "idle"
    windows: Windows | None = None
    if slots is not None:
        limit = connection.limit
        if connection.windows is not None:
            windows = Windows(*connection.windows)
        if slots.limit == GOING_AWAY:
            state, limit = "draining", 0
    return ConnectionInfo(
        route=connection.route,
        state=state,
        age=None if made is None else now - made,
        idle=None if since is None else now - since,
        leased=now - min(leased) if leased and since is None else None,
        requests=facts.requests,
        streams=int(since is None) if slots is None else slots.uses,
        max_streams=limit,
        http_version=facts.http_version,
        peer_address=facts.peer_address,
        local_address=facts.local_address,
        held_by=tuple(held[journey] for journey in users if journey in held),
        windows=windows,
        rtt=connection.rtt,
    )
