"""The one door between what users hold and what goes over the wire.

A `Request` becomes a head, a route and budgets here, and a head and a body become a `Response`; per-request settings
(timeouts, server name, target) are read here, once. Below the door nobody knows a model, above it nobody a connection.

A transport opens nothing when it is made: the first request connects, the TLS context is built on the first https
connection. The asynchronous transport keeps a pool per event loop, since a socket belongs to the loop that watches it.
A closed transport may serve another client, which finds new pools; requests of the client that closed it find none.
"""

from __future__ import annotations

import ssl
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from logging import DEBUG
from typing import TYPE_CHECKING, Any

from .._argument_names import names_explained
from .._byte_streams import AsyncByteStream, SyncByteStream
from .._config import (
    DEFAULT_HTTP2_PING_AFTER_SECONDS,
    DEFAULT_LIMITS,
    Limits,
    ProxyTypes,
    TCPKeepAlive,
    granted,
    ping_after,
    request_timeouts,
)
from .._conn.dial import DialOptions
from .._drive import drive
from .._exceptions import ClientClosed, map_httpcore_exceptions
from .._head import FieldLine
from .._journey import Journey
from .._models import Headers, Request, Response
from .._models.response import received
from .._net.address_policy import IPAddress
from .._net.auto import backend_for, current_token, has_ended
from .._net.base import Backend, SocketOption
from .._net.sync import SyncBackend
from .._origin import Route
from .._pool.lease import caller
from .._pool.pool import Lease, Pool, Reply
from .._trace import any_logger_answered, tracer
from .._trust import CertTypes, check_ssl_settings, shared_ssl_context
from .base import AsyncBaseTransport, BaseTransport
from .core.bodies import AsyncResponseStream, ResponseStream
from .heads import complete, forwarded, framing_of
from .network import AsyncNetworkStream, NetworkStream, handed_over, of_async_response, of_response
from .outgoing import AsyncPieces, BlockingPieces, BoundedPieces
from .proxying import forward_route, hop_of

if TYPE_CHECKING:
    from .._resolvers import ResolverTypes

# The last three for transports that others build on httpcore, which take them from here.
__all__ = [
    "AsyncHTTPTransport",
    "AsyncResponseStream",
    "HTTPTransport",
    "ResponseStream",
    "map_httpcore_exceptions",
]


class _Door:
    """What both transports share: settings, and the translation of requests and replies."""

    @names_explained
    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        proxy: ProxyTypes | None = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[SocketOption] | None = None,
        replay: bool | None = None,
        resolver: ResolverTypes | None = None,
        address_filter: Callable[[IPAddress], bool] | None = None,
        keepalive: TCPKeepAlive | bool = True,
        http2_ping_after: float | None = DEFAULT_HTTP2_PING_AFTER_SECONDS,
    ) -> None:
        if not (http1 or http2):
            raise ValueError("http1=False and http2=False leave no protocol to speak")
        tls = self._tls(verify, cert, trust_env)
        hop = hop_of(proxy, verify, trust_env)
        self._forward = forward_route(hop)
        self._proxy_fields = () if hop is None else hop.fields
        if not isinstance(limits, Limits):
            raise TypeError(f"expected Limits as limits, got {limits!r}")
        if not isinstance(retries, int) or retries < 0:
            raise ValueError(f"expected a number of tries, 0 or more, as retries, got {retries!r}")
        self._limits = limits
        self._options = DialOptions(
            tls=tls,
            uds=uds,
            local_address=local_address,
            socket_options=tuple(socket_options or ()),
            retries=retries,
            http1=http1,
            http2=http2,
            ping_after=ping_after(http2_ping_after),
            proxy=hop,
            resolver=resolver,
            allows=address_filter,
            keepalive=() if not keepalive else (TCPKeepAlive() if keepalive is True else keepalive).socket_options(),
        )
        self._replay = replay
        self._made_at = caller(2)
        self._open()

    def _tls(
        self, verify: ssl.SSLContext | str | bool, cert: CertTypes | None, trust_env: bool
    ) -> Callable[[], ssl.SSLContext]:
        """Return a function that gives the TLS context for these settings, which is called on https connections."""
        check_ssl_settings(verify, cert, trust_env)
        tls = partial(shared_ssl_context, verify, cert, trust_env)
        if isinstance(verify, str) or cert is not None:
            tls()  # what is wrong in files that were named shows now, not on the first request
        return tls

    def _open(self) -> None:
        """Makes what a world needs."""
        raise NotImplementedError

    def _pools_left(self) -> list[Pool]:
        """The pools that may have connections."""
        raise NotImplementedError

    def __del__(self) -> None:
        # At the interpreter's end the system closes what is open, and half of what this needs is gone.
        if sys.is_finalizing() or not hasattr(self, "_made_at"):
            return
        left = sum(pool.close_from_finalizer() for pool in self._pools_left())
        if left:
            warnings.warn(
                f"a client (or transport) was collected without being closed, while {left} of its connections were "
                f"open; it was made at {self._made_at}",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )

    @property
    def _pool(self) -> Any:
        """The pool in httpcore's shape, for tools that read it; ours is `pool`."""
        from .core.pools import pool_of

        return pool_of(self)

    def _make_pool(self, backend: Backend) -> Pool:
        limits = self._limits
        return Pool(
            backend,
            self._options,
            limits.max_connections,
            limits.max_keepalive_connections,
            limits.keepalive_expiry,
            limits.max_per_host,
            limits.max_age,
        )

    def _way(self, request: Request) -> tuple[Route, float | None]:
        """Where the connections lead that serve this request, and the seconds to make one."""
        head, _, route = complete(request, request._unchanged_head())
        if self._forward is not None and head.scheme == b"http":
            route = self._forward
        return route, granted(request, "connect")


