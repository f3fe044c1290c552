"""asyncio on any loop: stock selector loops, uvloop, and loops that can only run protocols (Windows' Proactor).

- `AsyncioStream`: an own non-blocking socket whose reader is registered once, for the connection's life; the callback
  reads and pushes into the sink. Measured against a transport's protocol it halves the cost of an exchange.
- `ProtocolStream`: where the loop has no `add_reader`, a `BufferedProtocol` keeps the same contract.
- A wait is one future. Nothing here cancels a task; when the time is up the future fails.
- One timer per connection, set again only when it fires early: deadlines move a few times per exchange, and a timer for
  each would cost 3 us.
- Callbacks live as long as a connection, so they run in an empty context and do not keep that of the request which
  happened to connect.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import functools
import socket
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from .._exceptions import ReadError, WriteError
from .asyncio_timers import AsyncioWaiter, Deadlines
from .base import HIGH_WATER, Abortable, Aborted, Buffer, Sink, Stream, Waiter
from .connecting import Connector, connect_error
from .deadline_stream import NEVER
from .errors import closed_here, peer_closed
from .scratch import scratch
from .sockets import NO_WAIT, SocketBackend, SocketStream

T = TypeVar("T")

Future: TypeAlias = "asyncio.Future[None]"

_PEEK = getattr(socket, "MSG_PEEK", 0) | NO_WAIT
_OWN_BUFFER = 64 * 1024  # bytes read at once where a loop may fill the buffer later than it asks for it


class LoopStream(SocketStream):
    """Waits as futures, and their deadline, for both kinds of stream."""

    __slots__ = ("_future", "_halted", "_loop", "_new_future", "_paused", "_senders", "_timer", "_timer_at")

    def __init__(
        self, sock: socket.socket, address: Any, clock: Callable[[], float], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(sock, address, clock)
        self._loop = loop
        self._new_future = _future_maker(loop)
        self._future: Future | None = None  # who waits in receive()
        self._senders: list[Future] = []  # who waits until all is sent
        self._halted = True  # nothing is read now: not attached yet, paused, ended, failed or closed
        self._paused = True
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

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
        if self.unsent:
            await self._sender()

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
        return future

    def poll_idle(self) -> None:
        """Push what the loop has not seen yet: it looks at its sockets once a turn, after all tasks that can go on."""
        if not NO_WAIT:
            return  # Windows, where a read may be under way in the kernel: nothing may be taken past it
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
        """The loop may push, from now on."""
        raise NotImplementedError

    def _stop_reading(self) -> None:
        """The loop may push no more, or not for now."""
        raise NotImplementedError

    def _read_now(self) -> None:
        """Read what is there, as the loop would."""
        raise NotImplementedError

    def _has_sent(self) -> bool:
        """Whether anything went out since this was last asked; where each byte that goes is seen, nothing did."""
        return False

    def _let_go(self) -> None:
        """Ends all callbacks and closes the socket. Raises RuntimeError if the loop is closed."""
        raise NotImplementedError

    def _resume(self) -> None:
        self._halted = self._paused = False
        self._start_reading()

    def _receive_halted(self, future: Future) -> None:
        """Reads on after a pause, or says why nothing can come."""
        if self._closed:
            future.set_exception(ReadError(closed_here(self._address, "before it was read")))
        elif self._paused and not (self._ended or self._fault):
            self._resume()
        elif self._ended and not self._told:
            self._input_ended()
        else:
            future.set_exception(self._fault or peer_closed(self._address))

    def _pushed(self, done: bool) -> None:
        """The sink was given something; `done` if it has what is waited for."""
        self._arrived = True
        future = self._future
        if future is not None:
            if not future.done():  # else who waited was cancelled
                if not done:
                    self._read_timer.postpone(self._clock)
                    return
                future.set_result(None)
            self._future = None
        if self._sink.pending >= HIGH_WATER and not self._halted:
            self._halted = self._paused = True
            self._stop_reading()

    def _input_ended(self) -> None:
        """The peer will send no more; the sink decides what that means."""
        self._ended = True
        self._stop()
        if self._sink is None:
            return
        try:
            enough = self._tell_end()
        except Exception as fault:  # noqa: BLE001  # goes to who receives, now or next
            self._failed(fault)
            return
        future, self._future = self._future, None
        if future is not None and not future.done():
            if enough:
                future.set_result(None)
            else:
                future.set_exception(peer_closed(self._address))

    def _failed(self, fault: Exception) -> None:
        """Nothing can be read any more: for who receives now, or next. After an alert nothing can be sent, either."""
        self._stop()
        self._fault = fault
        self._fail_receiver(fault)
        if self._senders and getattr(fault, "from_tls", False):
            self._fail_senders(WriteError(str(fault)))

    def _broken(self, fault: Exception) -> None:
        """As `_failed`, by the network: if nobody waits the sink is told, to whom it is an end like an attack's."""
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
        self._senders.append(future)
        self._set_timer()
        return future

    def _all_sent(self) -> None:
        senders, self._senders = self._senders, []
        for future in senders:
            if not future.done():
                future.set_result(None)

    def _fail_senders(self, fault: Exception) -> None:
        senders, self._senders = self._senders, []
        for future in senders:
            if not future.done():
                future.set_exception(fault)

    def _next_deadline(self) -> float:
        """The first one that anybody waits under."""
        at = NEVER if self._future is None or self._future.done() else self._read_timer.at
        return min(at, self._write_timer.at) if self._senders else at

    def _set_timer(self) -> None:
        at = self._next_deadline()
        if at >= self._timer_at:
            return  # it fires early enough, and will be set again then
        if self._timer is not None:
            self._timer.cancel()
        delay = max(at - self._clock(), 0.0)
        self._timer = self._loop.call_later(delay, self._on_time, context=contextvars.Context())
        self._timer_at = at

    def _on_time(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        receiving = self._future is not None and not self._future.done()
        if not receiving and not self._senders:
            return
        now = self._clock()
        if self._senders and now >= self._write_timer.at and self._has_sent():
            self._write_timer.postpone(self._clock)
        if receiving and now >= self._read_timer.at:
            self._fail_receiver(self._expired(now))
        if self._senders and now >= self._write_timer.at:
            self._fail_senders(self._write_expired(now, f", {self.unsent} bytes are left"))
        self._set_timer()


class AsyncioStream(LoopStream):
    """An own socket in a selector loop."""

    __slots__ = ("_number", "_recv_into")

    def __init__(
        self, sock: socket.socket, address: Any, clock: Callable[[], float], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(sock, address, clock, loop)
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
        buffer = sink.get_buffer()
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
        except Exception as fault:  # noqa: BLE001  # goes to who receives, now or next
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


class ProtocolStream(LoopStream, asyncio.BufferedProtocol):
    """A transport of the loop's own, where a loop gives nothing less.

    Buffers are lent as everywhere: stock loops and uvloop ask for one, fill it and say so in one go. winloop may fill
    it at any later time, so there each connection has its own.
    """

    __slots__ = ("_early", "_left", "_lent", "_lost", "_own", "_transport")

    def __init__(
        self, sock: socket.socket, address: Any, clock: Callable[[], float], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(sock, address, clock, loop)
        self._transport: Any = None
        self._own = memoryview(bytearray(_OWN_BUFFER)) if _made_by(loop, "winloop") else None
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
            # uvloop would write at the end of the loop's turn only, and nobody could close after the last words.
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
        return True  # it is closed by who owns it

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
        """`count` bytes of `view`, or in the buffer that the sink gave."""
        try:
            done = self._sink.buffer_updated(count) if view is None else self._sink.data_received(view[:count])
        except Exception as fault:  # noqa: BLE001  # goes to who receives, now or next
            self._failed(fault)
            return
        self._pushed(done)

    def _read_rest(self) -> None:
        """Pushes what the peer said before a write failed, for which the transport has let go of the socket."""
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


class _SelectorConnects:
    """Races sockets by `add_writer`."""

    __slots__ = ("_deadlines", "_loop")

    def __init__(self, deadlines: Deadlines, loop: asyncio.AbstractEventLoop) -> None:
        self._deadlines = deadlines
        self._loop = loop

    def begin(self, sock: socket.socket, address: Any) -> int:
        return sock.connect_ex(address)

    async def wait(self, sockets: Collection[socket.socket], until: float) -> Iterable[socket.socket]:
        ended: list[socket.socket] = []
        waiter = AsyncioWaiter(self._deadlines)

        def end(sock: socket.socket) -> None:
            ended.append(sock)
            waiter.set()

        numbers = [sock.fileno() for sock in sockets]
        try:
            for number, sock in zip(numbers, sockets, strict=True):
                self._loop.add_writer(number, end, sock)
            await waiter.wait(None if until == NEVER else until)
        finally:
            for number in numbers:
                self._loop.remove_writer(number)
        return dict.fromkeys(ended)

    def outcome(self, sock: socket.socket) -> OSError | None:
        return connect_error(sock)

    def drop(self, sock: socket.socket) -> None:
        sock.close()


class _TaskConnects:
    """Races sockets by `loop.sock_connect`, a task each: all that every loop has."""

    def __init__(self, clock: Callable[[], float], loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._tasks: dict[socket.socket, asyncio.Task[None]] = {}

    def begin(self, sock: socket.socket, address: Any) -> int:
        self._tasks[sock] = self._loop.create_task(self._loop.sock_connect(sock, address))
        return errno.EINPROGRESS

    async def wait(self, sockets: Collection[socket.socket], until: float) -> Iterable[socket.socket]:
        timeout = None if until == NEVER else max(until - self._clock(), 0.0)
        if not self._tasks:
            await asyncio.sleep(timeout or 0.0)
            return ()
        ended, _ = await asyncio.wait(self._tasks.values(), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return [sock for sock, task in self._tasks.items() if task in ended]

    def outcome(self, sock: socket.socket) -> OSError | None:
        failure = self._tasks.pop(sock).exception()
        if failure is not None and not isinstance(failure, OSError):
            raise failure
        return failure

    def drop(self, sock: socket.socket) -> None:
        task = self._tasks.pop(sock, None)
        if task is None:
            sock.close()
        else:
            # The loop lets go of the descriptor when the task ends; closed before, it might be another's by then.
            task.add_done_callback(lambda task: sock.close())
            task.cancel()


class _SteppedWork(Abortable[T]):
    """Work that is stepped here, on behalf of the task that awaits it, so that an exception can be thrown into it.

    The task itself is not cancelled: a cancellation would reach whoever awaits it, and could be taken for the user's.
    """

    __slots__ = ("_aborted", "_awaited")

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        super().__init__(work)
        self._aborted = False
        self._awaited: Any = None  # the future that the work waits for

    def run(self) -> Awaitable[T]:
        return self

    def abort(self) -> None:
        self._aborted = True
        awaited = self._awaited
        if awaited is not None:
            # The task is woken by that. If the future is done already it is about to be.
            awaited.cancel()

    def __await__(self) -> Generator[Any, Any, T]:
        work = self._work()
        step: Callable[[Any], Any] = work.send
        argument: Any = None
        told = False
        while True:
            if self._aborted and not told and not _is_cancelled(argument):
                told = True
                step, argument = work.throw, Aborted()
            try:
                awaited = step(argument)
            except StopIteration as end:
                result: T = end.value
                return result
            if self._aborted and not told:
                step, argument = work.send, None
                continue
            self._awaited = awaited
            try:
                argument = yield awaited
                step = work.send
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:  # noqa: BLE001  # it is the work's
                step, argument = work.throw, error
            finally:
                self._awaited = None


def _is_cancelled(thrown: object) -> bool:
    """Return whether it is the cancellation of the task that runs."""
    if not isinstance(thrown, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class AsyncioBackend(SocketBackend):
    """The world of one running asyncio loop; `force_protocol` treats every loop as one without `add_reader`."""

    name = "asyncio"
    pushes = True

    def __init__(self, *, force_protocol: bool = False) -> None:
        self._force_protocol = force_protocol
        self._deadlines = Deadlines(self.clock)

    def waiter(self) -> Waiter:
        return AsyncioWaiter(self._deadlines)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def abortable(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Abortable[T]:
        return _SteppedWork(work)

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        # Cancelled here, all are cancelled, and their ends are waited for.
        for outcome in await asyncio.gather(*[_made(call) for call in calls], return_exceptions=True):
            if outcome is not None:
                raise outcome

    def soon(self, call: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_soon(call, context=contextvars.Context())

    def timer(self) -> Callable[[float, Callable[[], object]], Callable[[], object]]:
        loop = asyncio.get_running_loop()
        return lambda seconds, call: loop.call_later(seconds, call, context=contextvars.Context()).cancel

    def from_any_thread(self, call: Callable[[], object]) -> Callable[[], object]:
        loop = asyncio.get_running_loop()
        return lambda: loop.call_soon_threadsafe(call)

    def _connector(self) -> Connector:
        loop = asyncio.get_running_loop()
        if self._only_protocols(loop):
            return _TaskConnects(self.clock, loop)
        return _SelectorConnects(self._deadlines, loop)

    async def _stream(self, sock: socket.socket, address: Any) -> Stream:
        loop = asyncio.get_running_loop()
        if not self._only_protocols(loop):
            return AsyncioStream(sock, address, self.clock, loop)
        stream = ProtocolStream(sock, address, self.clock, loop)
        making = loop.create_connection(lambda: stream, sock=sock)
        try:
            await loop.create_task(making, context=contextvars.Context())  # the context that callbacks will run in
        except BaseException:
            stream.close()  # cancelled when the transport was made already, nobody else would close it
            raise
        return stream

    def _only_protocols(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Loops that have no readers and writers inherit the methods that say so; those of libuv go deaf.

        uvloop and winloop call a reader never again once the peer has reset the connection: a read would wait for its
        deadline, or for ever. Their transports are told, and cost the same.
        """
        if self._force_protocol or type(loop).add_reader is asyncio.AbstractEventLoop.add_reader:
            return True
        return _made_by(loop, "uvloop", "winloop")


async def _made(call: Callable[[], Coroutine[Any, Any, object]]) -> None:
    await call()


def _future_maker(loop: asyncio.AbstractEventLoop) -> Callable[[], Future]:
    """What makes the futures of `loop`; a stock loop's own method does nothing else, at the cost of a call."""
    if type(loop).create_future is asyncio.BaseEventLoop.create_future:
        future: type[Future] = asyncio.Future
        return functools.partial(future, loop=loop)
    return loop.create_future


def _made_by(loop: asyncio.AbstractEventLoop, *packages: str) -> bool:
    return any(kind.__module__.partition(".")[0] in packages for kind in type(loop).__mro__)
