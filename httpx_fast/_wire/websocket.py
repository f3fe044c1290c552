"""Speak WebSocket as a client (RFC 6455), without I/O: opening handshake, frames out, bytes in and events out.

    bytes > head of a frame > payload > ... > message       control frames may come between the fragments of a message

The rules:

- What a client sends is masked, each frame with a key of its own (s.5.3); what a server sends must not be.
- A peer that breaks the protocol is a `WebSocketProtocolError`, with the close code (s.7.4) to tell it: 1002 for
  frames, 1007 for text that is no UTF-8, 1009 for a message above `max_message_size`, which is known from the
  frame's head.
- Text is checked as it comes, so that bad text ends a message before its end (s.8.1).
- Each byte is processed once, however small the pieces are.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

COMPRESSED: Final = 0x40  # RSV1 of a message's first frame (RFC 7692 s.6)

MAX_CONTROL = 125  # bytes of a control frame's payload (s.5.5)
MAX_REASON = MAX_CONTROL - 2  # bytes of a close frame's reason
# Masked in pieces that stay in the processor's cache: twice as fast as one piece of some MB.
_MASKED_AT_ONCE = 64 * 1024  # bytes
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
NO_CODE: Final = 1005  # never sent: the close frame had none
INVALID_TEXT: Final = 1007
TOO_BIG: Final = 1009
_RESERVED_CODES = frozenset({1004, 1005, 1006, 1015})  # never in a frame (s.7.4.1)


@dataclass(frozen=True, slots=True)
class TextMessage:
    """Hold a complete text message."""

    data: str


@dataclass(frozen=True, slots=True)
class BytesMessage:
    """Hold a complete binary message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """Hold a ping of the peer (RFC 6455 s.5.5.2)."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Pong:
    """Hold a pong of the peer (RFC 6455 s.5.5.3)."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Hold the peer's close frame; `code` is 1005 if it has none (s.7.1.5)."""

    code: int = NORMAL
    reason: str | None = None


Event: TypeAlias = TextMessage | BytesMessage | Ping | Pong | CloseConnection