_reopening = threading.Lock()


def _check_sender(request: Request) -> None:
    """A transport that was closed may be given to another client. Raises ClientClosed for a request of the one before.

    It has passed its client's own check if it is of a redirect, or of a retry, or was overtaken by `close()`.
    """
    sender = request._dispatch.sender
    client = None if sender is None else sender()
    if client is not None and client.is_closed:
        raise ClientClosed(f"the client was closed, by close() or aclose(), before a request to {request.url} was sent")


def _watch(request: Request, journey: Journey) -> None:
    """Sees who is to be told of the journey, if anybody is."""
    watcher = tracer(request._extensions, request)
    if watcher is not None:
        journey.trace = watcher


class HTTPTransport(_Door, BaseTransport):
    """Sends requests over connections of its own pool, for `Client`. Safe to share between threads.

    `limits` bound the pool; `uds` is the path of a Unix domain socket to connect to instead of the URL's host;
    `local_address` the address to connect from; `retries` how often failed connecting (never a request) is tried
    again within `timeout.connect`; `socket_options` are arguments of `socket.setsockopt`. `replay` says whether a
    request that met a dead reused connection is sent once more: True always, False never, None (and unless the
    request's extension "replay" says otherwise) if it is idempotent, by its method or an Idempotency-Key.

    `resolver` gives addresses for host and port, see `Resolver`; None for the system's. `address_filter` says of each
    address whether it may be connected to, see `AddressFilter`. `keepalive` are the probes on silent connections, by
    default after 60 s; False for none. All of it holds for the way to `proxy` too: `uds` and `local_address` then say
    how the proxy is reached, and `timeout.connect` bounds the whole way through it.

    `http2_ping_after` is how many seconds a connection of HTTP/2 may be silent, while requests wait, before the peer is
    asked for a sign of life, None for any number; one that gives none within 15 s is taken for dead.
    """

    def _open(self) -> None:
        self.pool: Pool = self._make_pool(SyncBackend())

    def _pools_left(self) -> list[Pool]:
        return [self.pool]

    def handle_request(self, request: Request) -> Response:
        """Sends one request and returns its response; its stream is to be read to the end or closed."""
        dispatch = request._dispatch
        destination = dispatch.destination
        head, route = request._unchanged_head(), destination.route
        if head is None or route is None:
            head, destination, route = complete(request, head)
        if self._forward is not None and head.scheme == b"http":
            head, route = forwarded(head, destination, self._forward, self._proxy_fields)
        pool = self.pool
        if pool.closed:
            pool = self._reopened(request)
        journey = Journey(pool.clock(), pool.clock, head)
        extensions = request._extensions
        if extensions is not None or any_logger_answered(DEBUG) is not False:
            _watch(request, journey)
        data = request._content if request._stream is None else request._body
        framing = 0 if data == b"" and head.announced is None else framing_of(head, data)
        body: bytes | BlockingPieces
        if data is None:
            stream = request.stream
            if not isinstance(stream, SyncByteStream):
                raise RuntimeError(f"a blocking transport cannot send the asynchronous body {stream!r}")
            body = BlockingPieces(stream)
        else:
            body = data
        timeouts = request_timeouts(request, pool.clock)
        replay = self._replay if extensions is None else extensions.get("replay", self._replay)
        reply = drive(pool.request(head, route, body, framing, timeouts, journey, dispatch.whole, replay))
        return _response(request, journey, reply, SyncBody)

    def warm(self, request: Request, n: int = 1) -> int:
        """Opens connections for requests like this one, one by one, until there are `n`; see `Client.warm()`."""
        route, budget = self._way(request)
        pool = self._reopened(request) if self.pool.closed else self.pool
        return drive(pool.warm(route, n, budget))

    def drain(self, timeout: float | None = None) -> int:
        """Gives later requests new connections, and waits for those in use; see `Client.drain()`."""
        return drive(self.pool.drain(timeout))

    def close(self) -> None:
        """Closes all connections, those in use and those being made too; who uses them, or waits, gets ClientClosed."""
        self._options.sessions.clear()  # of the connections that are closed now none is read
        self.pool.close()

    def _reopened(self, request: Request) -> Pool:
        """A new pool after `close()`. Raises ClientClosed if the client was closed that sends `request`."""
        _check_sender(request)
        with _reopening:
            if self.pool.closed:
                self.pool = self._make_pool(SyncBackend())
            return self.pool


