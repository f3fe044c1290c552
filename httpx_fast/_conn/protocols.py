"""Map a negotiated protocol to the class that speaks it.

`PROTOCOLS` maps an ALPN protocol name (RFC 7301 s.6) to the function that makes a connection of what `dial()` opened.
A new protocol is a class that implements `base.Connection`, and one line here. Classes are imported on first use: a
client that speaks HTTP/1.1 only never loads HTTP/2.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from .._journey import ConnectionFacts
from .._net.base import Stream
from .._origin import Route
from .base import Connection, MakeConnection, Owner
from .options import HTTP1, HTTP2


def _make_http1(
    stream: Stream,
    route: Route,
    facts: ConnectionFacts,
    owner: Owner,
    ping_after: float | None,
    first_limit: int,
    max_head_size: int | None,
) -> Connection:
    from .http1 import Http1Connection

    return Http1Connection(stream, route, facts, owner, max_head_size)


def _make_http2(
    stream: Stream,
    route: Route,
    facts: ConnectionFacts,
    owner: Owner,
    ping_after: float | None,
    first_limit: int,
    max_head_size: int | None,
) -> Connection:
    from .http2 import Http2Connection

    connection = Http2Connection(stream, route, facts, owner, ping_after, first_limit, max_head_size)
    if facts.early:
        connection.shared.data_received(memoryview(facts.early))
    return connection


def load(http1: bool, http2: bool) -> None:
    """Import the classes of these protocols, so that no step of the first request contains the import."""
    if http1:
        import_module(".http1", __package__)
    if http2:
        import_module(".http2", __package__)


PROTOCOLS: Final[dict[str, MakeConnection]] = {HTTP2: _make_http2, HTTP1: _make_http1}


def protocol_of(negotiated: str | None, http1: bool, http2: bool, forward: bool) -> str:
    """Return the protocol to speak: the negotiated one, or the one that is known to be spoken (RFC 9113 s.3.2, s.3.3).

    `http1` and `http2` say what may be spoken; without TLS only one of them can be meant. Requests that a proxy
    forwards (`forward`) are HTTP/1.1, unless the proxy agreed to another protocol.
    """
    if not http2:
        return HTTP1
    if negotiated != HTTP1 and negotiated in PROTOCOLS:
        return negotiated
    return HTTP1 if http1 or forward else HTTP2
