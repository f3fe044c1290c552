"""Single connections in httpcore's shape, and the pool of those that a library's own pool makes.

A connection is a transport that has one connection: over a stream that it was given, or one that it makes. So there is
one way to speak HTTP, and one to keep deadlines, whoever made the stream.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar

from ..._byte_streams import AsyncByteStream, SyncByteStream
from ..._config import Limits
from ..._deadline import timed_out
from ..._exceptions import PoolTimeout
from ..._net.auto import backend_for, current_token
from ..._net.base import Backend, Waiter
from ..._net.sync import SyncBackend
from ..._pool.pool import Pool
from ..http import AsyncHTTPTransport, HTTPTransport
from .messages import ConnectionNotAvailable, Origin, Request, Response, core_response, model_request
from .streams import AsyncBackend, BlockingBackend

__all__ = [
    "AsyncConnectionInterface",
    "AsyncHTTP2Connection",
    "AsyncHTTP11Connection",
    "ConnectionInterface",
    "HTTP2Connection",
    "HTTP11Connection",
]

_send, _send_async = HTTPTransport.handle_request, AsyncHTTPTransport.handle_async_request


class ConnectionInterface:
    """Define what a pool needs of its blocking connections."""

    def handle_request(self, request: Request) -> Response:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class AsyncConnectionInterface:
    """Define what a pool needs of its asynchronous connections."""

    async def handle_async_request(self, request: Request) -> Response:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


def _once(stream: Any) -> Callable[..., Any]:
    """Return a connect function that gives `stream` to its first caller, and raises for all others."""
    left = [stream]

    def connect(*where: object, **how: object) -> Any:
        if not left:
            raise ConnectionNotAvailable
        return left.pop()

    return connect


class _OverStream(HTTPTransport):
    """A transport whose one connection is a stream that was given."""

    def __init__(self, stream: Any, **settings: Any) -> None:
        self._given = stream
        super().__init__(**settings)

    def _make_pool(self, backend: Backend) -> Pool:
        return super()._make_pool(BlockingBackend(_once(self._given), secured=True))


class _AsyncOverStream(AsyncHTTPTransport):
    def __init__(self, stream: Any, **settings: Any) -> None:
        self._given = stream
        super().__init__(**settings)

    def _make_pool(self, backend: Backend) -> Pool:
        connect = _once(self._given)

        async def connected(*where: object, **how: object) -> Any:
            return connect()

        return super()._make_pool(AsyncBackend(connected, secured=True))


class _Connection:
    """A connection over a stream; `stream` is httpcore's kind, TLS on it is done."""

    http2: ClassVar[bool] = False
    _kind: ClassVar[Any]

    def __init__(self, origin: Origin, stream: Any, keepalive_expiry: float | None = None) -> None:
        self._origin = origin
        self._keepalive_expiry = keepalive_expiry
        self._used = False
        # Nothing but a name for TLS that was done: making a context with authorities would cost 26 ms.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        limits = Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=keepalive_expiry)
        self.transport: Any = self._kind(stream, verify=context, http1=not self.http2, http2=self.http2, limits=limits)

    def _pool(self) -> Any:
        raise NotImplementedError

    def _infos(self) -> list[Any]:
        pool = self._pool()
        return [] if pool is None else pool.connections()

    def _claim(self) -> None:
        if self._used and not self.is_available():
            raise ConnectionNotAvailable
        self._used = True

    def can_handle_request(self, origin: Origin) -> bool:
        return bool(origin == self._origin)

    def is_available(self) -> bool:
        """Return whether it takes a request now."""
        if not self._used:
            return True
        infos = self._infos()
        return bool(infos) and (
            infos[0].state == "idle"
            or (infos[0].state == "leased" and infos[0].max_streams not in (None, 1) and self._has_room(infos[0]))
        )

    def _has_room(self, info: Any) -> bool:
        return bool(info.streams < info.max_streams)

    def has_expired(self) -> bool:
        """Return whether it has been idle for too long, or was closed by the peer meanwhile."""
        infos = self._infos()
        if not self._used or not infos or infos[0].state != "idle":
            return self.is_closed()
        if self._keepalive_expiry is not None and infos[0].idle >= self._keepalive_expiry:
            return True
        return not all(each.alive_now() for each, *_ in self._pool().leases.plan.connections())

    def is_idle(self) -> bool:
        infos = self._infos()
        return self._used and bool(infos) and infos[0].state == "idle"

    def is_closed(self) -> bool:
        return self._used and not self._infos()

    def info(self) -> str:
        infos = self._infos()
        state = infos[0].state.upper() if infos else "CLOSED" if self._used else "NEW"
        count = infos[0].requests if infos else 0
        return f"{str(self._origin)!r}, {'HTTP/2' if self.http2 else 'HTTP/1.1'}, {state}, Request Count: {count}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.info()}]>"


class HTTP11Connection(_Connection, ConnectionInterface):
    """A blocking connection of HTTP/1.1."""

    _kind = _OverStream

    def _pool(self) -> Any:
        return self.transport.pool

    def handle_request(self, request: Request) -> Response:
        self._claim()
        return core_response(_send(self.transport, model_request(request)))

    def close(self) -> None:
        self._used = True
        self.transport.close()


class HTTP2Connection(HTTP11Connection):
    """A blocking connection of HTTP/2."""

    http2 = True


