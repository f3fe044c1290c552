"""Feed the streams of an HTTP/2 connection with what arrives. The pure Python twin of ext/streams.pyx.

- `StreamState` holds what a stream has received, and `StreamTable` the streams of a connection.
- `deliver()` takes frames in the order of their arrival. Those that nearly all responses consist of it puts into their
  streams by itself; every other frame, and every one that may break a rule, goes to `handle_frame()` of the table,
  which knows all rules (`_wire.h2`). What is done here is what that does for frames that are in order.
- `TaskWaiter` is what a task of an event loop awaits, and `WakeList` resumes all that were woken in one iteration of
  the loop by one call: a future for each costs as much as reading the response.
"""

from __future__ import annotations

import contextvars
import sys
from asyncio import AbstractEventLoop, CancelledError
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

from .buffer_py import BodyBuffer
from .constants import FIRST_INTERMEDIATE, HAS_CONTENT_LENGTH, MAX_INTERMEDIATE
from .h2_constants import COLLECT_FROM, DATA, END_STREAM, HEADERS, MANY_PIECES, SMALL_PIECE
from .h2_errors import Http2Error

__all__ = ["StreamState", "StreamTable", "TaskWaiter", "WakeList", "deliver"]

HEAD: Final = 0
BODY: Final = 1
ENDED: Final = 2


class StreamState:
    """Hold what one stream has received; `window` is the number of bytes that the peer may send first."""

    __slots__ = (
        "_collected",
        "_kept",
        "blocked",
        "chunks",
        "error",
        "granted",
        "has_news",
        "head",
        "id",
        "interim",
        "left",
        "method",
        "moment",
        "owed",
        "pending",
        "plain",
        "remaining",
        "sending",
        "small",
        "state",
        "times",
        "touched",
        "trailers",
        "waiter",
        "whole",
        "window_out",
    )

    def __init__(self, method: bytes, whole: bool, window: int, plain: bool = False, times: Any = None) -> None:
        self.id = 0
        self.method = method
        self.whole = whole
        self.state = HEAD
        self.sending = True  # our side has not ended
        self.window_out = 0  # bytes that we may send; below 0 after the peer has made it smaller
        self.blocked = False  # there is something to send, and no window for it
        self.granted = self.left = window  # see ReceiveWindow
        self.owed = 0
        self.head: Any = None  # the field section of the final response
        self.interim: list[Any] = []
        self.trailers: Sequence[tuple[bytes, bytes]] = ()
        self.chunks: deque[bytes] = deque()
        self._collected: BodyBuffer | None = None  # all of a long body that is wanted whole, until it ends
        self._kept = 0  # bytes of a body that is wanted whole, until they are collected
        self.pending: int = 0  # bytes in `chunks` that a streaming reader has not taken yet
        self.remaining = -1  # bytes of the body that Content-Length still announces; -1 if there is none
        self.touched = False  # a part of the response has arrived
        self.moment = 0.0  # when the last part arrived, on the clock of the session's owner
        self.error: Any = None
        self.small = 0  # small pieces that came one after the other
        #: `deliver()` may feed it, without hooks: set by the owner of a stream that has none.
        self.plain = plain
        self.times: Any = times  # its `first` and `done` are set when the head and the end arrive
        self.has_news = False  # something has happened that was not looked at yet
        self.waiter: Any = None  # of the task or thread that waits, if there is one

    @property
    def ready(self) -> bool:
        """Return whether a request can continue: the message is complete, or its head is there and not `whole`."""
        state = self.state
        return state >= ENDED or (state == BODY and not self.whole)

    def open(self, stream_id: int, sending: bool, window_out: int) -> None:
        """Note that the stream was opened: its number, whether a body follows, and how much of it the peer takes."""
        self.id = stream_id
        self.sending = sending
        self.window_out = window_out

    def let_go(self) -> bool:
        """Drop what was not claimed of the body; return whether both sides have ended."""
        if self.chunks:
            self.chunks.clear()
        self._collected = None
        self.pending = 0
        return self.state >= ENDED and not self.sending

    def keep(self, data: bytes) -> None:
        """Keep a piece of the body (at least one byte) for who reads it."""
        if self._collected is not None:
            self._collected.append(data)
            return
        size = len(data)
        self.chunks.append(data)
        if size >= SMALL_PIECE:
            self.small = 0
        else:
            self.small += 1
            if self.small >= MANY_PIECES:
                self.join_small()
        if not self.whole:
            self.pending += size
        else:
            self._kept += size
            if self._kept >= COLLECT_FROM:
                self._collect()

    def _collect(self) -> None:
        """Join the pieces so far, and each from now on."""
        remaining = self.remaining
        body = BodyBuffer(self._kept + remaining if 0 <= remaining <= sys.maxsize - self._kept else sys.maxsize)
        for piece in self.chunks:
            body.append(piece)
        self.chunks.clear()
        self._collected = body

    def end_body(self) -> None:
        """Make one piece of what was joined; call it at the end of the body."""
        if self._collected is not None:
            self.chunks.append(self._collected.cut())
            self._collected = None

    def take_whole(self) -> bytes:
        """Remove and return the body of a complete message."""
        chunks = self.chunks
        if not chunks:
            return b""
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.pending = 0
        return body

    def wake(self) -> None:
        """Say that there is news, and wake who waits for it."""
        self.has_news = True
        waiter = self.waiter
        if waiter is not None:
            waiter.set()

    def join_small(self) -> None:
        """Join the last MANY_PIECES pieces of the body."""
        self.small = 0
        chunks = self.chunks
        if len(chunks) >= MANY_PIECES:
            last = [chunks.pop() for _ in range(MANY_PIECES)]
            last.reverse()
            chunks.append(b"".join(last))


