"""Keep TLS sessions for the next handshake with the same peer (RFC 8446 s.2.2, RFC 5077).

Reading the session of a connection copies it, which costs a seventh of a handshake, and most are never used. So the
connection itself is remembered, as long as it is open, and its session is read when the next one is dialled, or when it
is closed. The code that closes it reports that: OpenSSL's memory of a closed connection is not held here.

There is no lock, which a finalizer that gives back a connection could find held by its own thread: each step is one
operation of the dictionary. If two threads overlap, the older of two sessions may stay.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from .._net.base import Stream
    from .._origin import Route

MAX_SESSIONS = 256  # routes per transport, some KB each; a crawler must not keep a session for every host


class Sessions:
    """Remember for each route its last session, or the open connection that has one."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: OrderedDict[Route, Stream | ssl.SSLSession] = OrderedDict()

    def seen(self, route: Route, stream: Stream) -> None:
        """Note that a connection of this route has received bytes: TLS 1.3 sends tickets after the handshake."""
        if stream.get_extra_info("ssl_object") is not None:
            stream.free_buffers()
            self._put(route, stream)

    def keep(self, route: Route, stream: Stream) -> None:
        """Keep the session of a connection at once, for callers that do not report its end."""
        session: ssl.SSLSession | None = stream.get_extra_info("tls_session")
        if session is not None:
            self._put(route, session)

    def ended(self, route: Route, stream: Stream) -> None:
        """Note that a connection is closed, or is about to be: its session is read now."""
        if self._found.get(route) is stream:
            self._read(route, stream)

    def find(self, route: Route) -> ssl.SSLSession | None:
        """Return the session that the next handshake can resume, if there is one."""
        found = self._found.get(route)
        if found is None:
            return None
        import ssl

        return found if isinstance(found, ssl.SSLSession) else self._read(route, found)

    def clear(self) -> None:
        """Forget all."""
        self._found.clear()

    def forget_open(self) -> None:
        """Forget the connections that are open, without touching them."""
        if not self._found:
            return
        import ssl

        for route, found in list(self._found.items()):
            if not isinstance(found, ssl.SSLSession):
                del self._found[route]

    def _read(self, route: Route, stream: Stream) -> ssl.SSLSession | None:
        """Return the session of an open connection, and remember it in place of the connection."""
        session: ssl.SSLSession | None = stream.get_extra_info("tls_session")
        if session is None:
            self._found.pop(route, None)
        else:
            self._found[route] = session
        return session

    def _put(self, route: Route, found: Stream | ssl.SSLSession) -> None:
        self._found.pop(route, None)
        self._found[route] = found
        if len(self._found) > MAX_SESSIONS:
            self._found.popitem(last=False)