class AsyncHTTP11Connection(_Connection, AsyncConnectionInterface):
    """An asynchronous connection of HTTP/1.1."""

    _kind = _AsyncOverStream

    def _pool(self) -> Any:
        return self.transport._last[1]

    async def handle_async_request(self, request: Request) -> Response:
        self._claim()
        return core_response(await _send_async(self.transport, model_request(request)))

    async def aclose(self) -> None:
        self._used = True
        await self.transport.aclose()


class AsyncHTTP2Connection(AsyncHTTP11Connection):
    """An asynchronous connection of HTTP/2."""

    http2 = True


class OwnConnections:
    """The connections that a library's pool makes by `create_connection`: which of them takes a request, and limits.

    It decides, and tells who waits when a decision may turn out another way; nothing is awaited or closed under the
    lock.
    """

    def __init__(self, create: Callable[[Origin], Any], limits: Limits) -> None:
        self._create = create
        self._most = limits.max_connections
        self._most_idle = limits.max_keepalive_connections
        self._lock = threading.Lock()
        self._waiters: list[Waiter] = []
        self.connections: list[Any] = []
        self.requests = 0  # those that have a connection, or wait for one

    def find(self, origin: Origin, waiter: Waiter) -> tuple[Any, list[Any]]:
        """Return a connection for a request, None if it has to wait, and the connections to close."""
        with self._lock:
            doomed = [each for each in self.connections if each.is_closed() or each.has_expired()]
            self.connections = [each for each in self.connections if each not in doomed]
            for each in self.connections:
                if each.can_handle_request(origin) and each.is_available():
                    return each, doomed
            if self._most is not None and len(self.connections) >= self._most:
                idle = next((each for each in self.connections if each.is_idle()), None)
                if idle is None:
                    self._waiters.append(waiter)
                    return None, doomed
                self.connections.remove(idle)
                doomed.append(idle)
            made = self._create(origin)
            self.connections.append(made)
            return made, doomed

    def released(self) -> list[Any]:
        """Note that a request has ended and wake the waiters. Return the connections to close."""
        with self._lock:
            doomed = [each for each in self.connections if each.is_closed()]
            idle = [each for each in self.connections if each.is_idle()]
            if self._most_idle is not None:
                doomed += idle[: max(len(idle) - self._most_idle, 0)]
            self.connections = [each for each in self.connections if each not in doomed]
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set()
        return doomed

    def all(self) -> list[Any]:
        """Remove all connections and return them."""
        with self._lock:
            found, self.connections = self.connections, []
        return found


def _budget(request: Request) -> float | None:
    timeouts: dict[str, float | None] = request.extensions.get("timeout") or {}
    return timeouts.get("pool")


def _too_late(since: float, now: float, budget: float | None) -> PoolTimeout:
    failure = timed_out("pool", now - since, budget or 0.0, "all connections are in use")
    assert isinstance(failure, PoolTimeout)
    return failure


def send(own: OwnConnections, request: Request) -> Response:
    """Send a request over one of the connections."""
    from ..._drive import drive

    backend, budget = SyncBackend(), _budget(request)
    since = backend.clock()
    at = None if budget is None else since + budget
    while True:
        waiter = backend.waiter()
        connection, doomed = own.find(request.url.origin, waiter)
        for each in doomed:
            each.close()
        if connection is None:
            if not drive(waiter.wait(at)):  # type: ignore[arg-type]  # a coroutine
                raise _too_late(since, backend.clock(), budget)
            continue
        own.requests += 1
        try:
            response: Response = connection.handle_request(request)
        except BaseException as error:
            _ended(own)
            if isinstance(error, ConnectionNotAvailable):
                continue
            raise
        response.stream = _Stream(response.stream, own)
        response._received = None
        return response


def _ended(own: OwnConnections) -> None:
    own.requests -= 1
    for each in own.released():
        each.close()


class _Stream(SyncByteStream):
    """A body whose end tells the pool."""

    def __init__(self, stream: Any, own: OwnConnections) -> None:
        self._stream = stream
        self._own: OwnConnections | None = own

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        finally:
            self.close()

    def close(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            if hasattr(self._stream, "close"):
                self._stream.close()
            _ended(own)


async def send_async(own: OwnConnections, request: Request) -> Response:
    """Send a request over one of the connections."""
    backend, budget = backend_for(current_token()), _budget(request)
    since = backend.clock()
    at = None if budget is None else since + budget
    while True:
        waiter = backend.waiter()
        connection, doomed = own.find(request.url.origin, waiter)
        for each in doomed:
            await each.aclose()
        if connection is None:
            if not await waiter.wait(at):
                raise _too_late(since, backend.clock(), budget)
            continue
        own.requests += 1
        try:
            response: Response = await connection.handle_async_request(request)
        except BaseException as error:
            await _ended_async(own)
            if isinstance(error, ConnectionNotAvailable):
                continue
            raise
        response.stream = _AsyncStream(response.stream, own)
        response._received = None
        return response


async def _ended_async(own: OwnConnections) -> None:
    own.requests -= 1
    for each in own.released():
        await each.aclose()


class _AsyncStream(AsyncByteStream):
    """A body whose end tells the pool."""

    def __init__(self, stream: Any, own: OwnConnections) -> None:
        self._stream = stream
        self._own: OwnConnections | None = own

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            try:
                if hasattr(self._stream, "aclose"):
                    await self._stream.aclose()
            finally:
                await _ended_async(own)
