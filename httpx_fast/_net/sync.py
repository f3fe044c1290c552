"""Connect, read and write in blocking code: coroutines that never suspend, waits in the kernel, any number of threads.

A warm exchange is one send and one receive. Reading waits in the kernel by SO_RCVTIMEO, set only when the deadline
needs another value: one system call where try, poll and read are three, and 1.0 times a bare blocking socket where
those are 1.1 times (loopback). Where the option cannot be relied on (Windows, sockets that a framework has replaced,
programs that have timers interrupt them) the socket is non-blocking and `poll` waits.

One thread may read while another writes; `close()` from any thread wakes both. A descriptor that a thread is using is
closed by that thread: else its number might belong to another socket when the thread uses it.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

from .._exceptions import ReadError
from .base import DONE, NOBODY, Abortable, Aborted, Buffer, Stream, Waiter
from .connecting import Connector, begin_connect, connect_error
from .deadline_stream import NEVER
from .errors import closed_here
from .gathering import PATIENCE, wake_from
from .sockets import NO_WAIT, PulledStream, SocketBackend, poller, wait_writable

T = TypeVar("T")

_TIMEVAL: Final = struct.Struct("@ll")
# Where struct timeval is two longs and both options mean what they say. A 32-bit system may have a longer time_t.
_KERNEL_TIMES: Final = bool(NO_WAIT) and _TIMEVAL.size == 16 and sys.platform.startswith(("linux", "darwin", "freebsd"))
# Linux counts these times on a wheel that may be late by an eighth of them and a tick: so the kernel is given less than
# what is left, and the rest, if it comes to that, is polled for, which is exact.
_SHARE: Final = 0.85
_TICK: Final = 0.01  # seconds
_UNKNOWN: Final = -1.0  # seconds that the kernel was given are not those of a deadline
_PATIENCE: Final = _TIMEVAL.pack(0, int(PATIENCE * 1_000_000))
_NEAR: Final = 0.05  # seconds; longer than the kernel gathers
_LONGEST: Final = 1_000_000.0  # seconds; what lies further ahead is for ever
# Seconds after which a thread that connects checks whether it was aborted. Shutting its sockets down wakes it at
# once on Linux; elsewhere sockets that are not connected yet cannot be shut down.
_CONNECT_LOOK: Final = _LONGEST if sys.platform == "linux" else 0.05
_BY_TIMERS: Final = ("SIGALRM", "SIGVTALRM", "SIGPROF")


class SyncStream(PulledStream):
    __slots__ = ("_draining", "_gathering", "_granted", "_kernel_times", "_receiving", "_turn", "_writing")

    def __init__(self, sock: socket.socket, address: Any, clock: Callable[[], float]) -> None:
        super().__init__(sock, address, clock)
        # Frameworks that replace `socket` wait in a loop of their own, which knows nothing of SO_RCVTIMEO.
        self._kernel_times = _KERNEL_TIMES and type(sock).__module__ == "socket" and not _timers_interrupt()
        self._granted = NEVER  # seconds after which the kernel gives up
        self._gathering = 0  # bytes that the kernel waits for; 0 for any
        self._turn = threading.Lock()  # held while `_unsent` changes and another thread may flush it
        # Set while a thread uses the descriptor. Each sets its flag before it checks whether the stream was closed, and
        # `close()` marks the stream closed before it checks these: so one of the two sees the other.
        self._receiving = self._writing = self._draining = False
        sock.setblocking(self._kernel_times)

    def receive(self) -> Awaitable[None]:
        self._receiving = True
        try:
            if self._fault is not None:  # there is one if the stream was closed
                raise self._fault
            if self._arrived:
                self._read_timer.postpone(self._clock)
            if self._gathering and self._pull_gathered():
                return DONE
            while True:
                try:
                    if self._kernel_times:
                        self._set_kernel_time()
                    if self._pull():
                        return DONE
                    self._read_timer.postpone(self._clock)
                    # A peer that always has something there never lets us wait, and so never run out of time.
                    now = self._clock()
                    if now >= self._read_timer.at:
                        raise self._expired(now)
                except BlockingIOError:
                    self._nothing_came()
        finally:
            self._receiving = False
            if self._closed:
                self._let_go()

    def gather(self, size: int) -> None:
        if size == self._gathering or not self._kernel_times:
            return
        receiving, self._receiving = self._receiving, True
        try:
            if not self._closed and wake_from(self._sock, size or 1):
                self._gathering = size
                self._granted = _UNKNOWN
                if size:
                    self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        finally:
            self._receiving = receiving
            if self._closed:
                self._let_go()

    def _pull_gathered(self) -> bool:
        """Read what was gathered; return whether the sink has enough. Ends if nothing came or the deadline is near."""
        if self._read_timer.at - self._clock() > _NEAR:
            try:
                if self._pull():
                    return True
                self._read_timer.postpone(self._clock)
            except BlockingIOError:
                pass
        self.gather(0)
        return False

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        if self._unsent:
            with self._turn:
                if self._unsent:
                    self._unsent += [memoryview(buffer) for buffer in buffers]
                    return self._flush()
        self._writing = True
        try:
            if self._closed:
                raise self._write_failed(OSError())
            self._unsent = self._send(buffers, NO_WAIT)
        finally:
            self._writing = False
            if self._closed:
                self._let_go()
        return self._flush() if self._unsent else None

    async def flush(self, reading: bool) -> None:
        self._draining = True
        try:
            if not self._closed:
                await self._drain(reading)
        finally:
            self._draining = False
            if self._closed:
                self._let_go()
        if self._closed:
            raise self._write_failed(OSError())

    async def _drain(self, reading: bool) -> None:
        try:
            movable = _any_poller(self._sock) if reading else poller(self._sock, write=True)
            while True:
                with self._turn:
                    if self._unsent:
                        self._send_on(NO_WAIT)
                    if not self._unsent:
                        return
                self._check_write_time()
                movable(self._patience(self._write_timer.at))
                if reading and self._pull_some():
                    return
        except ValueError as error:
            raise self._write_failed(OSError(errno.EBADF, os.strerror(errno.EBADF))) from error

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._fault is None:
            self._fault = ReadError(closed_here(self._address, "before it was read"))
        self._sink = NOBODY
        _shut(self._sock)
        self._let_go()

    def _let_go(self) -> None:
        """Close the descriptor, unless a thread uses it: then that thread calls this when it ends."""
        if not (self._receiving or self._writing or self._draining):
            self._sock.close()

    def _set_kernel_time(self) -> None:
        """Let the kernel give up before the deadline; set anew only where that would be too late, or much too soon."""
        left = self._read_timer.at - self._clock()
        granted = self._granted
        if left * 0.5 <= granted <= left * 0.9 or granted == left:
            return
        if left > _LONGEST:
            self._granted, timeval = NEVER, (0, 0)
        else:
            self._granted = left = max(left * _SHARE - _TICK, 0.0)
            timeval = divmod(int(left * 1_000_000) + 1, 1_000_000)  # all zero would be for ever
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(*timeval))
        except OSError as error:
            raise self._read_failed(error) from error

    def _nothing_came(self) -> None:
        """Raise the timeout if the time is up; else poll for the rest of it, or for all if the socket does not wait."""
        now = self._clock()
        if now >= self._read_timer.at:
            raise self._expired(now)
        self._readable(self._patience(self._read_timer.at))

    async def _flush(self) -> None:
        self._draining = True
        try:
            if not self._closed:
                await self._flush_on()
        finally:
            self._draining = False
            if self._closed:
                self._let_go()
        if self._closed:
            raise self._write_failed(OSError())

    async def _flush_on(self) -> None:
        try:
            writable = poller(self._sock, write=True)
            while self._unsent:
                self._check_write_time()
                writable(self._patience(self._write_timer.at))
                self._send_on(NO_WAIT)
        except ValueError as error:  # closed by another thread: a closed socket has no descriptor to poll
            raise self._write_failed(OSError(errno.EBADF, os.strerror(errno.EBADF))) from error

    def _patience(self, at: float) -> float | None:
        """Return the milliseconds after which to look at the clock, None for never; it may be too early."""
        return milliseconds(at - self._clock())

    def _check_write_time(self) -> None:
        now = self._clock()
        if now >= self._write_timer.at:
            raise self._write_expired(now, f", {self.unsent} bytes are left")

    def _pull_some(self) -> bool:
        try:
            return self._pull(NO_WAIT)
        except BlockingIOError:
            return False


def _any_poller(sock: socket.socket) -> Callable[[float | None], object]:
    """Return a function of milliseconds (None for ever) that returns once `sock` is readable, writable or broken."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLOUT)
        return poll.poll
    return lambda milliseconds: select.select([sock], [sock], (), None if milliseconds is None else milliseconds / 1000)


