"""What a pool can tell of itself: snapshots that stay as they are while the pool goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .._origin import Origin, Route


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One connection, or one that is being made. Times in seconds."""

    route: Route
    state: Literal["leased", "idle", "connecting"]
    #: Since it was made; None while it is.
    age: float | None = None
    #: Since it is idle; None if it is not.
    idle: float | None = None
    #: How long the request has it that has it for longest; None if it is idle, or only just given out.
    leased: float | None = None
    #: Count of requests that it was given so far.
    requests: int = 0
    #: Requests that have it now, and how many may at once (None for any number).
    streams: int = 0
    max_streams: int | None = 1
    http_version: str | None = None
    peer_address: Any = None
    local_address: Any = None
    #: File and line where the responses were asked for that are still to be read.
    held_by: tuple[str, ...] = ()

    @property
    def origin(self) -> Origin:
        return self.route.origin


@dataclass(frozen=True, slots=True)
class WaiterInfo:
    """One request that waits for a connection."""

    route: Route
    #: Seconds since it came.
    age: float

    @property
    def origin(self) -> Origin:
        return self.route.origin


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Counts of a pool's connections and of who waits for one. None sets no limit."""

    leased: int
    idle: int
    connecting: int
    waiting: int
    max_connections: int | None
    max_per_host: int | None
    #: The connection that one request has had for longest.
    longest: ConnectionInfo | None
    #: Seconds that connections to an origin are kept idle, where its peer was seen to close them early.
    learnt: Mapping[Origin, float]

    @property
    def open(self) -> int:
        """Connections that count against the limit."""
        return self.leased + self.idle + self.connecting

    def __str__(self) -> str:
        limit = "" if self.max_connections is None else f" of {self.max_connections}"
        text = (
            f"{self.open}{limit} connections are open ({self.leased} in use, {self.connecting} connecting, "
            f"{self.idle} idle)"
        )
        if self.max_per_host is not None:
            text += f", {self.max_per_host} may be to one host"
        text += f", {self.waiting} more requests wait"
        longest = self.longest
        if longest is not None and longest.leased is not None:
            text += f"; longest in use is one to {longest.origin}, for {longest.leased:.3g} s"
            if longest.held_by:
                text += f" by a response that was requested at {longest.held_by[0]}"
        return text