class AsyncHTTPTransport(_Door, AsyncBaseTransport):
    """Sends requests over connections of its own pool, for `AsyncClient`, on asyncio and trio.

    Arguments are those of `HTTPTransport`.
    """

    def _open(self) -> None:
        # The loop that was used last and its pool, in one reference: loops in other threads change it meanwhile.
        self._last: tuple[object, Pool | None] = (None, None)
        self._closed = False
        self._pools: dict[object, Pool] = {}
        self._pools_lock = threading.Lock()

    def _pools_left(self) -> list[Pool]:
        return list(self._pools.values())

    @property
    def pool(self) -> Pool:
        """The pool of the event loop that runs; RuntimeError where none does."""
        token = current_token()
        if self._closed:
            pool = self._make_pool(backend_for(token))
            pool.close()
            return pool
        return self._pool_of(token)

    async def handle_async_request(self, request: Request) -> Response:
        """Sends one request and returns its response; its stream is to be read to the end or closed."""
        dispatch = request._dispatch
        destination = dispatch.destination
        head, route = request._unchanged_head(), destination.route
        if head is None or route is None:
            head, destination, route = complete(request, head)
        if self._forward is not None and head.scheme == b"http":
            head, route = forwarded(head, destination, self._forward, self._proxy_fields)
        token = current_token()
        last, pool = self._last
        if pool is None or token is not last:
            pool = self._pool_of(token, request)
        journey = Journey(pool.clock(), pool.clock, head)
        extensions = request._extensions
        if extensions is not None or any_logger_answered(DEBUG) is not False:
            _watch(request, journey)
        data = request._content if request._stream is None else request._body
        framing = 0 if data == b"" and head.announced is None else framing_of(head, data)
        timeouts = request_timeouts(request, pool.clock)
        replay = self._replay if extensions is None else extensions.get("replay", self._replay)
        if data is not None:
            reply = await pool.request(head, route, data, framing, timeouts, journey, dispatch.whole, replay)
            return _response(request, journey, reply, AsyncBody)
        stream = request.stream
        if not isinstance(stream, AsyncByteStream):
            raise RuntimeError(f"an asynchronous transport cannot send the blocking body {stream!r}")
        deadline = timeouts.deadline
        pieces = AsyncPieces(stream) if deadline is None else BoundedPieces(stream, deadline, pool.clock)
        try:
            reply = await pool.request(head, route, pieces, framing, timeouts, journey, dispatch.whole, replay)
        except BaseException:
            await pieces.aclose()
            raise
        response = _response(request, journey, reply, AsyncBody)
        lease = reply[4]
        if lease is None or not lease.sending:
            await pieces.aclose()
        else:
            response.stream.unsent = pieces  # type: ignore[union-attr]
        return response

    async def awarm(self, request: Request, n: int = 1) -> int:
        """Opens connections for requests like this one, at once, until there are `n`; see `AsyncClient.warm()`."""
        route, budget = self._way(request)
        return await self._pool_of(current_token(), request).warm(route, n, budget)

    async def adrain(self, timeout: float | None = None) -> int:
        """Gives later requests new connections, and waits for those in use; see `AsyncClient.drain()`.

        In other event loops as well, whose connections are neither waited for nor counted.
        """
        here = current_token()
        with self._pools_lock:
            pools = list(self._pools.items())
        left = 0
        for token, pool in pools:
            if token is here:
                continue
            with suppress(RuntimeError):  # that loop has ended
                pool.retire_soon()
        for token, pool in pools:
            if token is here:
                left = await pool.drain(timeout)
        return left

    async def aclose(self) -> None:
        """Closes all connections, those in use and those being made too; who uses them, or waits, gets ClientClosed.

        In other event loops as well, which do that in their next turn.
        """
        with self._pools_lock:
            self._closed = True
            pools = list(self._pools.items())
            self._pools.clear()
            self._last = (None, None)
        self._options.sessions.clear()
        here = current_token()
        for token, pool in pools:
            if token is here:
                pool.close()
            else:
                _close_from_afar(pool)

    def _has_used(self, route: Route) -> bool:
        """Return whether the pool of any event loop has used a route."""
        return any(pool.has_used(route) for pool in list(self._pools.values()))

    def _pool_of(self, token: object, request: Request | None = None) -> Pool:
        """The pool of this loop; those of loops that have ended are dropped with their sockets.

        Raises ClientClosed if the client was closed that sends `request`.
        """
        with self._pools_lock:
            if self._closed and request is not None:
                _check_sender(request)
                self._closed = False
            ended: list[Pool] = []
            for other, pool in list(self._pools.items()):
                if other is not token and has_ended(other):
                    ended.append(self._pools.pop(other))
                    pool.close()
            found = self._pools.get(token)
            if found is None:
                found = self._pools[token] = self._make_pool(backend_for(token))
            found.know_others(self._has_used, ended)
            self._last = (token, found)
            return found