class SyncWaiter:
    """Wait for an event by a lock that is held until then."""

    __slots__ = ("_clock", "_lock")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:  # set before
            return

    async def wait(self, at: float | None) -> bool:
        seconds = -1.0 if at is None else min(max(at - self._clock(), 0.0), threading.TIMEOUT_MAX)
        if not self._lock.acquire(timeout=seconds):
            return False
        self.set()  # once set, it stays so
        return True


class _InterruptedWork(Abortable[T]):
    """Run work of one thread, which names what it waits for, so that another thread can end the wait."""

    __slots__ = ("_aborted", "_interrupts", "_lock", "_workers")

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], workers: dict[int, _InterruptedWork[Any]]) -> None:
        super().__init__(work)
        self._workers = workers
        self._aborted = False
        self._interrupts: dict[object, Callable[[], object]] = {}
        self._lock = threading.Lock()  # nothing is closed by the one thread while the other interrupts it

    async def run(self) -> T:
        thread = threading.get_ident()
        outer = self._workers.get(thread)  # a resolver that asks by a request of its own
        self._workers[thread] = self
        try:
            self.check()
            return await self._work()
        finally:
            if outer is None:
                del self._workers[thread]
            else:
                self._workers[thread] = outer
            with self._lock:
                self._interrupts.clear()

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            for interrupt in self._interrupts.values():
                interrupt()

    def check(self) -> None:
        if self._aborted:
            raise Aborted

    def hold(self, what: object, interrupt: Callable[[], object]) -> None:
        """Let `interrupt` end a wait for `what` from now on. Raises Aborted if it is too late for that."""
        with self._lock:
            self._interrupts[what] = interrupt
        self.check()

    def let_go(self, what: object) -> None:
        with self._lock:
            self._interrupts.pop(what, None)


