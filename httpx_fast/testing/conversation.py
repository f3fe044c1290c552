"""Read HTTP/2 for a scripted server: frames in, lines and requests out.

It sends the answers that every server has to send, so that scripts contain only what is special: settings and pings are
acknowledged, and DATA is credited when it was read. `answers=False` leaves all of that to the script. Requests may be
interleaved and are returned in the order of their completion. Field blocks are decoded by the package's own HPACK,
which is tested against another one; the client's windows are ignored.
"""

from __future__ import annotations

from collections import deque

from .._kernel.h2_constants import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD_SIZE,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
)
from .._kernel.select import HpackDecoder
from . import frames
from .connection import Connection
from .replies import Field, Request

MAX_TABLE = 4096  # bytes of HPACK's table until the settings say otherwise


class Malformed(Exception):
    """Report that the peer does not speak HTTP/2."""


class _Arriving:
    """Collect a request that has begun."""

    def __init__(self, fields: list[Field], ended: bool) -> None:
        self.fields = fields
        self.body = bytearray()
        self.ended = ended


class Conversation:
    """Speak HTTP/2 on one connection; a line for each frame that is read is added to `lines`."""

    def __init__(self, connection: Connection, lines: list[str], answers: bool, table_size: int = MAX_TABLE) -> None:
        self._connection = connection
        self._lines = lines
        self._answers = answers
        self._decoder = HpackDecoder(table_size)
        self._streams: dict[int, _Arriving] = {}
        self._unread: deque[int] = deque()  # streams whose request was not asked for yet
        self._block: tuple[int, bool, bytes] | None = None

    async def begin(self, settings: bytes) -> None:
        """Send `settings`, and read the client's preface and SETTINGS (RFC 9113 s.3.4)."""
        await self._connection.send(settings)
        preface = await self._connection.read_exactly(len(PREFACE))
        if preface != PREFACE:
            raise Malformed(f"expected the preface of HTTP/2, got {preface!r}")
        await self.hear()

    async def hear(self) -> str:
        """Read one frame, answer it if it needs one, and return its line. Raises PeerClosed at the end."""
        head = await self._connection.read_exactly(FRAME_HEAD_SIZE)
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big")
        data = await self._connection.read_exactly(size)
        if flags & PADDED and kind in (DATA, HEADERS):
            data = data[1 : len(data) - data[0]]
        line = frames.line(kind, flags, stream, data)
        await self._take(kind, flags, stream, data, size)
        self._lines.append(line)
        return line

    async def receive(self, nth: int, *, body: bool = True) -> Request:
        """Return the next complete request, without `body` the next head. Raises PeerClosed if none arrives."""
        while True:
            for stream in self._unread:
                if self._streams[stream].ended or not body:
                    self._unread.remove(stream)
                    return self._request(stream, nth)
            await self.hear()

    async def receive_body(self, request: Request) -> bytes:
        """Return the body of a request whose head was returned before."""
        arriving = self._streams.get(request.stream)
        if arriving is None:  # it had ended with its head
            return request.body
        while not arriving.ended:
            await self.hear()
        del self._streams[request.stream]
        return bytes(arriving.body)

    async def receive_data(self, stream: int) -> bytes:
        """Return the bytes of a body that arrived since the last call, at least one; b"" at its end."""
        arriving = self._streams.get(stream)
        if arriving is None:
            return b""
        while not arriving.body and not arriving.ended:
            await self.hear()
        data = bytes(arriving.body)
        arriving.body.clear()
        return data

    async def _take(self, kind: int, flags: int, stream: int, data: bytes, size: int) -> None:
        if kind == HEADERS:
            self._block = stream, bool(flags & END_STREAM), data
        elif kind == CONTINUATION and self._block is not None:
            _, end, first = self._block
            self._block = stream, end, first + data
        if kind in (HEADERS, CONTINUATION) and flags & END_HEADERS:
            self._section()
        elif kind == DATA:
            await self._data(stream, data, bool(flags & END_STREAM), size)
        elif kind == RST_STREAM:
            self._gone(stream)
        elif kind in (SETTINGS, PING) and self._answers and not flags & ACK:
            acknowledgement = frames.SETTINGS_ACK if kind == SETTINGS else frames.ping(data, ack=True)
            await self._connection.send(acknowledgement)

    def _section(self) -> None:
        assert self._block is not None
        stream, end, data = self._block
        self._block = None
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._decoder.decode(data)]
        if stream in self._streams:  # trailers
            self._streams[stream].ended = True
            return
        self._streams[stream] = _Arriving(fields, end)
        self._unread.append(stream)

    async def _data(self, stream: int, data: bytes, end: bool, size: int) -> None:
        arriving = self._streams.get(stream)
        if arriving is not None:
            arriving.body += data
            arriving.ended = end
        if self._answers and size:
            credit = frames.window_update(0, size)
            await self._connection.send(credit if end else credit + frames.window_update(stream, size))

    def _gone(self, stream: int) -> None:
        arriving = self._streams.get(stream)
        if arriving is not None:
            arriving.ended = True
        if stream in self._unread:
            self._unread.remove(stream)

    def _request(self, stream: int, nth: int) -> Request:
        arriving = self._streams[stream]
        if arriving.ended:
            del self._streams[stream]
        fields = dict(reversed(arriving.fields))
        connection = self._connection
        return Request(
            fields.get(":method", ""),
            fields.get(":path", fields.get(":authority", "")),
            "HTTP/2",
            arriving.fields,
            bytes(arriving.body),
            connection.number,
            nth,
            connection.tls.version() if connection.tls else None,
            stream,
        )
