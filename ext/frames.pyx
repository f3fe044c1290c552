# cython: language_level=3, freethreading_compatible=True
"""Read and write the HTTP/2 frames of a client (RFC 9113 s.4, s.6). The twin of httpx_fast/_kernel/frames_py.py.

The twin documents the interface and the rules; C adds these:

1. A pointer into the caller's bytes lives as long as the Py_buffer that it came with, which is one call.
2. The contents of a frame other than DATA are copied into a bytes object of their final size, which is created when the
   first byte arrives and handed out after the last one. The size was checked against `max_frame_size` before.
3. Frame heads that are certainly valid are read without creating an object; `h2_control` checks all others.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from httpx_fast._kernel import h2_control
from httpx_fast._kernel import h2_constants
from httpx_fast._kernel import h2_errors

cimport cython

__all__ = ["FrameReader", "data_head", "headers_frames"]

ctypedef const unsigned char *bytes_ptr

cdef enum:
    # The same numbers as in h2_constants, for the compiler to see.
    ERROR = -1
    DATA = 0x0
    HEADERS = 0x1
    SETTINGS = 0x4
    CONTINUATION = 0x9
    END_STREAM = 0x1
    ACK = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    HAS_PRIORITY = 0x20
    HEAD_SIZE = 9

cdef Py_ssize_t LARGEST_FRAME_SIZE = h2_constants.LARGEST_FRAME_SIZE
cdef Py_ssize_t DEFAULT_FRAME_SIZE = h2_constants.DEFAULT_FRAME_SIZE
cdef Py_ssize_t MAX_STREAM_ID = h2_constants.MAX_STREAM_ID

cdef object Http2Error = h2_errors.Http2Error
cdef object contents = h2_control.contents
cdef object head_error = h2_control.head_error
cdef object kept = h2_control.KEPT


@cython.final
cdef class FrameReader:
    """Read the frames that one peer sends; a field block has at most `max_block_size` bytes."""

    cdef unsigned char head[HEAD_SIZE]
    cdef int head_size  # bytes of a head that has not come whole
    cdef bint started  # the first frame has begun
    cdef bint within  # a frame's head was read, its end was not
    cdef bint pad_awaited
    cdef int kind
    cdef int flags
    cdef uint32_t stream_id
    cdef Py_ssize_t size
    # Bytes of the frame that are still to come: to be skipped, to be kept, to be skipped.
    cdef Py_ssize_t lead
    cdef Py_ssize_t left
    cdef Py_ssize_t tail
    cdef Py_ssize_t told  # bytes of DATA, padding included, that were handed out
    cdef bytes body  # what is kept of the frame; its last `left` bytes are not set
    # The field block that has not ended; `block_stream` is 0 while there is none.
    cdef list block  # of its frames before the last one
    cdef uint32_t block_stream
    cdef int block_flags
    cdef Py_ssize_t block_size
    cdef int continuations
    cdef Py_ssize_t max_block_size
    cdef int max_continuations
    #: True after an error that costs the connection.
    cdef readonly bint broken
    #: Bytes that a frame may have after its head: our SETTINGS_MAX_FRAME_SIZE, once it was acknowledged.
    cdef public Py_ssize_t max_frame_size

    def __init__(
        self,
        Py_ssize_t max_frame_size=h2_constants.DEFAULT_FRAME_SIZE,
        Py_ssize_t max_block_size=h2_constants.MAX_BLOCK_SIZE,
    ):
        self.max_block_size = max_block_size
        self.max_continuations = h2_control.max_continuations(max_block_size)
        self.max_frame_size = max_frame_size

    def feed(self, data, Py_ssize_t start, Py_ssize_t end):
        """Return the frames that end in `data[start:end]`. Raises ValueError when [start, end) is not in `data`."""
        cdef Py_buffer view
        cdef list frames = []
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if not 0 <= start <= end <= view.len:
                raise ValueError(f"bytes {start} to {end} of {view.len} cannot be read")
            self.read(<bytes_ptr> view.buf + start, <bytes_ptr> view.buf + end, frames)
            return frames
        finally:
            PyBuffer_Release(&view)

    cdef int read(self, bytes_ptr at, bytes_ptr end, list frames) except -1:
        while not self.broken:
            if not self.within:
                at = self.take_head(at, end, frames)
                if not self.within:
                    break
            at = self.take_contents(at, end, frames)
            if self.within:
                break
        return 0

    cdef bytes_ptr take_head(self, bytes_ptr at, bytes_ptr end, list frames) except NULL:
        """Read on to the end of a frame's head, if it has arrived; return the position after the bytes taken."""
        cdef Py_ssize_t taken
        if self.head_size == 0 and end - at >= HEAD_SIZE:
            self.begin(at, frames)
            return at + HEAD_SIZE
        taken = min(HEAD_SIZE - self.head_size, end - at)
        memcpy(self.head + self.head_size, at, taken)
        self.head_size += <int> taken
        if self.head_size == HEAD_SIZE:
            self.head_size = 0
            self.begin(self.head, frames)
        return at + taken

    cdef int begin(self, bytes_ptr head, list frames) except -1:
        cdef int flags = head[4]
        cdef int least
        self.size = <Py_ssize_t> head[0] << 16 | head[1] << 8 | head[2]
        self.kind = head[3]
        self.flags = flags
        # The bit above is reserved, s.4.1.
        self.stream_id = <uint32_t> (head[5] & 0x7F) << 24 | head[6] << 16 | head[7] << 8 | head[8]
        self.pad_awaited = False
        self.lead = 0
        self.tail = 0
        self.told = 0
        error = None
        if self.kind <= HEADERS:
            self.pad_awaited = flags & PADDED != 0
            self.lead = 5 if self.kind == HEADERS and flags & HAS_PRIORITY else 0
        least = self.pad_awaited + <int> self.lead
        if (
            self.kind > HEADERS or not self.started or self.block_stream or self.stream_id == 0
            or self.size > self.max_frame_size or self.size < least
        ):
            error = self.ask()
        if error is None and (self.kind == HEADERS or self.kind == CONTINUATION):
            error = self.begin_block()
        if error is not None:
            self.report(error, frames)
            if self.broken:
                return 0
        self.started = True
        self.within = True
        self.left = self.size - least
        if error is not None or (self.kind > HEADERS and self.kind not in kept):
            self.left = 0
            self.tail = self.size
            if error is not None:
                self.kind = ERROR
        return 0

    cdef object ask(self):
        """Check a frame head that is not a common one; return an error or None."""
        if not self.started and (self.kind != SETTINGS or self.flags & ACK):
            return h2_errors.not_http2(frame_head(self.kind, self.flags, self.stream_id, self.size))
        return head_error(self.kind, self.flags, self.stream_id, self.size, self.max_frame_size, self.block_stream)

    cdef object begin_block(self):
        if self.kind == HEADERS:
            self.block_stream = self.stream_id
            self.block_flags = self.flags
            self.block_size = 0
            self.continuations = 0
        else:
            self.continuations += 1
        self.block_size += self.size
        if self.block_size > self.max_block_size or self.continuations > self.max_continuations:
            return h2_errors.block_too_large(self.stream_id, self.max_block_size, self.max_continuations)
        return None

    cdef int report(self, error, list frames) except -1:
        frames.append((ERROR, error.code, error.stream_id, error, self.size))
        self.broken = error.stream_id == 0
        return 0

    cdef bytes_ptr take_contents(self, bytes_ptr at, bytes_ptr end, list frames) except NULL:
        """Take the bytes of the frame that have arrived; return the position after them."""
        cdef Py_ssize_t taken
        if self.pad_awaited:
            if at == end:
                return at
            if at[0] > self.left:
                self.report(h2_control.padding_error(self.kind, at[0], self.size), frames)
                return at
            self.pad_awaited = False
            self.left -= at[0]
            self.tail = at[0]
            at += 1
        if self.lead:
            taken = min(self.lead, end - at)
            self.lead -= taken
            at += taken
        if self.left and not self.lead:
            at = self.take_body(at, end) if self.kind != DATA else self.take_data(at, end, frames)
        if self.tail and not (self.lead or self.left):
            taken = min(self.tail, end - at)
            self.tail -= taken
            at += taken
        if not (self.lead or self.left or self.tail):
            self.finish(frames)
        return at

    cdef bytes_ptr take_data(self, bytes_ptr at, bytes_ptr end, list frames) except NULL:
        """Take the bytes that have arrived, and hand them out if the frame does not end with them."""
        cdef Py_ssize_t taken = min(self.left, end - at)
        cdef Py_ssize_t size
        if taken == 0:
            return at
        self.left -= taken
        piece = PyBytes_FromStringAndSize(<const char *> at, taken)
        at += taken
        if self.left or self.tail > end - at:
            size = self.size - self.left - self.tail - self.told
            self.told += size
            frames.append((DATA, self.flags & ~END_STREAM, self.stream_id, piece, size))
        else:
            self.body = piece
        return at

    cdef bytes_ptr take_body(self, bytes_ptr at, bytes_ptr end) except NULL:
        cdef Py_ssize_t taken = min(self.left, end - at)
        if self.body is not None:
            memcpy(PyBytes_AS_STRING(self.body) + PyBytes_GET_SIZE(self.body) - self.left, at, taken)
        elif taken == self.left:
            self.body = PyBytes_FromStringAndSize(<const char *> at, taken)
        elif taken:
            self.body = PyBytes_FromStringAndSize(NULL, self.left)
            memcpy(PyBytes_AS_STRING(self.body), at, taken)
        self.left -= taken
        return at + taken

    cdef int finish(self, list frames) except -1:
        cdef bytes body = self.body if self.body is not None else b""
        self.body = None
        self.within = False
        if self.kind == DATA:
            frames.append((DATA, self.flags, self.stream_id, body, self.size - self.told))
        elif self.kind == HEADERS or self.kind == CONTINUATION:
            self.finish_part(body, frames)
        elif self.kind != ERROR:
            said = contents(self.kind, self.flags, self.stream_id, body)
            if isinstance(said, Http2Error):
                self.report(said, frames)
            else:
                frames.append((self.kind, self.flags, self.stream_id, said, self.size))
        return 0

    cdef int finish_part(self, bytes body, list frames) except -1:
        if not self.flags & END_HEADERS:
            if self.block is None:
                self.block = []
            self.block.append(body)
            return 0
        if self.block is not None:
            self.block.append(body)
            body = b"".join(self.block)
            self.block = None
        frames.append((HEADERS, self.block_flags | END_HEADERS, self.block_stream, body, self.block_size))
        self.block_stream = 0
        return 0


