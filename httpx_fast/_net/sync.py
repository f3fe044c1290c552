"""The blocking world: coroutines that never suspend, waits in the kernel, any number of threads.

A warm exchange is one send and one receive. Reading waits in the kernel by SO_RCVTIMEO, set only when the deadline
needs another value: one system call where try, poll and read are three, and 1.0 times a bare blocking socket where
those are 1.1 times (loopback). Where the option cannot be relied on (Windows, sockets that a framework has replaced,
programs that have timers interrupt them) the socket is non-blocking and `poll` waits.

One thread may read while another writes; `close()` from any thread wakes both.
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
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final

from .base import DONE, Buffer, Stream, Waiter
from .connecting import Connector, connect_error
from .deadline_stream import NEVER
from .sockets import NO_WAIT, PulledStream, SocketBackend, poller, wait_writable

_TIMEVAL: Final = struct.Struct("@ll")
# Where struct timeval is two longs and both options mean what they say. A 32-bit system may have a longer time_t.
_KERNEL_TIMES: Final = bool(NO_WAIT) and _TIMEVAL.size == 16 and sys.platform.startswith(("linux", "darwin", "freebsd"))
# Linux counts these times on a wheel that may be late by an eighth of them and a tick: so the kernel is given less than
# what is left, and the rest, if it comes to that, is polled for, which is exact.
_SHARE: Final = 0.85
_TICK: Final = 0.01  # seconds
_LONGEST: Final = 1_000_000.0  # seconds; what lies further ahead is for ever
_BY_TIMERS: Final = ("SIGALRM", "SIGVTALRM", "SIGPROF")


class SyncStream(PulledStream):
    __slots__ = ("_granted", "_kernel_times", "_turn")

    def __init__(self, sock: socket.socket, address: Any, clock: Callable[[], float]) -> None:
        super().__init__(sock, address, clock)
        # Frameworks that replace `socket` wait in a loop of their own, which knows nothing of SO_RCVTIMEO.
        self._kernel_times = _KERNEL_TIMES and type(sock).__module__ == "socket" and not _timers_interrupt()
        self._granted = NEVER  # seconds after which the kernel gives up
        self._turn = threading.Lock()  # held by who changes what is unsent while another may drain it
        sock.setblocking(self._kernel_times)

    def receive(self) -> Awaitable[None]:
        if self._fault is not None:
            raise self._fault
        if self._arrived:
            self._postpone()
        while True:
            try:
                if self._kernel_times:
                    self._set_kernel_time()
                if self._pull():
                    return DONE
                self._postpone()
                # A peer that always has something there never lets us wait, and so never run out of time.
                now = self._clock()
                if now >= self._at:
                    raise self._expired(now)
            except BlockingIOError:
                self._nothing_came()

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        if self._unsent:
            with self._turn:
                if self._unsent:
                    self._unsent += [memoryview(buffer) for buffer in buffers]
                    return self._flush()
        self._unsent = self._send(buffers, NO_WAIT)
        return self._flush() if self._unsent else None

    async def drain(self, reading: bool) -> None:
        try:
            movable = _any_poller(self._sock) if reading else poller(self._sock, write=True)
            while True:
                with self._turn:
                    if self._unsent:
                        self._send_on(NO_WAIT)
                    if not self._unsent:
                        return
                self._check_write_time()
                movable(_milliseconds(self._write_at - self._clock()))
                if reading and self._pull_some():
                    return
        except ValueError as error:
            raise self._write_failed(OSError(errno.EBADF, os.strerror(errno.EBADF))) from error

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            # Wakes threads that wait in the kernel, which closing the descriptor would not.
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # not connected any more
            pass
        self._sock.close()

    def _set_kernel_time(self) -> None:
        """Lets the kernel give up before the deadline; set anew only where that would be too late, or much too soon."""
        left = self._at - self._clock()
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
        """The time is up; or poll waits for the rest of it, or for all where the socket does not wait."""
        now = self._clock()
        if now >= self._at:
            raise self._expired(now)
        self._readable(_milliseconds(self._at - now))

    async def _flush(self) -> None:
        try:
            writable = poller(self._sock, write=True)
            while self._unsent:
                self._check_write_time()
                writable(_milliseconds(self._write_at - self._clock()))
                self._send_on(NO_WAIT)
        except ValueError as error:  # closed by another thread: a closed socket has no descriptor to poll
            raise self._write_failed(OSError(errno.EBADF, os.strerror(errno.EBADF))) from error

    def _check_write_time(self) -> None:
        now = self._clock()
        if now >= self._write_at:
            raise self._write_expired(now, f", {self.unsent} bytes are left")

    def _pull_some(self) -> bool:
        try:
            return self._pull(NO_WAIT)
        except BlockingIOError:
            return False


def _any_poller(sock: socket.socket) -> Callable[[float | None], object]:
    """A function of milliseconds (None for ever) that returns once `sock` can be read or written, or has failed."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLOUT)
        return poll.poll
    return lambda milliseconds: select.select([sock], [sock], (), None if milliseconds is None else milliseconds / 1000)


class SyncWaiter:
    """A lock that is held until the event."""

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


class _Connects:
    """Races sockets by `poll`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def begin(self, sock: socket.socket, address: Any) -> int:
        return sock.connect_ex(address)

    async def wait(self, sockets: Collection[socket.socket], until: float) -> Iterable[socket.socket]:
        left = max(until - self._clock(), 0.0)
        if not sockets:
            time.sleep(left)  # noqa: ASYNC251  # there is no loop to block
            return ()
        return wait_writable(sockets, _milliseconds(left))

    def outcome(self, sock: socket.socket) -> OSError | None:
        return connect_error(sock)

    def drop(self, sock: socket.socket) -> None:
        sock.close()


class SyncBackend(SocketBackend):
    """The blocking world; shared by any number of threads."""

    name = "blocking"

    def waiter(self) -> Waiter:
        return SyncWaiter(self.clock)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  # there is no loop to block

    def from_any_thread(self, call: Callable[[], object]) -> Callable[[], object]:
        return call

    def _connector(self) -> Connector:
        return _Connects(self.clock)

    async def _stream(self, sock: socket.socket, address: Any) -> Stream:
        return SyncStream(sock, address, self.clock)


def _timers_interrupt() -> bool:
    """Whether the program handles signals that timers send.

    Where a signal's handler returns, Python calls recv() again (PEP 475), for which SO_RCVTIMEO begins anew: a signal
    every second, and five seconds never end. Rarer signals only make them longer.
    """
    signal = sys.modules.get("signal")  # who handles any has imported it
    return signal is not None and any(callable(signal.getsignal(getattr(signal, name))) for name in _BY_TIMERS)


def _milliseconds(seconds: float) -> float | None:
    return None if seconds > _LONGEST else max(seconds, 0.0) * 1000
