"""Connect, read and write in trio: sockets of our own, tried first and then waited for by trio."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import trio

from .base import Abortable, Aborted, Buffer, Stream, Waiter
from .connecting import Connector, connect_error
from .deadline_stream import NEVER, Scopes
from .sockets import PulledStream, SocketBackend, wait_writable

T = TypeVar("T")

#: What waiting for a socket raises when it is closed meanwhile, or was before.
_CLOSED = (trio.ClosedResourceError, OSError, ValueError)


class TrioStream(PulledStream):
    __slots__ = ("_scopes", "_turn")

    def __init__(self, sock: socket.socket, address: Any, clock: Callable[[], float]) -> None:
        super().__init__(sock, address, clock)
        self._scopes = Scopes(self, trio.CancelScope, trio.current_time)
        self._turn = trio.Lock()  # held by the task that writes

    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        super().set_deadline(phase, at, budget)
        self._scopes.move()

    async def receive(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self._arrived:
            self._read_timer.postpone(self._clock)
        try:
            if self._pull():
                return
        except BlockingIOError:
            pass
        await self._scopes.wait(self._receive_on, writes=False)

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        if self._unsent:
            self._unsent += [memoryview(buffer) for buffer in buffers]
        else:
            self._unsent = self._send(buffers)
        return self._scopes.wait(self._send_all, writes=True) if self._unsent else None

    async def flush(self, reading: bool) -> None:
        if not self._unsent:
            return
        if not reading:
            await self._scopes.wait(self._send_all, writes=True)
            return
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pull_on, nursery.cancel_scope)
            try:
                await self._scopes.wait(self._send_all, writes=True)
            except Exception as error:  # noqa: BLE001  # raised below, outside of the nursery that would wrap it
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            trio.lowlevel.notify_closing(self._sock)
        except RuntimeError:  # trio does not run any more, so no task waits
            pass
        self._sock.close()

    async def _receive_on(self) -> None:
        while True:
            try:
                await trio.lowlevel.wait_readable(self._sock)
            except _CLOSED as error:
                raise self._read_failed(OSError(errno.EBADF, str(error))) from error
            try:
                if self._pull():
                    return
            except BlockingIOError:
                continue
            self._read_timer.postpone(self._clock)
            self._scopes.move()

    async def _pull_on(self, scope: trio.CancelScope) -> None:
        """Push what arrives until the sink has enough or that fails; the next `receive()` raises the error."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._sock)
                try:
                    if self._pull():
                        scope.cancel()
                        return
                except BlockingIOError:
                    continue
        except _CLOSED as error:
            self._fault = self._read_failed(OSError(errno.EBADF, str(error)))
        except Exception as fault:  # noqa: BLE001  # as the sink wants it
            self._fault = fault

    async def _send_all(self) -> None:
        async with self._turn:
            while self._unsent:
                try:
                    await trio.lowlevel.wait_writable(self._sock)
                except _CLOSED as error:
                    raise self._write_failed(OSError(errno.EBADF, str(error))) from error
                self._send_on()
                self._scopes.move()


class TrioWaiter:
    __slots__ = ("_clock", "_event")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, at: float | None) -> bool:
        with trio.CancelScope(deadline=_deadline(NEVER if at is None else at, self._clock)):
            await self._event.wait()
        return self._event.is_set()


class _ScopedWork(Abortable[T]):
    """Run work in a cancel scope."""

    __slots__ = ("_scope",)

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        super().__init__(work)
        self._scope = trio.CancelScope()

    async def run(self) -> T:
        with self._scope:
            return await self._work()
        raise Aborted

    def abort(self) -> None:
        self._scope.cancel()


class _Connects:
    """Race sockets by tasks that wait until they are writable."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def begin(self, sock: socket.socket, address: Any) -> int:
        return sock.connect_ex(address)

    async def wait(self, sockets: Collection[socket.socket], until: float) -> Iterable[socket.socket]:
        with trio.CancelScope(deadline=_deadline(until, self._clock)):
            async with trio.open_nursery() as nursery:
                for sock in sockets:
                    nursery.start_soon(self._end_with, sock, nursery.cancel_scope)
                if not sockets:
                    await trio.sleep_forever()
        return wait_writable(sockets, 0) if sockets else ()

    async def _end_with(self, sock: socket.socket, scope: trio.CancelScope) -> None:
        await trio.lowlevel.wait_writable(sock)
        scope.cancel()

    def outcome(self, sock: socket.socket) -> OSError | None:
        return connect_error(sock)

    def drop(self, sock: socket.socket) -> None:
        sock.close()


class TrioBackend(SocketBackend):
    """Connect and wait in one run of trio."""

    name = "trio"

    def waiter(self) -> Waiter:
        return TrioWaiter(self.clock)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    def abortable(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Abortable[T]:
        return _ScopedWork(work)

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        failures: list[Exception] = []

        async def one(call: Callable[[], Coroutine[Any, Any, object]]) -> None:
            try:
                await call()
            except Exception as error:  # noqa: BLE001 - raised below, once all have ended
                failures.append(error)

        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(one, call)
        if failures:
            raise failures[0]

    def from_any_thread(self, call: Callable[[], object]) -> Callable[[], object]:
        token = trio.lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(call)

    def _connector(self) -> Connector:
        return _Connects(self.clock)

    async def _stream(self, sock: socket.socket, address: Any) -> Stream:
        return TrioStream(sock, address, self.clock)


def _deadline(at: float, clock: Callable[[], float]) -> float:
    """Convert `at` to trio's clock."""
    return at if at == NEVER else trio.current_time() + at - clock()
