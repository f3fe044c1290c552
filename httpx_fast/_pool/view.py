"""A look into a pool's plan: one snapshot for each connection. Under the pool's lock, and changing nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from .._conn.http1 import Http1Connection
from .._journey import ConnectionFacts, Journey
from .lease import Connection
from .plan import Plan
from .state import GOING_AWAY
from .stats import ConnectionInfo, Windows
from .wait_queue import C, StreamSlots


def connection_infos(
    plan: Plan[Connection], guests: Mapping[Journey, Connection], held: Mapping[Journey, str], now: float
) -> list[ConnectionInfo]:
    """Every connection of the plan, and those that are dialled.

    `guests` are the requests on shared connections, `held` says where responses were asked for that are still read.
    """
    users = _users(plan, guests)
    infos = [
        _info(connection, since, slots, users.get(connection, []), held, now)
        for connection, since, slots in plan.connections()
    ]
    return infos + [ConnectionInfo(route, "connecting") for route, count in plan.dials() for _ in range(count)]


def longest_lease(
    plan: Plan[Connection], guests: Mapping[Journey, Connection], held: Mapping[Journey, str], now: float
) -> ConnectionInfo | None:
    """The connection that one request has had for longest."""
    leases = [
        (journey.leased, connection)
        for connection, journeys in _users(plan, guests).items()
        for journey in journeys
        if journey.leased is not None
    ]
    if not leases:
        return None
    _, longest = min(leases, key=lambda lease: lease[0])
    for connection, since, slots in plan.connections():
        if connection is longest:
            return _info(connection, since, slots, _users(plan, guests)[connection], held, now)
    return None


def _users(plan: Plan[Connection], guests: Mapping[Journey, Connection]) -> dict[Connection, list[Journey]]:
    """The requests that have a connection each, as far as they were begun."""
    users: dict[Connection, list[Journey]] = {}
    for connection, since, _ in plan.connections():
        if since is None and isinstance(connection, Http1Connection) and connection.journey is not None:
            users[connection] = [connection.journey]
    for journey, connection in list(guests.items()):
        users.setdefault(connection, []).append(journey)
    return users


def _info(
    connection: Connection,
    since: float | None,
    slots: StreamSlots[C] | None,
    users: list[Journey],
    held: Mapping[Journey, str],
    now: float,
) -> ConnectionInfo:
    facts: ConnectionFacts = connection.facts
    made = facts.tls_done or facts.tcp_done
    leased = [journey.leased for journey in users if journey.leased is not None]
    limit: int | None = 1
    state: Literal["leased", "idle", "draining"] = "leased" if since is None else "idle"
    windows: Windows | None = None
    rtt: float | None = None
    if slots is not None and not isinstance(connection, Http1Connection):
        limit = connection.limit
        windows, rtt = Windows(connection.window_out, connection.room), connection.rtt
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
        rtt=rtt,
    )
