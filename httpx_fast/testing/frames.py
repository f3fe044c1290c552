"""Build HTTP/2 frames as bytes, valid or not (RFC 9113 s.4, s.6), for the steps `Send` and `Drip`.

    frames.settings(max_concurrent_streams=1)         frames.headers(1, (":status", "200"), end=True)
    frames.data(1, b"hello", end=True)                frames.reset(1, "REFUSED_STREAM")

Nothing is checked. Names in lower case are settings, those in capitals error codes, both as in RFC 9113; a number
stands for any other. Field blocks are plain literals (RFC 7541 s.6.2), so that any name and value can be sent; bytes
among the fields are put into the block as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from .._kernel.h2_constants import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ERROR_NAMES,
    FRAME_NAMES,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from .replies import Field, Request

_SETTINGS = {
    1: "header_table_size",
    2: "enable_push",
    3: "max_concurrent_streams",
    4: "initial_window_size",
    5: "max_frame_size",
    6: "max_header_list_size",
    8: "enable_connect_protocol",
    9: "no_rfc7540_priorities",
}
_NUMBERS = {name: number for number, name in _SETTINGS.items()}

_setting = struct.Struct(">HI")


def frame(kind: int, flags: int, stream: int, raw: bytes = b"") -> bytes:
    """Return any frame (RFC 9113 s.4.1)."""
    return len(raw).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + raw


def settings(*pairs: tuple[int, int], **named: int) -> bytes:
    """Return SETTINGS, first those given by number, then those by name (RFC 9113 s.6.5).

    TypeError for an unknown name.
    """
    unknown = named.keys() - _NUMBERS
    if unknown:
        raise TypeError(f"no setting has the name {min(unknown)!r}; expected one of {', '.join(_NUMBERS)}")
    every = [*pairs, *((_NUMBERS[name], value) for name, value in named.items())]
    return frame(SETTINGS, 0, 0, b"".join(_setting.pack(*pair) for pair in every))


SETTINGS_ACK = frame(SETTINGS, ACK, 0)


def headers(stream: int, *fields: Field | bytes, end: bool = False, cuts: Sequence[int] = ()) -> bytes:
    """Return HEADERS, and a CONTINUATION from each of `cuts`, offsets in the field block (RFC 9113 s.6.2)."""
    raw = block(*fields)
    edges = [0, *cuts, len(raw)]
    frames: list[bytes] = []
    for start, stop in pairwise(edges):
        kind, flags = (CONTINUATION, 0) if frames else (HEADERS, END_STREAM if end else 0)
        last = len(frames) == len(cuts)
        frames.append(frame(kind, flags | (END_HEADERS if last else 0), stream, raw[start:stop]))
    return b"".join(frames)


def block(*fields: Field | bytes, index: bool = False) -> bytes:
    """Return a field block; with `index` its fields are added to the peer's table (RFC 7541 s.6.2.1)."""
    return b"".join(field if isinstance(field, bytes) else _literal(*field, index) for field in fields)


def data(stream: int, raw: bytes = b"", *, end: bool = False, padding: int | None = None) -> bytes:
    """Return DATA (RFC 9113 s.6.1), padded with `padding` bytes unless that is None."""
    flags = END_STREAM if end else 0
    if padding is None:
        return frame(DATA, flags, stream, raw)
    return frame(DATA, flags | PADDED, stream, bytes((padding,)) + raw + bytes(padding))


def reset(stream: int, code: int | str = "CANCEL") -> bytes:
    """Return RST_STREAM (RFC 9113 s.6.4); `code` is a number or a name such as "CANCEL"."""
    return frame(RST_STREAM, 0, stream, _code(code).to_bytes(4, "big"))


def goaway(last: int, code: int | str = "NO_ERROR", debug: bytes = b"") -> bytes:
    """Return GOAWAY (RFC 9113 s.6.8); `last` is the highest stream that was, or will be, processed."""
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, _code(code)) + debug)


def ping(raw: bytes = bytes(8), *, ack: bool = False) -> bytes:
    """Return PING (RFC 9113 s.6.7)."""
    return frame(PING, ACK if ack else 0, 0, raw)


def window_update(stream: int, increment: int) -> bytes:
    """Return WINDOW_UPDATE of `increment` bytes (RFC 9113 s.6.9); stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def push_promise(stream: int, promised: int, *fields: Field | bytes) -> bytes:
    """Return PUSH_PROMISE (RFC 9113 s.6.6), which the client has switched off."""
    return frame(PUSH_PROMISE, END_HEADERS, stream, promised.to_bytes(4, "big") + block(*fields))


def response(
    body: bytes = b"",
    *fields: Field,
    status: int = 200,
    length: int | None = None,
    trailers: Sequence[Field] = (),
) -> Callable[[Request], bytes]:
    """Return a function for `Send` that builds a response to the request that was read last.

    `length` is the value of Content-Length, None for no such field.

    One DATA frame has all of the body. Windows are not looked at: a client's first ones have room for 64 KiB.
    """
    said = () if length is None else (("content-length", str(length)),)

    def to(request: Request) -> bytes:
        number = request.stream
        head = headers(number, (":status", str(status)), *fields, *said, end=not (body or trailers))
        content = data(number, body, end=not trailers) if body else b""
        return head + content + (headers(number, *trailers, end=True) if trailers else b"")

    return to


# Lines that describe the frames that were read.


def line(kind: int, flags: int, stream: int, raw: bytes) -> str:
    """Return a line that describes a frame: "DATA 1 5 end", "SETTINGS ack", "RST_STREAM 3 CANCEL"."""
    name = FRAME_NAMES[kind] if kind < len(FRAME_NAMES) else f"0x{kind:02x}"
    return " ".join([name, *_words(kind, flags, stream, raw)])


def _words(kind: int, flags: int, stream: int, raw: bytes) -> Iterator[str]:
    if kind in (SETTINGS, PING) and flags & ACK:
        yield "ack"
    if kind == SETTINGS:
        yield from (f"{_SETTINGS.get(key, key)}={value}" for key, value in _setting.iter_unpack(raw))
    elif kind == PING:
        yield raw.hex()
    elif kind == GOAWAY:
        last, code = struct.unpack_from(">II", raw)
        yield from (str(last), _name(code))
    elif kind == RST_STREAM:
        yield from (str(stream), _name(int.from_bytes(raw, "big")))
    elif kind == WINDOW_UPDATE:
        yield from (str(stream), str(int.from_bytes(raw, "big")))
    else:
        yield str(stream)
    if kind == DATA:
        yield str(len(raw))
    if kind in (DATA, HEADERS) and flags & END_STREAM:
        yield "end"


def _literal(name: str, value: str, index: bool) -> bytes:
    return (b"\x40" if index else b"\0") + _string(name) + _string(value)


def _string(text: str) -> bytes:
    """Return a string without Huffman coding, one byte for each character (RFC 7541 s.5.2)."""
    raw = text.encode("latin-1")
    size = len(raw)
    if size < 0x7F:
        return bytes((size,)) + raw
    rest, length = size - 0x7F, bytearray(b"\x7f")
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    return bytes(length) + raw


def _code(code: int | str) -> int:
    return code if isinstance(code, int) else ERROR_NAMES.index(code)


def _name(code: int) -> str:
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"0x{code:x}"
