from __future__ import annotations

import random
import re
import sys
from itertools import pairwise

import pytest
import vectors

from httpx_fast._kernel import h2_constants
from httpx_fast._kernel import h2_control as control
from httpx_fast._kernel.h2_errors import Http2Error

SETTINGS = control.settings_frame(
    [(h2_constants.MAX_CONCURRENT_STREAMS, 100), (h2_constants.INITIAL_WINDOW_SIZE, 65535)]
)
SETTINGS_READ = (h2_constants.SETTINGS, 0, 0, [(3, 100), (4, 65535)], 12)
FIRST = control.settings_frame([])
FIRST_READ = (h2_constants.SETTINGS, 0, 0, [], 0)


def frame(kind, flags=0, stream_id=0, raw=b""):
    return len(raw).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + raw


def padded(raw, padding):
    return bytes([padding]) + raw + b"\0" * padding


def read(reader, raw, way):
    """The frames that came of all calls; the bytes are given as `way` says."""
    frames, at = [], 0
    for available in way:
        frames += reader.feed(raw, at, available)
        at = available
    return frames


def joined(frames):
    """The pieces of DATA frames put together again, where no two of those follow each other."""
    found = []
    for frame in frames:
        if frame[0] == h2_constants.DATA and found and found[-1][0] == h2_constants.DATA:
            _, flags, _, contents, size = found.pop()
            assert not flags & h2_constants.END_STREAM
            frame = (*frame[:3], contents + frame[3], size + frame[4])
        found.append(frame)
    return found


