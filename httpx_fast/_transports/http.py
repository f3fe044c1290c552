"""The transports that speak HTTP over the network.

A transport opens nothing when it is made: the first request connects, the TLS context is built on the first https
connection. The asynchronous transport keeps a pool per event loop, since a socket belongs to the loop that watches it.
A closed transport may serve another client, which finds new pools; requests of the client that closed it find none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._deadline import Deadline
from .._drive import drive
from .._models import Request, Response
from .._models.response import received
from .._origin import Route
from .base import AsyncBaseTransport, BaseTransport
from .outgoing import AsyncPieces, BlockingPieces, BoundedPieces, Outgoing
from .transport_core import TransportCore, check_sender

if TYPE_CHECKING:
    from .._net.auto import backend_for, current_token, has_ended
    from .._net.sync import SyncBackend
    from .._pool.pool import Pool
    from .bodies import AsyncBody, SyncBody, response_of
    from .network import of_async_response, of_response

# Reentrant: a garbage collection while it is held may run finalizers that close other clients, as openai's does.
_reopening = threading.RLock()


def _renew_lock() -> None:
    """Replace the lock in the child of a fork: the thread that held it may not exist there."""
    global _reopening
    _reopening = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def load() -> None:
    """Import what connects and sends, which takes longer than all the rest; the first pool of a process is made of it.

    These are names of this module and not of functions, so that a request does not ask for them again.
    """
    global AsyncBody, SyncBackend, SyncBody, _is_loaded, backend_for, current_token, has_ended, response_of
    global of_async_response, of_response
    if _is_loaded:
        return
    from .._net.auto import backend_for, current_token, has_ended
    from .._net.sync import SyncBackend
    from .bodies import AsyncBody, SyncBody, response_of
    from .network import of_async_response, of_response

    _is_loaded = True


_is_loaded = False
if not TYPE_CHECKING:

    def current_token() -> object:
        """Return the token of the running event loop, as the function does that `load()` puts in place of this one."""
        load()
        return current_token()


class HTTPTransport(TransportCore, BaseTransport):
    """Send requests over connections of its own pool, for `Client`. Safe to share between threads.

    `limits` bound the pool; `uds` is the path of a Unix domain socket to connect to instead of the URL's host;
    `local_address` the address to connect from; `retries` how often failed connecting (never a request) is tried
    again within `timeout.connect`; `socket_options` are arguments of `socket.setsockopt`. `replay` says whether a
    request that met a dead reused connection is sent once more: True always, False never, None (and unless the
    request's extension "replay" says otherwise) if it is idempotent, by its method or an Idempotency-Key.

    `resolver` gives addresses for host and port, see `Resolver`; None for the system's. `address_filter` says of each
    address whether it may be connected to, see `AddressFilter`. `keepalive` are the probes on silent connections, by
    default after 60 s; False for none. All of it holds for connections to `proxy` too: `uds` and `local_address` then
    say how the proxy is reached, and `timeout.connect` bounds connecting to the origin through it.

    `http2_ping_after` is how many seconds a connection of HTTP/2 may be silent, while requests wait, before the peer is
    asked for a sign of life, None for any number; one that gives none within 15 s is taken for dead. `expect_continue`
    has bodies, True for all or from so many bytes on, wait until the server wants them.

    ```python
    transport = httpx.HTTPTransport(retries=2, local_address="127.0.0.1")
    httpx.Client(transport=transport).close()
    ```
    """

    def _open(self) -> None:
        self._closed = False
        self._made: Pool | None = None

    @property
    def pool(self) -> Pool:
        """Return the pool, which is made when it is first asked for."""
        made = self._made
        if made is not None:
            return made
        load()
        with _reopening:
            made = self._made
            if made is None:
                new = self._make_pool(SyncBackend())
                made = self._made  # of a signal handler, which may have sent a request meanwhile
                if made is None:
                    made = self._made = new
                if self._closed:
                    made.close()
            return made

    def _pools_left(self) -> list[Pool]:
        return [] if self._made is None else [self._made]

    def _pieces(self, stream: Any, deadline: Deadline | None, clock: Callable[[], float]) -> Outgoing:
        if not isinstance(stream, SyncByteStream):
            raise RuntimeError(f"a blocking transport cannot send the asynchronous body {stream!r}")
        return BlockingPieces(stream)

    def handle_request(self, request: Request) -> Response:
        """Send one request and return its response; its stream is to be read to the end or closed."""
        if self._given_pool is not None:
            given: Response = self._given_pool.send(request)
            return given
        pool = self._made or self.pool
        if pool.closed:
            pool = self._reopened(request)
        reply = drive(self._prepare(request, pool))
        head, data, interim, trailers, lease, journey = reply
        if lease is None and not interim and not trailers and self._max_size is None:
            return received(head.status, head, request, journey, data, None, of_response)
        return response_of(request, reply, SyncBody, self._max_size)

    def warm(self, request: Request, n: int = 1) -> int:
        """Open connections for requests like this one, one by one, until there are `n`; see `Client.warm()`."""
        if self._given_pool is not None:
            self._given_pool.warm()
        route, budget = self._route_and_timeout(request)
        pool = self._reopened(request) if self.pool.closed else self.pool
        return drive(pool.warm(route, n, budget))

    def drain(self, timeout: float | None = None) -> int:
        """Give later requests new connections, and wait for those in use; see `Client.drain()`."""
        return drive(self.pool.drain(timeout))

    def close(self) -> None:
        """Close all connections, those in use and those being made too; their users, and waiters, get ClientClosed."""
        if self._given_pool is not None:
            self._given_pool.close()
            if "_options" not in self.__dict__:  # a subclass that sets nothing up but the pool
                return
        self._options.sessions.clear()  # of the connections that are closed now none is read
        with _reopening:
            self._closed = True
            made = self._made
        if made is not None:
            made.close()

    def _reopened(self, request: Request) -> Pool:
        """Return a new pool after `close()`. Raises ClientClosed if the client was closed that sends `request`."""
        check_sender(request)
        with _reopening:
            if self.pool.closed:
                self._closed = False
                self._made = self._make_pool(SyncBackend())
            return self.pool


class AsyncHTTPTransport(TransportCore, AsyncBaseTransport):
    """Send requests over connections of its own pool, for `AsyncClient`, on asyncio and trio.

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

    def _pieces(self, stream: Any, deadline: Deadline | None, clock: Callable[[], float]) -> Outgoing:
        if not isinstance(stream, AsyncByteStream):
            raise RuntimeError(f"an asynchronous transport cannot send the blocking body {stream!r}")
        return AsyncPieces(stream) if deadline is None else BoundedPieces(stream, deadline, clock)

    @property
    def pool(self) -> Pool:
        """Return the pool of the event loop that runs; RuntimeError where none does."""
        token = current_token()
        if self._closed:
            pool = self._make_pool(backend_for(token))
            pool.close()
            return pool
        return self._pool_of(token)

    async def handle_async_request(self, request: Request) -> Response:
        """Send one request and return its response; its stream is to be read to the end or closed."""
        if self._given_pool is not None:
            given: Response = await self._given_pool.send(request)
            return given
        token = current_token()
        last, pool = self._last
        if pool is None or token is not last:
            pool = self._pool_of(token, request)
        reply = await self._prepare(request, pool)
        head, data, interim, trailers, lease, journey = reply
        if lease is None and not interim and not trailers and self._max_size is None:
            return received(head.status, head, request, journey, data, None, of_async_response)
        return response_of(request, reply, AsyncBody, self._max_size)

    async def awarm(self, request: Request, n: int = 1) -> int:
        """Open connections for requests like this one, at once, until there are `n`; see `AsyncClient.warm()`."""
        if self._given_pool is not None:
            self._given_pool.warm()
        route, budget = self._route_and_timeout(request)
        return await self._pool_of(current_token(), request).warm(route, n, budget)

    async def adrain(self, timeout: float | None = None) -> int:
        """Give later requests new connections, and wait for those in use; see `AsyncClient.drain()`.

        In other event loops as well, whose connections are neither waited for nor counted.
        """
        with self._pools_lock:
            pools = list(self._pools.items())
        here = current_token() if pools else None
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
        """Close all connections, those in use and those being made too; their users, and waiters, get ClientClosed.

        In other event loops as well, which do that in their next iteration.
        """
        if self._given_pool is not None:
            await self._given_pool.close()
            if "_options" not in self.__dict__:  # a subclass that sets nothing up but the pool
                return
        with self._pools_lock:
            self._closed = True
            pools = list(self._pools.items())
            self._pools.clear()
            self._last = (None, None)
        self._options.sessions.clear()
        for token, pool in pools:
            if token is current_token():
                pool.close()
            else:
                _close_in_other_loop(pool)

    def _has_used(self, route: Route) -> bool:
        """Return whether the pool of any event loop has used a route."""
        return any(pool.has_used(route) for pool in list(self._pools.values()))

    def _pool_of(self, token: object, request: Request | None = None) -> Pool:
        """Return the pool of this loop; those of loops that have ended are dropped with their sockets.

        Raises ClientClosed if the client was closed that sends `request`.
        """
        with self._pools_lock:
            if self._closed and request is not None:
                check_sender(request)
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


def _close_in_other_loop(pool: Pool) -> None:
    """Close a pool of another loop, by that loop if it still runs."""
    try:
        pool.close_soon()
    except RuntimeError:
        pool.close()
