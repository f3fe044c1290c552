# cython: language_level=3, freethreading_compatible=True
"""Feed the streams of an HTTP/2 connection with what arrives. The twin of httpx_fast/_kernel/streams_py.py.

The twin documents the interface and the rules; C adds these:

1. Fields are C numbers, and those of a stream that is known are read without a call.
2. A stream or waiter of another type than ours is used as any Python object is: it goes to `handle_frame()`.
"""

import contextvars
from asyncio import CancelledError
from collections import deque

from cpython.object cimport PyObject

from httpx_fast._kernel import constants
from httpx_fast._kernel import h2_constants
from httpx_fast._kernel import h2_errors
from httpx_fast._kernel.buffer_c import BodyBuffer

cimport cython

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    PyObject *get_item "PyDict_GetItemWithError"(PyObject *, PyObject *) except? NULL

__all__ = ["StreamState", "StreamTable", "TaskWaiter", "WakeList", "deliver"]

cdef enum:
    # The same numbers as in h2_constants, for the compiler to see.
    DATA = 0x0
    HEADERS = 0x1
    END_STREAM = 0x1
    HEAD = 0
    BODY = 1
    ENDED = 2
    PENDING = 0
    SET = 1
    CANCELLED = 2

cdef int FIRST_INTERMEDIATE = constants.FIRST_INTERMEDIATE
cdef long long MAX_INTERMEDIATE = constants.MAX_INTERMEDIATE
cdef int HAS_CONTENT_LENGTH = constants.HAS_CONTENT_LENGTH
cdef Py_ssize_t SMALL_PIECE = h2_constants.SMALL_PIECE
cdef int MANY_PIECES = h2_constants.MANY_PIECES
cdef long long COLLECT_FROM = h2_constants.COLLECT_FROM
cdef long long LONGEST = PY_SSIZE_T_MAX
cdef object Http2Error = h2_errors.Http2Error
cdef object new_deque = deque
cdef object Context = contextvars.Context
cdef object cancelled_error = CancelledError


cdef class StreamState:
    """Hold what one stream has received; `window` is the number of bytes that the peer may send first."""

    cdef public long long id
    cdef public object method
    cdef public bint whole
    cdef public int state
    cdef public bint sending
    cdef public long long window_out
    cdef public bint blocked
    cdef public long long granted
    cdef public long long left
    cdef public long long owed
    cdef public object head
    cdef public list interim
    cdef public object trailers
    cdef public object chunks
    cdef object collected
    cdef long long kept
    cdef public long long pending
    cdef public long long remaining
    cdef public bint touched
    cdef public double moment
    cdef public object error
    cdef public int small
    cdef public bint plain
    cdef public object times
    cdef public bint has_news
    cdef public object waiter

    def __init__(self, method, bint whole, long long window, bint plain=False, times=None):
        self.id = 0
        self.method = method
        self.whole = whole
        self.state = HEAD
        self.sending = True
        self.window_out = 0
        self.blocked = False
        self.granted = self.left = window
        self.owed = 0
        self.head = None
        self.interim = []
        self.trailers = ()
        self.chunks = new_deque()
        self.collected = None
        self.kept = 0
        self.pending = 0
        self.remaining = -1
        self.touched = False
        self.moment = 0.0
        self.error = None
        self.small = 0
        self.plain = plain
        self.times = times
        self.has_news = False
        self.waiter = None

    @property
    def ready(self):
        """Return whether a request can continue: the message is complete, or its head is there and not `whole`."""
        return self.state >= ENDED or (self.state == BODY and not self.whole)

    def open(self, long long stream_id, bint sending, long long window_out):
        """Note that the stream was opened: its number, whether a body follows, and how much of it the peer takes."""
        self.id = stream_id
        self.sending = sending
        self.window_out = window_out

    def let_go(self):
        """Drop what was not claimed of the body; return whether both sides have ended."""
        if len(self.chunks):
            self.chunks.clear()
        self.collected = None
        self.pending = 0
        return self.state >= ENDED and not self.sending

    def keep(self, bytes data not None):
        """Keep a piece of the body (at least one byte) for who reads it."""
        self.add(data, len(data))

    cdef int add(self, bytes data, Py_ssize_t size) except -1:
        if self.collected is not None:
            self.collected.append(data)
            return 0
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
            self.kept += size
            if self.kept >= COLLECT_FROM:
                self.collect()
        return 0

    cdef int collect(self) except -1:
        """Join the pieces so far, and each from now on."""
        cdef long long expected = LONGEST
        if 0 <= self.remaining <= LONGEST - self.kept:
            expected = self.kept + self.remaining
        body = BodyBuffer(expected)
        for piece in self.chunks:
            body.append(piece)
        self.chunks.clear()
        self.collected = body
        return 0

    def end_body(self):
        """Make one piece of what was joined; call it at the end of the body."""
        if self.collected is not None:
            self.chunks.append(self.collected.cut())
            self.collected = None

    def take_whole(self):
        """Remove and return the body of a complete message."""
        cdef Py_ssize_t count = len(self.chunks)
        if count == 0:
            return b""
        body = self.chunks[0] if count == 1 else b"".join(self.chunks)
        self.chunks.clear()
        self.pending = 0
        return body

    def wake(self):
        """Say that there is news, and wake who waits for it."""
        self.tell()

    cdef int tell(self) except -1:
        self.has_news = True
        waiter = self.waiter
        if waiter is None:
            return 0
        if type(waiter) is TaskWaiter:
            (<TaskWaiter> waiter).end()
        else:
            waiter.set()
        return 0

    def join_small(self):
        """Join the last MANY_PIECES pieces of the body."""
        self.small = 0
        chunks = self.chunks
        if len(chunks) >= MANY_PIECES:
            last = [chunks.pop() for _ in range(MANY_PIECES)]
            last.reverse()
            chunks.append(b"".join(last))


