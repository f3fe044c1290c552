"""Makes a connection: name, TCP or Unix socket, TLS, under one budget (`timeout.connect`).

The steps leave their marks in the connection's facts as they end, so that a failure shows how far it came. Options of
the socket and of TLS belong here and nowhere above.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .._exceptions import ConnectError, ConnectTimeout
from .._journey import ConnectionFacts
from .._net.base import Backend, SocketOption, Stream
from .._origin import Route

#: Seconds before the n-th further try of `retries`: at once, then 0.5, 1, 2, ... up to this.
_MAX_PAUSE = 8.0

MAX_SESSIONS = 256  # TLS sessions kept per transport, some KB each; a crawler must not keep one for every host


@dataclass(frozen=True, slots=True)
class DialOptions:
    """What every connection of a pool has in common.

    `tls` is asked for the context on the first https connection, not before: building one costs 26 ms.
    """

    tls: Callable[[], ssl.SSLContext]
    uds: str | None = None
    local_address: str | None = None
    socket_options: Sequence[SocketOption] = ()
    retries: int = 0
    # What may be spoken. With both, TLS negotiates (RFC 7301) and cleartext is HTTP/1.1: HTTP/2 without TLS needs prior
    # knowledge (RFC 9113 s.3.3), which is to ask for it alone.
    http1: bool = True
    http2: bool = False
    sessions: dict[Route, ssl.SSLSession] = field(default_factory=dict)


def keep_session(options: DialOptions, route: Route, stream: Stream) -> None:
    """Keeps the TLS session of a connection for the next one to its route (RFC 8446 s.2.2, RFC 5077).

    To be called when octets have been received: a TLS 1.3 server sends its tickets after the handshake.
    """
    session = stream.get_extra_info("ssl_object").session
    if session is not None:
        sessions = options.sessions
        sessions.pop(route, None)
        sessions[route] = session
        if len(sessions) > MAX_SESSIONS:
            del sessions[next(iter(sessions))]


async def dial(
    backend: Backend, route: Route, options: DialOptions, budget: float | None, facts: ConnectionFacts
) -> Stream:
    """Connects, shakes hands, and fills `facts`. Raises ConnectError or ConnectTimeout; leaves nothing open then."""
    clock = backend.clock
    facts.dial_started = now = clock()
    at = None if budget is None else now + budget
    pause = 0.0
    tries = options.retries
    while True:
        try:
            return await _try(backend, route, options, at, budget, facts)
        except ConnectTimeout:
            raise
        except ConnectError:
            if tries <= 0 or (at is not None and clock() + pause >= at):
                raise
        tries -= 1
        if pause:
            await backend.sleep(pause)
        pause = min(max(2 * pause, 0.5), _MAX_PAUSE)
        facts.dns_done = facts.tcp_done = None


async def _try(
    backend: Backend,
    route: Route,
    options: DialOptions,
    at: float | None,
    budget: float | None,
    facts: ConnectionFacts,
) -> Stream:
    clock = backend.clock
    scheme, host, port = route.origin
    if options.uds is None:
        addresses = await backend.resolve(host, port, at, budget)
        facts.dns_done = clock()
        stream = await backend.connect_tcp(
            addresses, at, budget, local_address=options.local_address, socket_options=options.socket_options
        )
    else:
        stream = await backend.connect_unix(options.uds, at, budget, socket_options=options.socket_options)
    facts.tcp_done = clock()
    if scheme == "https":
        stream.arm("connect", at, budget)
        stream = await stream.start_tls(options.tls(), route.server_name or host, options.sessions.get(route))
        facts.tls_done = clock()
        tls: ssl.SSLObject = stream.get_extra_info("ssl_object")
        facts.tls_version = tls.version()
        cipher = tls.cipher()
        facts.cipher = None if cipher is None else cipher[0]
        facts.tls_resumed = tls.session_reused
    stream.arm("connect", None, None)
    facts.peer_address = stream.get_extra_info("server_addr")
    facts.local_address = stream.get_extra_info("client_addr")
    return stream