#: What comes after the first frame, and how it is reported.
READ = {
    "data": (frame(h2_constants.DATA, 0, 1, b"abc"), [(0, 0, 1, b"abc", 3)]),
    "data that ends the stream": (frame(h2_constants.DATA, 1, 3, b"abc"), [(0, 1, 3, b"abc", 3)]),
    "data of no bytes": (frame(h2_constants.DATA, 1, 3), [(0, 1, 3, b"", 0)]),
    "data of one byte": (frame(h2_constants.DATA, 1, 3, b"x"), [(0, 1, 3, b"x", 1)]),
    "data with padding": (frame(h2_constants.DATA, 8, 1, padded(b"abc", 5)), [(0, 8, 1, b"abc", 9)]),
    "data with padding of no bytes": (frame(h2_constants.DATA, 9, 1, padded(b"abc", 0)), [(0, 9, 1, b"abc", 4)]),
    "data of padding alone": (frame(h2_constants.DATA, 8, 1, padded(b"", 7)), [(0, 8, 1, b"", 8)]),
    "data with flags that mean nothing": (frame(h2_constants.DATA, 0xF6, 1, b"abc"), [(0, 0xF6, 1, b"abc", 3)]),
    "data with the reserved bit": (b"\0\0\1\0\0\x80\0\0\1x", [(0, 0, 1, b"x", 1)]),
    "data on the last stream": (frame(h2_constants.DATA, 0, 2**31 - 1, b"abc"), [(0, 0, 2**31 - 1, b"abc", 3)]),
    "headers": (frame(h2_constants.HEADERS, 4, 1, b"block"), [(1, 4, 1, b"block", 5)]),
    "headers that end the stream": (frame(h2_constants.HEADERS, 5, 1, b"block"), [(1, 5, 1, b"block", 5)]),
    "headers of no bytes": (frame(h2_constants.HEADERS, 5, 1), [(1, 5, 1, b"", 0)]),
    "headers with padding": (frame(h2_constants.HEADERS, 12, 1, padded(b"block", 3)), [(1, 12, 1, b"block", 9)]),
    "headers with priority": (frame(h2_constants.HEADERS, 0x24, 1, b"\0\0\0\1\7block"), [(1, 0x24, 1, b"block", 10)]),
    "headers with both": (
        frame(h2_constants.HEADERS, 0x2C, 1, padded(b"\x80\0\0\1\7block", 2)),
        [(1, 0x2C, 1, b"block", 13)],
    ),
    "headers with both and nothing else": (
        frame(h2_constants.HEADERS, 0x2C, 1, padded(b"\x80\0\0\1\7", 2)),
        [(1, 0x2C, 1, b"", 8)],
    ),
    "block in two frames": (
        frame(h2_constants.HEADERS, 1, 1, b"block ") + frame(h2_constants.CONTINUATION, 4, 1, b"goes on"),
        [(1, 5, 1, b"block goes on", 13)],
    ),
    "block in many frames": (
        frame(h2_constants.HEADERS, 0x28, 1, padded(b"\0\0\0\0\0a", 2))
        + frame(h2_constants.CONTINUATION, 0, 1)
        + frame(h2_constants.CONTINUATION, 1, 1, b"b")
        + frame(h2_constants.CONTINUATION, 4, 1)
        + frame(h2_constants.DATA, 0, 1),
        [(1, 0x2C, 1, b"ab", 10), (0, 0, 1, b"", 0)],
    ),
    "settings": (SETTINGS, [SETTINGS_READ]),
    "settings acknowledged": (control.SETTINGS_ACK, [(4, 1, 0, [], 0)]),
    "settings that nobody knows": (
        control.settings_frame([(0xFFFF, 2**32 - 1)]),
        [(4, 0, 0, [(0xFFFF, 2**32 - 1)], 6)],
    ),
    "setting twice": (control.settings_frame([(1, 0), (1, 9)]), [(4, 0, 0, [(1, 0), (1, 9)], 12)]),
    "ping": (control.ping_frame(b"01234567"), [(6, 0, 0, b"01234567", 8)]),
    "ping acknowledged": (control.ping_frame(b"01234567", ack=True), [(6, 1, 0, b"01234567", 8)]),
    "goaway": (control.goaway_frame(7, h2_constants.ENHANCE_YOUR_CALM), [(7, 0, 0, (7, 11, b""), 8)]),
    "goaway with debug data": (control.goaway_frame(0, 0xFFFFFFFF, b"why"), [(7, 0, 0, (0, 2**32 - 1, b"why"), 11)]),
    "goaway with the reserved bit": (
        frame(h2_constants.GOAWAY, 0, 0, b"\xff\xff\xff\xff\0\0\0\0"),
        [(7, 0, 0, (2**31 - 1, 0, b""), 8)],
    ),
    "reset": (control.reset_frame(5, h2_constants.CANCEL), [(3, 0, 5, 8, 4)]),
    "window update": (control.window_update_frame(5, 2**31 - 1), [(8, 0, 5, 2**31 - 1, 4)]),
    "window update of the connection": (control.window_update_frame(0, 1), [(8, 0, 0, 1, 4)]),
    "window update with the reserved bit": (frame(h2_constants.WINDOW_UPDATE, 0, 1, b"\x80\0\0\5"), [(8, 0, 1, 5, 4)]),
    "priority": (frame(h2_constants.PRIORITY, 0, 5, b"\0\0\0\0\1"), [(2, 0, 5, b"", 5)]),
    "type that nobody knows": (frame(0xBE, 0xEF, 5, b"what"), [(0xBE, 0xEF, 5, b"", 4)]),
    "type that nobody knows, of no bytes": (frame(10), [(10, 0, 0, b"", 0)]),
    "several": (
        frame(h2_constants.HEADERS, 4, 1, b"h")
        + frame(h2_constants.DATA, 0, 1, b"d")
        + control.SETTINGS_ACK
        + frame(h2_constants.DATA, 1, 1),
        [(1, 4, 1, b"h", 1), (0, 0, 1, b"d", 1), (4, 1, 0, [], 0), (0, 1, 1, b"", 0)],
    ),
}


@pytest.mark.parametrize(("raw", "frames"), READ.values(), ids=READ)
def test_frames_are_read_however_they_come(kernel, ways, raw, frames):
    for way in ways(FIRST + raw):
        reader = kernel.FrameReader()
        assert joined(read(reader, FIRST + raw, way)) == [FIRST_READ, *frames]
        assert not reader.broken
        # All of it was taken: the next frame begins with the next byte.
        following = control.ping_frame(b"the next")
        assert reader.feed(following, 0, len(following)) == [(h2_constants.PING, 0, 0, b"the next", 8)]


def test_data_is_handed_out_as_it_comes(kernel):
    raw = FIRST + frame(h2_constants.DATA, h2_constants.PADDED | h2_constants.END_STREAM, 1, padded(b"abcdef", 3))
    reader = kernel.FrameReader()
    ends = [9 + 9, 9 + 9 + 1, 9 + 9 + 3, 9 + 9 + 3, 9 + 9 + 7, 9 + 9 + 8, len(raw)]
    came = [reader.feed(raw, at, end) for at, end in pairwise([0, *ends])]
    assert came == [
        [FIRST_READ],
        [],
        [(0, 8, 1, b"ab", 3)],
        [],
        [(0, 8, 1, b"cdef", 4)],
        [],
        [(0, 9, 1, b"", 3)],
    ]