cdef inline unsigned char *put_head(
    unsigned char *out, int kind, int flags, uint32_t stream_id, Py_ssize_t size
) noexcept:
    out[0] = <unsigned char> (size >> 16)
    out[1] = <unsigned char> (size >> 8)
    out[2] = <unsigned char> size
    out[3] = <unsigned char> kind
    out[4] = <unsigned char> flags
    out[5] = <unsigned char> (stream_id >> 24)
    out[6] = <unsigned char> (stream_id >> 16)
    out[7] = <unsigned char> (stream_id >> 8)
    out[8] = <unsigned char> stream_id
    return out + HEAD_SIZE


cdef bytes frame_head(int kind, int flags, uint32_t stream_id, Py_ssize_t size):
    cdef unsigned char head[HEAD_SIZE]
    put_head(head, kind, flags, stream_id, size)
    return PyBytes_FromStringAndSize(<char *> head, HEAD_SIZE)


cdef int check(Py_ssize_t stream_id, Py_ssize_t size) except -1:
    if not 0 < stream_id <= MAX_STREAM_ID or not 0 <= size <= LARGEST_FRAME_SIZE:
        raise ValueError(f"a frame of {size} bytes on stream {stream_id} cannot be")
    return 0


def headers_frames(
    Py_ssize_t stream_id, bytes block not None, bint end_stream,
    Py_ssize_t max_frame_size=h2_constants.DEFAULT_FRAME_SIZE,
):
    """Return HEADERS and CONTINUATION frames of at most `max_frame_size` bytes (RFC 9113 s.6.2, s.6.10)."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(block)
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t part
    cdef int flags = END_STREAM if end_stream else 0
    cdef int kind = HEADERS
    cdef bytes frames
    cdef unsigned char *out
    check(stream_id, max_frame_size)
    if max_frame_size == 0:
        raise ValueError("frames of 0 bytes cannot hold a field block")
    # size / max_frame_size, rounded up, and one frame at least.
    frames = PyBytes_FromStringAndSize(NULL, size + HEAD_SIZE * max(1, (size - 1) // max_frame_size + 1))
    out = <unsigned char *> PyBytes_AS_STRING(frames)
    while True:
        part = min(max_frame_size, size - at)
        if at + part == size:
            flags |= END_HEADERS
        out = put_head(out, kind, flags, <uint32_t> stream_id, part)
        memcpy(out, PyBytes_AS_STRING(block) + at, part)
        out += part
        at += part
        if at == size:
            return frames
        kind = CONTINUATION
        flags = 0


def data_head(Py_ssize_t stream_id, Py_ssize_t size, bint end_stream):
    """Return the head of a DATA frame of `size` bytes (RFC 9113 s.6.1)."""
    check(stream_id, size)
    return frame_head(DATA, END_STREAM if end_stream else 0, <uint32_t> stream_id, size)
