"""Open a connection: name, TCP or Unix socket, proxy, TLS, under one budget (`timeout.connect`).

Each step notes its end in the connection's facts, so that a failure shows how far it came. Options of the socket and of
TLS are set here and in no layer above.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from collections.abc import Coroutine, Generator, Sequence
from typing import Any, NamedTuple

from .._deadline import Deadline, PhaseTimer
from .._exceptions import AddressDenied, ConnectError, ConnectTimeout, TrustStoreError, retold
from .._journey import ConnectionFacts
from .._net.address_policy import resolve
from .._net.base import Address, Backend, Stream
from .._origin import Origin, Route
from .._trace import Tracer
from .._wire.socks import Unreachable
from .options import HTTP1_ONLY, DialOptions, ProxyHop
from .protocols import protocol_of
from .proxy import tunnel

#: Seconds before the n-th further try of `retries`: at once, then 0.5, 1, 2, ... up to this.
_MAX_PAUSE = 8.0


class Dialled(NamedTuple):
    """Hold an open stream, and the protocol (ALPN name) that is spoken over it: see `protocols.PROTOCOLS`."""

    opened: Any  # a `Stream` for the protocols over TCP
    protocol: str


async def dial(
    backend: Backend,
    route: Route,
    options: DialOptions,
    budget: float | None,
    facts: ConnectionFacts,
    deadline: Deadline | None = None,
) -> Dialled:
    """Connect, shake hands, and fill `facts`. Raises ConnectError or ConnectTimeout; leaves nothing open then.

    `deadline` is that of the request that it is done for.
    """
    clock = backend.clock
    facts.dial_started = now = clock()
    timer = PhaseTimer("connect", deadline, now, budget)
    pause = 0.0
    tries = options.retries
    kind = _Dial if facts.trace is None else _TracedDial
    while True:
        try:
            stream = await kind(backend, options, timer, facts).run(route)
            return Dialled(stream, _protocol(stream, options, route))
        except (ConnectTimeout, AddressDenied, TrustStoreError):
            raise
        except ConnectError:
            if tries <= 0 or clock() + pause >= timer.at:
                raise
        tries -= 1
        if facts.trace is not None:
            facts.trace.note("connection.retry.started", {"delay": pause})
            facts.trace.note("connection.retry.complete", {"return_value": None})
        if pause:
            await backend.sleep(pause)
        pause = min(max(2 * pause, 0.5), _MAX_PAUSE)
        facts.dns_done = facts.tcp_done = facts.proxy_done = None
        facts.retried = clock()


@functools.lru_cache(maxsize=64)
def _shared(certificate: bytes) -> bytes:
    """Return the equal bytes that other connections hold: a certificate has 1 to 2 KB."""
    return certificate


def _protocol(stream: Stream, options: DialOptions, route: Route) -> str:
    tls = stream.get_extra_info("ssl_object") if options.http2 else None
    negotiated = None if tls is None else tls.selected_alpn_protocol()
    return protocol_of(negotiated, options.http1, options.http2, route.forward)


class _Dial:
    """Try once to connect, with one deadline for all steps; if that fails, close what it has opened."""

    __slots__ = ("_backend", "_facts", "_opened", "_options", "_timer")

    def __init__(self, backend: Backend, options: DialOptions, timer: PhaseTimer, facts: ConnectionFacts) -> None:
        self._backend = backend
        self._options = options
        self._timer = timer
        self._facts = facts
        self._opened: Stream | None = None

    async def run(self, route: Route) -> Stream:
        origin, proxy = route.origin, self._options.proxy
        try:
            if proxy is None:
                stream = self._connected(await self._connect(await self._find(origin.host, origin.port)))
            else:
                stream = await self._pass(proxy, route)
            if origin.scheme == "https" and not route.forward:
                stream = await self._secure(stream, route)
        except BaseException:
            self._close()
            raise
        facts = self._facts
        stream.set_deadline("connect", None, None)
        facts.peer_address = stream.get_extra_info("server_addr")
        facts.local_address = stream.get_extra_info("client_addr")
        return stream

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    async def _resolve(self, host: str, port: int) -> Sequence[Address]:
        options = self._options
        return await resolve(self._backend, host, port, self._timer, options.resolver, options.allows)

    async def _find(self, host: str, port: int) -> Sequence[Address] | None:
        """Return the addresses to connect to; None if a Unix socket is used instead."""
        if self._options.uds is not None:
            return None
        addresses = await self._resolve(host, port)
        self._facts.dns_done = self._backend.clock()
        return addresses

    def _connect(self, addresses: Sequence[Address] | None) -> Coroutine[Any, Any, Stream]:
        options, backend = self._options, self._backend
        if addresses is not None:
            return backend.connect_tcp(
                addresses,
                self._timer,
                local_address=options.local_address,
                socket_options=options.tcp_options(),
            )
        assert options.uds is not None
        return backend.connect_unix(options.uds, self._timer, socket_options=options.socket_options)

    def _connected(self, stream: Stream) -> Stream:
        self._opened = stream
        self._facts.tcp_done = self._backend.clock()
        stream.set_deadline("connect", self._timer.until, self._timer.granted)
        return stream

    async def _secure(self, stream: Stream, route: Route) -> Stream:
        """Shake hands with the origin."""
        facts, options = self._facts, self._options
        host = route.server_name or route.origin.host
        self._opened = stream = await self._shake_hands(
            stream, options.tls(), host, options.sessions.find(route), options.protocols(route)
        )
        facts.tls_done = self._backend.clock()
        tls: ssl.SSLObject = stream.get_extra_info("ssl_object")
        facts.tls_version = tls.version()
        cipher = tls.cipher()
        facts.cipher = None if cipher is None else cipher[0]
        facts.tls_resumed = tls.session_reused
        certificate = tls.getpeercert(True)
        facts.certificate_der = None if certificate is None else _shared(certificate)
        return stream

    async def _shake_hands(self, stream: Stream, context: ssl.SSLContext, host: str, *offer: Any) -> Stream:
        """Shake hands with `host`, when it is this connection's turn."""
        queue = self._backend.handshakes()
        if queue is None:
            return await stream.start_tls(context, host, *offer)
        turn = queue.begin()
        if turn is None:
            turn = await queue.wait(self._backend.waiter, self._timer, host)
        try:
            return await stream.start_tls(context, host, *offer)
        finally:
            queue.end(turn)

    async def _pass(self, hop: ProxyHop, route: Route) -> Stream:
        """Return a stream to a proxy that forwards, or through a proxy that tunnels."""
        self._facts.proxy = str(hop)
        host, port = route.origin.host, route.origin.port
        # Both names belong to the step "dns". The proxy may have ways to some addresses of the origin only.
        targets = [host] if hop.resolves else await self._targets(hop, host, port)
        with _on_the_way_to(hop):
            proxies = await self._find(hop.host, hop.port)
        for target in targets[:-1]:
            try:
                return await self._enter(hop, proxies, route, target)
            except Unreachable:
                self._close()
        return await self._enter(hop, proxies, route, targets[-1])

    async def _targets(self, hop: ProxyHop, host: str, port: int) -> list[str]:
        """Return the addresses of the origin that the proxy can be asked for."""
        addresses = await self._resolve(host, port)
        if hop.scheme != "socks4":
            return [address[0] for _, address in addresses]
        targets = [address[0] for family, address in addresses if family == socket.AF_INET]
        if not targets:
            raise ConnectError(f"{host} has no IPv4 address, and the proxy {hop} can be asked for no other")
        return targets

    async def _enter(self, hop: ProxyHop, proxies: Sequence[Address] | None, route: Route, target: str) -> Stream:
        """Connect to the proxy, and have it connect to `target` unless it forwards."""
        sessions = self._options.sessions
        key = Route(Origin("https", hop.host, hop.port), forward=True)
        with _on_the_way_to(hop):
            stream = self._connected(await self._connect(proxies))
            if hop.tls is not None:
                self._opened = stream = await self._shake_hands(
                    stream, hop.tls(), hop.host, sessions.find(key), HTTP1_ONLY
                )
        if not route.forward:
            options = self._options
            # An origin that speaks HTTP/2 without TLS sends its settings unasked (RFC 9113 s.3.4).
            speaks = options.http2 and not options.http1 and route.origin.scheme == "http"
            port, max_head_size = route.origin.port, options.max_head_size
            self._facts.early = await tunnel(stream, hop, target, port, speaks, max_head_size)
            if hop.tls is not None:
                sessions.keep(key, stream)  # closing the tunnel does not report the session of the proxy
        if hop.tls is not None or not route.forward:
            self._facts.proxy_done = self._backend.clock()
        return stream


