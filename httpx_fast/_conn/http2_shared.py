"""One HTTP/2 session that many tasks or threads share: locking, writing, flushing, reading, waiting.

- `SharedSession` has the session, its stream and one lock. The session, and the order of what is written, are touched
  only under the lock, which is never held while waiting.
- If the socket did not take everything at once, one of the waiters flushes the rest and wakes the others.
- On backends that do not push arrivals (blocking threads, trio), one of the waiters is the reader. It pushes for all,
  and passes the role on when it leaves: with its response, at its deadline, or cancelled.
- While exchanges wait and nothing arrives, the peer is pinged; a peer that does not answer is considered dead.
- A finalizer may run between any two lines and want a stream reset: `abandon()` takes the lock only if it is free; else
  the holder of the lock resets the stream after it has released the lock.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import ClassVar, Final, Protocol

from .._deadline import NEVER, PHASES, Deadline, PhaseTimer
from .._exceptions import NetworkError, ProtocolError, ReadError, ReadTimeout, TransportError, WriteError, WriteTimeout
from .._kernel.h2_constants import ENHANCE_YOUR_CALM
from .._kernel.h2_control import goaway_frame
from .._kernel.h2_errors import Http2Error
from .._kernel.select import WakeList
from .._net.base import Backend, Buffer, Stream, Waiter, forget
from .._origin import Origin
from .._wire.h2 import Session
from .._wire.h2_stream import StreamReader
from .http2_liveness import PeerCheck, WakeTimer

_SLICE: Final = 64 * 1024  # bytes written in one go: TLS encrypts so many at once
# Bytes that wait for a peer which reads nothing: bodies wait elsewhere, so these are heads, resets and answers.
MAX_UNSENT: Final = 16 * 1024 * 1024
_UNSENT_CHECK: Final = 1.0  # seconds after which a reader checks whether another task has left something unsent
STRETCH: Final = 1.0  # seconds of the session's limits "per stretch"
# Bytes of answers to the peer that wait for the socket; above this the peer asks and never reads.
MAX_BACKLOG: Final = 256 * 1024
# Frames that answer a server which speaks before the first request, with which they go out. Two or three are usual.
MAX_EARLY_ANSWERS: Final = 1000


class StreamWaiter(Protocol):
    """Name what `SharedSession` needs of a task or thread that waits for news of a stream."""

    id: int
    timer: PhaseTimer
    moment: float
    has_news: bool
    waiter: Waiter | None

    def wake(self) -> None: ...


class WaitingStream(StreamReader):
    """Read a stream whose news a task or thread may wait for."""

    __slots__ = ("timer",)

    @property
    def ends_before_reset(self) -> bool:
        """Return whether our side is to be ended before the stream is reset."""
        return False

    def __init__(self, method: bytes, whole: bool, deadline: Deadline | None = None) -> None:
        StreamReader.__init__(self, method, whole)  # a third of the cost of super()
        self.timer = PhaseTimer("read", deadline)


class _Nobody:
    """Stand for the reader while the socket is polled without waiting."""

    has_news = False


_NOBODY: Final = _Nobody()


class SharedSession:
    """Share one session over one stream, as the sink of that stream, to which the owner attaches it.

    `changed` is called after the state of the session may have changed, never under the lock: not where arrivals leave
    `peer_limit` at `reported_limit`, which the owner sets to what it has learnt. `origin` is for messages;
    `ping_after` are the seconds of silence after which the peer is pinged while exchanges wait, None for never.
    """

    __slots__ = (
        "_backlog",
        "_changed",
        "_closed",
        "_flush_waiters",
        "_flusher",
        "_new_plain_waiter",
        "_new_waiter",
        "_next_readers",
        "_origin",
        "_peer_due",
        "_reader",
        "_stretch_ends",
        "_wake_timer",
        "_write_closed",
        "reported_limit",
        "abandoned",
        "clock",
        "clogged",
        "lock",
        "peer",
        "pending",
        "pushes",
        "session",
        "stream",
    )

    def __init__(
        self,
        stream: Stream,
        session: Session,
        backend: Backend,
        origin: Origin,
        changed: Callable[[], None],
        ping_after: float | None,
    ) -> None:
        self.stream = stream
        self.session = session
        self.clock = backend.clock
        self.pushes = backend.pushes
        self.lock = threading.Lock()
        self.peer = PeerCheck(session, ping_after)
        # The windows of the streams bound what a connection holds; the socket is always read.
        self.pending = 0
        self._origin = origin
        self._peer_due = 0.0  # the peer need not be checked before
        self._changed = changed
        self._new_waiter = backend.waiter
        self._new_plain_waiter = backend.plain_waiters(WakeList)
        self.clogged = False  # the stream may not have taken everything; `is_clogged()` looks
        self.reported_limit: int | None = -1
        self._closed = False
        self._write_closed = False  # nothing can be written any more
        self.abandoned: deque[WaitingStream] = deque()  # to be reset by the holder of the lock
        self._reader: StreamWaiter | _Nobody | None = None  # receives now
        self._next_readers: OrderedDict[StreamWaiter, None] = OrderedDict()  # may receive next
        self._flusher: StreamWaiter | None = None
        self._flush_waiters: deque[StreamWaiter] = deque()  # wait for the flusher
        self._wake_timer = WakeTimer(backend.timer(), backend.clock) if backend.pushes else None
        self._backlog = 0  # bytes of answers that were left unsent
        self._stretch_ends = 0.0

    def close(self) -> None:
        """Close the stream at once; what is under way fails. Repeatable; never waits."""
        if self._closed:
            return
        self._closed = True
        session = self.session
        session.draining = True
        if self._wake_timer is not None:
            self._wake_timer.cancel()
        if self.lock.acquire(blocking=False):
            try:
                if session.broken is None:
                    if session.next_id > 1 and not self._write_closed:
                        session.outgoing.append(goaway_frame(0))
                    session.fail(ReadError("the connection was closed on this side"))
                self.write_out()
            finally:
                self.lock.release()
        self.stream.close()

    def abandon(self, stream: WaitingStream) -> None:
        """Reset a stream, at once or soon; callable from finalizers."""
        self.abandoned.append(stream)
        self._reset_abandoned()

    def cut(self, stream: WaitingStream) -> None:
        """Fail and reset a stream that is under way, from any thread; whoever waits for it is woken."""
        session = self.session
        with self.lock:
            # Both at once: what arrives for a stream that has failed, and is known still, breaks the protocol.
            if session.streams.get(stream.id) is stream:
                session.reset(stream)
                stream.fail(ReadError("the request was given up on this side"))
                self.write_out()
        if self.abandoned:
            self._reset_abandoned()

    def reset_abandoned(self) -> None:
        """Reset the streams that were abandoned while the lock was held."""
        if self.abandoned:
            self._reset_abandoned()

    def poll_end(self) -> None:
        """Poll what has arrived, without waiting, unless another task or thread reads or arrivals are pushed."""
        if self.pushes or self._reader is not None:
            return
        with self.lock:
            if self._reader is not None:
                return
            self._reader = _NOBODY
        try:
            self.stream.poll_idle()
        finally:
            self._pass_reading_on()

    # Waiting of exchanges.

    async def wait_for_news(self, stream: StreamWaiter, now: float | None = None) -> None:
        """Wait until `stream` has news, reading for all if nobody does. Raises the timeout of its timer.

        `now` is the time, if it is known.
        """
        timer, source, wake_timer = stream.timer, self.stream, self._wake_timer
        may_be_unsent = self.clogged
        try:
            while not stream.has_news:
                if now is None:
                    now = self.clock()
                if now >= timer.at and now >= timer.renewed(stream.moment):
                    phase = timer.phase
                    raise timer.expired(now, self._complaint(stream, phase), self._unfinished(stream, phase))
                due = self._peer_due if now < self._peer_due else self._check_peer(now)
                at = timer.at
                if due < at:
                    at = due
                if wake_timer is not None:
                    waiter = stream.waiter = self._new_plain_waiter()
                    sleepers = wake_timer.sleepers
                    sleepers[stream] = at
                    if at < wake_timer.at:
                        wake_timer.set(at, now)
                    try:
                        await waiter.wait(None)
                    finally:
                        stream.waiter = None
                        del sleepers[stream]
                elif self._reader is stream or self._begins_to_read(stream):
                    try:
                        if may_be_unsent and source.unsent and self._flusher is None and not self._write_closed:
                            await self.flush(stream, at, None)
                        else:
                            look = now + _UNSENT_CHECK
                            source.set_deadline("read", at if at < look else look, None)  # noqa: FURB136  # a call
                            await source.receive()
                    except (ReadTimeout, WriteTimeout):
                        pass
                    except (NetworkError, ProtocolError) as error:
                        self.broke(error)
                    may_be_unsent = True
                else:
                    await self._wait_to_read(stream, at)
                now = None
            stream.has_news = False
        finally:
            if self._reader is stream:
                self._pass_reading_on()

    def check_deadline(self, stream: StreamWaiter, phase: str) -> None:
        """Raise the timeout of the whole request if its deadline has passed, also where nothing is waited for."""
        timer = stream.timer
        if timer.hard != NEVER and (now := self.clock()) >= timer.hard:
            raise timer.hard_expired(phase, now, self._unfinished(stream, phase))

    def claim_piece(self, stream: WaitingStream) -> bytes:
        """Return the oldest unclaimed piece of a body, b"" if there is none; the peer gets its credit back."""
        if not stream.chunks:
            return b""
        session = self.session
        with self.lock:
            piece = session.claim(stream)
            if session.outgoing:
                self.write_out()
        return piece

    async def send_some(self, stream: WaitingStream, raw: Buffer, last: bool, budget: float | None) -> int:
        """Send the bytes of `raw` that windows and the socket take; return their number, as `Session.send()` does."""
        if self.stream.unsent:
            await self.flush(stream, NEVER if budget is None else self.clock() + budget, budget)
        session = self.session
        with self.lock:
            if not stream.sending:
                return 0
            stream.has_news = False
            sent = session.send(stream, raw, last)
            if session.outgoing:
                self.write_out()
        return sent

    def send_now(self, stream: WaitingStream, writer: StreamWaiter, raw: Buffer) -> int:
        """Send the bytes of `raw` that windows allow; return their number.

        0 means that `writer` is woken for more, a number below 0 that our side of the stream has ended.
        """
        with self.lock:
            writer.has_news = False
            if not stream.sending:
                return -1
            sent = self.session.send(stream, raw, False)
            self.write_out()
        return sent

    async def flush_body(self, stream: StreamWaiter, budget: float | None) -> None:
        """Wait until the last of a body is sent, on backends where nothing else sends it."""
        if not self.pushes and self.stream.unsent:
            await self.flush(stream, NEVER if budget is None else self.clock() + budget, budget)

    def broke(self, error: TransportError) -> None:
        """Fail the connection and all its streams."""
        with self.lock:
            self.session.fail(error)
            self.write_out()
        self._changed()

    def _check_peer(self, now: float) -> float:
        """Ping a silent peer, or fail the connection of one that is dead; return when to check again.

        That is kept: whatever arrives until then only puts it off.
        """
        peer = self.peer
        due = self._peer_due = peer.due()
        if now < due:
            return due
        dead = peer.dead(now)
        if dead is not None:
            self.broke(dead)
            return due
        with self.lock:
            again = self._peer_due = peer.ping(now)
            self.write_out()
        return again

    def _complaint(self, stream: StreamWaiter, phase: str) -> str:
        if not stream.id:
            return "peer sent no settings"
        farewell = self.session.farewell
        after = f" after {farewell}" if farewell is not None else ""
        silence = "gave no window for more of the body" if phase == "write" else PHASES[phase].silence
        return f"peer {silence} on stream {stream.id}{after}"

    def _unfinished(self, stream: StreamWaiter, phase: str) -> str:
        on = f"on stream {stream.id} of {self._origin}"
        if phase == "write":
            return f"the request {on} was not sent"
        ended = "ended" if getattr(stream, "head", stream) is not None else "begun"
        return f"the response {on} had not {ended}"

    # The sink of the stream.

    lent_only: ClassVar[bool] = True

    def get_buffer(self) -> None:
        """Return None: frames are cut out of the stream's own buffer."""

    def buffer_updated(self, nbytes: int) -> bool:
        raise RuntimeError("no buffer was given")

    def data_received(self, data: memoryview) -> bool:
        now = self.clock()
        session = self.session
        with self.lock:
            if now >= self._stretch_ends:
                self._stretch_ends = now + STRETCH
                session.begin_stretch()
            session.feed(data, now)
            # Answers to a server that speaks first go out with the first request.
            if session.outgoing:
                if session.next_id > 1 or session.broken is not None:
                    self._answer()
                elif len(session.outgoing) > MAX_EARLY_ANSWERS:
                    asked = f"peer asks for more than {MAX_EARLY_ANSWERS} answers before the first request"
                    session.fail(Http2Error(asked, ENHANCE_YOUR_CALM))
                    self._answer()
        if session.draining or session.peer_limit != self.reported_limit or self.abandoned:
            self._changed()
        reader = self._reader
        return reader is not None and (reader.has_news or self.stream.unsent > 0)

    def eof_received(self, clean: bool) -> bool:
        with self.lock:
            self.session.end_of_file(clean)
        self._changed()
        return True

    def fault_received(self, error: NetworkError) -> None:
        """Fail the connection: TLS has failed. Where arrivals are pushed, no `receive()` would report it."""
        self.broke(error)

    def _answer(self) -> None:
        """Write the answers to an arrival, unless too many wait already; call it under the lock."""
        session = self.session
        unsent = self.stream.unsent
        self._backlog = self._backlog + sum(map(len, session.outgoing)) if unsent else 0
        if self._backlog > MAX_BACKLOG:
            waiting = f"peer makes more than {MAX_BACKLOG} bytes of answers wait and does not read them"
            session.fail(Http2Error(waiting, ENHANCE_YOUR_CALM))
        self.write_out()

    # Writing.

    def _reset_abandoned(self) -> None:
        """Reset the streams that were abandoned, unless the lock is held; its holder does it after releasing it."""
        session = self.session
        while self.abandoned and self.lock.acquire(blocking=False):
            try:
                while self.abandoned:
                    stream = self.abandoned.popleft()
                    if stream.ends_before_reset and stream.sending and stream.id in session.streams:
                        session.send(stream, b"", True)
                    session.reset(stream)
                    stream.sending = False
                self.write_out()
            finally:
                self.lock.release()

    def write_out(self) -> None:
        """Write everything in `outgoing` to the stream; call it under the lock."""
        outgoing = self.session.outgoing
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
                    self.clogged = True
                    forget(unsent)
                    self._check_unsent()
                return
            self.clogged = True
            view = memoryview(data)
            for start in range(0, len(view), _SLICE):
                self.stream.post(view[start : start + _SLICE])
            self._check_unsent()
        except WriteError:
            # The peer takes no more. What it sent before is still to be read: answers, or GOAWAY; then its end.
            self._write_closed = self.session.draining = True

    def is_clogged(self) -> bool:
        """Return whether something that was written still waits for the peer to take it; call it under the lock."""
        if self.clogged:
            self.clogged = self.stream.unsent > 0
        return self.clogged

    def _check_unsent(self) -> None:
        """Fail the connection if too much waits for a peer that reads nothing; call it under the lock."""
        if self.stream.unsent > MAX_UNSENT:
            self.session.fail(WriteError(f"the peer took nothing of more than {MAX_UNSENT} bytes"))

    async def flush(self, stream: StreamWaiter, at: float, budget: float | None, phase: str = "write") -> None:
        """Wait until everything written is sent, or `stream` has news. Raises WriteTimeout.

        `budget` is how long the peer may take nothing, or in a phase that progress does not renew, not all of it;
        without one the wait just ends at `at`.
        """
        timer = PhaseTimer(phase)
        timer.set_hard(stream.timer.hard, stream.timer.hard_budget)
        timer.set(phase, at, budget)
        while True:
            waiter = None
            reads = False
            with self.lock:
                left = self.stream.unsent
                if not left or self._write_closed or self.session.broken is not None:
                    return
                if self._flusher is not None:
                    waiter = stream.waiter = self._new_waiter()
                    self._flush_waiters.append(stream)
                else:
                    self._flusher = stream
                    reads = not self.pushes and self._reader is None
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
            elif in_time or (self.stream.unsent < left and PHASES[phase].renewed):
                timer.postpone(self.clock)
            else:
                said = "took nothing" if PHASES[phase].renewed else "did not take all"
                raise timer.expired(now, f"the peer {said} of {left} bytes", "")

    async def _flush_for_all(self, timer: PhaseTimer, reads: bool, reading: bool) -> None:
        """Flush the stream, then wake the others that wait for that; `reads` if this made the caller the reader."""
        bounded = timer.hard != NEVER
        if bounded:
            # Removed below: the deadline of the task that flushes now bounds writing, and no other.
            self.stream.set_hard_deadline("write", timer.hard, timer.hard_budget)
        self.stream.set_deadline(timer.phase, timer.until, timer.budget)
        try:
            await self.stream.flush(reading and not self.pushes)
        except WriteTimeout:
            raise
        except WriteError:  # as in write_out()
            self._write_closed = self.session.draining = True
        except (NetworkError, ProtocolError) as error:
            self.broke(error)
        finally:
            if bounded:
                self.stream.set_hard_deadline("write", None, None)
            with self.lock:
                self._flusher = None
                while self._flush_waiters:
                    self._flush_waiters.popleft().wake()
            if reads:
                self._pass_reading_on()

    def _begins_to_read(self, stream: StreamWaiter) -> bool:
        """Make the task of `stream` the reader; return False if it has news, or another is the reader."""
        if self._reader is not None:
            return False
        with self.lock:
            if self._reader is not None or stream.has_news:
                return False
            self._reader = stream
        return True

    async def _wait_to_read(self, stream: StreamWaiter, at: float) -> None:
        """Wait for the task that reads until `stream` has news, or is made the reader, or `at`, or sooner."""
        if self._flusher is None and self.stream.unsent and not self._write_closed:
            try:
                await self.flush(stream, at, None)
            except WriteTimeout:  # the caller checks the time
                pass
            return
        with self.lock:
            if stream.has_news or self._reader is None:
                return
            waiter = stream.waiter = self._new_waiter()
            self._next_readers[stream] = None
        try:
            await waiter.wait(None if at == NEVER else at)
        finally:
            with self.lock:
                stream.waiter = None
                self._next_readers.pop(stream, None)

    def _pass_reading_on(self) -> None:
        """Make the longest waiter the reader, in place of the one that leaves."""
        with self.lock:
            self._reader = None
            if self._next_readers:
                next_reader, _ = self._next_readers.popitem(last=False)
                self._reader = next_reader
                waiter = next_reader.waiter
                assert waiter is not None
                waiter.set()
        if self.abandoned:
            self._reset_abandoned()
