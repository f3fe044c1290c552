"""Read and write the HTTP/2 frames of a client (RFC 9113 s.4, s.6). The pure Python twin of ext/frames.pyx.

This module knows no stream states, windows or fields: it cuts bytes into frames, or reports what is wrong with one. The
caller feeds what has arrived and gets a list, with one tuple per frame, in the order received:

    type, flags, stream_id, contents, size = frame

`size` are the bytes after the frame's head, padding included, which is what flow control counts for DATA. `contents`:

    DATA           the bytes, without padding; rule 2
    HEADERS        the whole field block, CONTINUATION frames included, without padding; `size` is that of all of them
    SETTINGS       [(setting, value), ...], [] with ACK    WINDOW_UPDATE  the increment, at least 1
    GOAWAY         (last stream id, error code, debug)     RST_STREAM     the error code
    PING           its eight bytes                        any other      b"", the contents were skipped
    ERROR (-1)     an Http2Error that says what is wrong; `flags` is its error code, `stream_id` that of the error

Rules:
1. The caller need not keep any bytes. They are copied once, into the object that is handed out (twice by this twin if
   a field block arrives in pieces), and none is read twice.
2. DATA is handed out as it comes, since a frame may be large and a peer slow: of a frame that arrives in pieces each
   piece is a tuple with the bytes that came and the size that they count. Only the last one can have END_STREAM.
3. An error never takes back the frames before it. After a connection error nothing is read any more; after a stream
   error reading continues (s.5.4).
4. The first frame has to be SETTINGS (s.3.4), and push is off: PUSH_PROMISE is an error (s.8.4).
"""

from __future__ import annotations

import struct
from typing import TypeAlias

from . import h2_errors
from .h2_constants import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_SIZE,
    END_HEADERS,
    END_STREAM,
    ERROR,
    FRAME_HEAD_SIZE,
    HAS_PRIORITY,
    HEADERS,
    LARGEST_FRAME_SIZE,
    MAX_BLOCK_SIZE,
    MAX_STREAM_ID,
    PADDED,
    SETTINGS,
)
from .h2_control import KEPT, Contents, contents, head_error, max_continuations, padding_error
from .h2_errors import Http2Error
from .views import view_of

__all__ = ["FrameReader", "data_head", "headers_frames"]

Frame: TypeAlias = tuple[int, int, int, Contents | Http2Error, int]

_TRICKY_HEADERS = END_HEADERS | PADDED | HAS_PRIORITY

_head = struct.Struct(">HBBBI")
_read_head = _head.unpack_from
_put_head = _head.pack