def test_data_before_its_padding_is_handed_out_with_it_where_both_are_there(kernel):
    raw = FIRST + frame(h2_constants.DATA, 9, 1, padded(b"abcdef", 3))
    for cut in range(19, 28):
        reader = kernel.FrameReader()
        frames = reader.feed(raw, 0, cut) + reader.feed(raw, cut, len(raw))
        assert joined(frames) == [FIRST_READ, (0, 9, 1, b"abcdef", 10)]
        assert len(frames) == 2 + (cut > 19)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_read(kernel, wrap):
    raw = b"before" + SETTINGS + b"after"
    assert kernel.FrameReader().feed(wrap(raw), 6, 6 + len(SETTINGS)) == [SETTINGS_READ]


def test_what_is_handed_out_does_not_change_with_the_buffer(kernel):
    reader = kernel.FrameReader()
    raw = bytearray(FIRST + frame(h2_constants.DATA, 0, 1, b"abc") + frame(h2_constants.HEADERS, 4, 1, b"block"))
    frames = reader.feed(raw, 0, len(raw))
    raw[:] = b"\xff" * len(raw)
    assert [contents for _, _, _, contents, _ in frames] == [[], b"abc", b"block"]
    assert all(type(contents) is bytes for _, _, _, contents, _ in frames[1:])


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (0, 10), (4, 3), (10, 10)])
def test_bytes_outside_of_the_buffer_are_refused(kernel, start, end):
    with pytest.raises(ValueError, match=f"bytes {start} to {end} of 9 cannot be read"):
        kernel.FrameReader().feed(FIRST, start, end)


REFUSED = vectors.read("../http2/frames_refused")


def test_document_holds_cases():
    assert len(REFUSED) > 30
    assert all(vector.error for vector in REFUSED)


@pytest.mark.parametrize("vector", REFUSED, ids=str)
def test_wrong_frames_are_reported_however_they_come(kernel, ways, vector):
    name, stream_id = vector.result.split()
    code = h2_constants.ERROR_NAMES.index(name)
    raw = FIRST + vector.data + control.ping_frame(b"goes on?")
    for way in ways(raw):
        reader = kernel.FrameReader()
        frames = read(reader, raw, way)
        error = next(contents for kind, _, _, contents, _ in frames if kind == h2_constants.ERROR)
        assert isinstance(error, Http2Error)
        assert str(error) == vector.error
        assert (error.code, error.stream_id) == (code, int(stream_id))
        kinds = [kind for kind, *_ in frames if kind != h2_constants.HEADERS]
        # What costs a stream does not end the reading.
        assert kinds == [h2_constants.SETTINGS, h2_constants.ERROR] + [h2_constants.PING] * (error.stream_id != 0)
        assert reader.broken is (error.stream_id == 0)
        assert next(frame[1:3] for frame in frames if frame[0] == h2_constants.ERROR) == (code, error.stream_id)


def test_frames_before_a_fault_are_handed_out_and_none_after_it(kernel):
    reader = kernel.FrameReader()
    data = frame(h2_constants.DATA, 1, 1, b"kept")
    raw = FIRST + data + frame(h2_constants.PUSH_PROMISE) + data
    assert [kind for kind, *_ in reader.feed(raw, 0, len(raw))] == [
        h2_constants.SETTINGS,
        h2_constants.DATA,
        h2_constants.ERROR,
    ]
    assert reader.feed(data, 0, len(data)) == []


@pytest.mark.parametrize(
    ("raw", "hint"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", " (this is HTTP/1)"),
        (b"\x15\x03\x03\x00\x02\x02\x46\0\0", " (this is TLS)"),
        (control.ping_frame(b"01234567"), ""),
        (control.SETTINGS_ACK, ""),
        (frame(h2_constants.HEADERS, 4, 1, b"\x88"), ""),
    ],
)
def test_first_frame_has_to_be_settings(kernel, ways, raw, hint):
    for way in ways(raw):
        reader = kernel.FrameReader()
        ((kind, code, stream_id, error, _),) = read(reader, raw, way)
        assert (kind, code, stream_id) == (h2_constants.ERROR, h2_constants.PROTOCOL_ERROR, 0)
        assert re.search(r"expected a SETTINGS frame to begin with \(RFC 9113 s.3.4\), got b'", str(error))
        assert str(error).endswith(f"{raw[:9]!r}{hint}")


