from __future__ import annotations

import pytest

from httpx_fast._kernel.select import FrameReader, HpackDecoder
from httpx_fast.testing import frames

FIRST = frames.settings()


def read(raw: bytes):
    reader = FrameReader()
    return reader.feed(FIRST + raw, 0, len(FIRST + raw))[1:]


def test_frames_are_those_that_a_client_reads():
    raw = frames.data(1, b"abc", end=True, padding=4) + frames.ping(b"12345678") + frames.reset(3, "REFUSED_STREAM")
    assert read(raw + frames.goaway(5, 11, b"why") + frames.window_update(0, 9)) == [
        (0, 9, 1, b"abc", 8),
        (6, 0, 0, b"12345678", 8),
        (3, 0, 3, 7, 4),
        (7, 0, 0, (5, 11, b"why"), 11),
        (8, 0, 0, 9, 4),
    ]


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 10_000])
def test_field_blocks_hold_strings_of_any_size(size: int):
    value = "v" * size
    assert HpackDecoder().decode(frames.block(("name", value))) == [(b"name", value.encode())]


def test_a_head_is_cut_into_continuations():
    block = frames.block((":status", "200"))
    raw = frames.headers(1, (":status", "200"), end=True, cuts=(1, 3))
    assert read(raw) == [(1, 5, 1, block, len(block))]
    assert raw.count(b"\x09\x00\x00\x00\x00\x01") == 1  # a CONTINUATION that does not end the block


def test_an_unknown_setting_is_an_error():
    assert frames.settings((9, 1), max_frame_size=16384)[9:] == b"\0\x09\0\0\0\x01" + b"\0\x05\0\0\x40\0"
    with pytest.raises(TypeError, match="no setting has the name 'frame_size'; expected one of header_table_size"):
        frames.settings(frame_size=1)


@pytest.mark.parametrize(
    ("kind", "flags", "stream", "raw", "line"),
    [
        (0, 1, 1, b"hello", "DATA 1 5 end"),
        (4, 1, 0, b"", "SETTINGS ack"),
        (4, 0, 0, b"\0\x02\0\0\0\0", "SETTINGS enable_push=0"),
        (3, 0, 3, b"\0\0\0\x08", "RST_STREAM 3 CANCEL"),
        (7, 0, 0, bytes(8), "GOAWAY 0 NO_ERROR"),
        (6, 1, 0, bytes(8), "PING ack 0000000000000000"),
        (8, 0, 0, b"\0\0\xff\xff", "WINDOW_UPDATE 0 65535"),
        (0xBE, 0, 5, b"", "0xbe 5"),
    ],
)
def test_frames_are_described_in_a_line(kind: int, flags: int, stream: int, raw: bytes, line: str):
    assert frames.line(kind, flags, stream, raw) == line
