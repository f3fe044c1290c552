"""The stand-in for httpcore while httpx is replaced: enough for tools that use what is below httpx.

1. `except httpcore.ReadError`: its exceptions are the very classes that clients raise here.
2. Base classes and annotations: `NetworkStream`, `AsyncNetworkStream` and the backends' interfaces.
3. `transport._pool` is a `ConnectionPool`, an `HTTPProxy` or a `SOCKSProxy`, and has its settings.
4. Patching: a replacement of `ConnectionPool.handle_request` is called for every request of `HTTPTransport`, with
   httpcore's kind of request, and may return httpcore's kind of response; the asynchronous pair likewise. The original
   method sends the request. Without a patch requests do not pass through this module.
5. Transports that libraries build on httpcore: pools can be made, and subclassed with connections of one's own, over
   streams of one's own (`HTTP11Connection(origin, stream)`), or by a `network_backend`.

`_alias` returns this one module for httpcore and for each of `MODULES`. Its parts are in `_transports/core`.
"""

from __future__ import annotations

import ssl
from typing import Any, NoReturn, TypeAlias

from .._config import create_ssl_context
from .._exceptions import (
    ConnectError,
    ConnectTimeout,
    LocalProtocolError,
    NetworkError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
    UnsupportedProtocol,
    WriteError,
    WriteTimeout,
    map_httpcore_exceptions,
)
from .._transports.core.backends import (
    AnyIOBackend,
    AnyIOStream,
    AsyncLock,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    AutoBackend,
    Lock,
    NetworkBackend,
    NetworkStream,
    SyncBackend,
    SyncStream,
    TrioBackend,
    TrioStream,
    is_socket_readable,
)
from .._transports.core.connections import (
    AsyncConnectionInterface,
    AsyncHTTP2Connection,
    AsyncHTTP11Connection,
    ConnectionInterface,
    HTTP2Connection,
    HTTP11Connection,
)
from .._transports.core.messages import URL, ConnectionNotAvailable, Origin, Request, Response
from .._transports.core.pools import (
    AsyncConnectionPool,
    AsyncHTTPProxy,
    AsyncSOCKSProxy,
    ConnectionPool,
    HTTPProxy,
    SOCKSProxy,
)

__all__ = [
    "SOCKET_OPTION",
    "URL",
    "AnyIOBackend",
    "AnyIOStream",
    "AsyncConnectionInterface",
    "AsyncConnectionPool",
    "AsyncHTTP2Connection",
    "AsyncHTTP11Connection",
    "AsyncHTTPConnection",
    "AsyncHTTPProxy",
    "AsyncLock",
    "AsyncNetworkBackend",
    "AsyncNetworkStream",
    "AsyncSOCKSProxy",
    "AutoBackend",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionInterface",
    "ConnectionNotAvailable",
    "ConnectionPool",
    "HTTP2Connection",
    "HTTP11Connection",
    "HTTPConnection",
    "HTTPProxy",
    "LocalProtocolError",
    "Lock",
    "NetworkBackend",
    "NetworkError",
    "NetworkStream",
    "Origin",
    "PoolTimeout",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Request",
    "Response",
    "SOCKSProxy",
    "SyncBackend",
    "SyncStream",
    "TimeoutException",
    "TrioBackend",
    "TrioStream",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
    "default_ssl_context",
    "is_socket_readable",
    "map_exceptions",
    "request",
]

#: Modules of httpcore that tools import by name.
MODULES = frozenset(
    {
        "_async",
        "_async.connection",
        "_async.connection_pool",
        "_async.http11",
        "_async.http2",
        "_async.http_proxy",
        "_async.interfaces",
        "_async.socks_proxy",
        "_backends",
        "_backends.anyio",
        "_backends.auto",
        "_backends.base",
        "_backends.sync",
        "_backends.trio",
        "_exceptions",
        "_models",
        "_sync",
        "_sync.connection",
        "_sync.connection_pool",
        "_sync.http11",
        "_sync.http2",
        "_sync.http_proxy",
        "_sync.interfaces",
        "_sync.socks_proxy",
        "_ssl",
        "_synchronization",
        "_utils",
    }
)
#: The import system requires it of a package; there is no directory.
__path__: list[str] = []

SOCKET_OPTION: TypeAlias = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(
        f"httpcore has been replaced by httpx_fast.alias(), which has no {name!r} to offer in its place; "
        "alias(..., httpcore=False) leaves the installed httpcore alone"
    )


#: The type of httpcore's tables that map exceptions to exceptions.
map_exceptions = map_httpcore_exceptions


def default_ssl_context() -> ssl.SSLContext:
    """Return the TLS context of https connections for which none is given."""
    return create_ssl_context()


def request(method: bytes | str, url: URL | bytes | str, **options: Any) -> Response:
    """Send one request over a connection of its own."""
    with ConnectionPool() as pool:
        return pool.request(method, url, **options)


class Proxy:
    """Configure a proxy, for the pools' `proxy=`."""

    def __init__(
        self,
        url: URL | bytes | str,
        auth: tuple[bytes | str, bytes | str] | None = None,
        headers: Any = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url if isinstance(url, URL) else URL(url)
        self.auth = auth
        self.headers = headers
        self.ssl_context = ssl_context


class HTTPConnection:
    """Provide a name to patch and to test for: a pool's own connections are not of this class."""

    def __init__(self, *arguments: object, **settings: object) -> None:
        raise RuntimeError(
            f"httpcore has been replaced by httpx_fast.alias(): its {type(self).__name__} sends nothing. Use a client, "
            "a pool, or alias(..., httpcore=False)"
        )


class AsyncHTTPConnection(HTTPConnection):
    """Provide a name to patch and to test for."""
