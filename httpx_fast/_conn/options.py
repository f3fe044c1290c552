"""What all connections of a pool have in common, and the proxy that they go through.

A transport has them before it connects, and most of what connecting needs is imported when the first one does. So this
imports nothing of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from .sessions import Sessions

if TYPE_CHECKING:
    import ssl

    from .._head import FieldLine
    from .._net.address_policy import IPAddress
    from .._net.base import SocketOption
    from .._origin import Route

__all__ = ["HTTP1", "HTTP2", "DialOptions", "ProxyHop"]

# ALPN names (RFC 7301 s.6, RFC 9113 s.3.2).
HTTP1: Final = "http/1.1"
HTTP2: Final = "h2"
HTTP1_ONLY = (HTTP1,)
_HTTP2 = (HTTP2,)
_HTTP2_OR_1 = (HTTP2, HTTP1)


class KeepAlive(Protocol):
    """Give the options of sockets that probe a silent peer: `TCPKeepAlive`."""

    def socket_options(self) -> list[tuple[int, int, int]]:
        """Return arguments of `socket.setsockopt`."""
        ...


class ProxyHop:
    """Describe a proxy that all connections of a pool go through; it is not changed.

    `tls` returns the context of an https proxy. `fields` are for http(s) proxies, Proxy-Authorization among them;
    `login` is the user name and password for a SOCKS proxy. Its repr has neither.
    """

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        tls: Callable[[], ssl.SSLContext] | None = None,
        fields: tuple[FieldLine, ...] = (),
        login: tuple[bytes, bytes] | None = None,
    ) -> None:
        self.scheme = scheme  # http, https; socks5, socks4 (names are resolved here), socks5h, socks4a (there)
        self.host = host
        self.port = port
        self.tls = tls
        self.fields = fields
        self.login = login

    @property
    def forwards(self) -> bool:
        """Return whether it passes on requests for http origins, without a tunnel."""
        return self.scheme in ("http", "https")

    @property
    def resolves(self) -> bool:
        """Return whether names of origins are its business, and none of ours."""
        return self.scheme not in ("socks5", "socks4")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"<ProxyHop {self}>"


class DialOptions:
    """Hold the settings that all connections of a pool share; they are not changed.

    `tls` is called for the context on the first https connection, not before: building one costs 26 ms. `uds` is a Unix
    socket that is used in place of the address of the origin, or of the proxy. `keepalive` has options of TCP sockets
    only, set before `socket_options`. With both `http1` and `http2`,
    TLS negotiates (RFC 7301) and cleartext is HTTP/1.1: HTTP/2 without TLS needs prior knowledge (RFC 9113 s.3.3),
    which is to ask for it alone. `ping_after` is of Http2Connection. `max_head_size` is bytes of a response's head and
    of its trailer section; None stands for the default of the protocol.
    """

    #: What is given; `sessions` is not, since every pool has its own.
    SETTINGS = (
        *("tls", "uds", "local_address", "socket_options", "keepalive", "retries", "proxy", "resolver", "allows"),
        *("http1", "http2", "ping_after", "max_head_size"),
    )
    __slots__ = (*SETTINGS, "_tcp_options", "sessions")

    def __init__(
        self,
        tls: Callable[[], ssl.SSLContext],
        uds: str | None = None,
        local_address: str | None = None,
        socket_options: Sequence[SocketOption] = (),
        keepalive: KeepAlive | None = None,
        retries: int = 0,
        proxy: ProxyHop | None = None,
        resolver: Any = None,
        allows: Callable[[IPAddress], bool] | None = None,
        http1: bool = True,
        http2: bool = False,
        ping_after: float | None = None,
        max_head_size: int | None = None,
    ) -> None:
        self.tls = tls
        self.uds = uds
        self.local_address = local_address
        self.socket_options = socket_options
        self.keepalive = keepalive
        self.retries = retries
        self.proxy = proxy
        self.resolver = resolver
        self.allows = allows
        self.http1 = http1
        self.http2 = http2
        self.ping_after = ping_after
        self.max_head_size = max_head_size
        self.sessions: Sessions = Sessions()
        self._tcp_options: list[SocketOption] | None = None

    def tcp_options(self) -> list[SocketOption]:
        """Return the options of a TCP socket. All calls return the same list."""
        options = self._tcp_options
        if options is None:
            probes = [] if self.keepalive is None else self.keepalive.socket_options()
            options = self._tcp_options = [*probes, *self.socket_options]
        return options

    def protocols(self, route: Route) -> tuple[str, ...]:
        """Return the ALPN names to offer on connections of this route (RFC 7301 s.6, RFC 9113 s.3.2)."""
        if route.http1 or not self.http2:
            return HTTP1_ONLY
        return _HTTP2_OR_1 if self.http1 else _HTTP2