class InterruptedWaiter(SyncWaiter):
    """Wait as a part of abortable work."""

    __slots__ = ("_work",)

    def __init__(self, clock: Callable[[], float], work: _InterruptedWork[Any]) -> None:
        super().__init__(clock)
        self._work = work

    async def wait(self, at: float | None) -> bool:
        self._work.hold(self, self.set)
        try:
            was_set = await super().wait(at)
        finally:
            self._work.let_go(self)
        self._work.check()
        return was_set


class Connects:
    """Race sockets by `poll`."""

    def __init__(self, clock: Callable[[], float], work: _InterruptedWork[Any] | None) -> None:
        self._clock = clock
        self._work = work

    def begin(self, sock: socket.socket, address: Any) -> int:
        if self._work is not None:
            self._work.hold(sock, partial(_shut, sock))  # what is aborted before it connects is seen by `wait()`
        return begin_connect(sock, address)

    async def wait(self, sockets: Collection[socket.socket], until: float) -> Iterable[socket.socket]:
        left = max(until - self._clock(), 0.0)
        if not sockets:
            time.sleep(left)  # noqa: ASYNC251  # there is no loop to block
            return ()
        if self._work is None:
            return wait_writable(sockets, milliseconds(left))
        self._work.check()
        ended = wait_writable(sockets, milliseconds(min(left, _CONNECT_LOOK)))
        self._work.check()
        return ended

    def outcome(self, sock: socket.socket) -> OSError | None:
        return connect_error(sock)

    def drop(self, sock: socket.socket) -> None:
        if self._work is not None:
            self._work.let_go(sock)
        sock.close()


class SyncBackend(SocketBackend):
    """Connect and wait in blocking code; shared by any number of threads."""

    name = "blocking"
    _stream_type: ClassVar[type[SyncStream]] = SyncStream

    def __init__(self) -> None:
        self._workers: dict[int, _InterruptedWork[Any]] = {}  # by thread: the work that may be aborted

    def waiter(self) -> Waiter:
        work = self._work()
        return SyncWaiter(self.clock) if work is None else InterruptedWaiter(self.clock, work)

    async def sleep(self, seconds: float) -> None:
        if self._workers:
            await self.waiter().wait(self.clock() + seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251  # there is no loop to block

    def abortable(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Abortable[T]:
        return _InterruptedWork(work, self._workers)

    def _work(self) -> _InterruptedWork[Any] | None:
        """Return the abortable work of this thread, if there is one."""
        return self._workers.get(threading.get_ident()) if self._workers else None

    def loop_caller(self) -> Callable[[Callable[[], object]], object]:
        return _call

    def from_any_thread(self, call: Callable[[], object]) -> Callable[[], object]:
        return call

    def _connector(self) -> Connector:
        return Connects(self.clock, self._work())

    async def _stream(self, sock: socket.socket, address: Any) -> Stream:
        stream = self._stream_type(sock, address, self.clock)
        work = self._work()
        if work is not None:
            work.let_go(sock)
            work.hold(stream, stream.close)
        return stream


def _call(call: Callable[[], object]) -> object:
    return call()


def _shut(sock: socket.socket) -> None:
    """Wake threads that wait in the kernel, which closing the descriptor would not."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # not connected any more
        pass


def _timers_interrupt() -> bool:
    """Return whether the program handles signals that timers send.

    Where a signal's handler returns, Python calls recv() again (PEP 475), for which SO_RCVTIMEO begins anew: a signal
    every second, and five seconds never end. Rarer signals only make them longer.
    """
    signal = sys.modules.get("signal")  # a program that handles any has imported it
    return signal is not None and any(callable(signal.getsignal(getattr(signal, name))) for name in _BY_TIMERS)


def milliseconds(seconds: float) -> float | None:
    return None if seconds > _LONGEST else max(seconds, 0.0) * 1000
