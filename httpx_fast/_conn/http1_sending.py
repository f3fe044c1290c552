"""Send a request over HTTP/1.1: its head and its body, framed (RFC 9112 s.6, s.7.1).

Buffers are joined, or written separately, as costs least; `write` waits until the socket has taken them.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Final, TypeAlias

from .._exceptions import LocalProtocolError
from .._journey import Journey
from .._kernel.select import chunk_head
from .._wire.framing import CHUNKED

# A body up to this size is offered to the socket together with its head; a larger one in pieces of this size, so that
# the write deadline sees progress.
_PIECE: Final = 1024 * 1024  # bytes
_JOINED: Final = 16 * 1024  # bytes; a body up to this size is copied behind its head: two buffers cost the system more

Write: TypeAlias = Callable[..., Awaitable[None]]


async def send_request(
    write: Write, head: bytes, body: bytes | AsyncIterable[bytes], framing: int, journey: Journey | None
) -> None:
    """Write head and body; `framing` is the length of the body, or CHUNKED. `journey` counts a body of pieces.

    Raises what `write` and `body` raise, and LocalProtocolError if the pieces of a body do not have its length.
    """
    if not isinstance(body, bytes):
        if framing == CHUNKED:
            await _send_chunks(write, head, body, journey)
        else:
            await _send_pieces(write, head, body, framing, journey)
    elif framing == CHUNKED:
        framed = (chunk_head(len(body)), body, b"\r\n0\r\n\r\n") if body else (b"0\r\n\r\n",)
        await write(head, *framed)
    elif len(body) <= _JOINED:
        await write(head + body)
    elif len(body) <= _PIECE:
        await write(head, body)
    else:
        await write(head)
        view = memoryview(body)
        for start in range(0, len(body), _PIECE):
            await write(view[start : start + _PIECE])


async def _send_chunks(write: Write, head: bytes, body: AsyncIterable[bytes], journey: Journey | None) -> None:
    sent = 0
    first: tuple[bytes, ...] = (head,)  # sent with the first chunk
    async for piece in body:
        if not piece:
            continue
        sent += len(piece)
        if journey is not None:
            journey.sent_of_body(sent)
        await write(*first, chunk_head(len(piece)), piece, b"\r\n")
        first = ()
    await write(*first, b"0\r\n\r\n")


async def _send_pieces(
    write: Write, head: bytes, body: AsyncIterable[bytes], length: int, journey: Journey | None
) -> None:
    sent = 0
    first: tuple[bytes, ...] = (head,)  # sent with the first piece
    async for piece in body:
        if not piece:
            continue
        sent += len(piece)
        if journey is not None:
            journey.sent_of_body(sent)
        if sent > length:
            raise LocalProtocolError(f"the body is longer than its Content-Length of {length} bytes")
        await write(*first, piece)
        first = ()
    if sent < length:
        raise LocalProtocolError(f"the body ended after {sent} bytes, its Content-Length is {length}")
    if first:
        await write(*first)
