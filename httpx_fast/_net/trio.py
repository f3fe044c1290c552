"""Connect, read and write in trio: sockets of our own, tried first and then waited for by trio."""

from __future__ import annotations

import contextvars
import errno
import socket
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, ClassVar, Final, TypeVar

import trio

from .base import NOBODY, Abortable, Aborted, Buffer, Stream, Waiter
from .connecting import Connector, begin_connect, connect_error
from .deadline_heap import Deadlines
from .deadline_stream import NEVER, Scopes
from .gathering import PATIENCE, wake_from
from .handshakes import HandshakeQueue, handshakes_of
from .sockets import PulledStream, SocketBackend, wait_writable

T = TypeVar("T")

_wait_readable: Final = trio.lowlevel.wait_readable  # one look-up less for each response
#: What waiting for a socket raises when it is closed meanwhile, or was before.
_CLOSED = (trio.ClosedResourceError, OSError, ValueError)


class ReadCheck:
    """Stand for a stream among the deadlines. A closed stream takes itself out, since its entry may stay for long."""

    __slots__ = ("stream",)

    def __init__(self, stream: TrioStream) -> None:
        self.stream: TrioStream | None = stream

    def done(self) -> bool:
        """Return whether the stream is closed, so that no deadline has to be checked."""
        return self.stream is None

    def set_result(self, result: bool) -> None:
        """End the read that waits, if its deadline has passed."""
        if self.stream is not None:
            self.stream.check_deadline()


class TrioStream(PulledStream):
    """Read and write a socket of our own in trio.

    A read has no cancel scope: that would cost as much as the rest of an exchange. When its deadline has passed,
    `deadlines` has `check_deadline()` called, which wakes it as closing would. The entry there is made anew only when
    the last one has come up, or a deadline is sooner.
    """

    __slots__ = (
        "_check",
        "_deadlines",
        "_gathering",
        "_next_check",
        "_number",
        "_receiving",
        "_scopes",
        "_turn",
        "_waited",
        "_wrote",
    )

    def __init__(
        self, sock: socket.socket, address: Any, clock: Callable[[], float], deadlines: Deadlines, timer: TrioTimer
    ) -> None:
        super().__init__(sock, address, clock)
        self._number = sock.fileno()
        self._deadlines = deadlines, timer
        self._check = ReadCheck(self)
        self._next_check = NEVER  # when check_deadline() is called next
        self._receiving = False
        self._gathering = 0  # bytes from which the socket is readable; 0 for any
        self._waited = False  # a wait for so many has begun since the last check
        self._wrote = False  # an answer cannot be there yet
        self._scopes = Scopes(clock, trio.CancelScope, trio.current_time)  # of writes
        self._turn = trio.Lock()  # held by the task that writes

    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        if phase == "read":
            # The same as for any phase, without two calls: this is done for each request.
            timer = self._read_timer
            timer.phase = phase
            timer.at = timer.hard if at is None or at > timer.hard else at
            timer.budget = budget
            self._arrived = False
        else:
            super().set_deadline(phase, at, budget)
            self._scopes.move(self)
        if self._receiving and self._read_timer.at < self._next_check:
            self._check_later()

    def gather(self, size: int) -> None:
        self._waited = True
        if size != self._gathering and wake_from(self._sock, size or 1):
            self._gathering = size

    async def receive(self) -> None:
        if self._fault is not None:
            raise self._fault
        timer, clock = self._read_timer, self._clock
        if self._arrived:
            timer.postpone(clock)
        if self._wrote:
            self._wrote = False
        else:
            try:
                if self._pull():
                    return
            except BlockingIOError:
                pass
        if self._gathering:
            self._check_gathering()
        while True:
            if timer.at < self._next_check:
                self._check_later()
            self._receiving = True
            try:
                await _wait_readable(self._number)
            except _CLOSED as error:
                self._raise_if_over(error)
            finally:
                self._receiving = False
            try:
                if self._pull():
                    return
                timer.postpone(clock)
            except BlockingIOError:
                pass
            if timer.at != NEVER and (now := clock()) >= timer.at:
                raise self._expired(now)

    def check_deadline(self) -> None:
        """End the read that waits, if its deadline has passed."""
        self._next_check = NEVER
        if not self._receiving:
            return
        if self._clock() >= self._read_timer.at:
            trio.lowlevel.notify_closing(self._number)  # a write that waits is woken too, and waits on
            return
        if self._gathering:
            if self._waited:
                self._waited = False
                self._check_gathering()
                return
            self.gather(0)  # which wakes the read, if anything is there
        if self._read_timer.at != NEVER:
            self._check_later()

    def _check_gathering(self) -> None:
        at = self._clock() + PATIENCE
        if at < self._next_check:
            self._check_at(at)

    def _check_later(self) -> None:
        self._check_at(self._read_timer.at)

    def _check_at(self, at: float) -> None:
        self._next_check = at
        deadlines, timer = self._deadlines
        deadlines.add(timer, at, self._check)

    def _raise_if_over(self, error: Exception) -> None:
        """Raise what ended a wait: closing, or the deadline. Return if it was woken for a deadline that has moved."""
        if self._closed or not isinstance(error, trio.ClosedResourceError):
            raise self._read_failed(OSError(errno.EBADF, str(error))) from error
        now = self._clock()
        if now >= self._read_timer.at:
            raise self._expired(now) from None

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        self._wrote = True
        if self._unsent:
            self._unsent += [memoryview(buffer) for buffer in buffers]
        else:
            self._unsent = self._send(buffers)
        return self._scopes.wait(self, self._send_all, writes=True) if self._unsent else None

    async def flush(self, reading: bool) -> None:
        if not self._unsent:
            return
        if not reading:
            await self._scopes.wait(self, self._send_all, writes=True)
            return
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pull_on, nursery.cancel_scope)
            try:
                await self._scopes.wait(self, self._send_all, writes=True)
            except Exception as error:  # noqa: BLE001  # raised below, outside of the nursery that would wrap it
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._check.stream = None
        self._sink = NOBODY
        self._deadlines[0].ended()
        try:
            trio.lowlevel.notify_closing(self._number)
        except RuntimeError:  # trio does not run any more, so no task waits
            pass
        self._sock.close()

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
            scope.cancel()

    async def _send_all(self) -> None:
        async with self._turn:
            while self._unsent:
                try:
                    await trio.lowlevel.wait_writable(self._sock)
                except _CLOSED as error:
                    if not self._closed and isinstance(error, trio.ClosedResourceError):
                        continue  # a read was woken, whose deadline had passed
                    raise self._write_failed(OSError(errno.EBADF, str(error))) from error
                self._send_on()
                self._scopes.move(self)


