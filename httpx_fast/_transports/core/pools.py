"""Pools in httpcore's shape.

`transport._pool` of a transport of ours is one: what tools read of a pool is answered from the transport. Made by
themselves, they have a transport of their own; where a library's subclass makes the connections, those are asked.
Patching `ConnectionPool.handle_request` reaches the transports: they ask it for every request while it is patched.
"""

from __future__ import annotations

import ssl
import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any, Self

from ... import _models as models
from ..._config import Limits, Proxy
from ..._origin import DEFAULT_PORTS
from ..._trust import new_context, shared_ssl_context
from ..http import AsyncHTTPTransport, HTTPTransport
from .backends import AutoBackend as AsyncCoreBackend
from .backends import SyncBackend as CoreBackend
from .connections import OwnConnections, send, send_async
from .messages import (
    URL,
    Origin,
    Request,
    Response,
    core_request,
    core_response,
    field_lines,
    model_request,
    model_response,
)
from .streams import AsyncBackend, BlockingBackend

__all__ = [
    "AsyncConnectionPool",
    "AsyncHTTPProxy",
    "AsyncSOCKSProxy",
    "ConnectionPool",
    "HTTPProxy",
    "SOCKSProxy",
]

_send, _send_async = HTTPTransport.handle_request, AsyncHTTPTransport.handle_async_request


def _by_pool(transport: HTTPTransport, request: models.Request) -> models.Response:
    return model_response(pool_of(transport).handle_request(core_request(request)))


async def _by_async_pool(transport: AsyncHTTPTransport, request: models.Request) -> models.Response:
    return model_response(await pool_of(transport).handle_async_request(core_request(request)))


class _Patchable(type):
    """A class that has its transport ask it while its method is patched."""

    _transport: type
    _method: str
    _by_pool: Any
    #: The class's own method, and what its transport did before it was patched.
    _own: Any = None
    _before: Any = None

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == cls.__dict__.get("_method"):
            cls._lead(patched=value is not cls._own)

    def _lead(cls, *, patched: bool) -> None:
        transport, method = cls._transport, cls._method
        if patched and cls._before is None:
            cls._before = getattr(transport, method)
            setattr(transport, method, cls._by_pool)
        elif not patched and cls._before is not None:
            # Who has patched the transport since then goes on; it leads to the pool, which sends.
            if getattr(transport, method) is cls._by_pool:
                setattr(transport, method, cls._before)
            cls._before = None


