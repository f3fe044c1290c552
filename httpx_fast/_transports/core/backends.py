"""Network streams, backends and locks in httpcore's shape, for libraries that import them or wrap those of a pool.

The streams are thin: a socket, an AnyIO stream or a trio stream with httpcore's methods. Exceptions of the system are
mapped here, as `_net` maps those of our own streams.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Generator, Iterable
from typing import Any, Self

from ..._exceptions import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    TransportError,
    WriteError,
    WriteTimeout,
)
from ..._net.auto import in_trio_task
from ..._net.errors import reason
from ..._net.sockets import poller

_READ = 64 * 1024  # bytes


class NetworkStream:
    """Define the interface of a blocking network stream."""

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
    """Define the interface of an asynchronous network stream."""

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
    """Define the interface that opens connections, for pools' `network_backend`."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> NetworkStream:
        raise NotImplementedError

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> NetworkStream:
        raise NotImplementedError

    def sleep(self, seconds: float) -> None:
        import time

        time.sleep(seconds)


class AsyncNetworkBackend:
    """Define the interface that opens connections, for pools' `network_backend`."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        raise NotImplementedError

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> AsyncNetworkStream:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)


@contextlib.contextmanager
def _mapped(failed: type[TransportError], expired: type[TransportError]) -> Generator[None]:
    """Raise exceptions of the system, AnyIO and trio as ours."""
    try:
        yield
    except TransportError:
        raise
    except TimeoutError as error:
        raise expired(f"the time is up: {reason(error)}") from error
    except OSError as error:
        raise failed(reason(error)) from error
    except Exception as error:
        if type(error).__name__ in ("BrokenResourceError", "ClosedResourceError", "EndOfStream"):
            raise failed(reason(error)) from error
        raise


def is_socket_readable(sock: Any) -> bool:
    """Return whether a read would not wait, as on a closed socket."""
    return sock is None or sock.fileno() < 0 or bool(poller(sock)(0))


class SyncStream(NetworkStream):
    """Wrap a socket."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _mapped(ReadError, ReadTimeout):
            self._sock.settimeout(timeout)
            data: bytes = self._sock.recv(max_bytes)
            return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _mapped(WriteError, WriteTimeout):
            self._sock.settimeout(timeout)
            self._sock.sendall(buffer)

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        with _mapped(ConnectError, ConnectTimeout):
            try:
                self._sock.settimeout(timeout)
                return SyncStream(ssl_context.wrap_socket(self._sock, server_hostname=server_hostname))
            except BaseException:
                self.close()
                raise

    def get_extra_info(self, info: str) -> Any:
        sock = self._sock
        if info == "ssl_object":
            return sock if isinstance(sock, ssl.SSLSocket) else None
        if info == "is_readable":
            return bool(getattr(sock, "pending", int)()) or is_socket_readable(sock)
        return _of_socket(sock, info)


def _of_socket(sock: Any, info: str) -> Any:
    with contextlib.suppress(OSError):
        if info == "client_addr":
            return sock.getsockname()
        if info == "server_addr":
            return sock.getpeername()
    return sock if info == "socket" else None