class StreamTable:
    """Hold the open streams of one connection, and the bytes that the peer may send on all of them together."""

    __slots__ = ("moment", "room", "streams")

    def __init__(self, room: int) -> None:
        self.streams: dict[int, Any] = {}
        self.room = room
        self.moment = 0.0  # of what arrived last

    def handle_frame(self, kind: int, flags: int, stream_id: int, contents: Any, size: int) -> bool:
        """Take any frame, with its field section in place of its block; return whether it broke the connection."""
        raise NotImplementedError

    def give_back(self, stream: Any, size: int, keeps_up: bool) -> None:
        """Credit bytes of a stream to the peer."""
        raise NotImplementedError


def deliver(
    table: StreamTable, frames: list[tuple[int, int, int, Any, int]], decode: Callable[[bytes], Any], least: int
) -> None:
    """Take frames, which came at `table.moment`; `decode` returns the field section of a block.

    Data that leaves less than `least` bytes of room goes to `handle_frame()`.
    """
    for kind, flags, stream_id, contents, size in frames:
        if kind == DATA:
            if _took_data(table, flags, stream_id, contents, size, least):
                continue
        elif kind == HEADERS:
            # Decoded in any case, since it changes the table that all streams share (RFC 9113 s.4.3).
            try:
                contents = decode(contents)
            except Http2Error as error:
                contents = error
            else:
                if _took_head(table, flags, stream_id, contents):
                    continue
        if table.handle_frame(kind, flags, stream_id, contents, size):
            return


def _took_head(table: StreamTable, flags: int, stream_id: int, section: Any) -> bool:
    """Take the head of a common response; return whether it was one."""
    stream = table.streams.get(stream_id)
    if stream is None or not stream.plain or stream.state != HEAD or section.offences:
        return False
    status = section.status
    if status < 200 or status in (204, 304):
        return False
    length = section.content_length if section.flags & HAS_CONTENT_LENGTH else -1
    end = flags & END_STREAM
    if (section.flags & HAS_CONTENT_LENGTH and length < 0) or (end and length > 0):
        return False
    if status >= FIRST_INTERMEDIATE and not 0 <= length <= MAX_INTERMEDIATE and not end:
        return False
    stream.touched = True
    stream.moment = table.moment
    stream.head = section
    stream.remaining = length
    stream.state = BODY
    if stream.times is not None:
        stream.times.first = table.moment
    if end:
        _end(table, stream)
    elif not stream.whole:
        stream.wake()
    return True


def _took_data(table: StreamTable, flags: int, stream_id: int, data: bytes, size: int, least: int) -> bool:
    """Take DATA of a common response that is within all windows; return whether it was that."""
    stream = table.streams.get(stream_id)
    room = table.room - size
    if stream is None or not stream.plain or stream.state != BODY or room < least:
        return False
    length = len(data)
    left = stream.left - size
    remaining = stream.remaining
    end = flags & END_STREAM
    if left < 0 or (size != length and not end) or (length == 0 and not end):
        return False
    if remaining >= 0:
        remaining -= length
        if remaining < 0 or (end and remaining):
            return False
    elif stream.head.status in (204, 304):
        return False
    table.room = room
    stream.left = left
    stream.remaining = remaining
    stream.moment = table.moment
    if length:
        stream.keep(data)
    if end:
        _end(table, stream)
    elif not stream.whole:
        stream.wake()
    elif 0 <= remaining <= left or stream.owed + size < stream.granted >> 1:
        stream.owed += size
    else:
        table.give_back(stream, size, True)
    return True