class WebSocketProtocolError(Exception):
    """Report that the peer broke the protocol; `code` is the close code to answer with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


# The opening handshake (s.4).


def new_key() -> str:
    """Return a new value for Sec-WebSocket-Key (s.4.1)."""
    return base64.b64encode(os.urandom(16)).decode("ascii")


def accept_for(key: str) -> str:
    """Return the Sec-WebSocket-Accept that proves that a server has read `key` (s.4.2.2)."""
    digest = hashlib.sha1(key.encode("ascii", "replace") + _GUID, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False).decode("ascii")


def check_acceptance(
    key: str,
    upgrade: str,
    connection: str,
    accept: str,
    subprotocol: str | None,
    offered: Sequence[str],
) -> None:
    """Raise WebSocketProtocolError unless a 101 switches to the requested WebSocket (s.4.1).

    `subprotocol` is None where the response names none.
    """
    if upgrade.strip().lower() != "websocket":
        raise WebSocketProtocolError(PROTOCOL_ERROR, f"Upgrade is {upgrade[:64]!r}; expected 'websocket'")
    if "upgrade" not in [token.strip().lower() for token in connection.split(",")]:
        raise WebSocketProtocolError(PROTOCOL_ERROR, f"Connection is {connection[:64]!r}; expected 'upgrade' in it")
    if accept.strip() != accept_for(key):
        raise WebSocketProtocolError(
            PROTOCOL_ERROR, f"Sec-WebSocket-Accept is {accept[:64]!r}, which answers another key"
        )
    check_subprotocol(subprotocol, offered)


def check_subprotocol(subprotocol: str | None, offered: Sequence[str]) -> None:
    """Raise WebSocketProtocolError unless `subprotocol` is None or was offered (s.4.1)."""
    if subprotocol is not None and subprotocol not in offered:
        raise WebSocketProtocolError(PROTOCOL_ERROR, f"the subprotocol {subprotocol[:64]!r} was not offered")


# Frames out.


def mask(raw: bytes, key: bytes) -> bytes:
    """Return `raw` XOR `key`, which has 4 bytes and is repeated (s.5.3); the function is its own inverse."""
    if len(raw) > _MASKED_AT_ONCE:
        # Pieces are whole multiples of 4, so each begins with the key's first byte.
        pieces = range(0, len(raw), _MASKED_AT_ONCE)
        return b"".join([mask(raw[start : start + _MASKED_AT_ONCE], key) for start in pieces])
    size = len(raw)
    keys = (key * (size // 4 + 1))[:size]
    # As one large number: 8 bytes in a step of C where a loop in Python has one.
    return (int.from_bytes(raw, "little") ^ int.from_bytes(keys, "little")).to_bytes(size, "little")


def frame(opcode: int, payload: bytes, final: bool = True, key: bytes | None = None, compressed: bool = False) -> bytes:
    """Return a frame as a client sends it (s.5.2), masked with `key`, a new random one unless given."""
    if key is None:
        key = os.urandom(4)
    first = opcode | 0x80 if final else opcode
    if compressed:
        first |= COMPRESSED
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return b"".join((head, key, mask(payload, key)))


def close_frame(code: int, reason: str | None) -> bytes:
    """Return a close frame (s.5.5.1); empty for a code that must not be sent, with the reason cut to MAX_REASON."""
    if code in _RESERVED_CODES:
        return frame(CLOSE, b"")
    raw = (reason or "").encode("utf-8")[:MAX_REASON]
    # Not within a character.
    raw = raw.decode("utf-8", "ignore").encode("utf-8")
    return frame(CLOSE, code.to_bytes(2, "big") + raw)


# Bytes in.


class Inflater(Protocol):
    """Decompress messages, piece by piece."""

    def inflate(self, piece: bytes, ends: bool, limit: int) -> bytes:
        """Return `piece` decompressed; `ends` with the last one. WebSocketProtocolError above `limit` bytes."""
        ...


class MessageReader:
    """Read the frames of a server. `max_message_size` bounds the bytes of a message with all of its fragments."""

    def __init__(self, max_message_size: int) -> None:
        self._limit = max_message_size
        self._head = b""  # a frame's head that is not complete
        self._in_payload = False
        self._left = 0  # bytes of the frame's payload still to come
        self._final = False
        self._opcode = CONTINUATION
        self._control: list[bytes] = []
        self.inflater: Inflater | None = None  # where compression was agreed on
        self._compressed = False  # the message that goes on
        self._kind: int | None = None  # TEXT or BINARY while a message goes on
        self._size = 0  # bytes of the message so far, those announced by its last frame included
        self._bytes: list[bytes] = []
        self._text: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self.closed = False  # a close frame was read: bytes after it are ignored (s.5.5.1)

    def feed(self, data: bytes) -> tuple[list[Event], WebSocketProtocolError | None]:
        """Return the events that `data` completes, and the error that ended them, if any."""
        events: list[Event] = []
        try:
            self._feed(data, events)
        except WebSocketProtocolError as error:
            self.closed = True
            return events, error
        return events, None

    def _feed(self, data: bytes, events: list[Event]) -> None:
        at, end = 0, len(data)
        while at < end and not self.closed:
            if not self._in_payload:
                at = self._read_head(data, at)
                if not self._in_payload:
                    return
            stop = min(at + self._left, end)
            piece = data if at == 0 and stop == end else data[at:stop]
            self._left -= stop - at
            at = stop
            self._take(piece, events)

    def _read_head(self, data: bytes, at: int) -> int:
        """Read on in a frame's head; return where its payload begins. `_in_payload` is set if the head is complete."""
        held = len(self._head)
        head = self._head + data[at : at + 14]
        if len(head) < 2:
            self._head = head
            return len(data)
        first, length = head[0], head[1]
        # Checked as early as possible, so that no more bytes of an invalid frame are awaited.
        self._check_kind(first, length)
        size = {126: 4, 127: 10}.get(length, 2)
        if len(head) < size:
            self._head = head
            return len(data)
        if length == 126:
            length = int.from_bytes(head[2:4], "big")
            if length < 126:
                raise WebSocketProtocolError(PROTOCOL_ERROR, "the length of a frame is not written in the shortest way")
        elif length == 127:
            length = int.from_bytes(head[2:10], "big")
            if length < 65536 or length >> 63:
                raise WebSocketProtocolError(PROTOCOL_ERROR, "the length of a frame is not written in the shortest way")
        self._head = b""
        self._begin(first, length)
        return at + size - held

    def _check_kind(self, first: int, length: int) -> None:
        """Check the first two bytes of a frame by the rules of s.5.2, s.5.4 and s.5.5."""
        opcode = first & 0x0F
        if first & 0x70 and (first & 0x70 != COMPRESSED or self.inflater is None or opcode not in (TEXT, BINARY)):
            raise WebSocketProtocolError(PROTOCOL_ERROR, "a frame has a reserved bit that was not agreed on")
        if length & 0x80:
            raise WebSocketProtocolError(PROTOCOL_ERROR, "a frame of the server is masked")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise WebSocketProtocolError(PROTOCOL_ERROR, f"a frame has the unknown opcode {opcode}")
            if not first & 0x80:
                raise WebSocketProtocolError(PROTOCOL_ERROR, "a control frame is fragmented")
            if length > MAX_CONTROL:
                raise WebSocketProtocolError(PROTOCOL_ERROR, f"a control frame has more than {MAX_CONTROL} bytes")
        elif opcode > BINARY:
            raise WebSocketProtocolError(PROTOCOL_ERROR, f"a frame has the unknown opcode {opcode}")
        elif (opcode == CONTINUATION) == (self._kind is None):
            expected = "a message began within another" if opcode else "a fragment came without a beginning"
            raise WebSocketProtocolError(PROTOCOL_ERROR, expected)

    def _begin(self, first: int, length: int) -> None:
        """Begin a frame whose head is complete."""
        self._in_payload = True
        self._final = bool(first & 0x80)
        self._opcode = opcode = first & 0x0F
        self._left = length
        if opcode < CLOSE:
            if opcode:
                self._kind = opcode
                self._compressed = bool(first & COMPRESSED)
                self._size = 0
            if self._compressed:
                return  # what counts is what it inflates to
            self._size += length
            if self._size > self._limit:
                raise WebSocketProtocolError(
                    TOO_BIG, f"a message has more than max_message_size_bytes={self._limit} bytes"
                )

    def _take(self, piece: bytes, events: list[Event]) -> None:
        """Take a piece of a frame's payload, which may be the last one."""
        done = not self._left
        if done:
            self._in_payload = False
        if self._opcode >= CLOSE:
            self._control.append(piece)
            if done:
                payload = b"".join(self._control)
                self._control = []
                events.append(self._control_event(payload))
            return
        ends = done and self._final
        if self._compressed:
            assert self.inflater is not None
            piece = self.inflater.inflate(piece, ends, self._limit - self._size)
            self._size += len(piece)
        if self._kind == TEXT:
            try:
                text = self._decoder.decode(piece, ends)
            except UnicodeDecodeError as error:
                raise WebSocketProtocolError(INVALID_TEXT, f"a text message is no UTF-8: {error.reason}") from None
            if text:  # empty fragments are free of any limit, so they must cost nothing
                self._text.append(text)
        elif piece:
            self._bytes.append(piece)
        if ends:
            events.append(self._message())

    def _message(self) -> Event:
        kind, self._kind = self._kind, None
        if kind == TEXT:
            texts, self._text = self._text, []
            return TextMessage(texts[0] if len(texts) == 1 else "".join(texts))
        pieces, self._bytes = self._bytes, []
        return BytesMessage(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _control_event(self, payload: bytes) -> Event:
        if self._opcode == PING:
            return Ping(payload)
        if self._opcode == PONG:
            return Pong(payload)
        self.closed = True
        if not payload:
            return CloseConnection(NO_CODE)
        code = int.from_bytes(payload[:2], "big")
        # 1000 to 2999 are for this RFC and its registry, 3000 to 4999 for others (s.7.4.2).
        known = 1000 <= code <= 1014 or 3000 <= code <= 4999
        if len(payload) < 2 or not known or code in _RESERVED_CODES:
            raise WebSocketProtocolError(PROTOCOL_ERROR, f"a close frame has the invalid code {code}")
        try:
            return CloseConnection(code, payload[2:].decode("utf-8"))
        except UnicodeDecodeError:
            raise WebSocketProtocolError(INVALID_TEXT, "the reason of a close frame is no UTF-8") from None