cdef class StreamTable:
    """Hold the open streams of one connection, and the bytes that the peer may send on all of them together."""

    cdef public dict streams
    cdef public long long room
    cdef public double moment

    def __init__(self, long long room):
        self.streams = {}
        self.room = room
        self.moment = 0.0

    def handle_frame(self, kind, flags, stream_id, contents, size):
        """Take any frame, with its field section in place of its block; return whether it broke the connection."""
        raise NotImplementedError

    def give_back(self, stream, size, keeps_up):
        """Credit bytes of a stream to the peer."""
        raise NotImplementedError

    cdef StreamState find(self, object stream_id):
        """Return the stream if it is one that is fed here, else None."""
        cdef PyObject *found = get_item(<PyObject *> self.streams, <PyObject *> stream_id)
        if found == NULL or not isinstance(<object> found, StreamState) or not (<StreamState> found).plain:
            return None
        return <StreamState> found

    cdef bint took_head(self, long flags, object stream_id, object section) except -1:
        """Take the head of a common response; return whether it was one."""
        cdef StreamState stream = self.find(stream_id)
        cdef bint end = flags & END_STREAM != 0
        cdef bint says_length
        cdef int status
        cdef long long length = -1
        if stream is None or stream.state != HEAD or section.offences:
            return False
        status = section.status
        if status < 200 or status == 204 or status == 304:
            return False
        says_length = (<int> section.flags) & HAS_CONTENT_LENGTH != 0
        if says_length:
            length = section.content_length
            if length < 0 or (end and length > 0):
                return False
        if status >= FIRST_INTERMEDIATE and not 0 <= length <= MAX_INTERMEDIATE and not end:
            return False
        stream.touched = True
        stream.moment = self.moment
        stream.head = section
        stream.remaining = length
        stream.state = BODY
        if stream.times is not None:
            stream.times.first = self.moment
        if end:
            self.end(stream, stream_id)
        elif not stream.whole:
            stream.tell()
        return True

    cdef bint took_data(self, long flags, object stream_id, bytes data, long size, long long least) except -1:
        """Take DATA of a common response that is within all windows; return whether it was that."""
        cdef StreamState stream
        cdef bint end = flags & END_STREAM != 0
        cdef Py_ssize_t length = len(data)
        cdef long long remaining
        cdef int status
        if self.room - size < least or (length != size and not end) or (length == 0 and not end):
            return False
        stream = self.find(stream_id)
        if stream is None or stream.state != BODY or stream.left < size:
            return False
        remaining = stream.remaining
        if remaining >= 0:
            remaining -= length
            if remaining < 0 or (end and remaining):
                return False
        else:
            status = stream.head.status
            if status == 204 or status == 304:
                return False
        self.room -= size
        stream.left -= size
        stream.remaining = remaining
        stream.moment = self.moment
        if length:
            stream.add(data, length)
        if end:
            self.end(stream, stream_id)
        elif not stream.whole:
            stream.tell()
        elif 0 <= remaining <= stream.left or stream.owed + size < stream.granted >> 1:
            stream.owed += size
        else:
            self.give_back(stream, size, True)
        return True

    cdef int end(self, StreamState stream, object stream_id) except -1:
        stream.end_body()
        stream.state = ENDED
        if stream.times is not None:
            stream.times.done = self.moment
        stream.tell()
        if not stream.sending:
            del self.streams[stream_id]
        return 0