@contextlib.contextmanager
def _on_the_way_to(hop: ProxyHop) -> Generator[None]:
    """Say in errors that the proxy could not be reached."""
    try:
        yield
    except ConnectError as error:
        raise type(error)(f"the proxy {hop} was not reached: {error}") from error
    except ConnectTimeout as timeout:
        raise retold(timeout, f"the proxy {hop} was not reached: {timeout}") from timeout


class _TracedDial(_Dial):
    """Do the same, and report each step to the tracer of the request that the connection is for."""

    __slots__ = ()

    async def _resolve(self, host: str, port: int) -> Sequence[Address]:
        return await self._tracer.step(
            "dns.resolve", {"host": host, "port": port}, functools.partial(super()._resolve, host, port)
        )

    async def _connect(self, addresses: Sequence[Address] | None) -> Stream:
        options = self._options
        connect = functools.partial(super()._connect, addresses)
        info: dict[str, Any] = {"timeout": self._timer.granted, "socket_options": options.socket_options}
        if addresses is None:
            return await self._tracer.step("connection.connect_unix_socket", {"path": options.uds, **info}, connect)
        host, port = addresses[0][1][:2]
        info = {"host": host, "port": port, "local_address": options.local_address, **info}
        return await self._tracer.step("connection.connect_tcp", info, connect)

    async def _secure(self, stream: Stream, route: Route) -> Stream:
        info = {
            "ssl_context": self._options.tls(),
            "server_hostname": route.server_name or route.origin.host,
            "timeout": self._timer.granted,
        }
        return await self._tracer.step("connection.start_tls", info, functools.partial(super()._secure, stream, route))

    async def _enter(self, hop: ProxyHop, proxies: Sequence[Address] | None, route: Route, target: str) -> Stream:
        info = {"proxy": str(hop), "host": target, "port": route.origin.port, "timeout": self._timer.granted}
        return await self._tracer.step(
            "proxy.connect", info, functools.partial(super()._enter, hop, proxies, route, target)
        )

    @property
    def _tracer(self) -> Tracer:
        trace = self._facts.trace
        assert trace is not None
        return trace