class AnyIOStream(AsyncNetworkStream):
    """Wrap an AnyIO byte stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        import anyio

        with _mapped(ReadError, ReadTimeout):
            try:
                with anyio.fail_after(timeout):
                    data: bytes = await self._stream.receive(max_bytes)
                    return data
            except anyio.EndOfStream:
                return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        import anyio

        if buffer:
            with _mapped(WriteError, WriteTimeout), anyio.fail_after(timeout):
                await self._stream.send(buffer)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncNetworkStream:
        import anyio
        from anyio.streams.tls import TLSStream

        with _mapped(ConnectError, ConnectTimeout):
            try:
                with anyio.fail_after(timeout):
                    secure = await TLSStream.wrap(
                        self._stream,
                        server_side=False,
                        hostname=server_hostname,
                        ssl_context=ssl_context,
                        standard_compatible=False,
                    )
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await anyio.aclose_forcefully(self._stream)
                raise
        return AnyIOStream(secure)

    def get_extra_info(self, info: str) -> Any:
        import anyio.abc
        from anyio.streams.tls import TLSAttribute

        if info == "ssl_object":
            return self._stream.extra(TLSAttribute.ssl_object, None)
        sock = self._stream.extra(anyio.abc.SocketAttribute.raw_socket, None)
        if info == "is_readable":
            return is_socket_readable(sock)
        return None if sock is None else _of_socket(sock, info)


class TrioStream(AsyncNetworkStream):
    """Wrap a trio stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _mapped(ReadError, ReadTimeout), _trio_deadline(timeout):
            data: bytes = await self._stream.receive_some(max_bytes)
            return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:
            with _mapped(WriteError, WriteTimeout), _trio_deadline(timeout):
                await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncNetworkStream:
        import trio

        secure = trio.SSLStream(
            self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True, server_side=False
        )
        with _mapped(ConnectError, ConnectTimeout):
            try:
                with _trio_deadline(timeout):
                    await secure.do_handshake()
            except BaseException:
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(self._stream)
                raise
        return TrioStream(secure)

    def get_extra_info(self, info: str) -> Any:
        import trio

        stream: Any = self._stream
        if info == "ssl_object":
            return stream._ssl_object if isinstance(stream, trio.SSLStream) else None
        while hasattr(stream, "transport_stream"):
            stream = stream.transport_stream
        sock: Any = getattr(stream, "socket", None)
        if info == "is_readable":
            return is_socket_readable(sock)
        return None if sock is None else _of_socket(sock, info)


@contextlib.contextmanager
def _trio_deadline(seconds: float | None) -> Generator[None]:
    """Raise TimeoutError when the time is up."""
    import trio

    try:
        if seconds is None:
            yield
        else:
            with trio.fail_after(seconds):
                yield
    except trio.TooSlowError as error:
        raise TimeoutError("no answer") from error


class SyncBackend(NetworkBackend):
    """Connect sockets."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> NetworkStream:
        source = None if local_address is None else (local_address, 0)
        with _mapped(ConnectError, ConnectTimeout):
            sock = socket.create_connection((host, port), timeout, source_address=source)
            for option in (*(socket_options or ()), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)):
                sock.setsockopt(*option)
        return SyncStream(sock)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> NetworkStream:
        with _mapped(ConnectError, ConnectTimeout):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                for option in socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(timeout)
                sock.connect(path)
            except BaseException:
                sock.close()
                raise
        return SyncStream(sock)


class AnyIOBackend(AsyncNetworkBackend):
    """Connect by AnyIO, on asyncio and trio."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        import anyio
        import anyio.abc

        with _mapped(ConnectError, ConnectTimeout), anyio.fail_after(timeout):
            stream = await anyio.connect_tcp(host, port, local_host=local_address)
        for option in socket_options or ():
            stream.extra(anyio.abc.SocketAttribute.raw_socket).setsockopt(*option)
        return AnyIOStream(stream)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> AsyncNetworkStream:
        import anyio
        import anyio.abc

        with _mapped(ConnectError, ConnectTimeout), anyio.fail_after(timeout):
            stream = await anyio.connect_unix(path)
        for option in socket_options or ():
            stream.extra(anyio.abc.SocketAttribute.raw_socket).setsockopt(*option)
        return AnyIOStream(stream)


class TrioBackend(AnyIOBackend):
    """Connect on trio."""


class AutoBackend(AnyIOBackend):
    """Connect on the running async library."""


class Lock:
    """Lock threads, for `with`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


class AsyncLock:
    """Lock tasks, for `async with`; of the loop that first enters it."""

    def __init__(self) -> None:
        self._lock: Any = None

    async def __aenter__(self) -> Self:
        if self._lock is None:
            if in_trio_task():
                import trio

                self._lock = trio.Lock()
            else:
                import asyncio

                self._lock = asyncio.Lock()
        await self._lock.acquire()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._lock.release()
