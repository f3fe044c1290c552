"""One session of HTTP/2, shared by many tasks or threads: who may touch it, who writes, who drains, who reads.

- The session, and the order of what is written, are touched under the lock only, which is never held while waiting.
- What the socket did not take at once is drained by one of those who wait for that; it wakes the others.
- Where the world does not push arrivals (blocking threads, trio), one of those who wait is the reader. It pushes for
  all, and names its heir when it leaves: with its response, its time, or a cancellation.
- A finalizer may run within any line, and want a stream reset: `abandon()` takes the lock only if it is free, and who
  holds it does what was left when it has let go.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Protocol

from .._deadline import NEVER, Deadline, PhaseTimer
from .._exceptions import NetworkError, ProtocolError, ReadTimeout, TransportError, WriteError, WriteTimeout
from .._net.base import Backend, Stream, Waiter, forget
from .._wire.h2 import Session
from .._wire.h2_stream import StreamReader

_SLICE: Final = 64 * 1024  # bytes written in one go: TLS encrypts so many at once
# Bytes that wait for a peer which reads nothing: bodies wait elsewhere, so these are heads, resets and answers.
MAX_UNSENT: Final = 16 * 1024 * 1024
_LOOK: Final = 1.0  # seconds after which a reader looks whether somebody has left something unsent


class StreamWaiter(Protocol):
    """Who waits for news of a stream."""

    id: int
    timer: PhaseTimer
    moment: float
    has_news: bool
    waiter: Waiter | None

    def wake(self) -> None: ...


class WaitingStream(StreamReader):
    """A stream for whose news somebody may wait."""

    __slots__ = ("timer", "has_news", "waiter")

    @property
    def ends_before_reset(self) -> bool:
        """Return whether our side is to be ended before the stream is reset."""
        return False

    def __init__(self, method: bytes, whole: bool, deadline: Deadline | None = None) -> None:
        super().__init__(method, whole)
        self.timer = PhaseTimer("read", deadline)
        self.has_news = False  # something has happened that was not looked at yet
        self.waiter: Waiter | None = None  # of who waits, if anybody does

    def wake(self) -> None:
        self.has_news = True
        waiter = self.waiter
        if waiter is not None:
            waiter.set()


class _Nobody:
    """The reader while somebody only has a look."""

    has_news = False


_NOBODY: Final = _Nobody()


class SharedSession(Session):
    """A session over its stream. A subclass is the stream's sink."""

    __slots__ = (
        "_abandoned",
        "_flusher",
        "_flush_waiters",
        "_next_readers",
        "_lock",
        "_write_closed",
        "_new_waiter",
        "_pushes",
        "_reader",
        "clock",
        "stream",
    )

    def __init__(self, stream: Stream, backend: Backend, clock: Callable[[], float], first_limit: int) -> None:
        super().__init__(first_limit)
        self.stream = stream
        self.clock = clock
        self._pushes = backend.pushes
        self._new_waiter = backend.waiter
        self._lock = threading.Lock()
        self._write_closed = False  # nothing can be written any more
        self._abandoned: deque[WaitingStream] = deque()  # to be reset by who has the lock
        self._reader: StreamWaiter | _Nobody | None = None  # who receives now
        self._next_readers: OrderedDict[StreamWaiter, None] = OrderedDict()  # who may do so next
        self._flusher: StreamWaiter | None = None
        self._flush_waiters: deque[StreamWaiter] = deque()  # who waits for the drainer

    def abandon(self, stream: WaitingStream) -> None:
        """Reset a stream, at once or soon; callable from finalizers."""
        self._abandoned.append(stream)
        self._reset_abandoned()

    def _break(self, error: TransportError) -> None:
        """The connection is of no use any more."""
        raise NotImplementedError

    def _poll_end(self) -> None:
        """One look, without waiting, at what has arrived, unless somebody reads anyway."""
        if self._pushes or self._reader is not None:
            return
        with self._lock:
            if self._reader is not None:
                return
            self._reader = _NOBODY
        try:
            self.stream.poll_idle()
        finally:
            self._pass_reading_on()

    def _reset_abandoned(self) -> None:
        """Resets what was abandoned, unless somebody holds the lock, who comes here when it is let go of."""
        while self._abandoned and self._lock.acquire(blocking=False):
            try:
                while self._abandoned:
                    stream = self._abandoned.popleft()
                    if stream.ends_before_reset and stream.sending and stream.id in self.streams:
                        self.send(stream, b"", True)
                    self.reset(stream)
                    stream.sending = False
                self._write_out()
            finally:
                self._lock.release()

    def _write_out(self) -> None:
        """Write all that is to be sent to the stream; call it under the lock."""
        outgoing = self.outgoing
        if not outgoing:
            return
        data = outgoing[0] if len(outgoing) == 1 else b"".join(outgoing)
        outgoing.clear()
        if self._write_closed:
            return
        try:
            if len(data) <= _SLICE:
                unsent = self.stream.write(data)
                if unsent is not None:
                    forget(unsent)
                    self._check_unsent()
                return
            view = memoryview(data)
            for start in range(0, len(view), _SLICE):
                self.stream.post(view[start : start + _SLICE])
            self._check_unsent()
        except WriteError:
            # The peer takes no more. What it said before is still to be read: answers, or GOAWAY; then comes the end.
            self._write_closed = self.draining = True

    def _check_unsent(self) -> None:
        """Under the lock: gives up a peer that reads nothing, for which more and more waits."""
        if self.stream.unsent > MAX_UNSENT:
            self.fail(WriteError(f"the peer took nothing of more than {MAX_UNSENT} bytes"))

    async def flush(self, stream: StreamWaiter, at: float, budget: float | None) -> None:
        """Wait until what was written is sent, or something is read for `stream`. Raises WriteTimeout.

        With `budget` that is how long the peer may take nothing; without one the wait just ends at `at`.
        """
        timer = PhaseTimer("write")
        timer.set_hard(stream.timer.hard, stream.timer.hard_budget)
        timer.set("write", at, budget)
        while True:
            waiter = None
            reads = False
            with self._lock:
                left = self.stream.unsent
                if not left or self._write_closed or self.broken is not None:
                    return
                if self._flusher is not None:
                    waiter = stream.waiter = self._new_waiter()
                    self._flush_waiters.append(stream)
                else:
                    self._flusher = stream
                    reads = not self._pushes and self._reader is None
                    if reads:
                        self._reader = stream
            if waiter is None:
                await self._flush_for_all(timer, reads, self._reader is stream)
                return
            try:
                in_time = await waiter.wait(timer.until)
            finally:
                stream.waiter = None
            now = self.clock()
            if now >= timer.hard:
                raise timer.hard_expired("write", now, f"the peer had {left} bytes more to take")
            if budget is None:
                if not in_time:
                    return
            elif in_time or self.stream.unsent < left:
                timer.postpone(self.clock)
            else:
                raise timer.expired(now, f"the peer took nothing of {left} bytes", "")

    async def _flush_for_all(self, timer: PhaseTimer, reads: bool, reading: bool) -> None:
        bounded = timer.hard != NEVER
        if bounded:
            # Taken off below: writing is bounded by the deadline of who drains now, and by nobody else's.
            self.stream.set_hard_deadline("write", timer.hard, timer.hard_budget)
        self.stream.set_deadline("write", timer.until, timer.budget)
        try:
            await self.stream.flush(reading and not self._pushes)
        except WriteTimeout:
            raise
        except WriteError:  # as in _write_out()
            self._write_closed = self.draining = True
        except (NetworkError, ProtocolError) as error:
            self._break(error)
        finally:
            if bounded:
                self.stream.set_hard_deadline("write", None, None)
            with self._lock:
                self._flusher = None
                while self._flush_waiters:
                    self._flush_waiters.popleft().wake()
            if reads:
                self._pass_reading_on()

    async def read_or_wait(self, stream: StreamWaiter, now: float, at: float) -> None:
        """Reads for all, or waits for who does, until `stream` is told something, or `at`, or sooner."""
        if self._reader is not None and self._flusher is None and self.stream.unsent and not self._write_closed:
            try:
                await self.flush(stream, at, None)
            except WriteTimeout:  # the caller looks at the time
                pass
            return
        waiter = None
        with self._lock:
            if stream.has_news:
                return
            if self._reader is None:
                self._reader = stream
            else:
                waiter = stream.waiter = self._new_waiter()
                self._next_readers[stream] = None
        try:
            if waiter is not None:
                try:
                    await waiter.wait(None if at == NEVER else at)
                finally:
                    with self._lock:
                        stream.waiter = None
                        self._next_readers.pop(stream, None)
            if self._reader is stream:
                await self._read(stream, now, at)
        finally:
            if self._reader is stream:
                self._pass_reading_on()

    async def _read(self, stream: StreamWaiter, now: float, at: float) -> None:
        """Read for all waiters until `stream` is told something, or until `at`."""
        while not stream.has_news and now < at and self.broken is None:
            until = min(at, now + _LOOK)
            try:
                if self.stream.unsent and self._flusher is None and not self._write_closed:
                    await self.flush(stream, at, None)
                else:
                    self.stream.set_deadline("read", until, None)
                    await self.stream.receive()
            except (ReadTimeout, WriteTimeout):
                pass
            except (NetworkError, ProtocolError) as error:
                self._break(error)
            now = self.clock()

    def _pass_reading_on(self) -> None:
        """Make the waiter that has waited longest the reader, in place of the one that leaves."""
        with self._lock:
            self._reader = None
            if self._next_readers:
                heir, _ = self._next_readers.popitem(last=False)
                self._reader = heir
                waiter = heir.waiter
                assert waiter is not None
                waiter.set()
        if self._abandoned:
            self._reset_abandoned()
