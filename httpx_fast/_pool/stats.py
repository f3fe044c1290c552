"""Snapshots of a pool for users; they stay as they are while the pool goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from .._origin import Origin, Route


class Windows(NamedTuple):
    """Count the bytes of bodies that may be sent now on a connection of HTTP/2, over all streams (RFC 9113 s.5.2)."""

    #: By us; requests with a body wait while it is 0.
    send: int
    #: By the peer.
    receive: int


@dataclass(frozen=True, slots=True, repr=False)
class ConnectionInfo:
    """Describe one connection, or one that is being opened. Times in seconds."""

    route: Route
    #: "draining" is one that takes no more requests and ends with those that it has: it counts against no limit.
    state: Literal["leased", "idle", "connecting", "draining"]
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
    #: Only of HTTP/2.
    windows: Windows | None = None
    #: The last round trip to the peer that was measured: by a PING, or when the connection was opened. Only of HTTP/2.
    rtt: float | None = None

    @property
    def origin(self) -> Origin:
        """Return the origin that the connection leads to."""
        return self.route.origin

    def __repr__(self) -> str:
        words = [f"{self.origin} {self.state}"]
        if self.idle is not None:
            words[0] += f" for {self.idle:.3g} s"
        elif self.leased is not None:
            words[0] += f" for {self.leased:.3g} s"
        if self.http_version is not None:
            words.append(self.http_version)
        words.append(f"{self.requests} requests so far")
        if self.streams > 1:
            words.append(f"{self.streams} at once")
        words += [f"held by {place}" for place in self.held_by]
        return f"<ConnectionInfo {', '.join(words)}>"


@dataclass(frozen=True, slots=True, repr=False)
class WaiterInfo:
    """Describe one request that waits for a connection."""

    route: Route
    #: Seconds since it came.
    age: float
    #: File and line that the request came from, if `httpx_fast.debug()` or Python's development mode is on.
    asked_at: str | None = None

    @property
    def origin(self) -> Origin:
        """Return the origin that the request is for."""
        return self.route.origin

    def __repr__(self) -> str:
        place = "" if self.asked_at is None else f", asked for at {self.asked_at}"
        return f"<WaiterInfo {self.origin} for {self.age:.3g} s{place}>"


@dataclass(frozen=True, slots=True, repr=False)
class PoolStats:
    """Count a pool's connections, and the requests that wait for one. None sets no limit."""

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
    #: Connections that take no more requests and end with those that they have; they count against no limit.
    draining: int = 0
    #: Retries to each origin and their budget, as `RetryStats`; empty where no requests are sent again.
    retries: Mapping[Origin, Any] = field(default_factory=dict[Origin, Any])

    @property
    def open(self) -> int:
        """Return the count of connections that count against the limit."""
        return self.leased + self.idle + self.connecting

    def __repr__(self) -> str:
        return f"<PoolStats {self}>"

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