class TrioTimer:
    """Call back once at a time, from a system task that ends with the last call."""

    __slots__ = ("_call", "_scope")

    def __init__(self) -> None:
        self._call: Callable[..., Any] | None = None
        self._scope: trio.CancelScope | None = None

    def call_later(
        self, delay: float, callback: Callable[..., Any], /, *args: Any, context: contextvars.Context | None = None
    ) -> TrioTimer:
        """Call `callback` after `delay` seconds, in place of the call before."""
        self._call = callback
        at = trio.current_time() + delay
        if self._scope is None:
            self._scope = trio.CancelScope(deadline=at)
            trio.lowlevel.spawn_system_task(self._run)
        else:
            self._scope.deadline = at
        return self

    def cancel(self) -> None:
        """Forget the call; the task ends when it would have been due."""
        self._call = None

    async def _run(self) -> None:
        try:
            while self._scope is not None:
                with self._scope:
                    await trio.sleep_forever()
                self._scope = None
                call, self._call = self._call, None
                if call is not None:
                    self._scope = trio.CancelScope()  # so that the call needs no other task
                    call()
                    if self._call is None:
                        self._scope = None
        finally:
            self._scope = None


class _Wait:
    """Hold a task that waits, until it is rescheduled."""

    __slots__ = ("_task", "result")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        self.result = False

    def done(self) -> bool:
        """Return whether the wait has ended."""
        return self._task is None

    def set_result(self, result: bool) -> None:
        """End the wait."""
        task, self._task = self._task, None
        if task is not None:
            self.result = result
            trio.lowlevel.reschedule(task)

    def abort(self, _: object) -> trio.lowlevel.Abort:
        """End the wait of a task that is cancelled."""
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class TrioWaiter:
    """Wait for one event. The deadline is one of `deadlines`, which all waits of a backend share."""

    __slots__ = ("_deadlines", "_is_set", "_wait")

    def __init__(self, deadlines: Deadlines, timer: TrioTimer) -> None:
        self._deadlines = deadlines, timer
        self._is_set = False
        self._wait: _Wait | None = None

    def set(self) -> None:
        self._is_set = True
        if self._wait is not None:
            self._wait.set_result(True)

    async def wait(self, at: float | None) -> bool:
        if self._is_set:
            await trio.lowlevel.checkpoint()
            return True
        self._wait = wait = _Wait()
        deadlines, timer = self._deadlines
        if at is not None:
            deadlines.add(timer, at, wait)
        try:
            await trio.lowlevel.wait_task_rescheduled(wait.abort)
        finally:
            self._wait = None
            if at is not None:
                deadlines.ended()
        return self._is_set


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


class Connects:
    """Race sockets by tasks that wait until they are writable."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def begin(self, sock: socket.socket, address: Any) -> int:
        return begin_connect(sock, address)

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
    _stream_type: ClassVar[type[TrioStream]] = TrioStream

    def __init__(self) -> None:
        self._deadlines = Deadlines(self.clock)
        self._timer = TrioTimer()

    def handshakes(self) -> HandshakeQueue | None:
        return handshakes_of(trio.lowlevel.current_trio_token(), self, self.clock)

    def waiter(self) -> Waiter:
        return TrioWaiter(self._deadlines, self._timer)

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

    def loop_caller(self) -> Callable[[Callable[[], object]], object]:
        return trio.lowlevel.current_trio_token().run_sync_soon

    def _connector(self) -> Connector:
        return Connects(self.clock)

    async def _stream(self, sock: socket.socket, address: Any) -> Stream:
        return self._stream_type(sock, address, self.clock, self._deadlines, self._timer)


def _deadline(at: float, clock: Callable[[], float]) -> float:
    """Convert `at` to trio's clock."""
    return at if at == NEVER else trio.current_time() + at - clock()
