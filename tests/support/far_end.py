"""The server's end of an HTTP/2 connection, frame by frame: what it hears is read by hyperframe and hpack.

Frames that were heard are told as short lines, so that a test can compare a whole conversation:

    SETTINGS 2=0 4=1048576    SETTINGS ack    HEADERS 1 end    DATA 1 5 end    WINDOW_UPDATE 0 65535
    RST_STREAM 1 8            GOAWAY 0 1      PING 0000000000000001             PING ack 0000000000000001
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

import hpack
import hyperframe.frame as h2frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OK = [(":status", "200")]
NAMES = ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE")


def frame(kind: int, flags: int, stream_id: int, buffer: bytes = b"") -> bytes:
    """Any frame, right or wrong."""
    return len(buffer).to_bytes(3, "big") + bytes((kind, flags)) + (stream_id & 0xFFFFFFFF).to_bytes(4, "big") + buffer


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(4, 0, 0, b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in pairs))


SETTINGS_ACK = frame(4, 1, 0)


def data(stream_id: int, buffer: bytes = b"", end: bool = False, padding: int | None = None) -> bytes:
    if padding is None:
        return frame(0, int(end), stream_id, buffer)
    return frame(0, 8 | int(end), stream_id, bytes((padding,)) + buffer + bytes(padding))


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(8, 0, stream_id, increment.to_bytes(4, "big"))


def reset(stream_id: int, code: int) -> bytes:
    return frame(3, 0, stream_id, code.to_bytes(4, "big"))


def goaway(last: int, code: int = 0, debug: bytes = b"") -> bytes:
    return frame(7, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big") + debug)


def ping(buffer: bytes, ack: bool = False) -> bytes:
    return frame(6, int(ack), 0, buffer)


class FarEnd:
    """Hears frames, and says heads with a table of its own."""

    def __init__(self) -> None:
        self.requests: dict[int, list[tuple[bytes, bytes]]] = {}
        self.bodies: dict[int, bytearray] = {}
        self.opened = False
        self._decoder = hpack.Decoder()
        self._encoder = hpack.Encoder()
        self._bytes = b""
        self._block: tuple[int, bool, bytearray] | None = None

    def head(self, stream_id: int, fields: Iterable[tuple[Any, Any]] = OK, end: bool = False) -> bytes:
        """HEADERS; names go as they are, right or wrong."""
        return frame(1, 4 | int(end), stream_id, self.block(fields))

    def block(self, fields: Iterable[tuple[Any, Any]]) -> bytes:
        return self._encoder.encode(list(fields))

    def hear(self, buffer: bytes) -> list[str]:
        """The lines of the frames that have come to their end."""
        self._bytes += buffer
        if not self.opened:
            if len(self._bytes) < len(PREFACE):
                return []
            assert self._bytes.startswith(PREFACE)
            self._bytes = self._bytes[len(PREFACE) :]
            self.opened = True
        lines = []
        while len(self._bytes) >= 9:
            heard, size = h2frames.Frame.parse_frame_header(memoryview(self._bytes)[:9])
            if len(self._bytes) < 9 + size:
                break
            heard.parse_body(memoryview(self._bytes)[9 : 9 + size])
            self._bytes = self._bytes[9 + size :]
            line = self._line(heard)
            if line:
                lines.append(line)
        return lines

    def _line(self, heard: Any) -> str:
        end = " end" if "END_STREAM" in heard.flags else ""
        ack = " ack" if "ACK" in heard.flags else ""
        match heard:
            case h2frames.SettingsFrame():
                return "SETTINGS" + ack + "".join(f" {key}={value}" for key, value in sorted(heard.settings.items()))
            case h2frames.HeadersFrame() | h2frames.ContinuationFrame():
                return self._take_block(heard, bool(end))
            case h2frames.DataFrame():
                self.bodies.setdefault(heard.stream_id, bytearray()).extend(heard.data)
                return f"DATA {heard.stream_id} {len(heard.data)}{end}"
            case h2frames.WindowUpdateFrame():
                return f"WINDOW_UPDATE {heard.stream_id} {heard.window_increment}"
            case h2frames.RstStreamFrame():
                return f"RST_STREAM {heard.stream_id} {heard.error_code}"
            case h2frames.GoAwayFrame():
                return f"GOAWAY {heard.last_stream_id} {heard.error_code}"
            case h2frames.PingFrame():
                return f"PING{ack} {heard.opaque_data.hex()}"
        raise AssertionError(f"a client has no use for {heard}")

    def _take_block(self, heard: Any, end: bool) -> str:
        if isinstance(heard, h2frames.HeadersFrame):
            assert self._block is None
            self._block = heard.stream_id, end, bytearray()
        assert self._block is not None
        stream_id, end, block = self._block
        assert stream_id == heard.stream_id
        block += heard.data
        if "END_HEADERS" not in heard.flags:
            return ""
        self._block = None
        self.requests[stream_id] = [
            (bytes(name), bytes(value)) for name, value in self._decoder.decode(bytes(block), raw=True)
        ]
        return f"HEADERS {stream_id}" + (" end" if end else "")


class Server(FarEnd):
    """A far end over a socket: `Server(connection).until("HEADERS 1 end")`."""

    def __init__(self, connection: socket.socket, *pairs: tuple[int, int]) -> None:
        super().__init__()
        self.connection = connection
        self.lines: list[str] = []  # all that was heard
        self.say(settings(*pairs), SETTINGS_ACK)

    def say(self, *buffer: bytes) -> None:
        self.connection.sendall(b"".join(buffer))

    def respond(self, stream_id: int, body: bytes = b"ok", fields: Iterable[tuple[str, str]] = ()) -> None:
        """A whole response."""
        self.say(self.head(stream_id, [*OK, *fields]), data(stream_id, body, end=True))

    def until(self, *wanted: str) -> None:
        """Hears on until there are lines that begin with these, in any order."""
        while not all(any(line.startswith(each) for line in self.lines) for each in wanted):
            self.lines += self.hear(self._receive())

    def find(self, path: str) -> int:
        """The stream of the request for `path`, once it is there."""
        while True:
            for stream_id, fields in self.requests.items():
                if (b":path", path.encode()) in fields:
                    return stream_id
            self.lines += self.hear(self._receive())

    def forget(self) -> None:
        """Lines heard so far count no more."""
        self.lines.clear()

    def until_closed(self) -> None:
        """Hears on until the client has closed."""
        try:
            while buffer := self.connection.recv(65536):
                self.lines += self.hear(buffer)
        except ConnectionResetError:  # it did not wait for what was still on its way
            return

    def _receive(self) -> bytes:
        buffer = self.connection.recv(65536)
        assert buffer, f"the client closed after {self.lines}"
        return buffer
