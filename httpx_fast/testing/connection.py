"""Send and receive bytes on a connection that a local server has accepted, with or without TLS.

It works on a socket, not on a stream, so that everything that can happen on a network can be produced. It knows no
HTTP. Every wait can be cancelled; then the connection can only be closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

READ_SIZE = 64 * 1024  # bytes


class PeerClosed(Exception):
    """Report that the peer closed the connection before it had sent what a step expected."""


class TooLong(Exception):
    """Report that what was to be read does not end within its limit."""


class Connection:
    """Send and receive on an accepted connection; `number` counts the connections of a server from 1."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.number = number
        self.tls: ssl.SSLObject | None = None
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._unread = bytearray()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the TLS handshake as the server. Raises ssl.SSLError after the alert was sent to the peer."""
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        await self._with_tls(self.tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of `data`; return when the socket has taken it."""
        if self.tls is None:
            await self._loop.sock_sendall(self._socket, data)
            return
        tls, rest = self.tls, memoryview(data)
        while rest:
            rest = rest[await self._with_tls(lambda rest=rest: tls.write(rest)) :]  # type: ignore[misc]

    async def receive(self) -> bytes:
        """Return the next bytes, at least one; b"" at the end of the stream."""
        if self._unread:
            data = bytes(self._unread)
            self._unread.clear()
            return data
        if self.tls is None:
            return await self._loop.sock_recv(self._socket, READ_SIZE)
        tls = self.tls
        try:
            return await self._with_tls(lambda: tls.read(READ_SIZE))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def read_until(self, separator: bytes, limit: int) -> bytes:
        """Return everything through `separator`; b"" if the peer closed before it sent anything.

        Raises TooLong when that takes more than `limit` bytes, PeerClosed at an end within.
        """
        data = bytearray()
        while (end := data.find(separator)) < 0:
            if len(data) > limit:
                raise TooLong(f"no {separator!r} within {limit} bytes")
            piece = await self.receive()
            if not piece:
                if data:
                    raise PeerClosed(f"closed after {len(data)} bytes, before {separator!r}")
                return b""
            data += piece
        end += len(separator)
        self._unread[:0] = data[end:]
        return bytes(data[:end])

    async def read_exactly(self, size: int) -> bytes:
        """Return `size` bytes. Raises PeerClosed if the peer closes before."""
        data = bytearray()
        while len(data) < size:
            piece = await self.receive()
            if not piece:
                raise PeerClosed(f"closed after {len(data)} bytes of {size}")
            data += piece
        self._unread[:0] = data[size:]
        return bytes(data[:size])

    def close(self) -> None:
        """Send close_notify (with TLS) and FIN, as far as the socket takes them at once, and close it. Repeatable."""
        self.half_close()
        self._socket.close()

    def half_close(self, *, notify: bool = True) -> None:
        """Send FIN, with TLS and `notify` after close_notify, and stay open for reading."""
        with contextlib.suppress(OSError):  # ssl.SSLError is one
            if self.tls is not None and notify:
                with contextlib.suppress(ssl.SSLWantReadError):
                    self.tls.unwrap()
                self._socket.send(self._outgoing.read())
            self._socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Close the socket with FIN, without close_notify."""
        self._socket.close()

    def reset(self) -> None:
        """Close the socket with RST: SO_LINGER with a time of 0 does that."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    async def _with_tls(self, step: Callable[[], T]) -> T:
        """Run one step of TLS, and send and receive what it needs until it is done."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._loop.sock_recv(self._socket, READ_SIZE)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                await self._flush()
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self._socket, self._outgoing.read())