def test_frame_may_be_as_large_as_its_limit(kernel):
    for limit in (16384, 20000):
        for size in (limit - 1, limit, limit + 1):
            reader = kernel.FrameReader(limit)
            raw = FIRST + frame(h2_constants.DATA, 0, 1, b"x" * size)
            frames = reader.feed(raw, 0, len(raw))
            if size <= limit:
                assert frames[1] == (h2_constants.DATA, 0, 1, b"x" * size, size)
                continue
            message = f"DATA of {size} bytes is above the limit of {limit} (RFC 9113 s.4.2)"
            assert (frames[1][1], str(frames[1][3])) == (h2_constants.FRAME_SIZE_ERROR, message)


def test_limit_of_frames_can_be_raised(kernel):
    reader = kernel.FrameReader()
    reader.max_frame_size = 20_000
    raw = FIRST + frame(h2_constants.DATA, 0, 1, b"x" * 20_000)
    assert len(reader.feed(raw, 0, len(raw))) == 2
    assert not reader.broken


def test_oversized_frame_is_refused_by_its_head_alone(kernel):
    reader = kernel.FrameReader()
    raw = FIRST + b"\xff\xff\xff\0\0\0\0\0\1"
    assert [kind for kind, *_ in reader.feed(raw, 0, len(raw))] == [h2_constants.SETTINGS, h2_constants.ERROR]


def block_of(sizes):
    """A field block in frames of these sizes; the last one ends it."""
    kinds = [h2_constants.HEADERS] + [h2_constants.CONTINUATION] * (len(sizes) - 1)
    flags = [0] * (len(sizes) - 1) + [h2_constants.END_HEADERS]
    return FIRST + b"".join(
        frame(kind, flag, 1, b"x" * size) for kind, flag, size in zip(kinds, flags, sizes, strict=True)
    )


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ([16384] * 7 + [16383], True),
        ([16384] * 8, True),
        ([16384] * 8 + [0], True),
        ([16384] * 8 + [1], False),
        ([0] * (1 + h2_constants.MAX_CONTINUATIONS - 1), True),
        ([0] * (1 + h2_constants.MAX_CONTINUATIONS), True),
        ([0] * (1 + h2_constants.MAX_CONTINUATIONS + 1), False),
    ],
)
def test_block_may_be_as_large_as_its_limits(kernel, sizes, fits):
    assert h2_constants.MAX_BLOCK_SIZE == 8 * 16384
    reader = kernel.FrameReader()
    raw = block_of(sizes)
    _, (kind, flags, stream_id, contents, size) = reader.feed(raw, 0, len(raw))
    if fits:
        assert (kind, flags, stream_id, contents, size) == (1, 4, 1, b"x" * sum(sizes), sum(sizes))
        return
    assert (kind, flags, stream_id) == (h2_constants.ERROR, h2_constants.ENHANCE_YOUR_CALM, 0)
    assert (
        f"more than {h2_constants.MAX_BLOCK_SIZE} bytes or {h2_constants.MAX_CONTINUATIONS} CONTINUATION frames"
        in str(contents)
    )


@pytest.mark.parametrize(
    ("limit", "sizes", "fits"),
    [
        (600_000, [10_000] * 60, True),
        (600_000, [10_000] * 60 + [1], False),
        (600_000, [1] * 293, True),  # 600,000 bytes in frames of 2048 each
        (600_000, [1] * 294, False),
        (1000, [1000], True),
        (1000, [1001], False),
        (1000, [0] * (1 + h2_constants.MAX_CONTINUATIONS), True),
        (1000, [0] * (2 + h2_constants.MAX_CONTINUATIONS), False),
    ],
)
def test_limits_of_a_block_can_be_set(kernel, limit, sizes, fits):
    reader = kernel.FrameReader(16384, limit)
    raw = block_of(sizes)
    kind, _, _, contents, _ = reader.feed(raw, 0, len(raw))[1]
    assert (kind == h2_constants.HEADERS) is fits
    if not fits:
        assert f"more than {limit} bytes or " in str(contents)


def test_block_after_a_long_one_has_limits_of_its_own(kernel):
    reader = kernel.FrameReader()
    raw = block_of([16384] * 8) + block_of([0] * (1 + h2_constants.MAX_CONTINUATIONS))[9:] + block_of([16384] * 8)[9:]
    assert len(reader.feed(raw, 0, len(raw))) == 4
    assert not reader.broken


