"""Check, parse and write the frames that are rare. Shared by both kernels.

The kernels read DATA, HEADERS and CONTINUATION themselves and call this module for the rest, and for every frame head
that may be wrong. So the rules of RFC 9113 s.4.2 and s.6 for sizes, streams and values are written here once.
`Http2Error.stream_id` says whether an error ends the connection or one stream. Functions whose names end in `_frame`
return the bytes of a whole frame.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TypeAlias

from . import h2_errors
from .h2_constants import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_SIZE,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    FLOW_CONTROL_ERROR,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    LARGEST_FRAME_SIZE,
    MAX_BLOCK_SIZE,
    MAX_CONTINUATIONS,
    MAX_FRAME_SIZE,
    MAX_STREAM_ID,
    MAX_WINDOW_SIZE,
    NO_ERROR,
    NO_RFC7540_PRIORITIES,
    PADDED,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from .h2_errors import Http2Error

__all__ = [
    "SETTINGS_ACK",
    "Contents",
    "contents",
    "goaway_frame",
    "head_error",
    "max_continuations",
    "ping_frame",
    "reset_frame",
    "settings_frame",
    "window_update_frame",
]

#: The contents of a frame; frames_py describes them.
Contents: TypeAlias = bytes | int | tuple[int, int, bytes] | list[tuple[int, int]]

_head = struct.Struct(">HBBBI")
_setting = struct.Struct(">HI")


def max_continuations(max_block_size: int) -> int:
    """Return how many CONTINUATION frames a field block of this size may take: more where the size is larger."""
    return max(MAX_CONTINUATIONS, MAX_CONTINUATIONS * max_block_size // MAX_BLOCK_SIZE)


_pair = struct.Struct(">II")

# Frame types that need a stream, or must have none, with the section that says so.
_ON_A_STREAM = {DATA: "s.6.1", HEADERS: "s.6.2", PRIORITY: "s.6.3", RST_STREAM: "s.6.4", CONTINUATION: "s.6.10"}
_ON_NO_STREAM = {SETTINGS: "s.6.5", PING: "s.6.7", GOAWAY: "s.6.8"}
_SIZES = {RST_STREAM: (4, "s.6.4"), PING: (8, "s.6.7"), WINDOW_UPDATE: (4, "s.6.9")}
_SWITCHES = {ENABLE_CONNECT_PROTOCOL: "RFC 8441 s.3", NO_RFC7540_PRIORITIES: "RFC 9218 s.2.1"}
#: Contents of frames of other types are skipped: PRIORITY, which means nothing any more, and extensions.
KEPT = frozenset({DATA, HEADERS, CONTINUATION, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE})


def head_error(kind: int, flags: int, stream_id: int, size: int, limit: int, unended: int) -> Http2Error | None:
    """Check the head of a frame; return an error or None. `unended` is the stream whose field block goes on, or 0."""
    if size > limit:
        return h2_errors.frame_too_large(kind, size, limit)
    if unended and (kind != CONTINUATION or stream_id != unended):
        return h2_errors.continuation_expected(kind, stream_id, unended)
    if kind == CONTINUATION and not unended:
        return h2_errors.continuation_unexpected(stream_id)
    if kind == PUSH_PROMISE:
        return h2_errors.push_refused()
    if stream_id == 0 and kind in _ON_A_STREAM:
        return h2_errors.wrong_stream(kind, stream_id, _ON_A_STREAM[kind])
    if stream_id and kind in _ON_NO_STREAM:
        return h2_errors.wrong_stream(kind, stream_id, _ON_NO_STREAM[kind])
    return _size_error(kind, flags, stream_id, size)


def _size_error(kind: int, flags: int, stream_id: int, size: int) -> Http2Error | None:
    if kind in _SIZES:
        expected, section = _SIZES[kind]
        return None if size == expected else h2_errors.frame_size(kind, size, str(expected), section)
    if kind == SETTINGS:
        if flags & ACK:
            return h2_errors.frame_size(kind, size, "none, since it has ACK", "s.6.5") if size else None
        return h2_errors.frame_size(kind, size, "a multiple of 6", "s.6.5") if size % 6 else None
    if kind == GOAWAY:
        return h2_errors.frame_size(kind, size, "8 at least", "s.6.8") if size < 8 else None
    if kind == PRIORITY:
        return h2_errors.frame_size(kind, size, "5", "s.6.3", stream_id) if size != 5 else None
    if kind in (DATA, HEADERS):
        least = bool(flags & PADDED) + (5 if kind == HEADERS and flags & HAS_PRIORITY else 0)
        return h2_errors.frame_size(kind, size, f"{least} at least", _ON_A_STREAM[kind]) if size < least else None
    return None


def padding_error(kind: int, padding: int, size: int) -> Http2Error:
    """Return the error for more padding than the frame has bytes for (RFC 9113 s.6.1, s.6.2)."""
    return h2_errors.too_much_padding(kind, padding, size, _ON_A_STREAM[kind])


def contents(kind: int, flags: int, stream_id: int, data: bytes) -> Contents | Http2Error:
    """Parse a frame that is neither DATA nor part of a field block; its size has been checked."""
    if kind == SETTINGS:
        return _read_settings(data)
    if kind == WINDOW_UPDATE:
        increment = int.from_bytes(data, "big") & MAX_WINDOW_SIZE
        return increment or h2_errors.no_increment(stream_id)
    if kind == RST_STREAM:
        return int.from_bytes(data, "big")
    if kind == GOAWAY:
        last, code = _pair.unpack_from(data)
        return last & MAX_STREAM_ID, code, data[8:]
    return data


def _read_settings(data: bytes) -> list[tuple[int, int]] | Http2Error:
    """Return settings in their order, unknown ones included; of a repeated one the last counts (RFC 9113 s.6.5)."""
    settings = list(_setting.iter_unpack(data))
    for setting, value in settings:
        if setting == INITIAL_WINDOW_SIZE and value > MAX_WINDOW_SIZE:
            return h2_errors.bad_setting(setting, value, f"{MAX_WINDOW_SIZE} at most", FLOW_CONTROL_ERROR)
        if setting == MAX_FRAME_SIZE and not DEFAULT_FRAME_SIZE <= value <= LARGEST_FRAME_SIZE:
            return h2_errors.bad_setting(setting, value, f"{DEFAULT_FRAME_SIZE} to {LARGEST_FRAME_SIZE}")
        if setting == ENABLE_PUSH and value:
            return h2_errors.bad_setting(setting, value, "0 from a server")
        if setting in _SWITCHES and value > 1:
            return h2_errors.bad_setting(setting, value, "0 or 1", section=_SWITCHES[setting])
    return settings


def _frame(kind: int, flags: int, stream_id: int, data: bytes) -> bytes:
    return _head.pack(len(data) >> 8, len(data) & 0xFF, kind, flags, stream_id) + data


def settings_frame(settings: Iterable[tuple[int, int]]) -> bytes:
    """Return a SETTINGS frame of pairs of identifier and value (RFC 9113 s.6.5)."""
    return _frame(SETTINGS, 0, 0, b"".join([_setting.pack(*setting) for setting in settings]))


SETTINGS_ACK = _frame(SETTINGS, ACK, 0, b"")


def ping_frame(data: bytes, *, ack: bool = False) -> bytes:
    """Return a PING frame; `data` has eight bytes (RFC 9113 s.6.7). Raises ValueError."""
    if len(data) != 8:
        raise ValueError(f"a PING has 8 bytes, not {len(data)}")
    return _frame(PING, ACK if ack else 0, 0, data)


def goaway_frame(last_stream_id: int, code: int = NO_ERROR, debug: bytes = b"") -> bytes:
    """Return a GOAWAY frame: streams of the peer above `last_stream_id` are not processed (RFC 9113 s.6.8)."""
    return _frame(GOAWAY, 0, 0, _pair.pack(last_stream_id, code) + debug)


def reset_frame(stream_id: int, code: int) -> bytes:
    """Return a RST_STREAM frame (RFC 9113 s.6.4)."""
    return _frame(RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))


def window_update_frame(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection, `increment` is in bytes (RFC 9113 s.6.9)."""
    if not 0 < increment <= MAX_WINDOW_SIZE:
        raise ValueError(f"a window cannot grow by {increment} bytes")
    return _frame(WINDOW_UPDATE, 0, stream_id, increment.to_bytes(4, "big"))
