"""What the transports and clients for httpx and httpx2 share. The package's classes come as a `Package`.

A request of that package becomes a `RawRequest`, without parsing or serialising anything twice, and goes to a transport
of ours; the response goes back with the body as it came over the wire, since the package decodes it. The rules:

1. Nothing of another package is imported here, and none of its private names is used.
2. Exceptions that leave this module are the package's own, of the most specific class that it has for ours; ours is
   the cause, and `journey` is on both.
3. TLS contexts are those that the package itself would make, so that the same certificates are trusted.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .._config import DEFAULT_LIMITS, Limits, Proxy
from .._exceptions import HTTPError, InvalidURL
from .._models import Response
from .._transports import AsyncHTTPTransport, HTTPTransport
from .._transports.raw import RawRequests
from ._package import Package
from ._streams import AsyncNetworkStream, AsyncPieces, NetworkStream, Pieces
from ._tls import shared_context, tls_for

if TYPE_CHECKING:
    from .._net.base import SocketOption
    from .._pool.pool import Pool
    from .._trust import CertTypes

#: What our transports take and a client of the other package does not: `FastClient` takes it for its transports.
OWN_OPTIONS: Final = (
    "uds",
    "local_address",
    "retries",
    "socket_options",
    "replay",
    "resolver",
    "address_filter",
    "keepalive",
    "http2_ping_after",
    "expect_continue",
)


class _Blocking(HTTPTransport):
    """Our transport, trusting what the package trusts."""

    def __init__(self, package: Package, **options: Any) -> None:
        self._package = package
        super().__init__(**options)

    def _tls(self, verify: Any, cert: Any, trust_env: bool) -> Callable[[], ssl.SSLContext]:
        return tls_for(self._package, verify, cert, trust_env)


class _Asynchronous(AsyncHTTPTransport):
    """The same, asynchronous."""

    def __init__(self, package: Package, **options: Any) -> None:
        self._package = package
        super().__init__(**options)

    def _tls(self, verify: Any, cert: Any, trust_env: bool) -> Callable[[], ssl.SSLContext]:
        return tls_for(self._package, verify, cert, trust_env)


def _own_limits(limits: Any) -> Limits:
    """Return our `Limits` for the package's, or ours as they are."""
    if isinstance(limits, Limits):
        return limits
    try:
        return Limits(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
        )
    except AttributeError:
        raise TypeError(f"expected Limits as limits, got {limits!r}") from None


def _own_proxy(proxy: Any, package: Package, trust_env: bool) -> Proxy | None:
    """Return our `Proxy` for the package's, or for a URL as text or object."""
    if proxy is None or isinstance(proxy, Proxy):
        return proxy
    if hasattr(proxy, "raw_auth"):
        own = Proxy(str(proxy.url), ssl_context=proxy.ssl_context, auth=proxy.auth, headers=proxy.headers.raw)
    else:
        own = Proxy(str(proxy))
    if own.url.scheme == "https" and own.ssl_context is None:
        own.ssl_context = shared_context(package, True, None, trust_env)
    return own


