"""Control frames of HTTP/2: those that we write, and what is wrong with those that come."""

from __future__ import annotations

from typing import Any

import pytest

from httpx_fast._kernel.h2_constants import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_SIZE,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    MAX_WINDOW_SIZE,
    PADDED,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from httpx_fast._kernel.h2_control import (
    SETTINGS_ACK,
    contents,
    goaway_frame,
    head_error,
    padding_error,
    ping_frame,
    reset_frame,
    settings_frame,
    window_update_frame,
)
from httpx_fast._kernel.h2_errors import Http2Error


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (
            settings_frame([(ENABLE_PUSH, 0), (MAX_FRAME_SIZE, 65536)]),
            "00000c 04 00 00000000 000200000000 000500010000",
        ),
        (SETTINGS_ACK, "000000 04 01 00000000"),
        (ping_frame(b"12345678"), "000008 06 00 00000000 3132333435363738"),
        (ping_frame(b"12345678", ack=True), "000008 06 01 00000000 3132333435363738"),
        (goaway_frame(5, 2, b"why"), "00000b 07 00 00000000 00000005 00000002 776879"),
        (reset_frame(3, 8), "000004 03 00 00000003 00000008"),
        (window_update_frame(7, 1), "000004 08 00 00000007 00000001"),
    ],
)
def test_frames_are_written_as_the_rfc_draws_them(frame: bytes, wire: str):
    assert frame == bytes.fromhex(wire)


@pytest.mark.parametrize("increment", [0, -1, MAX_WINDOW_SIZE + 1])
def test_a_window_grows_by_what_it_can(increment: int):
    with pytest.raises(ValueError, match=f"a window cannot grow by {increment} bytes"):
        window_update_frame(1, increment)


def test_a_ping_has_eight_bytes():
    with pytest.raises(ValueError, match="a PING has 8 bytes, not 7"):
        ping_frame(b"1234567")


@pytest.mark.parametrize(
    ("kind", "flags", "stream_id", "size"),
    [
        (DATA, 0, 1, 0),
        (HEADERS, 0, 1, 5),
        (SETTINGS, 0, 0, 12),
        (SETTINGS, ACK, 0, 0),
        (PING, 0, 0, 8),
        (GOAWAY, 0, 0, 8),
        (RST_STREAM, 0, 1, 4),
        (WINDOW_UPDATE, 0, 0, 4),
        (WINDOW_UPDATE, 0, 1, 4),
        (PRIORITY, 0, 1, 5),
        (0x50, 0, 0, 3),
        (0x50, 0, 9, 3),
    ],
)
def test_heads_that_the_rfc_allows_are_no_errors(kind: int, flags: int, stream_id: int, size: int):
    assert head_error(kind, flags, stream_id, size, DEFAULT_FRAME_SIZE, 0) is None


@pytest.mark.parametrize(
    ("kind", "flags", "stream_id", "size", "unended", "message", "code"),
    [
        (DATA, 0, 1, DEFAULT_FRAME_SIZE + 1, 0, "DATA of 16385 bytes is above the limit of 16384", FRAME_SIZE_ERROR),
        (DATA, 0, 1, 1, 1, "expected CONTINUATION on stream 1.*got DATA on stream 1", PROTOCOL_ERROR),
        (CONTINUATION, 0, 3, 1, 1, "expected CONTINUATION on stream 1.*got CONTINUATION on stream 3", PROTOCOL_ERROR),
        (CONTINUATION, 0, 3, 1, 0, "CONTINUATION on stream 3 continues nothing", PROTOCOL_ERROR),
        (PUSH_PROMISE, 0, 1, 9, 0, "PUSH_PROMISE came", PROTOCOL_ERROR),
        (DATA, 0, 0, 1, 0, "DATA names stream 0, expected a stream", PROTOCOL_ERROR),
        (SETTINGS, 0, 1, 6, 0, "SETTINGS names stream 1, expected no stream", PROTOCOL_ERROR),
        (SETTINGS, 0, 0, 7, 0, "SETTINGS has 7 bytes, expected a multiple of 6", FRAME_SIZE_ERROR),
        (SETTINGS, ACK, 0, 6, 0, "SETTINGS has 6 bytes, expected none", FRAME_SIZE_ERROR),
        (PING, 0, 0, 7, 0, "PING has 7 bytes, expected 8", FRAME_SIZE_ERROR),
        (GOAWAY, 0, 0, 7, 0, "GOAWAY has 7 bytes, expected 8 at least", FRAME_SIZE_ERROR),
        (RST_STREAM, 0, 1, 5, 0, "RST_STREAM has 5 bytes, expected 4", FRAME_SIZE_ERROR),
        (PRIORITY, 0, 1, 4, 0, "PRIORITY has 4 bytes, expected 5", FRAME_SIZE_ERROR),
        (DATA, PADDED, 1, 0, 0, "DATA has 0 bytes, expected 1 at least", FRAME_SIZE_ERROR),
    ],
)
def test_heads_that_the_rfc_forbids_are_errors(
    kind: int, flags: int, stream_id: int, size: int, unended: int, message: str, code: int
):
    error = head_error(kind, flags, stream_id, size, DEFAULT_FRAME_SIZE, unended)
    assert isinstance(error, Http2Error)
    assert error.code == code
    with pytest.raises(Http2Error, match=message):
        raise error


def test_more_padding_than_bytes_is_an_error():
    assert str(padding_error(DATA, 9, 5)).startswith("DATA of 5 bytes has 9 bytes of padding (RFC 9113 s.6.1)")


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (WINDOW_UPDATE, b"\x80\0\0\5", 5),
        (RST_STREAM, b"\0\0\0\x08", 8),
        (GOAWAY, b"\x80\0\0\7\0\0\0\2why", (7, 2, b"why")),
        (PING, b"12345678", b"12345678"),
        (SETTINGS, bytes.fromhex("00030000000a 00ff00000001"), [(3, 10), (255, 1)]),
    ],
)
def test_contents_are_parsed_without_reserved_bits(kind: int, data: bytes, expected: Any):
    assert contents(kind, 0, 1, data) == expected


@pytest.mark.parametrize(
    ("setting", "value", "expected", "code"),
    [
        (INITIAL_WINDOW_SIZE, MAX_WINDOW_SIZE + 1, "2147483647 at most", FLOW_CONTROL_ERROR),
        (MAX_FRAME_SIZE, DEFAULT_FRAME_SIZE - 1, "16384 to 16777215", PROTOCOL_ERROR),
        (MAX_FRAME_SIZE, 16777216, "16384 to 16777215", PROTOCOL_ERROR),
        (ENABLE_PUSH, 1, "0 from a server", PROTOCOL_ERROR),
        (ENABLE_CONNECT_PROTOCOL, 2, r"0 or 1 \(RFC 8441 s\.3\)", PROTOCOL_ERROR),
    ],
)
def test_settings_have_values_that_the_rfc_allows(setting: int, value: int, expected: str, code: int):
    data = settings_frame([(setting, value)])[9:]
    error = contents(SETTINGS, 0, 0, data)
    assert isinstance(error, Http2Error)
    assert error.code == code
    with pytest.raises(Http2Error, match=f"setting 0x{setting:x} is {value}, expected {expected}"):
        raise error


def test_a_window_that_does_not_grow_is_an_error_of_its_stream():
    error = contents(WINDOW_UPDATE, 0, 5, bytes(4))
    assert isinstance(error, Http2Error)
    assert (error.stream_id, error.code) == (5, PROTOCOL_ERROR)