def test_skipped_contents_are_not_kept(kernel, tracemalloc):
    reader = kernel.FrameReader()
    raw = FIRST + frame(0xBE, 0, 1, b"x" * 16384) * 64
    tracemalloc.start()
    try:
        assert len(reader.feed(raw, 0, len(raw))) == 65
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 32768


def test_frames_of_another_implementation_are_read(kernel):
    hyperframe = pytest.importorskip("hyperframe.frame")
    chance = random.Random(9113)
    for _ in range(300):
        stream_id, padding = chance.randrange(1, 2**31), chance.choice([0, 0, 5, 255])
        body = chance.randbytes(chance.choice([0, 1, 100, 5000]))
        data = hyperframe.DataFrame(stream_id, body, flags=["PADDED"] if padding else [], pad_length=padding)
        headers = hyperframe.HeadersFrame(stream_id, body, flags=["END_HEADERS", "PRIORITY", "END_STREAM"])
        increment = chance.randrange(1, 2**31)
        window = hyperframe.WindowUpdateFrame(stream_id, window_increment=increment)
        goaway = hyperframe.GoAwayFrame(0, last_stream_id=stream_id, error_code=7, additional_data=body)
        raw = FIRST + b"".join(each.serialize() for each in (data, headers, window, goaway))
        read_back = kernel.FrameReader().feed(raw, 0, len(raw))[1:]
        assert [frame[3] for frame in read_back] == [body, body, increment, (stream_id, 7, body)]
        assert [frame[2] for frame in read_back] == [stream_id, stream_id, stream_id, 0]
        assert read_back[0][4] == data.flow_controlled_length


def parsed(raw):
    """What another implementation reads."""
    hyperframe = pytest.importorskip("hyperframe.frame")
    view, frames = memoryview(raw), []
    while view:
        read, size = hyperframe.Frame.parse_frame_header(view[:9])
        read.parse_body(view[9 : 9 + size])
        frames.append(read)
        view = view[9 + size :]
    return frames


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 32768, 40000])
def test_block_is_cut_into_frames_that_the_peer_takes(kernel, size):
    block = random.Random(size).randbytes(size)
    for end_stream in (False, True):
        raw = kernel.headers_frames(5, block, end_stream)
        frames = parsed(raw)
        assert b"".join(frame.data for frame in frames) == block
        assert [len(frame.data) for frame in frames[:-1]] == [16384] * (len(frames) - 1)
        assert all(frame.stream_id == 5 for frame in frames)
        assert [type(frame).__name__ for frame in frames] == ["HeadersFrame"] + ["ContinuationFrame"] * (
            len(frames) - 1
        )
        assert ("END_STREAM" in frames[0].flags) is end_stream
        assert ["END_HEADERS" in frame.flags for frame in frames] == [False] * (len(frames) - 1) + [True]
        assert kernel.FrameReader().feed(FIRST + raw, 0, 9 + len(raw))[1] == (1, 4 + end_stream, 5, block, size)


def test_block_is_cut_as_the_peer_asks_for(kernel):
    assert kernel.headers_frames(1, b"abcde", True, 2) == (
        frame(1, 1, 1, b"ab") + frame(9, 0, 1, b"cd") + frame(9, 4, 1, b"e")
    )
    assert kernel.headers_frames(1, b"abcd", False, 2) == frame(1, 0, 1, b"ab") + frame(9, 4, 1, b"cd")
    with pytest.raises(ValueError, match="frames of 0 bytes cannot hold a field block"):
        kernel.headers_frames(1, b"", False, 0)


def test_head_of_data_says_what_follows(kernel):
    assert kernel.data_head(1, 0, True) == frame(0, 1, 1)
    assert kernel.data_head(2**31 - 1, 2**24 - 1, False) == b"\xff\xff\xff\0\0\x7f\xff\xff\xff"
    (data,) = parsed(kernel.data_head(3, 5, True) + b"hello")
    assert (data.data, data.stream_id, set(data.flags)) == (b"hello", 3, {"END_STREAM"})


@pytest.mark.parametrize(("stream_id", "size"), [(0, 1), (-1, 1), (2**31, 1), (1, -1), (1, 2**24)])
def test_frame_that_cannot_be_is_not_written(kernel, stream_id, size):
    message = f"a frame of {size} bytes on stream {stream_id} cannot be"
    with pytest.raises(ValueError, match=message):
        kernel.data_head(stream_id, size, False)
    with pytest.raises(ValueError, match=message):
        kernel.headers_frames(stream_id, b"", False, size)