def deliver(StreamTable table not None, list frames not None, decode, long long least):
    """Take frames, which came at `table.moment`; `decode` returns the field section of a block.

    Data that leaves less than `least` bytes of room goes to `handle_frame()`.
    """
    cdef tuple frame
    cdef long kind
    for frame in frames:
        kind, flags, stream_id, contents, size = frame
        if kind == DATA:
            if table.took_data(flags, stream_id, contents, size, least):
                continue
        elif kind == HEADERS:
            # Decoded in any case, since it changes the table that all streams share (RFC 9113 s.4.3).
            try:
                contents = decode(contents)
            except Http2Error as error:
                contents = error
            else:
                if table.took_head(flags, stream_id, contents):
                    continue
        if table.handle_frame(kind, flags, stream_id, contents, size):
            return


@cython.final
cdef class WakeList:
    """Resume tasks of one event loop that were woken, by one call of the loop for all of them."""

    cdef object loop
    cdef object woken
    cdef bint due

    def __init__(self, loop):
        self.loop = loop
        self.woken = new_deque()
        self.due = False

    def waiter(self):
        """Return a new waiter."""
        return TaskWaiter(self)

    cdef int add(self, TaskWaiter waiter) except -1:
        self.woken.append(waiter)
        if not self.due:
            self.schedule()
        return 0

    cdef int schedule(self) except -1:
        # A callback keeps no context of the task that happened to wake others: each is resumed in its own.
        self.loop.call_soon(self._resume, context=Context())
        self.due = True
        return 0

    def _resume(self):
        """Resume those that were woken so far.

        Another call, for what is left then, is asked for first: an exception ends this one, and a task that runs the
        loop inside itself, as some notebooks have it, may wait for one of the others.
        """
        woken = self.woken
        cdef Py_ssize_t count = len(woken)
        self.due = False
        if count > 1:
            self.schedule()
        while count > 0 and woken:
            count -= 1
            (<TaskWaiter?> woken.popleft()).resume()


@cython.final
@cython.freelist(64)
cdef class TaskWaiter:
    """Wait for one event in a task of an event loop: a future, as far as tasks know, whose result is True."""

    cdef WakeList wakes
    cdef int state
    cdef object callback
    cdef object context
    cdef object message
    cdef public bint _asyncio_future_blocking

    def __init__(self, WakeList wakes not None):
        self.wakes = wakes
        self.state = PENDING

    cdef int end(self) except -1:
        if self.state == PENDING:
            self.state = SET
            if self.callback is not None:
                self.wakes.add(self)
        return 0

    def wait(self, at):
        """Return what to await. ValueError for a deadline, which such a wait cannot have."""
        if at is not None:
            raise ValueError("a TaskWaiter has no deadline")
        return self

    def set(self):
        """End the wait; repeatable, and may come before it."""
        self.end()

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.state == PENDING:
            self._asyncio_future_blocking = True
            return self
        raise StopIteration(self.result())

    def get_loop(self):
        """Return the event loop."""
        return self.wakes.loop

    def done(self):
        """Return whether the wait is over."""
        return self.state != PENDING

    def cancelled(self):
        """Return whether the wait was cancelled."""
        return self.state == CANCELLED

    def result(self):
        """Return True. Raises CancelledError if the wait was cancelled, RuntimeError if it is not over."""
        if self.state == CANCELLED:
            raise cancelled_error() if self.message is None else cancelled_error(self.message)
        if self.state == PENDING:
            raise RuntimeError("the wait is not over")
        return True

    def cancel(self, msg=None):
        """Cancel the wait; return whether it was not over."""
        if self.state != PENDING:
            return False
        self.state = CANCELLED
        self.message = msg
        if self.callback is not None:
            self.wakes.add(self)
        return True

    def add_done_callback(self, callback, *, context):
        """Call `callback` once the wait is over, in `context`; one wait has one callback. RuntimeError for another."""
        if self.callback is not None:
            raise RuntimeError("one task waits for it already")
        self.callback = callback
        self.context = context
        if self.state != PENDING:
            self.wakes.add(self)

    def remove_done_callback(self, callback):
        """Forget the callback; return how many there were."""
        if self.callback is None or self.callback != callback:
            return 0
        self.callback = None
        return 1

    cdef int resume(self) except -1:
        callback, self.callback = self.callback, None
        context, self.context = self.context, None
        if callback is not None:
            context.run(callback, self)
        return 0
