"""Use any AnyIO byte stream as a stream, so that users can bring their own network.

Such a stream cannot report anything while idle (`poll_idle` asks its socket, if there is one, for the peer's end), and
it takes all or nothing of what is written, so writing always suspends.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import anyio
import anyio.abc

from .._deadline import PhaseTimer
from .acknowledged import duplicate
from .auto import backend_for, current_token
from .base import NOBODY, Abortable, Address, Backend, Buffer, SocketOption, Stream, Waiter
from .deadline_stream import NEVER, DeadlineStream, Scopes
from .errors import connect_failed, peer_name, resolve_failed
from .getaddrinfo import distinct, numeric
from .handshakes import HandshakeQueue, handshakes_of

T = TypeVar("T")

_PIECE = 64 * 1024  # bytes in one call; after each the write deadline moves
_FAULTS = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
_EXTRA = {
    "socket": anyio.abc.SocketAttribute.raw_socket,
    "client_addr": anyio.abc.SocketAttribute.local_address,
    "server_addr": anyio.abc.SocketAttribute.remote_address,
}


class AnyIOStream(DeadlineStream):
    """Own an AnyIO `stream`, which must let a receive be cancelled without losing bytes."""

    __slots__ = ("_extra", "_scopes", "_stream", "_torn", "_turn")

    def __init__(self, stream: anyio.abc.ByteStream, clock: Callable[[], float]) -> None:
        # Asked for now: a closed stream has no addresses any more.
        self._extra = {name: stream.extra(attribute, None) for name, attribute in _EXTRA.items()}
        super().__init__(self._extra["server_addr"], clock)
        self._stream = stream
        self._scopes = Scopes(clock, anyio.CancelScope, anyio.current_time)
        self._turn = anyio.Lock()  # held by the task that writes
        self._torn = False  # a write was cancelled, so how much of it was sent is unknown

    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        super().set_deadline(phase, at, budget)
        self._scopes.move(self)

    async def receive(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self._arrived:
            self._read_timer.postpone(self._clock)
        await self._scopes.wait(self, self._receive_on, writes=False)

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        if self._torn:
            raise self._write_failed(OSError(errno.ECANCELED, "a write before was cancelled half way"))
        self._unsent += [memoryview(buffer) for buffer in buffers]
        return self._scopes.wait(self, self._send_all, writes=True)

    async def flush(self, reading: bool) -> None:
        if not self._unsent:
            return
        if not reading:
            await self._scopes.wait(self, self._send_all, writes=True)
            return
        failure: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._receive_until_fault)
            try:
                await self._scopes.wait(self, self._send_all, writes=True)
            except Exception as error:  # noqa: BLE001  # raised below, outside of the group that would wrap it
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def poll_idle(self) -> None:
        raw = self._extra["socket"]
        if raw is not None and not self._ended and not self._closed and _peer_left(raw):
            self._ended = True
            try:
                self._tell_end()
            except Exception as fault:  # noqa: BLE001  # the next receive() raises it
                self._fault = fault

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._sink = NOBODY
        self._scopes.cancel()
        _let_go(self._stream)

    def get_extra_info(self, name: str) -> Any:
        return self._extra.get(name)

    async def _receive_on(self) -> None:
        while True:
            try:
                data = await self._stream.receive(_PIECE)
            except anyio.EndOfStream:
                self._end()
                return
            except _FAULTS as error:
                raise self._read_failed(_as_oserror(error)) from error
            self._arrived = True
            if self._sink.data_received(memoryview(data)):
                return
            self._read_timer.postpone(self._clock)
            self._scopes.move(self)

    async def _receive_until_fault(self) -> None:
        """Push what arrives until that fails; the next `receive()` raises the error."""
        try:
            while True:
                await self._receive_on()
        except Exception as fault:  # noqa: BLE001  # as the sink wants it
            self._fault = fault

    async def _send_all(self) -> None:
        async with self._turn:
            while self._unsent:
                waiting, self._unsent = b"".join(self._unsent), []
                for start in range(0, len(waiting), _PIECE):
                    try:
                        await self._stream.send(waiting[start : start + _PIECE])
                    except _FAULTS as error:
                        raise self._write_failed(_as_oserror(error)) from error
                    except BaseException:
                        # Nobody knows how much of it was sent, so nothing can follow, nor an answer come.
                        self._torn = True
                        self._fault = self._read_failed(OSError(errno.ECANCELED, "a write was cancelled half way"))
                        raise
                    self._write_timer.postpone(self._clock)
                    self._scopes.move(self)


class AnyIOWaiter:
    __slots__ = ("_clock", "_event")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._event = anyio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, at: float | None) -> bool:
        with anyio.CancelScope(deadline=NEVER if at is None else anyio.current_time() + at - self._clock()):
            await self._event.wait()
        return self._event.is_set()


class AnyIOBackend(Backend):
    """Connect by `anyio.connect_tcp`, on whichever event loop AnyIO detects."""

    name = "anyio"

    async def resolve(self, host: str, port: int, timer: PhaseTimer) -> Sequence[Address]:
        found = numeric(host, port)
        if found is not None:
            return found
        with anyio.move_on_after(timer.left(self.clock())):
            try:
                return distinct(await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except (OSError, ValueError) as error:
                raise resolve_failed(host, error) from error
        raise timer.expired(self.clock(), f"no answer from the resolver about {host!r}")

    async def connect_tcp(
        self,
        addresses: Sequence[Address],
        timer: PhaseTimer,
        *,
        local_address: str | None = None,
        socket_options: Sequence[SocketOption] = (),
    ) -> Stream:
        """Try the addresses one after the other, each for its share of the time that is left.

        Options are set when the socket is connected: AnyIO gives no access to it before.
        """
        faults: list[tuple[Any, OSError]] = []
        for left, (_, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
            with anyio.move_on_after(timer.left(self.clock()) / left):
                try:
                    stream = await anyio.connect_tcp(address[0], address[1], local_host=local_address)
                except OSError as error:
                    faults.append((address, error))
                    continue
                return self._ready(stream, socket_options)
            faults.append((address, TimeoutError("no answer")))
        if timer.left(self.clock()) <= 0:
            tried = ", ".join(peer_name(address) for address, _ in faults)
            raise timer.expired(self.clock(), f"no answer from {tried}")
        raise connect_failed(faults)

    async def connect_unix(
        self,
        path: str,
        timer: PhaseTimer,
        *,
        socket_options: Sequence[SocketOption] = (),
    ) -> Stream:
        with anyio.move_on_after(timer.left(self.clock())):
            try:
                return self._ready(await anyio.connect_unix(path), socket_options)
            except OSError as error:
                raise connect_failed([(path, error)]) from error
        raise timer.expired(self.clock(), f"no answer from {peer_name(path)}")

    def handshakes(self) -> HandshakeQueue | None:
        return handshakes_of(current_token(), self, self.clock)

    def waiter(self) -> Waiter:
        return AnyIOWaiter(self.clock)

    def loop_caller(self) -> Callable[[Callable[[], object]], object]:
        return backend_for(current_token()).loop_caller()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def abortable(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Abortable[T]:
        return backend_for(current_token()).abortable(work)

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        await backend_for(current_token()).together(calls)

    def _ready(self, stream: anyio.abc.SocketStream, socket_options: Sequence[SocketOption]) -> AnyIOStream:
        ready = AnyIOStream(stream, self.clock)
        raw = ready.get_extra_info("socket")
        try:
            if isinstance(ready.get_extra_info("server_addr"), tuple):
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for option in socket_options:
                raw.setsockopt(*option)
        except BaseException:
            ready.close()
            raise
        return ready


_STEPS = 8  # bare yields of one `aclose`; there is one in those that are known
#: Streams that are being closed in the background; an event loop itself holds its tasks weakly.
_closing: set[asyncio.Task[None]] = set()


def _let_go(stream: anyio.abc.ByteStream) -> None:
    """Close without waiting. The first steps of a socket's `aclose` let go of it; others are closed in a task.

    On asyncio it gives the loop a turn before it drops what is unsent (until AnyIO 4.15 that was not done if the turn
    never ended): a bare yield, which anybody may answer.
    """
    if isinstance(stream, anyio.abc.SocketStream):
        closing: Any = stream.aclose()
        try:
            for _ in range(_STEPS):
                if closing.send(None) is not None:
                    break
        except (StopIteration, OSError, RuntimeError):  # that was all; or the event loop is closed
            return
        closing.close()
    elif (loop := asyncio._get_running_loop()) is not None:
        task = loop.create_task(_close_in_peace(stream))
        _closing.add(task)
        task.add_done_callback(_closing.discard)
    elif "trio" in sys.modules:
        import trio

        try:
            trio.lowlevel.spawn_system_task(_close_in_peace, stream)
        except RuntimeError:  # trio does not run any more, so it cannot be closed
            return


async def _close_in_peace(stream: anyio.abc.ByteStream) -> None:
    try:
        await anyio.aclose_forcefully(stream)
    except Exception:  # noqa: BLE001  # there is no caller to raise it to
        return


def _as_oserror(error: Exception) -> OSError:
    """Return the OSError behind an exception of AnyIO, or a new one with its message."""
    if isinstance(error, OSError):
        return error
    return error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error) or type(error).__name__)


def _peer_left(raw: Any) -> bool:
    """Return whether an idle socket was closed by the peer; bytes that have arrived are left for the reader."""
    if not hasattr(select, "poll") or raw.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(raw, select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        with duplicate(raw) as twin:
            return not twin.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