class _Requested:
    """One request that a pool has, as far as it is known there: its connection, None while it waits for one."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def is_queued(self) -> bool:
        return self.connection is None


class _ConnectionView:
    """Show one connection of a pool, at one moment."""

    def __init__(self, info: Any) -> None:
        self._info = info

    def can_handle_request(self, origin: Any) -> bool:
        own = self._info.origin
        return (own.scheme.encode(), own.host.encode(), own.port) == tuple(origin)

    def is_available(self) -> bool:
        return self.is_idle()

    def has_expired(self) -> bool:
        return False

    def is_idle(self) -> bool:
        return bool(self._info.state == "idle")

    def is_closed(self) -> bool:
        return False

    def info(self) -> str:
        info = self._info
        return f"{str(info.origin)!r}, {info.http_version}, {info.state.upper()}, Request Count: {info.requests}"

    def __repr__(self) -> str:
        return f"<HTTPConnection [{self.info()}]>"


class _Pool:
    """Share code between pools of both kinds."""

    transport: Any
    _transport_kind: Any = None
    _backend_kind: Any = None
    _core_backend: Any = None
    _given: OwnConnections | None = None

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Any = None,
        max_connections: int | None = 10,
        max_keepalive_connections: int | None = None,
        keepalive_expiry: float | None = None,
        http1: bool = True,
        http2: bool = False,
        retries: int = 0,
        local_address: str | None = None,
        uds: str | None = None,
        network_backend: Any = None,
        socket_options: Iterable[Any] | None = None,
    ) -> None:
        limits = Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_keepalive_connections,
            keepalive_expiry=keepalive_expiry,
        )
        self.transport = self._transport_kind(
            verify=True if ssl_context is None else ssl_context,
            http1=http1,
            http2=http2,
            limits=limits,
            proxy=_our_proxy(proxy),
            uds=uds,
            local_address=local_address,
            retries=retries,
            socket_options=socket_options,
        )
        if type(self).create_connection is not _Pool.create_connection:
            self._given = OwnConnections(self.create_connection, limits)
        if network_backend is not None:
            self._network_backend = network_backend

    def create_connection(self, origin: Origin) -> Any:
        """Return a new connection; a hook for subclasses."""
        raise NotImplementedError(f"{type(self).__name__} makes its connections itself; there is none to give out")

    @classmethod
    def _of(cls, transport: Any) -> Self:
        pool = cls.__new__(cls)
        pool.transport = transport
        return pool

    @property
    def _options(self) -> Any:
        return self.transport._options

    @property
    def _ssl_context(self) -> ssl.SSLContext:
        """Return a context that is this transport's alone: tools change it, and that of the process is for others."""
        options = self._options
        verify, cert, trust_env = options.tls.args
        if isinstance(verify, (str, bool)):
            self._ssl_context = new_context(verify, cert, trust_env)
        context: ssl.SSLContext = options.tls()
        return context

    @_ssl_context.setter
    def _ssl_context(self, context: ssl.SSLContext | None) -> None:
        """Use `context` for connections that are made from now on; None for the default."""
        options = self._options
        options.tls = partial(shared_ssl_context, True if context is None else context, None, True)
        options.sessions.clear()  # they are of the context before

    @property
    def _proxy_url(self) -> URL | None:
        hop = self._options.proxy
        if hop is None:
            return None
        # As in the URL that the user gave: that of a SOCKS proxy has its port always.
        port = None if hop.scheme in ("http", "https") and hop.port == DEFAULT_PORTS[hop.scheme] else hop.port
        return URL(scheme=hop.scheme, host=hop.host, port=port, target=b"/")

    @property
    def _proxy(self) -> Any:
        return self._options.proxy

    @property
    def _proxy_headers(self) -> list[tuple[bytes, bytes]]:
        hop = self._options.proxy
        return [] if hop is None else list(hop.fields)

    @property
    def _proxy_auth(self) -> tuple[bytes, bytes] | None:
        hop = self._options.proxy
        return None if hop is None else hop.login

    @property
    def _max_connections(self) -> int | None:
        limit: int | None = self.transport._limits.max_connections
        return limit

    @property
    def _max_keepalive_connections(self) -> int | None:
        limit: int | None = self.transport._limits.max_keepalive_connections
        return limit

    @property
    def _keepalive_expiry(self) -> float | None:
        expiry: float | None = self.transport._limits.keepalive_expiry
        return expiry

    @property
    def _http1(self) -> bool:
        return bool(self._options.http1)

    @property
    def _http2(self) -> bool:
        return bool(self._options.http2)

    @property
    def _retries(self) -> int:
        return int(self._options.retries)

    @property
    def _local_address(self) -> str | None:
        address: str | None = self._options.local_address
        return address

    @property
    def _uds(self) -> str | None:
        path: str | None = self._options.uds
        return path

    @property
    def _socket_options(self) -> list[Any]:
        return list(self._options.socket_options)

    @property
    def _network_backend(self) -> Any:
        """Return what was set, or else a backend that connects by the system: tools wrap it, and set what they made.

        Many guard against server-side request forgery so; some leave a pool without a backend unguarded.
        """
        backend = self.transport.__dict__.get("_network_backend")
        return self._core_backend() if backend is None else backend

    @_network_backend.setter
    def _network_backend(self, backend: Any) -> None:
        """Connect with `backend` (httpcore's kind) from now on; close the present connections."""
        transport, kind = self.transport, self._backend_kind
        make_pool: Any = self._transport_kind._make_pool

        def make(_: object) -> Any:
            return make_pool(transport, kind(backend.connect_tcp, getattr(backend, "connect_unix_socket", None)))

        transport._network_backend = backend
        transport._make_pool = make
        for pool in self._pools():
            pool.close()
        transport._open()

    def _pools(self) -> list[Any]:
        raise NotImplementedError

    @property
    def connections(self) -> list[Any]:
        """Return the present connections."""
        if self._given is not None:
            return list(self._given.connections)
        return [_ConnectionView(info) for pool in self._pools() for info in pool.connections()]

    @property
    def _connections(self) -> list[Any]:
        return self.connections

    @property
    def _requests(self) -> list[Any]:
        """Return the requests that have a connection or wait for one."""
        if self._given is not None:
            return [_Requested(self)] * self._given.requests
        found: list[Any] = []
        for pool in self._pools():
            for info in pool.connections():
                busy = {"leased": info.streams, "draining": info.streams, "connecting": 1}.get(info.state, 0)
                found += [_Requested(_ConnectionView(info)) for _ in range(busy)]
            found += [_Requested(None) for _ in pool.waiters()]
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [Requests: {len(self._requests)} | Connections: {len(self.connections)}]>"


