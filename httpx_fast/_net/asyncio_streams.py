"""Read and write in an asyncio loop: waits are futures, sockets are our own.

- `LoopStream` waits and keeps deadlines, for both kinds of stream. A wait is one future; when its time is up, the
  future fails, and no task is cancelled. One timer per connection is set again only when it fires too early: deadlines
  move a few times per exchange, and a timer for each would cost 3 us.
- `AsyncioStream` is a non-blocking socket whose reader is registered once, for the life of the connection; the callback
  reads and pushes into the sink. Measured against a transport's protocol this halves the cost of an exchange.
- Callbacks live as long as a connection, so they run in an empty context and do not keep that of the request which
  happened to connect.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from .._exceptions import ReadError, WriteError
from .base import HIGH_WATER, NOBODY, Buffer, Sink
from .deadline_stream import NEVER
from .errors import closed_here, peer_closed
from .gathering import AHEAD, PATIENCE, wake_from
from .scratch import scratch
from .sockets import NO_WAIT, SocketStream

Future: TypeAlias = "asyncio.Future[None]"

_PEEK = getattr(socket, "MSG_PEEK", 0) | NO_WAIT


class LoopStream(SocketStream):
    """Wait by futures, and fail them at their deadline, for both kinds of stream."""

    __slots__ = (
        "_ahead",
        "_future",
        "_gathering",
        "_gathering_check",
        "_halted",
        "_loop",
        "_new_future",
        "_paused",
        "_senders",
        "_timer",
        "_timer_at",
        "_waited",
    )

    def __init__(
        self,
        sock: socket.socket,
        address: Any,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        new_future: Callable[[], Future] | None = None,
    ) -> None:
        super().__init__(sock, address, clock)
        self._loop = loop
        self._new_future = new_future or future_maker(loop)
        self._future: Future | None = None  # the wait of receive()
        self._senders: list[Future] | None = None  # waits until all is sent
        self._halted = True  # nothing is read now: not attached yet, paused, ended, failed or closed
        self._paused = True
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._ahead = AHEAD  # bytes that may still be read before the loop's next turn
        self._gathering = 0  # bytes from which the socket is readable; 0 for any
        self._gathering_check: asyncio.TimerHandle | None = None
        self._waited = False  # a wait for so many has begun since the last check

    def attach(self, sink: Sink) -> None:
        first = self._sink is None
        super().attach(sink)
        if first and not (self._closed or self._ended or self._fault):
            self._resume()

    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        if phase == "read":
            # The same as for any phase, without a call: this is done for each request.
            timer = self._read_timer
            timer.phase = phase
            timer.at = timer.hard if at is None or at > timer.hard else at
            timer.budget = budget
            self._arrived = False
        else:
            super().set_deadline(phase, at, budget)
        if self._senders or self._future is not None:
            self._set_timer()

    async def flush(self, reading: bool) -> None:
        if not self.unsent:
            return
        future = self._sender()
        if reading:
            # The wait of a receiver, too: whichever is over first ends it.
            self._future = future
            if self._halted:
                self._receive_halted(future)
        await future

    def receive(self) -> Awaitable[None]:
        if self._future is not None and not self._future.done():
            raise RuntimeError("a stream is received from by one task at a time")
        self._future = future = self._new_future()
        if self._halted:
            self._receive_halted(future)
        if self._arrived:
            self._arrived = False
            self._read_timer.postpone(self._clock)
        if self._read_timer.at < self._timer_at:
            self._set_timer()
        if self._gathering and not self._halted:
            if self._ahead > 0:
                self._read_now()
                self._ahead -= self._sink.pending
            if not future.done():  # the loop has its turn
                self._ahead = AHEAD
        return future

    def gather(self, size: int) -> None:
        self._waited = True
        if size == self._gathering or not wake_from(self._sock, size or 1):
            return
        self._gathering = size
        if size and self._gathering_check is None:
            self._check_later()

    def poll_idle(self) -> None:
        """Push what the loop has not seen yet: it looks at its sockets once a turn, after all tasks that can go on."""
        if not NO_WAIT:
            return  # Windows, where a read may be under way in the kernel: reading here would overtake it
        while not self._halted:
            try:
                self._sock.recv(1, _PEEK)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._broken(self._read_failed(error))
                return
            self._read_now()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = self._halted = True
        self._sink = NOBODY
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unsent = []
        try:
            self._let_go()
        except RuntimeError:  # the loop is closed, and what it held of ours is gone with it
            self._sock.close()
        self._fail_receiver(ReadError(closed_here(self._address, "while it was read")))
        self._fail_senders(WriteError(closed_here(self._address, "while it was written to")))

    def _start_reading(self) -> None:
        """Let the loop push arrivals."""
        raise NotImplementedError

    def _stop_reading(self) -> None:
        """Stop the loop from pushing arrivals."""
        raise NotImplementedError

    def _read_now(self) -> None:
        """Read what is there, as the loop would."""
        raise NotImplementedError

    def _has_sent(self) -> bool:
        """Return whether bytes went out since the last call; False where `_send_on()` sees each byte that does."""
        return False

    def _let_go(self) -> None:
        """End all callbacks and close the socket. Raises RuntimeError if the loop is closed."""
        raise NotImplementedError

    def _resume(self) -> None:
        self._halted = self._paused = False
        self._start_reading()

    def _receive_halted(self, future: Future) -> None:
        """Resume reading after a pause, or fail `future` with the reason why nothing can come."""
        if self._closed:
            future.set_exception(ReadError(closed_here(self._address, "before it was read")))
        elif self._paused and not (self._ended or self._fault):
            self._resume()
        elif self._ended and not self._told:
            self._input_ended()
        else:
            future.set_exception(self._fault or peer_closed(self._address))

    def _pushed(self, done: bool) -> None:
        """Wake the receiver if `done`, after a push to the sink; pause reading if the sink holds too much."""
        self._arrived = True
        future = self._future
        if future is not None:
            if not future.done():  # else the wait was cancelled
                if not done:
                    self._read_timer.postpone(self._clock)
                    return
                future.set_result(None)
            self._future = None
        if self._sink.pending >= HIGH_WATER and not self._halted:
            self._halted = self._paused = True
            self._stop_reading()

    def _input_ended(self) -> None:
        """Tell the sink that the peer sends no more, and end the wait as the sink decides."""
        self._ended = True
        self._stop()
        if self._sink is None:
            return
        try:
            enough = self._tell_end()
        except Exception as fault:  # noqa: BLE001  # the current or next receive() raises it
            self._failed(fault)
            return
        future, self._future = self._future, None
        if future is not None and not future.done():
            if enough:
                future.set_result(None)
            else:
                future.set_exception(peer_closed(self._address))

    def _failed(self, fault: Exception) -> None:
        """End reading with an error for the current or next receiver. After an alert, writing fails, too."""
        self._stop()
        self._fault = fault
        self._fail_receiver(fault)
        if self._senders and getattr(fault, "from_tls", False):
            self._fail_senders(WriteError(str(fault)))

    def _broken(self, fault: Exception) -> None:
        """End reading after an error of the network; if nobody waits, tell the sink of an unclean end."""
        idle = self._future is None or self._future.done()
        self._failed(fault)
        if idle and not self._told and self._sink is not None:
            self._told = True
            try:
                self._sink.eof_received(False)
            except Exception as further:  # noqa: BLE001
                self._fault = further

    def _stop(self) -> None:
        if not self._halted:
            self._halted = True
            self._stop_reading()

    def _fail_receiver(self, fault: Exception) -> None:
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_exception(fault)

    def _sender(self) -> Future:
        future: Future = self._loop.create_future()
        if self._senders is None:
            self._senders = []
        self._senders.append(future)
        self._set_timer()
        return future

    def _all_sent(self) -> None:
        senders, self._senders = self._senders, None
        for future in senders or ():
            if not future.done():
                future.set_result(None)

    def _fail_senders(self, fault: Exception) -> None:
        senders, self._senders = self._senders, None
        for future in senders or ():
            if not future.done():
                future.set_exception(fault)

    def _next_deadline(self) -> float:
        """Return the first deadline of the waits that are going on."""
        at = NEVER if self._future is None or self._future.done() else self._read_timer.at
        return min(at, self._write_timer.at) if self._senders else at

    def _set_timer(self) -> None:
        at = self._next_deadline()
        if at >= self._timer_at:
            return  # it fires early enough, and will be set again then
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._delay(at), self._on_time, context=contextvars.Context())
        self._timer_at = at

    def _check_later(self) -> None:
        self._waited = False
        self._gathering_check = self._loop.call_later(PATIENCE, self._check_gathering, context=contextvars.Context())

    def _check_gathering(self) -> None:
        """Have the loop read what is there, unless a wait has begun since the last check."""
        self._gathering_check = None
        if self._closed or not self._gathering:
            return
        if self._waited:
            self._check_later()
        else:
            self.gather(0)

    def _delay(self, at: float) -> float:
        """Return the seconds after which to look at the clock; it may be too early."""
        return max(at - self._clock(), 0.0)

    def _on_time(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        receiving = self._future is not None and not self._future.done()
        if not receiving and not self._senders:
            return
        now = self._clock()
        if self._senders and now >= self._write_timer.at and self._has_sent():
            self._write_timer.postpone(self._clock)
        # First who sends: one that sends and reads at once (`flush(reading=True)`) waits for the peer to read.
        if self._senders and now >= self._write_timer.at:
            self._fail_senders(self._write_expired(now, f", {self.unsent} bytes are left"))
        if receiving and now >= self._read_timer.at:
            self._fail_receiver(self._expired(now))
        self._set_timer()


class AsyncioStream(LoopStream):
    """Read and write a socket of our own in a selector loop."""

    __slots__ = ("_number", "_recv_into")

    def __init__(
        self,
        sock: socket.socket,
        address: Any,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
        new_future: Callable[[], Future] | None = None,
    ) -> None:
        super().__init__(sock, address, clock, loop, new_future)
        # Some loops hold on to a socket that they were given; a number is all they need.
        self._number = sock.fileno()
        self._recv_into = sock.recv_into

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        if self._unsent:
            self._unsent += [memoryview(buffer) for buffer in buffers]
            return self._sender()
        rest = self._send(buffers)
        if not rest:
            return None
        self._unsent = rest
        contextvars.Context().run(self._loop.add_writer, self._number, self._on_writable)
        return self._sender()

    def _on_readable(self) -> None:
        sink = self._sink
        buffer = None if self._lends else sink.get_buffer()
        view = scratch.view if buffer is None else buffer
        try:
            count = self._recv_into(view)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broken(self._read_failed(error))
            return
        if not count:
            self._input_ended()
            return
        try:
            done = sink.data_received(view[:count]) if buffer is None else sink.buffer_updated(count)
        except Exception as fault:  # noqa: BLE001  # the current or next receive() raises it
            self._failed(fault)
            return
        future = self._future
        if done and future is not None and not future.done() and sink.pending < HIGH_WATER:
            # Nearly always; the same as below.
            self._arrived = True
            self._future = None
            future.set_result(None)
            return
        self._pushed(done)

    def _on_writable(self) -> None:
        try:
            self._send_on()
        except WriteError as fault:
            self._unsent = []
            self._loop.remove_writer(self._number)
            self._fail_senders(fault)
            return
        if not self._unsent:
            self._loop.remove_writer(self._number)
            self._all_sent()

    def _read_now(self) -> None:
        self._on_readable()

    def _start_reading(self) -> None:
        contextvars.Context().run(self._loop.add_reader, self._number, self._on_readable)

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._number)

    def _let_go(self) -> None:
        self._loop.remove_reader(self._number)
        self._loop.remove_writer(self._number)
        self._sock.close()


def future_maker(loop: asyncio.AbstractEventLoop) -> Callable[[], Future]:
    """Return a function that makes futures of `loop`, without the call of a stock loop's own method."""
    if type(loop).create_future is asyncio.BaseEventLoop.create_future:
        future: type[Future] = asyncio.Future
        return functools.partial(future, loop=loop)
    return loop.create_future
