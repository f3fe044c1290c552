"""An HTTP client with httpx's interface: `import httpx_fast as httpx`.

The public names, whose `__module__` is this package. Names with expensive imports, or that few programs need, are
loaded on first access.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .__version__ import __description__, __title__, __version__
from ._api import delete, get, head, options, patch, post, put, query, request, stream, websocket
from ._auth import Auth, BasicAuth, DigestAuth, FunctionAuth, NetRCAuth
from ._byte_streams import AsyncByteStream, SyncByteStream
from ._client import USE_CLIENT_DEFAULT, AsyncClient, Client
from ._config import Limits, Proxy, TCPKeepAlive, Timeout, create_ssl_context
from ._content import ByteStream
from ._debug import debug
from ._exceptions import (
    AddressDenied,
    CircuitOpen,
    ClientClosed,
    CloseError,
    ConnectError,
    ConnectTimeout,
    CookieConflict,
    DecodingError,
    DownloadError,
    EventTimeout,
    HTTPError,
    HTTPStatusError,
    InvalidURL,
    LocalProtocolError,
    NetworkError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    RequestError,
    RequestNotRead,
    ResponseNotRead,
    ResponseTooLarge,
    SSEError,
    StreamClosed,
    StreamConsumed,
    StreamError,
    TimeoutException,
    TooManyRedirects,
    TransportError,
    TrustStoreError,
    UnsupportedProtocol,
    WriteError,
    WriteTimeout,
)
from ._journey import ConnectionFacts, Journey
from ._masking import add_secret_names
from ._models import Cookies, Headers, Request, Response
from ._transports import AsyncBaseTransport, BaseTransport, MockTransport
from ._urls import URL, Origin, QueryParams

if TYPE_CHECKING:
    from ._alias.finder import alias, alias_httpx
    from ._client.explanation import Explanation
    from ._client.many import Outcome
    from ._client.reconnect import Reconnect
    from ._client.record import Recording
    from ._har import har
    from ._journey_certificate import Certificate
    from ._journey_parts import Sizes
    from ._pool.pool import Pool
    from ._pool.stats import ConnectionInfo, PoolStats, WaiterInfo
    from ._report import report
    from ._resolvers import AddressFilter, CachingResolver, Resolver, StaticResolver
    from ._retry.origins import RetryStats
    from ._retry.settings import Breaker, Hedge, Retry
    from ._retry.transport import AsyncRetryTransport, RetryTransport
    from ._sse import EventSource, ServerSentEvent
    from ._status_codes import codes
    from ._transports import ASGITransport, AsyncHTTPTransport, HTTPTransport, WSGITransport

__all__ = [
    "USE_CLIENT_DEFAULT",
    "ASGITransport",
    "AddressDenied",
    "AddressFilter",
    "AsyncBaseTransport",
    "AsyncByteStream",
    "AsyncClient",
    "AsyncHTTPTransport",
    "AsyncRetryTransport",
    "Auth",
    "BaseTransport",
    "BasicAuth",
    "Breaker",
    "ByteStream",
    "CachingResolver",
    "Certificate",
    "CircuitOpen",
    "Client",
    "ClientClosed",
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionFacts",
    "ConnectionInfo",
    "CookieConflict",
    "Cookies",
    "DecodingError",
    "DownloadError",
    "DigestAuth",
    "EventSource",
    "EventTimeout",
    "Explanation",
    "FunctionAuth",
    "HTTPError",
    "HTTPStatusError",
    "HTTPTransport",
    "Headers",
    "Hedge",
    "InvalidURL",
    "Journey",
    "Limits",
    "LocalProtocolError",
    "MockTransport",
    "NetRCAuth",
    "NetworkError",
    "Outcome",
    "Origin",
    "Pool",
    "PoolStats",
    "PoolTimeout",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "QueryParams",
    "Reconnect",
    "ReadError",
    "ReadTimeout",
    "Recording",
    "RemoteProtocolError",
    "Request",
    "RequestError",
    "RequestNotRead",
    "Resolver",
    "Response",
    "ResponseNotRead",
    "ResponseTooLarge",
    "Retry",
    "RetryStats",
    "RetryTransport",
    "ServerSentEvent",
    "SSEError",
    "Sizes",
    "StaticResolver",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "SyncByteStream",
    "TCPKeepAlive",
    "Timeout",
    "TimeoutException",
    "TooManyRedirects",
    "TransportError",
    "TrustStoreError",
    "URL",
    "UnsupportedProtocol",
    "WSGITransport",
    "WaiterInfo",
    "WriteError",
    "WriteTimeout",
    "__description__",
    "__title__",
    "__version__",
    "add_secret_names",
    "alias",
    "alias_httpx",
    "codes",
    "create_ssl_context",
    "debug",
    "delete",
    "get",
    "har",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "query",
    "report",
    "request",
    "stream",
    "websocket",
]

#: Public names that are loaded on first access, and the module of each.
_LATE = {
    "ASGITransport": "._transports.asgi",
    "AddressFilter": "._resolvers",
    "AsyncHTTPTransport": "._transports.default",
    "AsyncRetryTransport": "._retry.transport",
    "Breaker": "._retry.settings",
    "EventSource": "._sse",
    "Explanation": "._client.explanation",
    "CachingResolver": "._resolvers",
    "Certificate": "._journey_certificate",
    "ConnectionInfo": "._pool.stats",
    "HTTPTransport": "._transports.default",
    "Hedge": "._retry.settings",
    "Outcome": "._client.many",
    "Pool": "._pool.pool",
    "PoolStats": "._pool.stats",
    "Reconnect": "._client.reconnect",
    "Recording": "._client.record",
    "Resolver": "._resolvers",
    "Retry": "._retry.settings",
    "RetryStats": "._retry.origins",
    "RetryTransport": "._retry.transport",
    "Sizes": "._journey_parts",
    "StaticResolver": "._resolvers",
    "ServerSentEvent": "._sse",
    "WSGITransport": "._transports.wsgi",
    "WaiterInfo": "._pool.stats",
    "alias": "._alias",
    "codes": "._status_codes",
    "alias_httpx": "._alias",
    "har": "._har",
    "main": "._cli",
    "report": "._report",
}


#: Modules that `import httpx` loads, and that programs reach as its attributes, as in `httpx._types.AuthTypes`.
_LATE_MODULES = frozenset({"_sse", "_status_codes", "_types"})


def _adopt(public: Any) -> Any:
    """Set the `__module__` of a public name to this package, wherever it is defined."""
    public.__module__ = __name__
    return public


def _adopt_all() -> None:
    for name in __all__:
        if name in globals() and not name.startswith("__"):
            _adopt(globals()[name])


_adopt_all()


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        module = _LATE.get(name)
        if module is None:
            if name in _LATE_MODULES:
                return import_module(f".{name}", __name__)
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = _adopt(getattr(import_module(module, __name__), name))
        return found


def __dir__() -> list[str]:
    return sorted({*__all__, *_LATE})