def _close_from_afar(pool: Pool) -> None:
    """Closes a pool of another loop, by that loop if it still runs."""
    try:
        pool.close_soon()
    except RuntimeError:
        pool.close()


class _Body:
    """The body of a response that is still coming, as the framing gave it: undecoded."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @property
    def trailers(self) -> list[FieldLine]:
        """Field lines of the trailer section; none before the end of the body."""
        return list(self._lease.trailers)

    def abandon(self) -> None:
        """Gives up the rest without waiting for anything; callable from finalizers."""
        self._lease.close()


class SyncBody(_Body, SyncByteStream):
    network: Any = staticmethod(of_response)
    network_type = NetworkStream

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = drive(self._lease.next_chunk())
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        self._lease.close()
        if self._lease.trace is not None:
            drive(self._lease.trace.deliver())


class AsyncBody(_Body, AsyncByteStream):
    network: Any = staticmethod(of_async_response)
    network_type = AsyncNetworkStream
    unsent: AsyncPieces | None = None  # a request's body that is sent while this one is read

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._lease.next_chunk()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._lease.close()
        if self.unsent is not None:
            await self.unsent.aclose()
        if self._lease.trace is not None:
            await self._lease.trace.deliver()


def _response(request: Request, journey: Journey, reply: Reply, body_type: type[SyncBody | AsyncBody]) -> Response:
    head, data, interim, trailers, lease = reply
    stream, network = None, body_type.network
    if lease is not None:
        stream = body_type(lease)
        network = handed_over(lease, journey.connection, body_type.network_type) or network
    response = received(head.status, head, request, journey, data, stream, network)
    if interim:
        response._interim = interim
    if trailers:
        response._trailers = Headers(list(trailers))
    return response