class ConnectionPool(_Pool, metaclass=_Patchable):
    """Blocking; asked by `HTTPTransport` for every request while it is patched."""

    _transport = _transport_kind = HTTPTransport
    _backend_kind = BlockingBackend
    _core_backend = CoreBackend
    _method = "handle_request"
    _by_pool = staticmethod(_by_pool)

    def handle_request(self, request: Request) -> Response:
        if self._given is not None:
            return send(self._given, request)
        return core_response(_send(self.transport, model_request(request)))

    _own = handle_request

    def request(self, method: bytes | str, url: URL | bytes | str, **options: Any) -> Response:
        """Send a request and read its response."""
        response = self.handle_request(_made(method, url, options))
        response.read()
        return response

    def close(self) -> None:
        for each in () if self._given is None else self._given.all():
            each.close()
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _pools(self) -> list[Any]:
        return [self.transport.pool]


class AsyncConnectionPool(_Pool, metaclass=_Patchable):
    """Asked by `AsyncHTTPTransport` for every request while it is patched."""

    _transport = _transport_kind = AsyncHTTPTransport
    _backend_kind = AsyncBackend
    _core_backend = AsyncCoreBackend
    _method = "handle_async_request"
    _by_pool = staticmethod(_by_async_pool)

    async def handle_async_request(self, request: Request) -> Response:
        if self._given is not None:
            return await send_async(self._given, request)
        return core_response(await _send_async(self.transport, model_request(request)))

    _own = handle_async_request

    async def request(self, method: bytes | str, url: URL | bytes | str, **options: Any) -> Response:
        """Send a request and read its response."""
        response = await self.handle_async_request(_made(method, url, options))
        await response.aread()
        return response

    async def aclose(self) -> None:
        for each in () if self._given is None else self._given.all():
            await each.aclose()
        await self.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def _pools(self) -> list[Any]:
        return list(self.transport._pools.values())


class _Proxied:
    """Pools that go through a proxy, which `proxy_url` names."""

    def __init__(
        self,
        proxy_url: URL | bytes | str,
        proxy_auth: tuple[bytes | str, bytes | str] | None = None,
        proxy_headers: Any = None,
        *,
        proxy_ssl_context: ssl.SSLContext | None = None,
        **settings: Any,
    ) -> None:
        url = bytes(proxy_url).decode("ascii") if isinstance(proxy_url, (URL, bytes)) else proxy_url
        auth = None if proxy_auth is None else (_text(proxy_auth[0]), _text(proxy_auth[1]))
        proxy = Proxy(url, auth=auth, headers=field_lines(proxy_headers), ssl_context=proxy_ssl_context)
        super().__init__(proxy=proxy, **settings)  # type: ignore[call-arg]


class HTTPProxy(_Proxied, ConnectionPool):
    """A pool that goes through an http or https proxy."""


class AsyncHTTPProxy(_Proxied, AsyncConnectionPool):
    """A pool that goes through an http or https proxy."""


class SOCKSProxy(_Proxied, ConnectionPool):
    """A pool that goes through a SOCKS proxy."""


class AsyncSOCKSProxy(_Proxied, AsyncConnectionPool):
    """A pool that goes through a SOCKS proxy."""


def pool_of(transport: Any) -> Any:
    """Return the pool of one of our transports, in httpcore's shape; its class tells which proxy it uses."""
    if transport._given_pool is not None:
        return transport._given_pool.pool
    known = transport.__dict__.get("_core_pool")
    pool = None if known is None else known()
    if pool is None:
        blocking = isinstance(transport, HTTPTransport)
        hop = transport._options.proxy
        kind: Any
        if hop is None:
            kind = ConnectionPool if blocking else AsyncConnectionPool
        elif hop.forwards:
            kind = HTTPProxy if blocking else AsyncHTTPProxy
        else:
            kind = SOCKSProxy if blocking else AsyncSOCKSProxy
        pool = kind._of(transport)
        transport._core_pool = weakref.ref(pool)  # not the pool, which keeps its transport from being collected at once
    return pool


def _made(method: bytes | str, url: URL | bytes | str, options: dict[str, Any]) -> Request:
    request = Request(method, url, **options)
    names = {name.lower() for name, _ in request.headers}
    if b"host" not in names:
        port = request.url.port
        request.headers.insert(0, (b"Host", request.url.host + (b"" if port is None else b":%d" % port)))
    content = options.get("content")
    if isinstance(content, bytes) and not names & {b"content-length", b"transfer-encoding"}:
        request.headers.append((b"Content-Length", b"%d" % len(content)))
    elif content is not None and not names & {b"content-length", b"transfer-encoding"}:
        request.headers.append((b"Transfer-Encoding", b"chunked"))
    return request


def _our_proxy(proxy: Any) -> Proxy | None:
    """Return one of our proxies for one of httpcore's kind."""
    if proxy is None or isinstance(proxy, Proxy):
        return proxy
    auth = None if proxy.auth is None else (_text(proxy.auth[0]), _text(proxy.auth[1]))
    return Proxy(bytes(proxy.url).decode("ascii"), auth=auth, headers=proxy.headers, ssl_context=proxy.ssl_context)


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