def _end(table: StreamTable, stream: Any) -> None:
    stream.end_body()
    stream.state = ENDED
    if stream.times is not None:
        stream.times.done = table.moment
    stream.wake()
    if not stream.sending:
        del table.streams[stream.id]


_PENDING = 0
_SET = 1
_CANCELLED = 2


class WakeList:
    """Resume tasks of one event loop that were woken, by one call of the loop for all of them."""

    __slots__ = ("_due", "_loop", "_woken")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._woken: deque[TaskWaiter] = deque()
        self._due = False

    def waiter(self) -> TaskWaiter:
        """Return a new waiter."""
        return TaskWaiter(self)

    def _add(self, waiter: TaskWaiter) -> None:
        self._woken.append(waiter)
        if not self._due:
            self._schedule()

    def _schedule(self) -> None:
        # A callback keeps no context of the task that happened to wake others: each is resumed in its own.
        self._loop.call_soon(self._resume, context=contextvars.Context())
        self._due = True

    def _resume(self) -> None:
        """Resume those that were woken so far.

        Another call, for what is left then, is asked for first: an exception ends this one, and a task that runs the
        loop inside itself, as some notebooks have it, may wait for one of the others.
        """
        woken = self._woken
        count = len(woken)
        self._due = False
        if count > 1:
            self._schedule()
        while count and woken:
            count -= 1
            woken.popleft()._resume()


class TaskWaiter:
    """Wait for one event in a task of an event loop: a future, as far as tasks know, whose result is True."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_list", "_message", "_state")

    def __init__(self, wakes: WakeList) -> None:
        self._list = wakes
        self._state = _PENDING
        self._callback: Callable[[Any], object] | None = None
        self._context: contextvars.Context | None = None
        self._message: object = None
        self._asyncio_future_blocking = False

    def wait(self, at: float | None) -> TaskWaiter:
        """Return what to await. ValueError for a deadline, which such a wait cannot have."""
        if at is not None:
            raise ValueError("a TaskWaiter has no deadline")
        return self

    def set(self) -> None:
        """End the wait; repeatable, and may come before it."""
        if self._state == _PENDING:
            self._state = _SET
            if self._callback is not None:
                self._list._add(self)

    def __await__(self) -> Generator[Any, None, bool]:
        if self._state == _PENDING:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    # What tasks call of a future.

    def get_loop(self) -> AbstractEventLoop:
        """Return the event loop."""
        return self._list._loop

    def done(self) -> bool:
        """Return whether the wait is over."""
        return self._state != _PENDING

    def cancelled(self) -> bool:
        """Return whether the wait was cancelled."""
        return self._state == _CANCELLED

    def result(self) -> bool:
        """Return True. Raises CancelledError if the wait was cancelled, RuntimeError if it is not over."""
        if self._state == _CANCELLED:
            raise CancelledError() if self._message is None else CancelledError(self._message)
        if self._state == _PENDING:
            raise RuntimeError("the wait is not over")
        return True

    def cancel(self, msg: object = None) -> bool:
        """Cancel the wait; return whether it was not over."""
        if self._state != _PENDING:
            return False
        self._state = _CANCELLED
        self._message = msg
        if self._callback is not None:
            self._list._add(self)
        return True

    def add_done_callback(self, callback: Callable[[Any], object], *, context: contextvars.Context) -> None:
        """Call `callback` once the wait is over, in `context`; one wait has one callback. RuntimeError for another."""
        if self._callback is not None:
            raise RuntimeError("one task waits for it already")
        self._callback = callback
        self._context = context
        if self._state != _PENDING:
            self._list._add(self)

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget the callback; return how many there were."""
        if self._callback is None or self._callback != callback:
            return 0
        self._callback = None
        return 1

    def _resume(self) -> None:
        callback, context = self._callback, self._context
        self._callback = self._context = None
        if callback is not None and context is not None:
            context.run(callback, self)
