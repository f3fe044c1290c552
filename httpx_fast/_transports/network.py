"""`response.extensions["network_stream"]`: the connection below a response, in the shape that httpx gives it.

Of any response it tells addresses, socket and TLS. After 101, and after 2xx to CONNECT, the connection (of HTTP/2: the
stream, in the same shape) speaks HTTP no longer and is the user's to read, write, encrypt and close. The rules:

1. It is made when it is asked for; an ordinary response costs nothing. `of_response` and `of_async_response` are what
   `Response` calls for that.
2. What came after the head is read first.
3. One thread or task may read while another writes; each call has its own timeout.
4. Closing it gives the pool its place back; so does closing the response, which ends the stream too.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from .._drive import drive
from .._exceptions import NetworkError, RemoteProtocolError
from .._journey import ConnectionFacts
from .._models import Response
from .._net.base import Buffer, Stream
from .._net.sockets import poller
from .._pool.pool import Lease

__all__ = ["AsyncNetworkStream", "NetworkStream"]

T = TypeVar("T", bound="_Network")


class _Bytes:
    """The sink of a connection that is the user's: keeps what came until it is asked for."""

    __slots__ = ("_pieces", "_start", "ended", "pending")

    def __init__(self, first: bytes) -> None:
        self._pieces = deque([first] if first else [])
        self._start = 0  # what was taken of the oldest piece; slicing the rest off each time would cost its square
        self.pending: int = len(first)
        self.ended: bool = False

    def take(self, max_bytes: int) -> bytes:
        """Return at most `max_bytes` of the oldest piece; there must be one."""
        piece, start = self._pieces[0], self._start
        end = start + max_bytes
        if end >= len(piece):
            self._pieces.popleft()
            self._start = 0
            taken = piece[start:] if start else piece
        else:
            self._start = end
            taken = piece[start:end]
        self.pending -= len(taken)
        return taken

    def get_buffer(self) -> None:
        """Return None: there is no buffer of its own, `received()` gets the bytes."""

    def buffer_updated(self, nbytes: int) -> bool:
        raise RuntimeError("no buffer was given")

    def data_received(self, data: memoryview) -> bool:
        self._pieces.append(bytes(data))
        self.pending += len(data)
        return True

    def eof_received(self, clean: bool) -> bool:
        self.ended = True
        return True


class _Network:
    """Share code between both kinds. `bytes` is None where the connection speaks HTTP."""

    def __init__(self, stream: Stream, facts: ConnectionFacts | None, lease: Lease | None, raw: _Bytes | None) -> None:
        self._stream = stream
        self._facts = facts
        self._lease = lease
        self._bytes = raw
        if raw is not None:
            stream.attach(raw)

    def get_extra_info(self, info: str) -> Any:
        """Return "ssl_object", "client_addr", "server_addr", "socket" or "is_readable"; None for what is not known."""
        if info == "is_readable":
            return self._is_readable()
        found = self._stream.get_extra_info(info)
        if found is None and self._facts is not None:
            # A closed socket does not know any more.
            if info == "client_addr":
                return self._facts.local_address
            if info == "server_addr":
                return self._facts.peer_address
        return found

    def _is_readable(self) -> bool:
        """Return whether a read would not wait; on an idle connection that means that the server closed it."""
        raw = self._bytes
        if raw is not None and (raw.pending or raw.ended):
            return True
        readable = self._stream.get_extra_info("is_readable")
        if readable is not None:
            return bool(readable)
        sock = self._stream.get_extra_info("socket")
        # A closed socket is readable: a read fails at once.
        return sock is not None and (sock.fileno() < 0 or bool(poller(sock)(0)))

    async def _read(self, max_bytes: int, timeout: float | None) -> bytes:
        raw = self._tunnel("read")
        if max_bytes < 1:
            raise ValueError(f"max_bytes is {max_bytes}; expected at least 1")
        stream = self._stream
        while not raw.pending:
            if raw.ended:
                return b""
            self._arm("read", timeout)
            # Cancelled here, nothing is lost: what comes is kept for the next read.
            try:
                await stream.receive()
            except NetworkError as error:
                self._raise_told(error)
                raise
        return raw.take(max_bytes)

    async def _write_within(self, buffer: Buffer, timeout: float | None) -> None:
        """Send all of `buffer` within `timeout` seconds, which progress does not renew."""
        await self._write(buffer, timeout, "frame")

    async def _write(self, buffer: Buffer, timeout: float | None, phase: str = "write") -> None:
        self._tunnel("write")
        stream = self._stream
        try:
            if buffer:
                unsent = stream.write(buffer)
                if unsent is not None:
                    self._arm(phase, timeout)
                    await unsent
            elif stream.unsent:  # of a write that ran out of time
                self._arm(phase, timeout)
                await stream.flush(False)
        except NetworkError as error:
            self._raise_told(error)
            raise

    async def _encrypted(self, context: ssl.SSLContext, server_hostname: str | None, timeout: float | None) -> Stream:
        raw = self._tunnel("start_tls")
        if raw.pending:
            # Taken for answers that came by TLS, they would be whatever somebody on the way likes (CVE-2011-0411).
            self._close()
            raise RemoteProtocolError(f"{raw.pending} bytes came before the TLS handshake and were not read")
        stream = self._stream
        self._arm("connect", timeout)
        try:
            encrypted = await stream.start_tls(context, server_hostname)
        except BaseException as error:
            self._close()
            self._raise_told(error)
            raise
        encrypted.set_deadline("connect", None, None)
        return encrypted

    def _raise_told(self, error: BaseException) -> None:
        """Raise the pool's explanation in place of `error`, if that came of closing the client."""
        assert self._lease is not None
        told = self._lease.explain(error)
        if told is not error:
            raise told from error

    def _tunnel(self, call: str) -> _Bytes:
        if self._bytes is None:
            raise RuntimeError(
                f"{call}() is for connections that were handed over, by 101 or by 2xx to CONNECT; this one speaks "
                "HTTP, and its response has what there is to read"
            )
        return self._bytes

    def _arm(self, phase: str, timeout: float | None) -> None:
        """Set the deadline of the next call, by the clock of the connection's pool."""
        lease = self._lease
        assert lease is not None  # what was handed over has one
        self._stream.set_deadline(phase, None if timeout is None else lease.pool.clock() + timeout, timeout)

    def _close(self) -> None:
        if self._bytes is not None:
            self._stream.close()
        if self._lease is not None:
            self._lease.close()