class FrameReader:
    """Read the frames that one peer sends; a field block has at most `max_block_size` bytes."""

    __slots__ = (
        "_block",
        "_block_flags",
        "_block_size",
        "_block_stream",
        "_body",
        "_body_left",
        "_continuations",
        "_flags",
        "_head",
        "_kind",
        "_lead",
        "_pad_awaited",
        "_size",
        "_started",
        "_stream_id",
        "_tail",
        "_told",
        "_within",
        "_max_block_size",
        "_max_continuations",
        "broken",
        "max_frame_size",
    )

    def __init__(self, max_frame_size: int = DEFAULT_FRAME_SIZE, max_block_size: int = MAX_BLOCK_SIZE) -> None:
        self._max_block_size = max_block_size
        self._max_continuations = max_continuations(max_block_size)
        #: Bytes that a frame may have after its head: our SETTINGS_MAX_FRAME_SIZE, once it was acknowledged.
        self.max_frame_size = max_frame_size
        #: True after a connection error.
        self.broken = False
        self._started = False  # the first frame has begun
        self._head = bytearray()  # of a frame whose head has not come whole
        self._within = False  # a frame's head was read, its end was not
        self._kind = self._flags = self._stream_id = self._size = 0
        self._pad_awaited = False
        # Bytes of the frame that are still to come: to be skipped, to be kept, to be skipped.
        self._lead = self._body_left = self._tail = 0
        self._told = 0  # bytes of DATA, padding included, that were handed out
        self._body: list[bytes] = []
        # The field block that has not ended; `_block_stream` is 0 while there is none.
        self._block: list[bytes] = []
        self._block_stream = self._block_flags = self._block_size = self._continuations = 0

    def feed(self, data: bytes | bytearray | memoryview, start: int, end: int) -> list[Frame]:
        """Return the frames that end in `data[start:end]`. Raises ValueError when [start, end) is not in `data`."""
        view = view_of(data)
        if not 0 <= start <= end <= view.nbytes:
            raise ValueError(f"bytes {start} to {end} of {view.nbytes} cannot be read")
        frames: list[Frame] = []
        at = start
        while not self.broken:
            if not self._within:
                if self._started and not (self._head or self._block_stream):
                    at = self._take_whole(view, at, end, frames)
                at = self._take_head(view, at, end, frames)
                if not self._within:
                    break
            at = self._take_contents(view, at, end, frames)
            if self._within:
                break
        return frames

    def _take_whole(self, view: memoryview, at: int, end: int, frames: list[Frame]) -> int:
        """Take the frames that arrived whole and need no state: most frames, at a third of the cost."""
        limit = self.max_frame_size
        while end - at >= FRAME_HEAD_SIZE:
            high, low, kind, flags, stream_id = _read_head(view, at)
            size = high << 8 | low
            body = at + FRAME_HEAD_SIZE
            if (
                kind > HEADERS
                or (kind == HEADERS and (flags & _TRICKY_HEADERS != END_HEADERS or size > self._max_block_size))
                or (kind == DATA and flags & PADDED)
                or size > limit
                or size > end - body
                or not 0 < stream_id <= MAX_STREAM_ID
            ):
                break
            at = body + size
            frames.append((kind, flags, stream_id, bytes(view[body:at]), size))
        return at

    def _take_head(self, view: memoryview, at: int, end: int, frames: list[Frame]) -> int:
        """Read on to the end of a frame's head, if it has arrived; return the position after the bytes taken."""
        head = self._head
        if not head and end - at >= FRAME_HEAD_SIZE:
            self._begin(frames, *_read_head(view, at))
            return at + FRAME_HEAD_SIZE
        taken = min(FRAME_HEAD_SIZE - len(head), end - at)
        head += view[at : at + taken]
        if len(head) == FRAME_HEAD_SIZE:
            values = _read_head(head)
            head.clear()
            self._begin(frames, *values)
        return at + taken

    def _begin(self, frames: list[Frame], high: int, low: int, kind: int, flags: int, stream_id: int) -> None:
        stream_id &= MAX_STREAM_ID  # the bit above is reserved, s.4.1
        size = high << 8 | low
        error: Http2Error | None
        if not self._started and (kind != SETTINGS or flags & ACK):
            error = h2_errors.not_http2(_put_head(high, low, kind, flags, stream_id))
        else:
            error = head_error(kind, flags, stream_id, size, self.max_frame_size, self._block_stream)
        if error is None and kind in (HEADERS, CONTINUATION):
            error = self._begin_block(kind, flags, stream_id, size)
        if error is not None:
            self._report(error, size, frames)
            if self.broken:
                return
        self._started = True
        self._within = True
        self._kind, self._flags, self._stream_id, self._size = kind, flags, stream_id, size
        self._pad_awaited = kind <= HEADERS and flags & PADDED != 0
        self._lead = 5 if kind == HEADERS and flags & HAS_PRIORITY else 0
        self._body_left, self._tail, self._told = size - self._lead - self._pad_awaited, 0, 0
        if error is not None or kind not in KEPT:
            self._body_left, self._tail = 0, size
            self._kind = ERROR if error is not None else kind

    def _begin_block(self, kind: int, flags: int, stream_id: int, size: int) -> Http2Error | None:
        if kind == HEADERS:
            self._block_stream, self._block_flags = stream_id, flags
            self._block_size = self._continuations = 0
        else:
            self._continuations += 1
        self._block_size += size
        if self._block_size > self._max_block_size or self._continuations > self._max_continuations:
            return h2_errors.block_too_large(stream_id, self._max_block_size, self._max_continuations)
        return None

    def _report(self, error: Http2Error, size: int, frames: list[Frame]) -> None:
        frames.append((ERROR, error.code, error.stream_id, error, size))
        self.broken = error.stream_id == 0

    def _take_contents(self, view: memoryview, at: int, end: int, frames: list[Frame]) -> int:
        """Take the bytes of the frame that have arrived; return the position after them."""
        if self._pad_awaited:
            if at == end:
                return at
            padding = view[at]
            if padding > self._body_left:
                self._report(padding_error(self._kind, padding, self._size), self._size, frames)
                return at
            self._pad_awaited = False
            self._body_left -= padding
            self._tail = padding
            at += 1
        if self._lead:
            taken = min(self._lead, end - at)
            self._lead -= taken
            at += taken
        if self._body_left and not self._lead:
            taken = min(self._body_left, end - at)
            if taken:
                self._body.append(bytes(view[at : at + taken]))
            self._body_left -= taken
            at += taken
            if taken and self._kind == DATA and (self._body_left or self._tail > end - at):
                self._hand_out(frames)
        if self._tail and not (self._lead or self._body_left):
            taken = min(self._tail, end - at)
            self._tail -= taken
            at += taken
        if not (self._lead or self._body_left or self._tail):
            self._finish(frames)
        return at

    def _hand_out(self, frames: list[Frame]) -> None:
        """Hand out the bytes that have arrived of a DATA frame that continues."""
        size = self._size - self._body_left - self._tail - self._told
        self._told += size
        frames.append((DATA, self._flags & ~END_STREAM, self._stream_id, self._body.pop(), size))

    def _finish(self, frames: list[Frame]) -> None:
        body = self._body
        raw = body[0] if len(body) == 1 else b"".join(body)
        body.clear()
        self._within = False
        kind, flags, stream_id, size = self._kind, self._flags, self._stream_id, self._size
        if kind == DATA:
            frames.append((DATA, flags, stream_id, raw, size - self._told))
        elif kind in (HEADERS, CONTINUATION):
            self._block.append(raw)
            if flags & END_HEADERS:
                self._finish_block(frames)
        elif kind != ERROR:
            said = contents(kind, flags, stream_id, raw)
            if isinstance(said, Http2Error):
                self._report(said, size, frames)
            else:
                frames.append((kind, flags, stream_id, said, size))

    def _finish_block(self, frames: list[Frame]) -> None:
        block = self._block
        raw = block[0] if len(block) == 1 else b"".join(block)
        frames.append((HEADERS, self._block_flags | END_HEADERS, self._block_stream, raw, self._block_size))
        block.clear()
        self._block_stream = 0


