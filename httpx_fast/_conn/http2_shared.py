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
    told: bool
    waiter: Waiter | None

    def wake(self) -> None: ...


class WaitingStream(StreamReader):
    """A stream for whose news somebody may wait."""

    __slots__ = ("timer", "told", "waiter")

    @property
    def says_goodbye(self) -> bool:
        """Return whether our side is to be ended before the stream is reset."""
        return False

    def __init__(self, method: bytes, whole: bool, deadline: Deadline | None = None) -> None:
        super().__init__(method, whole)
        self.timer = PhaseTimer("read", deadline)
        self.told = False  # something has happened that was not looked at yet
        self.waiter: Waiter | None = None  # of who waits, if anybody does

    def wake(self) -> None:
        self.told = True
        waiter = self.waiter
        if waiter is not None:
            waiter.set()


class _Nobody:
    """The reader while somebody only has a look."""

    told = False


_NOBODY: Final = _Nobody()


class SharedSession(Session):
    """A session over its stream. A subclass is the stream's sink."""

    __slots__ = (
        "_abandoned",
        "_drainer",
        "_draining",
        "_heirs",
        "_lock",
        "_mute",
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
        self._mute = False  # nothing can be written any more
        self._abandoned: deque[WaitingStream] = deque()  # to be reset by who has the lock
        self._reader: StreamWaiter | _Nobody | None = None  # who receives now
        self._heirs: OrderedDict[StreamWaiter, None] = OrderedDict()  # who may do so next
        self._drainer: StreamWaiter | None = None
        self._draining: deque[StreamWaiter] = deque()  # who waits for the drainer

    def abandon(self, stream: WaitingStream) -> None:
        """Reset a stream, at once or soon; callable from finalizers."""
        self._abandoned.append(stream)
        self._take_up()

    def _break(self, error: TransportError) -> None:
        """The connection is of no use any more."""
        raise NotImplementedError

    def _look_for_end(self) -> None:
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
            self._hand_on()

    def _take_up(self) -> None:
        """Resets what was abandoned, unless somebody holds the lock, who comes here when it is let go of."""
        while self._abandoned and self._lock.acquire(blocking=False):
            try:
                while self._abandoned:
                    stream = self._abandoned.popleft()
                    if stream.says_goodbye and stream.sending and stream.id in self.streams:
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
        if self._mute:
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
            self._mute = self.draining = True

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
                if not left or self._mute or self.broken is not None:
                    return
                if self._drainer is not None:
                    waiter = stream.waiter = self._new_waiter()
                    self._draining.append(stream)
                else:
                    self._drainer = stream
                    reads = not self._pushes and self._reader is None
                    if reads:
                        self._reader = stream
            if waiter is None:
                await self._be_drainer(timer, reads, self._reader is stream)
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

    async def _be_drainer(self, timer: PhaseTimer, reads: bool, reading: bool) -> None:
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
            self._mute = self.draining = True
        except (NetworkError, ProtocolError) as error:
            self._break(error)
        finally:
            if bounded:
                self.stream.set_hard_deadline("write", None, None)
            with self._lock:
                self._drainer = None
                while self._draining:
                    self._draining.popleft().wake()
            if reads:
                self._hand_on()

    async def take_part(self, stream: StreamWaiter, now: float, at: float) -> None:
        """Reads for all, or waits for who does, until `stream` is told something, or `at`, or sooner."""
        if self._reader is not None and self._drainer is None and self.stream.unsent and not self._mute:
            try:
                await self.flush(stream, at, None)
            except WriteTimeout:  # the caller looks at the time
                pass
            return
        waiter = None
        with self._lock:
            if stream.told:
                return
            if self._reader is None:
                self._reader = stream
            else:
                waiter = stream.waiter = self._new_waiter()
                self._heirs[stream] = None
        try:
            if waiter is not None:
                try:
                    await waiter.wait(None if at == NEVER else at)
                finally:
                    with self._lock:
                        stream.waiter = None
                        self._heirs.pop(stream, None)
            if self._reader is stream:
                await self._read(stream, now, at)
        finally:
            if self._reader is stream:
                self._hand_on()

    async def _read(self, stream: StreamWaiter, now: float, at: float) -> None:
        """Read for all waiters until `stream` is told something, or until `at`."""
        while not stream.told and now < at and self.broken is None:
            until = min(at, now + _LOOK)
            try:
                if self.stream.unsent and self._drainer is None and not self._mute:
                    await self.flush(stream, at, None)
                else:
                    self.stream.set_deadline("read", until, None)
                    await self.stream.receive()
            except (ReadTimeout, WriteTimeout):
                pass
            except (NetworkError, ProtocolError) as error:
                self._break(error)
            now = self.clock()

    def _hand_on(self) -> None:
        """Make the waiter that has waited longest the reader, in place of the one that leaves."""
        with self._lock:
            self._reader = None
            if self._heirs:
                heir, _ = self._heirs.popitem(last=False)
                self._reader = heir
                waiter = heir.waiter
                assert waiter is not None
                waiter.set()
        if self._abandoned:
            self._take_up()
