"""Read the responses of one HTTP/1.1 connection: bytes in, responses out. No socket, no clock.

    IDLE > HEAD > LENGTH | CODED | UNTIL_CLOSE > ENDED > IDLE ...
                > TUNNEL (after 101, and 2xx to CONNECT)                      any > DEAD

The reader is a sink (see `_net/base.py`) for the whole life of a connection, so it also gets the bytes that arrive
while no request is under way. Rules (RFC 9112 s.9.2):

- A response belongs to the request before it. A byte that arrives when none is expected, or after a message's end,
  makes the connection unusable: it is never read as the next response.
- `begin(whole=True)` asks for the body in one piece: the waiting task is not woken before the message ends, and a body
  of known length is received into its final place. Otherwise each piece is passed on as it arrives; so is a long body
  of a status that may not be the last, as a redirect's, even with `whole`.
- Interim responses (1xx) are collected and bounded; 101 is final.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from .._exceptions import RemoteProtocolError, shown
from .._head import FieldLine
from .._kernel.constants import FIRST_INTERMEDIATE, MAX_HEAD_SIZE, MAX_INTERMEDIATE
from .._kernel.select import BodyBuffer, ChunkedDecoder, HeadParser, ResponseHead
from . import framing
from .framing import TRICKY_FLAGS, TRICKY_METHODS

IDLE: Final = 0
HEAD: Final = 1
LENGTH: Final = 2
CODED: Final = 3
UNTIL_CLOSE: Final = 4
ENDED: Final = 5
TUNNEL: Final = 6
DEAD: Final = 7

# All heads of interim responses (1xx) to one request, together: a peer that only ever sends "processing" must not hold
# memory and time for ever. The shortest has 25 bytes, so the limit allows 10,000 of those; one every ten seconds for an
# hour, with Date and Server, takes 50 KB.
MAX_INTERIM_SIZE = 262144  # bytes

# A body below this is collected as it comes: a second buffer costs more than the copy that it saves.
_DIRECT_FROM = 4096  # bytes
# When so much has arrived that was not taken yet, a streaming reader gets the next bytes in the buffer that received
# them: copying a large piece costs a fifth of reading it. All that arrives before it is taken is one piece, also where
# TLS delivers records of 16 KB.
_MUCH = 64 * 1024  # bytes
# Bytes of such a buffer. What happens between two of them finds a cold cache, and on asyncio costs a fifth more with
# 256 KiB; with 1 MiB the pieces themselves no longer stay in the cache.
_STRETCH = 512 * 1024
_MANY = 16  # pieces of a body that is wanted whole; more are joined as they come


class ResponseReader:
    """Read the responses of one connection. Call `begin()` before each request; `take()` returns what has arrived.

    A subclass is told of what it cannot know by itself: `head_arrived`, `message_ended`, `went_dead`. A head, and a
    trailer section, has at most `max_head_size` bytes.
    """

    __slots__ = (
        "_body",
        "_collected",
        "_decoder",
        "_filled",
        "_interim_size",
        "_max_head_size",
        "_parser",
        "_partial",
        "_piece",
        "chunks",
        "head",
        "interim",
        "left",
        "method",
        "pending",
        "persistent",
        "state",
        "touched",
        "trailers",
        "wants_interim",
        "whole",
    )

    def __init__(self, max_head_size: int | None = None) -> None:
        self.state = IDLE
        self.method = b""
        self.whole = False
        self.head: ResponseHead | None = None
        self.interim: list[ResponseHead] | tuple[()] = ()
        self._interim_size = 0  # bytes of those heads
        self.chunks: deque[bytes] | None = None  # pieces of a body, where there is more than one
        self.pending = 0  # bytes that a streaming reader has not taken yet
        self.persistent = True
        self.touched = False  # a byte of the response has arrived
        self.wants_interim = False  # an interim response is waited for
        self.trailers: Sequence[FieldLine] = ()  # field lines of the trailer section, once the message has ended
        self.left = 0
        self._max_head_size = max_head_size or MAX_HEAD_SIZE
        self._parser = HeadParser(self._max_head_size)
        self._partial: bytearray | None = None  # a head that has come in part
        self._filled = 0  # bytes of it
        self._piece: bytes | None = None  # all of a body that is there, where that is one piece
        self._body: BodyBuffer | None = None
        self._collected: BodyBuffer | None = None  # all of a body of unknown length, once it is long
        self._decoder: ChunkedDecoder | None = None

    def begin(self, method: bytes, whole: bool) -> None:
        """Prepare for the response to a request with `method`; the module explains `whole`."""
        self.state = HEAD
        self.method = method
        self.whole = whole
        self.head = None
        self.touched = False
        if self.interim:
            self.interim = ()
            self._interim_size = 0
        if self._decoder is not None:
            self._decoder.reset()
            self.trailers = ()

    @property
    def ready(self) -> bool:
        """Return whether a request can continue: the message is complete, or its head is there and not `whole`."""
        state = self.state
        return state == ENDED or (not self.whole and HEAD < state < DEAD)

    def take(self) -> bytes:
        """Remove and return the oldest piece of body; b"" if there is none now."""
        if self.chunks:
            piece = self.chunks.popleft()
        else:
            piece, self._piece = self._piece or b"", None
            if not piece and self._body is not None and not self.whole:
                piece = self._cut()
        if self.pending:
            self.pending -= len(piece)
        return piece

    def take_whole(self) -> bytes:
        """Remove and return the body of a complete message."""
        piece = self._piece
        if piece is None:
            chunks, self.chunks = self.chunks, None
            collected, self._collected = self._collected, None
            if collected is not None:
                piece = collected.cut()
            else:
                piece = b"".join(chunks) if chunks else b""
        else:
            self._piece = None
        if self.pending:
            self.pending = 0
        return piece

    # Hooks for the connection.

    def head_arrived(self) -> None:
        """Do nothing; a hook for subclasses, called when the head of the final response was read."""

    def message_ended(self) -> None:
        """Do nothing; a hook for subclasses, called when the message is complete."""

    def all_arrived(self) -> None:
        """Call the two hooks above; called instead of them when head and end of a message arrive in one piece."""
        self.head_arrived()
        self.message_ended()

    def went_dead(self) -> None:
        """Do nothing; a hook for subclasses, called when the peer closes an idle connection or sends bytes on it."""

    # The sink.

    def get_buffer(self) -> Any | None:
        body = self._body
        return None if body is None else body.view()

    def buffer_updated(self, nbytes: int) -> bool:
        body = self._body
        assert body is not None
        body.buffer_updated(nbytes)
        self.left = left = self.left - nbytes
        if not self.whole:
            if not left or not body.missing:
                self._keep(body.cut())
                self._body = BodyBuffer(min(left, _STRETCH)) if left else None
                if not left:
                    self._end()
            self.pending += nbytes
            return True
        if left:
            return False
        self._end_collected(body)
        return True

    def data_received(self, data: memoryview) -> bool:
        state = self.state
        if state == HEAD:
            self.touched = True
            if self._partial is not None:
                return self._head(data, None)
            head = self._parser.feed(data, 0, len(data))
            # Nearly all responses: HTTP/1.1, one Content-Length, and all of it there.
            if (
                head is not None
                and (piece := head.take_rest()) is not None
                and head.minor == 1
                and ((status := head.status) == 200 or (status > 200 and status not in framing.NO_BODY))
                and not head.flags & TRICKY_FLAGS
                and self.method not in TRICKY_METHODS
            ):
                self.head = head
                self._piece = piece
                self.state = ENDED
                self.all_arrived()
                return True
            return self._head(data, head)
        if state == ENDED or state == IDLE:
            self._surplus()
            return False
        if state == DEAD:
            return False
        return self._body_from(data, 0)

    def eof_received(self, clean: bool) -> bool:
        state = self.state
        if state == IDLE:
            self.state = DEAD
            self.went_dead()
            return True
        self.persistent = False
        if state == UNTIL_CLOSE and clean:
            self._end()
            return True
        if state >= ENDED:
            return state != DEAD  # closed by another thread meanwhile: there is no message to go on with
        self.state = DEAD
        raise RemoteProtocolError(self._cut_short(state, clean))

    # Inside.

    def _cut_short(self, state: int, clean: bool) -> str:
        how = "closed the connection" if clean else "ended TLS without close_notify (the message may be cut short)"
        if state == HEAD:
            if not self.touched:
                return f"peer {how} without sending a response"
            partial = (self._partial or b"")[: self._filled]
            if not partial and self.interim:
                return f"peer {how} after interim response {self.interim[-1].status}, without sending a final one"
            return f"peer {how} within the response's head, after {len(partial)} bytes: {shown(partial)}"
        if state == LENGTH:
            assert self.head is not None
            expected = framing.response_framing(self.method, self.head)
            return f"peer {how} with the body incomplete: received {expected - self.left} bytes, expected {expected}"
        if state == CODED:
            return f"peer {how} with the chunked body incomplete: expected its last chunk"
        return f"peer {how}"

    def _head(self, data: memoryview, head: ResponseHead | None) -> bool:
        """Continue with a head. `head` is what the parser has found at the beginning of `data` already."""
        raw = data
        if self._partial is not None:
            raw = self._joined(self._partial, data)
            head = self._parser.feed(raw, 0, len(raw))
        start, end = 0, len(raw)
        while head is not None:
            start += head.size
            if head.status >= 200 or head.status == 101:
                break
            self._interim(head)
            head = self._parser.feed(raw, start, end)
        else:
            if self._partial is None or start:
                self._partial = bytearray(raw[start:])
                self._filled = end - start
            return self.wants_interim and bool(self.interim)
        self._partial = None
        self.head = head
        self.head_arrived()
        length = framing.response_framing(self.method, head)
        self.persistent = self.persistent and framing.persists(head, length)
        if head.status >= FIRST_INTERMEDIATE and not 0 <= length <= MAX_INTERMEDIATE:
            self.whole = False  # the caller may not want all of it
        return self._body_starts(length, raw, start, end)

    def _joined(self, partial: bytearray, data: memoryview) -> memoryview:
        """Return the bytes of a head that have arrived so far.

        Kept in a buffer with room to spare, of which a larger one is a copy: a view of it that is held yet, as PyPy
        does until it collects, would forbid to resize it.
        """
        filled = self._filled
        end = self._filled = filled + len(data)
        if end > len(partial):
            self._partial = bytearray(2 * end)
            self._partial[:filled] = partial[:filled]
            partial = self._partial
        partial[filled:end] = data
        return memoryview(partial)[:end]

    def _interim(self, head: ResponseHead) -> None:
        self._interim_size += head.size
        if self._interim_size > MAX_INTERIM_SIZE and self.interim:  # one alone may be as large as any head
            raise RemoteProtocolError(
                f"interim responses of more than {MAX_INTERIM_SIZE} bytes, the most that is read; the last one is "
                f"{head.status}"
            )
        if isinstance(self.interim, list):
            self.interim.append(head)
        else:
            self.interim = [head]

    def _body_starts(self, length: int, raw: memoryview | bytearray, start: int, end: int) -> bool:
        if length >= 0:
            self.left = length
            self.state = LENGTH
            if length == 0:
                if start < end:
                    self._surplus()
                self._end()
                return True
            if self.whole and length >= _DIRECT_FROM:
                self._body = BodyBuffer(length)
        elif length == framing.CHUNKED:
            self.state = CODED
            if self._decoder is None:
                self._decoder = ChunkedDecoder(self._max_head_size)
        elif length == framing.TUNNEL:
            self.state = TUNNEL
            self.whole = False
            self.message_ended()  # what follows is no content (RFC 9110 s.9.3.6, s.15.2.2)
        else:
            self.state = UNTIL_CLOSE
        if start < end:
            return self._body_from(raw, start) or not self.whole
        return not self.whole

    def _body_from(self, raw: memoryview | bytearray, start: int) -> bool:
        end = len(raw)
        state = self.state
        if state == CODED:
            return self._coded(raw, start, end)
        if state == LENGTH:
            left = self.left
            if end - start > left:
                self._surplus()
                end = start + left
            self.left = left = left - (end - start)
            body = self._body
            if body is not None:
                if self.whole:
                    body.append(raw[start:end])
                    if not left:
                        self._end_collected(body)
                    return not left
                self._body = None
                if body.filled:  # it comes before these
                    self._keep(body.cut())
            self._keep_counted(bytes(raw[start:end]))
            if not left:
                self._end()
            elif not self.whole and self.pending >= _MUCH:
                self._body = BodyBuffer(min(left, _STRETCH))
            return not self.whole or not left
        self._keep_counted(bytes(raw[start:end]))
        return not self.whole

    def _coded(self, raw: memoryview | bytearray, start: int, end: int) -> bool:
        decoder = self._decoder
        assert decoder is not None
        try:
            piece, stop = decoder.feed(raw, start, end)
        except RemoteProtocolError:
            # A streaming reader gets what came before the error, however the bytes were cut on their path.
            if decoder.salvaged and not self.whole:
                self._keep_counted(decoder.salvaged)
            raise
        if piece:
            self._keep_counted(piece)
        if not decoder.done:
            return bool(piece) and not self.whole
        self.trailers = decoder.trailers
        if stop < end:
            self._surplus()
        self._end()
        return True

    def _cut(self) -> bytes:
        """Return what has arrived in the buffer of a streamed body; go on without one if that is little."""
        body = self._body
        assert body is not None
        size, left = body.filled, self.left
        if not size:
            return b""
        self._body = BodyBuffer(min(left, _STRETCH)) if size >= _MUCH else None
        return body.cut()

    def _keep_counted(self, piece: bytes) -> None:
        if not self.whole:
            self.pending += len(piece)
        self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        # Most bodies are one piece, and an idle connection keeps no deque: an empty one takes 760 bytes.
        if self._collected is not None:
            self._collected.append(piece)
        elif self.chunks:
            self.chunks.append(piece)
            if self.whole and len(self.chunks) == _MANY:
                self._collect(self.chunks)
        elif self._piece is None:
            self._piece = piece
        else:
            self.chunks = deque((self._piece, piece))
            self._piece = None

    def _collect(self, chunks: deque[bytes]) -> None:
        """Join the pieces so far, and each from now on: kept, they take fresh memory, and as much again at the end."""
        self._collected = body = BodyBuffer(sys.maxsize)
        for piece in chunks:
            body.append(piece)
        self.chunks = None

    def _end_collected(self, body: BodyBuffer) -> None:
        self._body = None
        self._piece = body.finish()
        self._end()

    def _end(self) -> None:
        self.state = ENDED
        self.message_ended()

    def _surplus(self) -> None:
        """Handle bytes that belong to no response: the connection serves no further request."""
        self.persistent = False
        if self.state == IDLE:
            self.state = DEAD
            self.went_dead()
