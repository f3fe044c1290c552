"""Frame a request for HTTP/1.1, its head and its body (RFC 9112 s.6, s.7.1), as the buffers of one write after another.

Buffers are joined, or written separately, as costs least. `Upload` may be left between two writes and continued later,
so that the response can be read meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from .._exceptions import LocalProtocolError
from .._journey import Journey
from .._kernel.select import chunk_head
from .._net.base import Buffer
from .._wire.framing import CHUNKED

# A body up to this size is offered to the socket together with its head; a larger one in pieces of this size, so that
# the write deadline sees progress.
_PIECE: Final = 1024 * 1024  # bytes
_JOINED: Final = 16 * 1024  # bytes; a body up to this size is copied behind its head: two buffers cost the system more


def in_one_write(head: bytes, body: bytes | AsyncIterable[bytes], framing: int) -> tuple[Buffer, ...] | None:
    """Return the buffers of a request that is written at once; None if it is for `Upload`."""
    if not isinstance(body, bytes):
        return None
    if framing == CHUNKED:
        return (head, chunk_head(len(body)), body, b"\r\n0\r\n\r\n") if body else (head, b"0\r\n\r\n")
    if len(body) <= _JOINED:
        return (head + body,)
    return (head, body) if len(body) <= _PIECE else None


class Upload:
    """Give the writes of a request whose body is large, or comes in pieces. `framing` is its length, or CHUNKED.

    `head` is sent with the first piece; none (b"") if it was sent before. `journey` counts a body of pieces.
    """

    __slots__ = ("_framing", "_head", "_journey", "_place", "_sent", "_source", "_view")

    def __init__(
        self, head: bytes, body: bytes | AsyncIterable[bytes], framing: int, journey: Journey | None = None
    ) -> None:
        self._head = head
        self._framing = framing
        self._journey = journey
        self._sent = 0  # bytes of the body
        self._place = 0  # in `_view`
        self._source: AsyncIterator[bytes] | None = None
        self._view: memoryview | None = None
        if isinstance(body, bytes):
            self._view = memoryview(body)
        else:
            self._source = aiter(body)

    @property
    def given(self) -> bool:
        """Return whether all bytes of a body of known length were given, though its end was not asked for."""
        return self._sent == self._framing if self._view is None else self._place >= len(self._view)

    async def next_write(self) -> tuple[Buffer, ...]:
        """Return the buffers of the next write; none after the last one.

        Raises what the body raises, and LocalProtocolError if its pieces do not have the length that was announced.
        """
        if self._view is not None:
            return self._next_of_bytes(self._view)
        source = self._source
        if source is None:
            return ()
        while True:
            try:
                piece = await source.__anext__()
            except StopAsyncIteration:
                self._source = None
                return self._end()
            if piece:
                break
        self._sent += len(piece)
        if self._journey is not None:
            self._journey.sent_of_body(self._sent)
        if self._framing == CHUNKED:
            return (*self._first(), chunk_head(len(piece)), piece, b"\r\n")
        if self._sent > self._framing:
            raise LocalProtocolError(f"the body is longer than its Content-Length of {self._framing} bytes")
        return (*self._first(), piece)

    def _next_of_bytes(self, view: memoryview) -> tuple[Buffer, ...]:
        first = self._first()
        if first:
            return first
        begin, self._place = self._place, self._place + _PIECE
        piece = view[begin : self._place]
        return (piece,) if piece else ()

    def _first(self) -> tuple[Buffer, ...]:
        head, self._head = self._head, b""
        return (head,) if head else ()

    def _end(self) -> tuple[Buffer, ...]:
        if self._framing == CHUNKED:
            return (*self._first(), b"0\r\n\r\n")
        if self._sent < self._framing:
            raise LocalProtocolError(f"the body ended after {self._sent} bytes, its Content-Length is {self._framing}")
        return self._first()
