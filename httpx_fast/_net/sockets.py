"""Share what all backends with sockets of their own need: state of a stream, deadlines, resolving and connecting.

- `SocketStream`: a non-blocking (or kernel-timed) socket, its sink, its deadlines, and its errors after the end.
- `PulledStream`: nothing pushes while idle, so it is read on demand (blocking, trio).
- `SocketBackend`: names are resolved by `getaddrinfo`, connects are raced by `connecting`.

Each backend adds how it waits.
"""

from __future__ import annotations

import abc
import select
import socket
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any

from .._deadline import PhaseTimer
from .._exceptions import ConnectError
from .base import HIGH_WATER, Address, Backend, Buffer, SocketOption, Stream
from .connecting import Connector, Race, open_socket
from .deadline_stream import DeadlineStream
from .getaddrinfo import lookup, numeric
from .scratch import scratch

# Buffers for one sendmsg; every system takes at least 16, and more are joined at less cost than the kernel's loop.
_MAX_PIECES = 16
#: For single calls on sockets that may block; where it does not exist all sockets are non-blocking.
NO_WAIT = getattr(socket, "MSG_DONTWAIT", 0)


class SocketStream(DeadlineStream):
    """Read and write a socket of our own."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket, address: Any, clock: Callable[[], float]) -> None:
        super().__init__(address, clock)
        self._sock = sock

    def get_extra_info(self, name: str) -> Any:
        if name == "socket":
            return self._sock
        if name == "server_addr":
            return self._address
        if name == "client_addr":
            try:
                return self._sock.getsockname()
            except OSError:  # closed
                return None
        return None

    def _send(self, buffers: tuple[Buffer, ...], flags: int = 0) -> list[memoryview]:
        """Offer `buffers` to the socket once; return what it did not take. Raises WriteError."""
        try:
            if len(buffers) == 1:
                buffer = buffers[0]
                sent = self._sock.send(buffer, flags)
                return [] if sent == len(buffer) else _rest(buffers, sent)
            if len(buffers) > _MAX_PIECES or not hasattr(self._sock, "sendmsg"):
                buffers = (b"".join(buffers),)
                sent = self._sock.send(buffers[0], flags)
            else:
                sent = self._sock.sendmsg(buffers, (), flags)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            raise self._write_failed(error) from error
        return _rest(buffers, sent)

    def _send_on(self, flags: int = 0) -> None:
        """Offer `_unsent` to the socket; progress postpones the deadline. Raises WriteError."""
        some = tuple(self._unsent[:_MAX_PIECES])
        rest = self._send(some, flags)
        self._unsent[: len(some)] = rest
        if len(rest) < len(some) or len(rest[0]) < len(some[0]):
            self._write_timer.postpone(self._clock)


class PulledStream(SocketStream):
    """Read a socket on demand, by `_pull`."""

    __slots__ = ("_readable", "_recv_into")

    def __init__(self, sock: socket.socket, address: Any, clock: Callable[[], float]) -> None:
        super().__init__(sock, address, clock)
        self._recv_into = sock.recv_into
        self._readable = poller(sock)

    def poll_idle(self) -> None:
        try:
            while not self._closed and self._readable(0) and self._sink.pending < HIGH_WATER:
                self._pull(NO_WAIT)
                if self._ended:
                    return
        except BlockingIOError:
            return
        except Exception as fault:  # noqa: BLE001  # the next receive() raises it; while idle only the sink is told
            self._fault = fault
            self._break_off()

    def _pull(self, flags: int = 0) -> bool:
        """Read once and push; return whether the sink has enough. Raises ReadError; BlockingIOError if nothing came."""
        sink = self._sink
        buffer = None if self._lends else sink.get_buffer()
        view = scratch.view if buffer is None else buffer
        try:
            count = self._recv_into(view, 0, flags) if flags else self._recv_into(view)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self._read_failed(error) from error
        if not count:
            return self._end()
        self._arrived = True
        if buffer is None:
            return bool(sink.data_received(view[:count]))
        return bool(sink.buffer_updated(count))


class SocketBackend(Backend):
    """Resolve and connect; a subclass adds how to wait and how a connected socket becomes a stream."""

    #: Opens sockets with the options that were given last, which are those of all connects of one pool.
    _opener: partial[socket.socket] | None = None

    async def resolve(self, host: str, port: int, timer: PhaseTimer) -> Sequence[Address]:
        found = numeric(host, port)
        if found is not None:
            return found
        waiter = self.waiter()
        asked = lookup(host, port, self.from_any_thread(waiter.set))
        # Cancelled here, the lookup ends by itself and sets a waiter that is no longer used.
        if not await waiter.wait(timer.until):
            raise timer.expired(self.clock(), f"no answer from the resolver about {host!r}")
        answer: Sequence[Address] = asked.answer()
        return answer

    def connect_tcp(
        self,
        addresses: Sequence[Address],
        timer: PhaseTimer,
        *,
        local_address: str | None = None,
        socket_options: Sequence[SocketOption] = (),
    ) -> Coroutine[Any, Any, Stream]:
        """Race the addresses (RFC 8305), so that one that does not answer costs a quarter of a second."""
        known = self._opener
        if known is None or known.args[0] is not socket_options or known.args[1] != local_address:
            known = self._opener = partial(open_socket, socket_options, local_address)
        return self._connect(addresses, timer, known)

    async def connect_unix(
        self,
        path: str,
        timer: PhaseTimer,
        *,
        socket_options: Sequence[SocketOption] = (),
    ) -> Stream:
        family = getattr(socket, "AF_UNIX", None)
        if family is None:
            raise ConnectError(f"could not connect to unix socket {path!r}: this system has none")
        opener = partial(open_socket, socket_options, None)
        return await self._connect([(family, path)], timer, opener)

    async def _connect(
        self,
        addresses: Sequence[Address],
        timer: PhaseTimer,
        opener: Callable[[socket.AddressFamily], socket.socket],
    ) -> Stream:
        sock, address = await Race(self._connector(), self.clock, addresses, timer, opener).run()
        try:
            return await self._stream(sock, address)
        except BaseException:
            sock.close()
            raise

    @abc.abstractmethod
    def _connector(self) -> Connector: ...

    @abc.abstractmethod
    async def _stream(self, sock: socket.socket, address: Any) -> Stream: ...


def poller(sock: socket.socket, write: bool = False) -> Callable[[float | None], object]:
    """Return a function of milliseconds (None for ever): true once `sock` is readable (or writable), or has failed."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLOUT if write else select.POLLIN)
        return poll.poll

    def wait(milliseconds: float | None) -> bool:
        read, written = ([], [sock]) if write else ([sock], [])
        return any(select.select(read, written, (), None if milliseconds is None else milliseconds / 1000))

    return wait


def wait_writable(sockets: Collection[socket.socket], milliseconds: float | None) -> list[socket.socket]:
    """Return the sockets whose connect has ended, once there is one or the time is up."""
    if hasattr(select, "poll"):
        numbers = {sock.fileno(): sock for sock in sockets}
        poll = select.poll()
        for number in numbers:
            poll.register(number, select.POLLOUT)
        return [numbers[number] for number, _ in poll.poll(milliseconds)]
    # Windows tells of a connect that failed among the exceptions.
    _, done, failed = select.select((), sockets, sockets, None if milliseconds is None else milliseconds / 1000)
    return [*done, *failed]


def _rest(buffers: tuple[Buffer, ...], sent: int) -> list[memoryview]:
    """Return what is left of `buffers` after `sent` bytes."""
    rest: list[memoryview] = []
    for buffer in buffers:
        size = len(buffer)
        if sent < size:
            rest.append(memoryview(buffer)[sent:])
            sent = 0
        else:
            sent -= size
    return rest