class NetworkStream(_Network):
    """The connection below a response of `Client`. Timeouts are seconds, None for no limit."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return 1 to `max_bytes` bytes, as soon as there are any; b"" after the end. Raises ReadError, ReadTimeout."""
        return drive(self._read(max_bytes, timeout))

    def write(self, buffer: Buffer, timeout: float | None = None) -> None:
        """Send all of `buffer`; the timeout is for each bit of progress. Raises WriteError, WriteTimeout.

        What was left when that ran out goes out before whatever is written next; b"" sends nothing else.
        """
        drive(self._write(buffer, timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        """Do the TLS handshake and return the encrypted stream, which replaces this one.

        Closes it and raises ConnectError, ConnectTimeout when that fails.
        """
        encrypted = drive(self._encrypted(ssl_context, server_hostname, timeout))
        return NetworkStream(encrypted, self._facts, self._lease, _Bytes(b""))

    def close(self) -> None:
        """Close the connection and free its slot in the pool; that of an ordinary response only if it was not read."""
        self._close()


class AsyncNetworkStream(_Network):
    """The connection below a response of `AsyncClient`: `NetworkStream` with methods to await."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return 1 to `max_bytes` bytes, as soon as there are any; b"" after the end. Raises ReadError, ReadTimeout."""
        return await self._read(max_bytes, timeout)

    async def write(self, buffer: Buffer, timeout: float | None = None) -> None:
        """Send all of `buffer`; the timeout is for each bit of progress. Raises WriteError, WriteTimeout.

        What was left when that ran out goes out before whatever is written next; b"" sends nothing else.
        """
        await self._write(buffer, timeout)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncNetworkStream:
        """Do the TLS handshake and return the encrypted stream, which replaces this one.

        Closes it and raises ConnectError, ConnectTimeout when that fails or is cancelled.
        """
        encrypted = await self._encrypted(ssl_context, server_hostname, timeout)
        return AsyncNetworkStream(encrypted, self._facts, self._lease, _Bytes(b""))

    async def aclose(self) -> None:
        """Close the connection and free its slot in the pool; that of an ordinary response only if it was not read."""
        self._close()


def of_response(response: Response) -> NetworkStream | None:
    """Return the stream below a response that `HTTPTransport` gave."""
    return _of(response, NetworkStream)


def of_async_response(response: Response) -> AsyncNetworkStream | None:
    """Return the stream below a response that `AsyncHTTPTransport` gave."""
    return _of(response, AsyncNetworkStream)


def handed_over(
    lease: Lease, facts: ConnectionFacts | None, kind: type[NetworkStream | AsyncNetworkStream]
) -> Callable[[Response], NetworkStream | AsyncNetworkStream] | None:
    """Return a getter of the stream if the connection no longer speaks HTTP; None if it still does."""
    tunnel = lease.tunnel()
    if tunnel is None:
        return None
    stream, first = tunnel
    network = kind(stream, facts, lease, _Bytes(first))
    return lambda response: network


def _of(response: Response, kind: type[T]) -> T | None:
    journey = response._journey
    facts = None if journey is None else journey.connection
    if facts is None or facts.stream is None:
        return None
    return kind(facts.stream, facts, getattr(response._stream, "_lease", None), None)
