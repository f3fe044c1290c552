"""What stands at httpcore's name while httpx is replaced: just enough for tools that reach below httpx.

Nobody sends through it. It exists for four uses, and says so when asked for anything else:

1. `except httpcore.ReadError`: its exceptions are the very classes that clients raise here.
2. Base classes and annotations: `NetworkStream`, `AsyncNetworkStream` and the backends' interfaces.
3. `isinstance(transport._pool, httpcore.HTTPProxy)`: such classes, of which there are no instances.
4. Patching: whatever takes the place of `ConnectionPool.handle_request` is asked for every request of
   `HTTPTransport`, with httpcore's kind of request, and may give httpcore's kind of response; the asynchronous pair
   likewise. The method that was replaced sends for real. Unpatched, a request does not come by here.

`_alias` gives this one module for httpcore and for each of `MODULES`.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, NoReturn, Self, TypeAlias, cast

from .. import _models as models
from .. import _urls as urls
from .._content import AsyncIteratorByteStream, ByteStream, IteratorByteStream
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
)
from .._transports.default import AsyncHTTPTransport, HTTPTransport
from .._types import AsyncByteStream, SyncByteStream

__all__ = [
    "SOCKET_OPTION",
    "URL",
    "AsyncConnectionPool",
    "AsyncHTTPConnection",
    "AsyncHTTPProxy",
    "AsyncNetworkBackend",
    "AsyncNetworkStream",
    "AsyncSOCKSProxy",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionNotAvailable",
    "ConnectionPool",
    "HTTPConnection",
    "HTTPProxy",
    "LocalProtocolError",
    "NetworkBackend",
    "NetworkError",
    "NetworkStream",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Request",
    "Response",
    "SOCKSProxy",
    "TimeoutException",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
]

#: Modules of httpcore that tools import by name.
MODULES = frozenset(
    {
        "_async",
        "_async.connection",
        "_async.connection_pool",
        "_async.http_proxy",
        "_async.socks_proxy",
        "_backends",
        "_backends.base",
        "_exceptions",
        "_models",
        "_sync",
        "_sync.connection",
        "_sync.connection_pool",
        "_sync.http_proxy",
        "_sync.socks_proxy",
    }
)
#: The import system asks a package for it; there is no folder.
__path__: list[str] = []

SOCKET_OPTION: TypeAlias = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]

_Lines: TypeAlias = list[tuple[bytes, bytes]]


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(
        f"httpcore has been replaced by httpx_fast.alias(), which has no {name!r} to offer in its place; "
        "alias(..., httpcore=False) leaves the installed httpcore alone"
    )


class ConnectionNotAvailable(Exception):
    """Never raised: a connection that became unusable is none of a request's business."""


class URL:
    """A URL in four parts, in bytes."""

    def __init__(
        self,
        url: bytes | str = "",
        *,
        scheme: bytes | str = b"",
        host: bytes | str = b"",
        port: int | None = None,
        target: bytes | str = b"",
    ) -> None:
        if url:
            parsed = urls.URL(url if isinstance(url, str) else url.decode("ascii"))
            scheme, host, port, target = parsed.raw_scheme, parsed.raw_host, parsed.port, parsed.raw_path
        self.scheme = _bytes(scheme)
        self.host = _bytes(host)
        self.port = port
        self.target = _bytes(target)

    def _parts(self) -> tuple[bytes, bytes, int | None, bytes]:
        return self.scheme, self.host, self.port, self.target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and self._parts() == other._parts()

    def __bytes__(self) -> bytes:
        port = b"" if self.port is None else b":%d" % self.port
        return self.scheme + b"://" + self.host + port + self.target

    def __repr__(self) -> str:
        return f"URL(scheme={self.scheme!r}, host={self.host!r}, port={self.port!r}, target={self.target!r})"


