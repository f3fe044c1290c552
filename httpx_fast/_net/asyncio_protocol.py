"""Read and write through a transport of the loop, for loops that can only run protocols (Windows' Proactor, libuv).

`ProtocolStream` is a `BufferedProtocol` that keeps the contract of `base.Stream`.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from .asyncio_streams import LoopStream
from .base import Buffer, Sink
from .scratch import scratch
from .sockets import NO_WAIT

_OWN_BUFFER = 64 * 1024  # bytes read at once where a loop may fill the buffer later than it asks for it


class ProtocolStream(LoopStream, asyncio.BufferedProtocol):
    """Read and write through a transport of the loop.

    Buffers are lent as everywhere: stock loops and uvloop ask for one, fill it and report that at once. winloop may
    fill it at any later time, so there each connection has its own.
    """

    __slots__ = ("_early", "_left", "_lent", "_lost", "_own", "_transport")

    def __init__(
        self, sock: socket.socket, address: Any, clock: Callable[[], float], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(sock, address, clock, loop)
        self._transport: Any = None
        self._own = memoryview(bytearray(_OWN_BUFFER)) if made_by(loop, "winloop") else None
        self._lent: Any = None  # the sink's buffer that is being filled
        self._lost: OSError | None = None  # why the transport is gone
        self._left = 0  # bytes that the transport held when it was last asked
        self._early = b""  # came before there was a sink: uvloop begins to read whatever it is asked

    def attach(self, sink: Sink) -> None:
        super().attach(sink)
        early, self._early = self._early, b""
        if early:
            self._push(memoryview(early), len(early))

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        if self._closed or self._lost is not None:
            raise self._write_failed(self._lost or OSError())
        if self._transport.is_closing():
            return self._sender()  # connection_lost() is about to say why
        if self._transport.get_write_buffer_size() == 0:
            # uvloop would write only at the end of the loop's iteration, and closing right after a write would lose it.
            buffers = tuple(self._send(buffers))
            if not buffers:
                return None
        # Not writelines(): in CPython before 3.12.9 and 3.13.2 it forgets to tell that the transport is full.
        self._transport.write(b"".join(buffers))
        self._left = self._transport.get_write_buffer_size()
        return self._sender() if self._left else None

    @property
    def unsent(self) -> int:
        return int(self._transport.get_write_buffer_size())

    # Called by the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.set_write_buffer_limits(0)
        self._transport.pause_reading()

    def get_buffer(self, sizehint: int) -> Any:
        if self._own is not None:
            return self._own
        if self._sink is not None:
            self._lent = lent = self._sink.get_buffer()
            if lent is not None:
                return memoryview(lent)  # asyncio's own transports want to know its length, and may fill it by slices
        return scratch.view

    def buffer_updated(self, nbytes: int) -> None:
        if self._sink is None:
            self._early += scratch.view[:nbytes] if self._own is None else self._own[:nbytes]
            self._transport.pause_reading()
        elif self._lent is None:
            self._push(scratch.view if self._own is None else self._own, nbytes)
        else:
            self._lent = None
            self._push(None, nbytes)

    def eof_received(self) -> bool:
        if not self._ended:  # else it was found ahead of the loop
            self._input_ended()
        return True  # its owner closes it

    def resume_writing(self) -> None:
        self._all_sent()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closed:
            return
        error = exc if isinstance(exc, OSError) else OSError(str(exc or "the transport was closed"))
        self._lost = error
        self._fail_senders(self._write_failed(error))
        self._read_rest()
        if not self._ended and self._fault is None:
            self._broken(self._read_failed(error))

    def _push(self, view: memoryview | None, count: int) -> None:
        """Push `count` bytes of `view`, or of the buffer that the sink gave."""
        try:
            done = self._sink.buffer_updated(count) if view is None else self._sink.data_received(view[:count])
        except Exception as fault:  # noqa: BLE001  # the current or next receive() raises it
            self._failed(fault)
            return
        self._pushed(done)

    def _read_rest(self) -> None:
        """Push what the peer sent before a write failed, after which the transport no longer reads the socket."""
        while not self._ended and self._fault is None and self._sink is not None and not self._closed:
            try:
                count = self._sock.recv_into(scratch.view, 0, NO_WAIT)
            except OSError:  # nothing more
                return
            if not count:  # an end, or what is left of a reset: no telling which
                return
            self._lent = None
            self._push(scratch.view, count)

    # Called by LoopStream.

    def _has_sent(self) -> bool:
        before, self._left = self._left, self._transport.get_write_buffer_size()
        return self._left < before

    def _read_now(self) -> None:
        view = self.get_buffer(-1)
        try:
            count = self._sock.recv_into(view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broken(self._read_failed(error))
            return
        if count:
            self.buffer_updated(count)
        else:
            self.eof_received()

    def _start_reading(self) -> None:
        contextvars.Context().run(self._transport.resume_reading)

    def _stop_reading(self) -> None:
        self._transport.pause_reading()

    def _let_go(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)  # the transport lets go in the loop's next turn; the peer knows now
        except OSError:  # not connected any more
            pass
        if self._transport is not None:
            self._transport.abort()


def made_by(loop: asyncio.AbstractEventLoop, *packages: str) -> bool:
    return any(kind.__module__.partition(".")[0] in packages for kind in type(loop).__mro__)
