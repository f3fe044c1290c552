"""Network streams in httpcore's shape as streams of ours, and backends that get their streams from others.

A stream that was handed over is secured already, if its origin wants TLS: shaking hands on it does nothing. One that
somebody else's backend connects is asked for TLS. What such streams cannot give: they push nothing while idle, and
all or nothing of what is written is taken.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import anyio
import anyio.abc

from ..._deadline import PhaseTimer
from ..._exceptions import ConnectError, ConnectTimeout, TimeoutException, TransportError
from ..._net.anyio import AnyIOBackend, AnyIOStream
from ..._net.base import DONE, Address, Buffer, SocketOption, Stream
from ..._net.deadline_stream import NEVER, DeadlineStream
from ..._net.errors import reason
from ..._net.sync import SyncBackend
from .messages import ConnectionNotAvailable

_READ = 64 * 1024  # bytes asked for in one read, and given to one write

#: Connects to host and port, or to a path: keyword arguments are those of httpcore's backends.
Connect: TypeAlias = Callable[..., Any]


class _NoTLS:
    """The TLS object of a stream that has none to show."""

    session_reused = None

    def version(self) -> None:
        return None

    def cipher(self) -> None:
        return None

    def selected_alpn_protocol(self) -> None:
        return None


_NO_TLS = _NoTLS()


def _set_alpn(context: ssl.SSLContext, alpn: Sequence[str] | None) -> None:
    if alpn is not None:
        context.set_alpn_protocols(list(alpn))


class BlockingStream(DeadlineStream):
    """A blocking network stream."""

    __slots__ = ("_network", "_secured")

    def __init__(self, network: Any, clock: Callable[[], float], secured: bool) -> None:
        super().__init__(network.get_extra_info("server_addr"), clock)
        self._network = network
        self._secured = secured

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        self._unsent += [memoryview(buffer) for buffer in buffers]
        return self._send_all()

    async def flush(self, reading: bool) -> None:
        await self._send_all()

    async def _send_all(self) -> None:
        waiting, self._unsent = b"".join(self._unsent), []
        for start in range(0, len(waiting), _READ):
            try:
                self._network.write(waiting[start : start + _READ], self._left(self._write_timer.at))
            except (TimeoutException, TimeoutError) as error:
                raise self._write_expired(self._clock()) from error
            except OSError as error:
                raise self._write_failed(error) from error
            self._write_timer.postpone(self._clock)

    def receive(self) -> Awaitable[None]:
        if self._fault is not None:
            raise self._fault
        if self._arrived:
            self._read_timer.postpone(self._clock)
        while True:
            try:
                data = self._network.read(_READ, self._left(self._read_timer.at))
            except (TimeoutException, TimeoutError) as error:
                raise self._expired(self._clock()) from error
            except OSError as error:
                raise self._read_failed(error) from error
            if not data:
                self._end()
                return DONE
            self._arrived = True
            if self._sink.data_received(memoryview(data)):
                return DONE
            self._read_timer.postpone(self._clock)
            now = self._clock()
            if now >= self._read_timer.at:
                raise self._expired(now)

    def poll_idle(self) -> None:
        # Whatever there is to read while nothing was asked for: no answer can come on this connection.
        if self._ended or self._closed or not self._network.get_extra_info("is_readable"):
            return
        self._ended = True
        with contextlib.suppress(Exception):
            self._tell_end()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with contextlib.suppress(Exception):
                self._network.close()

    async def start_tls(  # type: ignore[override]  # the stream is not one of ours
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
        alpn: Sequence[str] | None = None,
    ) -> Stream:
        if self._secured:
            return self
        _set_alpn(context, alpn)
        with _connecting(server_hostname):
            network = self._network.start_tls(context, server_hostname, self._left(self._read_timer.at))
        secure = BlockingStream(network, self._clock, secured=True)
        secure.set_deadline("connect", self._read_timer.until, self._read_timer.budget)
        return secure

    def get_extra_info(self, name: str) -> Any:
        return _extra(self._network, name, self._secured)

    def _left(self, at: float) -> float | None:
        return None if at == NEVER else max(at - self._clock(), 0.001)


class AsyncStream(AnyIOStream):
    """An asynchronous network stream."""

    __slots__ = ("_network", "_secured")

    def __init__(self, network: Any, clock: Callable[[], float], secured: bool) -> None:
        super().__init__(_AnyIOShape(network), clock)  # type: ignore[arg-type]  # as much of one as is used
        self._network = network
        self._secured = secured

    def poll_idle(self) -> None:
        if self._ended or self._closed or not self._network.get_extra_info("is_readable"):
            return
        self._ended = True
        with contextlib.suppress(Exception):
            self._tell_end()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._scopes.cancel()
        if not _close_at_once(self._network):
            self._closed = False
            super().close()

    async def start_tls(  # type: ignore[override]  # the stream is not one of ours
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
        alpn: Sequence[str] | None = None,
    ) -> Stream:
        if self._secured:
            return self
        _set_alpn(context, alpn)
        left = None if self._read_timer.at == NEVER else max(self._read_timer.at - self._clock(), 0.001)
        with _connecting(server_hostname):
            network = await self._network.start_tls(context, server_hostname, left)
        secure = AsyncStream(network, self._clock, secured=True)
        secure.set_deadline("connect", self._read_timer.until, self._read_timer.budget)
        return secure

    def get_extra_info(self, name: str) -> Any:
        return _extra(self._network, name, self._secured)


_STEPS = 8  # bare yields of one `aclose`; those that are known have one


def _close_at_once(network: Any) -> bool:
    """Close without waiting; return whether that was enough. A bare yield may be resumed with None."""
    closing = network.aclose()
    try:
        for _ in range(_STEPS):
            if closing.send(None) is not None:
                break
    except (Exception, StopIteration):  # noqa: BLE001  # done; nobody is there to be told how it went
        return True
    with contextlib.suppress(RuntimeError):
        closing.close()
    return False


class _AnyIOShape:
    """A network stream as AnyIO would have it."""

    _NAMES = {
        anyio.abc.SocketAttribute.raw_socket: "socket",
        anyio.abc.SocketAttribute.local_address: "client_addr",
        anyio.abc.SocketAttribute.remote_address: "server_addr",
    }

    def __init__(self, network: Any) -> None:
        self._network = network

    async def receive(self, max_bytes: int = _READ) -> bytes:
        data: bytes = await self._network.read(max_bytes)
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        await self._network.write(item)

    async def aclose(self) -> None:
        await self._network.aclose()

    def extra(self, attribute: Any, default: Any) -> Any:
        return self._network.get_extra_info(self._NAMES[attribute])


def _extra(network: Any, name: str, secured: bool) -> Any:
    if name == "tls_session":
        return None
    found = network.get_extra_info(name)
    return _NO_TLS if found is None and name == "ssl_object" and secured else found


@contextlib.contextmanager
def _connecting(host: str | None) -> Any:
    """Raise errors of a foreign `connect` as exceptions of ours."""
    try:
        yield
    except (TransportError, ConnectionNotAvailable):
        raise
    except TimeoutError as error:
        raise ConnectTimeout(f"connecting to {host} timed out: {reason(error)}") from error
    except OSError as error:
        raise ConnectError(f"could not connect to {host}: {reason(error)}") from error


class _Connecting:
    """Get streams from `connect` (TCP) and `connect_path` (Unix sockets); a base of both backends."""

    clock: Callable[[], float]

    def __init__(self, connect: Connect, connect_path: Connect | None = None, *, secured: bool = False) -> None:
        super().__init__()
        self._by_name = connect
        self._by_path = connect_path
        self._secured = secured

    async def resolve(self, host: str, port: int, timer: PhaseTimer) -> Sequence[Address]:
        """Return the name unresolved: the foreign `connect` resolves it."""
        return [(socket.AF_UNSPEC, (host, port))]

    def _within(self, timer: PhaseTimer) -> float | None:
        return None if timer.until is None else max(timer.left(self.clock()), 0.001)


class BlockingBackend(_Connecting, SyncBackend):
    """Connect by a function, or a backend in httpcore's shape."""

    async def connect_tcp(
        self,
        addresses: Sequence[Address],
        timer: PhaseTimer,
        *,
        local_address: str | None = None,
        socket_options: Sequence[SocketOption] = (),
    ) -> Stream:
        host, port = addresses[0][1][:2]
        options = {"local_address": local_address, "socket_options": socket_options or None}
        with _connecting(host):
            network = self._by_name(host, port, timeout=self._within(timer), **options)
        return BlockingStream(network, self.clock, self._secured)

    async def connect_unix(
        self, path: str, timer: PhaseTimer, *, socket_options: Sequence[SocketOption] = ()
    ) -> Stream:
        assert self._by_path is not None
        with _connecting(path):
            network: Any = self._by_path(path, timeout=self._within(timer), socket_options=socket_options or None)
        return BlockingStream(network, self.clock, self._secured)


class AsyncBackend(_Connecting, AnyIOBackend):
    """Connect by a coroutine function, or a backend in httpcore's shape."""

    async def connect_tcp(
        self,
        addresses: Sequence[Address],
        timer: PhaseTimer,
        *,
        local_address: str | None = None,
        socket_options: Sequence[SocketOption] = (),
    ) -> Stream:
        host, port = addresses[0][1][:2]
        options = {"local_address": local_address, "socket_options": socket_options or None}
        with _connecting(host):
            network = await self._by_name(host, port, timeout=self._within(timer), **options)
        return AsyncStream(network, self.clock, self._secured)

    async def connect_unix(
        self, path: str, timer: PhaseTimer, *, socket_options: Sequence[SocketOption] = ()
    ) -> Stream:
        assert self._by_path is not None
        with _connecting(path):
            network: Any = await self._by_path(path, timeout=self._within(timer), socket_options=socket_options or None)
        return AsyncStream(network, self.clock, self._secured)