def test_control_frames_are_read_by_another_implementation():
    ours = (
        control.settings_frame([(1, 4096), (2, 0)]),
        control.SETTINGS_ACK,
        control.ping_frame(b"01234567"),
        control.ping_frame(b"01234567", ack=True),
        control.goaway_frame(3, 1, b"why"),
        control.reset_frame(7, h2_constants.CANCEL),
        control.window_update_frame(0, 1000),
    )
    settings, ack, ping, pong, goaway, reset, window = parsed(b"".join(ours))
    assert (settings.settings, set(settings.flags), set(ack.flags)) == ({1: 4096, 2: 0}, set(), {"ACK"})
    assert (ping.opaque_data, set(ping.flags), set(pong.flags)) == (b"01234567", set(), {"ACK"})
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (3, 1, b"why")
    assert (reset.stream_id, reset.error_code, window.stream_id, window.window_increment) == (7, 8, 0, 1000)


def test_control_frames_that_cannot_be_are_not_written():
    with pytest.raises(ValueError, match="a PING has 8 bytes, not 7"):
        control.ping_frame(b"0123456")
    for increment in (0, 2**31):
        with pytest.raises(ValueError, match=f"a window cannot grow by {increment} bytes"):
            control.window_update_frame(1, increment)


def reported(kernel, raw, way):
    """All that a reader says, call by call."""
    reader, at, calls = kernel.FrameReader(), 0, []
    for available in way:
        frames = reader.feed(raw, at, available)
        calls.append([frame if frame[0] != h2_constants.ERROR else (*frame[:3], str(frame[3])) for frame in frames])
        calls.append(reader.broken)
        at = available
    return calls


CORPUS = [raw for raw, _ in READ.values()] + [vector.data for vector in REFUSED]


def test_twins_agree_however_frames_come(twins, ways):
    for raw in CORPUS:
        for way in ways(FIRST + raw):
            compiled, pure = (reported(twin, FIRST + raw, way) for twin in twins)
            assert compiled == pure, (raw, way)


@pytest.mark.parametrize("seed", range(5))
def test_twins_agree_on_damaged_frames(twins, seed):
    chance = random.Random(seed)
    for _ in range(2000):
        raw = bytearray(FIRST + b"".join(chance.choices(CORPUS, k=3)))
        for _ in range(chance.randint(0, 3)):
            at = chance.randrange(len(raw))
            how = chance.randrange(3)
            if how == 0:
                raw[at] = chance.choice(b"\x00\x01\x04\x08\x09\x20\x7f\x80\xff")
            elif how == 1:
                del raw[at : at + chance.randint(1, 3)]
            else:
                raw[at:at] = bytes([chance.randrange(12)])
        cuts = sorted(chance.choices(range(len(raw) + 1), k=chance.randrange(4)))
        way = [*cuts, len(raw)]
        compiled, pure = (reported(twin, raw, way) for twin in twins)
        assert compiled == pure, (bytes(raw), way)


def test_pure_twin_takes_linear_steps_byte_by_byte(twins):
    def steps(size):
        taken = 0

        def step(frame, event, argument):
            nonlocal taken
            taken += event == "line"
            return step

        raw = FIRST + frame(h2_constants.DATA, 8, 1, padded(b"x" * size, 200)) + block_of([size, size])[9:]
        reader, before = twins[1].FrameReader(), sys.gettrace()
        sys.settrace(step)
        try:
            frames = [frame for at in range(len(raw)) for frame in reader.feed(raw, at, at + 1)]
        finally:
            sys.settrace(before)
        assert [len(frame[3]) for frame in joined(frames)] == [0, size, 2 * size]
        return taken

    assert steps(4000) <= 12 * steps(400)


def test_no_byte_is_copied_again_when_more_come(compiled, tracemalloc):
    raw = FIRST + frame(h2_constants.HEADERS, h2_constants.END_HEADERS, 1, b"x" * 16384)
    reader = compiled.FrameReader()
    reader.feed(raw, 0, 9 + 9 + 1)
    tracemalloc.start()
    try:
        for at in range(19, len(raw) - 1):
            reader.feed(raw, at, at + 1)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4096  # its place was made when its first byte came


def test_preface_is_that_of_the_rfc():
    assert bytes.fromhex("505249202a20485454502f322e300d0a0d0a534d0d0a0d0a") == h2_constants.PREFACE


def test_names_of_numbers_are_in_their_order():
    for names in (h2_constants.FRAME_NAMES, h2_constants.ERROR_NAMES):
        assert [getattr(h2_constants, name) for name in names] == list(range(len(names)))
