"""Where a request goes: scheme, host and port (RFC 9110 s.4.3.1), and what else tells connections apart."""

from __future__ import annotations

from typing import NamedTuple

DEFAULT_PORTS = {
    "http": 80,
    "https": 443,
    "ws": 80,
    "wss": 443,
    "ftp": 21,
    "socks": 1080,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}


class Origin(NamedTuple):
    """Scheme, host and port of a server, the port always filled in; IPv6 addresses without brackets.

    A tuple, so that the pool hashes and compares it at C's cost.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        if DEFAULT_PORTS.get(self.scheme) == self.port:
            return f"{self.scheme}://{host}"
        return f"{self.scheme}://{host}:{self.port}"


class Route(NamedTuple):
    """The pool's key: requests may share a connection when, and only when, their routes are equal.

    `server_name` is the SNI override (it is fixed when a connection is made), None for the origin's host. `forward`
    says that the origin is a proxy, which passes on requests for any http origin (RFC 9112 s.3.2.2): they share its
    connections. `http1` says that TLS offers nothing but HTTP/1.1, although others may do more. What a tunnel runs
    through is the same for all connections of a pool, and in no route.
    """

    origin: Origin
    server_name: str | None = None
    forward: bool = False
    http1: bool = False