class Request:
    """A request as httpcore hands it on."""

    def __init__(
        self,
        method: bytes | str,
        url: URL | bytes | str,
        *,
        headers: Any = None,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.method = _bytes(method)
        self.url = url if isinstance(url, URL) else URL(url)
        self.headers = _lines(headers)
        self.stream = _stream(content)
        self.extensions = dict(extensions or {})


class Response:
    """A response as httpcore hands it back."""

    #: The response that this one was made from, whose way and connection it cannot hold.
    _received: models.Response | None = None

    def __init__(
        self,
        status: int,
        *,
        headers: Any = None,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.headers = _lines(headers)
        self.stream = _stream(content)
        self.extensions = dict(extensions or {})


def _bytes(value: bytes | str) -> bytes:
    return value.encode("ascii") if isinstance(value, str) else value


def _lines(headers: Any) -> _Lines:
    pairs: Iterable[tuple[bytes | str, bytes | str]] = headers or ()
    if isinstance(headers, Mapping):
        pairs = cast("Mapping[bytes | str, bytes | str]", headers).items()
    return [(_bytes(name), _bytes(value)) for name, value in pairs]


def _stream(content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None) -> SyncByteStream | AsyncByteStream:
    if content is None or isinstance(content, bytes):
        return ByteStream(content or b"")
    if isinstance(content, SyncByteStream | AsyncByteStream):
        return content
    return AsyncIteratorByteStream(content) if isinstance(content, AsyncIterable) else IteratorByteStream(content)


def _core_request(request: models.Request) -> Request:
    url = request.url
    return Request(
        request.method,
        URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _model_request(request: Request) -> models.Request:
    url = request.url
    return models.Request(
        request.method.decode("ascii"),
        urls.URL(scheme=url.scheme.decode("ascii"), host=url.host.decode("ascii"), port=url.port, raw_path=url.target),
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )


def _core_response(received: models.Response) -> Response:
    response = Response(
        received.status_code, headers=received.headers.raw, content=received.stream, extensions=received.extensions
    )
    response._received = received
    return response


def _model_response(response: Response) -> models.Response:
    if response._received is not None:
        return response._received
    return models.Response(
        response.status, headers=response.headers, stream=_stream(response.stream), extensions=response.extensions
    )


_send, _send_async = HTTPTransport.handle_request, AsyncHTTPTransport.handle_async_request


def _by_pool(transport: HTTPTransport, request: models.Request) -> models.Response:
    return _model_response(ConnectionPool._of(transport).handle_request(_core_request(request)))


async def _by_async_pool(transport: AsyncHTTPTransport, request: models.Request) -> models.Response:
    return _model_response(await AsyncConnectionPool._of(transport).handle_async_request(_core_request(request)))


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
            # Who has patched the transport since then goes on; its way leads by the pool, which sends.
            if getattr(transport, method) is cls._by_pool:
                setattr(transport, method, cls._before)
            cls._before = None


class _Pool:
    """The pool of `transport`, as far as httpcore's pool is asked for."""

    transport: Any

    def __init__(self, *arguments: object, **settings: object) -> None:
        raise RuntimeError(
            f"httpcore has been replaced by httpx_fast.alias(): its {type(self).__name__} sends nothing. Use a client, "
            "or alias(..., httpcore=False)"
        )

    @classmethod
    def _of(cls, transport: Any) -> Self:
        pool = cls.__new__(cls)
        pool.transport = transport
        return pool


class ConnectionPool(_Pool, metaclass=_Patchable):
    """Asked by `HTTPTransport` for every request while it is patched."""

    _transport = HTTPTransport
    _method = "handle_request"
    _by_pool = staticmethod(_by_pool)

    def handle_request(self, request: Request) -> Response:
        return _core_response(_send(self.transport, _model_request(request)))

    _own = handle_request


class AsyncConnectionPool(_Pool, metaclass=_Patchable):
    """Asked by `AsyncHTTPTransport` for every request while it is patched."""

    _transport = AsyncHTTPTransport
    _method = "handle_async_request"
    _by_pool = staticmethod(_by_async_pool)

    async def handle_async_request(self, request: Request) -> Response:
        return _core_response(await _send_async(self.transport, _model_request(request)))

    _own = handle_async_request


class HTTPConnection(_Pool):
    """A name to patch and to test for: connections are below the pool's business here."""


class AsyncHTTPConnection(_Pool):
    """A name to patch and to test for."""


class HTTPProxy(_Pool):
    """A name to patch and to test for: a transport with a proxy has the same pool as any other."""


class AsyncHTTPProxy(_Pool):
    """A name to patch and to test for."""


class SOCKSProxy(_Pool):
    """A name to patch and to test for."""


class AsyncSOCKSProxy(_Pool):
    """A name to patch and to test for."""


class NetworkStream:
    """The interface of a blocking network stream."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        raise NotImplementedError

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        return None


class AsyncNetworkStream:
    """The interface of an asynchronous network stream."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        raise NotImplementedError

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncNetworkStream:
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        return None


class NetworkBackend:
    """A name for annotations and base classes: nothing asks it to connect."""


class AsyncNetworkBackend:
    """A name for annotations and base classes: nothing asks it to connect."""
