"""Read and write HTTP/1.1 messages for the local server (RFC 9112).

It shares no code with the client, so that a bug of the client cannot hide here. Bodies are held in memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from .connection import Connection
from .replies import Reply, Request, reason

MAX_HEAD = 64 * 1024  # bytes of a request's head, a chunk's first line or a trailer's; more is no test of ours
MAX_BODY = 64 * 1024 * 1024  # bytes of a request's body: it is held in memory


class Malformed(Exception):
    """Report a request that is not HTTP/1.1, or not accepted by this server."""


async def receive(connection: Connection, nth: int) -> Request | None:
    """Return the next request with its body; None at the end of the connection."""
    request = await receive_head(connection, nth)
    if request is None:
        return None
    if (request.field("Expect") or "").lower() == "100-continue":
        await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    return dataclasses.replace(request, body=await receive_body(connection, request))


async def receive_head(connection: Connection, nth: int) -> Request | None:
    """Return the next request (RFC 9112 s.3) without its body; None at the end of the connection."""
    head = await connection.read_until(b"\r\n\r\n", MAX_HEAD)
    if not head:
        return None
    start, *lines = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, http_version = start.split(" ")
        fields = [_field(line) for line in lines]
    except ValueError:
        raise Malformed(f"the head of this request is malformed: {head[:64]!r}") from None
    tls_version = connection.tls.version() if connection.tls else None
    request = Request(method, target, http_version, fields, b"", connection.number, nth, tls_version)
    if http_version not in ("HTTP/1.1", "HTTP/1.0"):
        raise Malformed(f"this server speaks HTTP/1.1, not {http_version[:64]!r}")
    return request


def _field(line: str) -> tuple[str, str]:
    """Return name and value of a field line; ValueError for no name or whitespace around it (RFC 9112 s.5.1)."""
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise ValueError(line)
    return name, value.strip(" \t")


async def receive_body(connection: Connection, request: Request) -> bytes:
    """Return the body that follows the head of `request` (RFC 9112 s.6)."""
    length, coding = request.field("Content-Length"), request.field("Transfer-Encoding")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise Malformed(f"a body is framed by either Content-Length or chunks, not {coding[:64]!r}")
        return await _receive_chunks(connection)
    if length is None:
        return b""
    digits = length.lstrip("0") or "0"
    if not (length.isascii() and length.isdigit()) or len(digits) > 12 or int(digits) > MAX_BODY:
        raise Malformed(f"the length of a body is a number up to {MAX_BODY}, not {length[:64]!r}")
    return await connection.read_exactly(int(digits))


async def _receive_chunks(connection: Connection) -> bytes:
    """Read a chunked body and its trailer section, which is dropped (RFC 9112 s.7.1)."""
    body = bytearray()
    while True:
        line = await connection.read_until(b"\r\n", MAX_HEAD)
        digits = line.partition(b";")[0].strip()
        try:
            size = int(digits[:12], 16)
        except ValueError:
            raise Malformed(f"the size of a chunk is a hexadecimal number, not {digits[:64]!r}") from None
        if size == 0:
            break
        if len(body) + size > MAX_BODY:
            raise Malformed(f"the body is longer than {MAX_BODY} bytes")
        body += await connection.read_exactly(size)
        if await connection.read_exactly(2) != b"\r\n":
            raise Malformed("a chunk is longer than it said")
    while await connection.read_until(b"\r\n", MAX_HEAD) not in (b"\r\n", b""):
        pass
    return bytes(body)


async def send(connection: Connection, request: Request | None, reply: Reply) -> bool:
    """Send the reply; return whether the connection stays open. `request` is None if it could not be read."""
    keep = request is not None and request.http_version == "HTTP/1.1"
    if request is None or "close" in (request.field("Connection") or "").lower():
        keep = False
    body, framing = _framed(reply, chunks_allowed=request is None or request.http_version == "HTTP/1.1")
    fields = [*reply.fields, *framing] if keep else [*reply.fields, *framing, ("Connection", "close")]
    lines = [f"HTTP/1.1 {reply.status} {reason(reply.status)}", *(f"{name}: {value}" for name, value in fields)]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if reply.status in (204, 304) or (request is not None and request.method == "HEAD"):
        body = b""
    if isinstance(body, bytes):
        await connection.send(head + body)
        return keep
    await connection.send(head)
    for piece in body:
        if piece:  # an empty one would be the end
            await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    await connection.send(b"0\r\n\r\n")
    return keep


def _framed(reply: Reply, *, chunks_allowed: bool) -> tuple[bytes | Iterable[bytes], list[tuple[str, str]]]:
    """Return the body as it is sent, and the fields that frame it."""
    body = reply.body
    if not isinstance(body, bytes):
        if chunks_allowed:
            return body, [("Transfer-Encoding", "chunked")]
        body = b"".join(body)
    return body, [] if reply.status in (204, 304) else [("Content-Length", str(len(body)))]