def headers_frames(stream_id: int, block: bytes, end_stream: bool, max_frame_size: int = DEFAULT_FRAME_SIZE) -> bytes:
    """Return HEADERS and CONTINUATION frames of at most `max_frame_size` bytes (RFC 9113 s.6.2, s.6.10)."""
    if type(block) is not bytes:
        raise TypeError(f"a field block has to be bytes, not {type(block).__name__}")
    _check(stream_id, max_frame_size)
    if max_frame_size == 0:
        raise ValueError("frames of 0 bytes cannot hold a field block")
    size = len(block)
    flags = END_STREAM if end_stream else 0
    if size <= max_frame_size:
        return _put_head(size >> 8, size & 0xFF, HEADERS, flags | END_HEADERS, stream_id) + block
    parts: list[bytes] = []
    kind = HEADERS
    for at in range(0, size, max_frame_size):
        part = block[at : at + max_frame_size]
        if at + max_frame_size >= size:
            flags |= END_HEADERS
        parts.append(_put_head(len(part) >> 8, len(part) & 0xFF, kind, flags, stream_id))
        parts.append(part)
        kind, flags = CONTINUATION, 0
    return b"".join(parts)


def data_head(stream_id: int, size: int, end_stream: bool) -> bytes:
    """Return the head of a DATA frame of `size` bytes (RFC 9113 s.6.1)."""
    _check(stream_id, size)
    return _put_head(size >> 8, size & 0xFF, DATA, END_STREAM if end_stream else 0, stream_id)


def _check(stream_id: int, size: int) -> None:
    if not isinstance(stream_id, int) or not isinstance(size, int):
        raise TypeError(f"a stream and a size are integers, not {stream_id!r:.40} and {size!r:.40}")
    if not 0 < stream_id <= MAX_STREAM_ID or not 0 <= size <= LARGEST_FRAME_SIZE:
        raise ValueError(f"a frame of {size} bytes on stream {stream_id} cannot be")