class _Adapter:
    """Share code between both transports: constructor and settings."""

    _package: ClassVar[Package]
    _kind: ClassVar[Any]

    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Any = DEFAULT_LIMITS,
        proxy: Any = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[SocketOption] | None = None,
        **own: Any,
    ) -> None:
        self._transport = self._kind(
            self._package,
            verify=verify,
            cert=cert,
            trust_env=trust_env,
            http1=http1,
            http2=http2,
            limits=_own_limits(limits),
            proxy=_own_proxy(proxy, self._package, trust_env),
            uds=uds,
            local_address=local_address,
            retries=retries,
            socket_options=socket_options,
            **own,
        )
        self._requests = RawRequests()

    @property
    def pool(self) -> Pool:
        """Return the pool, for an async transport that of the loop: `stats()`, `connections()`, `waiters()`."""
        return self._transport.pool  # type: ignore[no-any-return]

    def _request(self, request: Any, stream_kind: type, adapter: Callable[[Any], Any]) -> Any:
        """Return our request for the package's."""
        stream = request.stream
        if type(stream) is self._package.byte_stream:
            body = b"".join(stream)
        elif isinstance(stream, stream_kind):
            body = adapter(stream)
        else:
            raise RuntimeError(f"expected a body of type {stream_kind.__name__} in this transport, got {stream!r}")
        return self._requests.make(request.method, request.url, request.headers.raw, body, request.extensions)

    def _response(self, response: Response, whole: Any, streamed: Any, network: Any) -> Any:
        """Return the package's response for ours."""
        data, journey, head = response._body, response.journey, response._head
        if head is None:  # made by hand: a mock stands in place of our transport
            extensions: dict[str, Any] = dict(response.extensions)
        else:
            version = response._version()
            extensions = {
                "http_version": version,
                "network_stream": network(self._package, response),
                "journey": journey,
                "httpx_fast": response,  # for what the package has no place for: trailers, informational responses
            }
            if version == b"HTTP/2":
                extensions["stream_id"] = journey.stream_id
            else:
                extensions["reason_phrase"] = head.reason
        return self._package.response(
            response.status_code,
            headers=response.headers.raw,
            stream=streamed(response) if data is None else whole(data),
            extensions=extensions,
        )


class BlockingTransport(_Adapter):
    """Implement `FastTransport`; the package's base class is added to it."""

    _kind = _Blocking
    _whole: ClassVar[Any]
    _streamed: ClassVar[Any]

    def handle_request(self, request: Any) -> Any:
        """Send one request of the package and return its response; the stream has to be read to its end or closed."""
        try:
            own = self._request(request, self._package.sync_stream, Pieces)
            response = self._transport.handle_request(own)
        except (HTTPError, InvalidURL) as error:
            raise self._package.error(error) from error
        return self._response(response, self._whole, self._streamed, NetworkStream)

    def close(self) -> None:
        """Close all connections; a request that uses or waits for one gets a ReadError."""
        self._transport.close()


class AsynchronousTransport(_Adapter):
    """Implement `AsyncFastTransport`; the package's base class is added to it."""

    _kind = _Asynchronous
    _whole: ClassVar[Any]
    _streamed: ClassVar[Any]

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request of the package and return its response; the stream has to be read to its end or closed."""
        try:
            own = self._request(request, self._package.async_stream, AsyncPieces)
            response = await self._transport.handle_async_request(own)
        except (HTTPError, InvalidURL) as error:
            raise self._package.error(error) from error
        return self._response(response, self._whole, self._streamed, AsyncNetworkStream)

    async def aclose(self) -> None:
        """Close all connections; a request that uses or waits for one gets a ReadError."""
        await self._transport.aclose()


class ClientOptions:
    """Share code between both clients: they make our transports where the package's client makes its own.

    So proxies of the environment, `proxy`, `limits`, `verify`, `cert` and `http1` hold as they do there.
    """

    _fast: ClassVar[Any]
    _transport: Any

    def __init__(self, *, http2: bool = False, **options: Any) -> None:
        self._http2 = http2  # not told to the package, which would ask for h2 to be installed
        self._own_options = {name: options.pop(name) for name in OWN_OPTIONS if name in options}
        super().__init__(**options)

    def _init_transport(self, *arguments: Any, transport: Any = None, **options: Any) -> Any:
        return self._make(*arguments, **options) if transport is None else transport

    def _init_proxy_transport(self, proxy: Any, *arguments: Any, **options: Any) -> Any:
        return self._make(*arguments, proxy=proxy, **options)

    def _make(self, *arguments: Any, **options: Any) -> Any:
        options["http2"] = self._http2
        return self._fast(*arguments, **options, **self._own_options)

    @property
    def pool(self) -> Pool:
        """Return the pool of the client's own transport; those of proxies and mounts are on their transports."""
        return self._transport.pool  # type: ignore[no-any-return]
