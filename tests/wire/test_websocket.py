"""WebSocket frames: the RFC's examples, every rule of section 5, cut at every byte, and wsproto on the other side."""

from __future__ import annotations

import os
import random
import time

import pytest

from httpx_fast._wire import websocket
from httpx_fast._wire.websocket import BytesMessage, CloseConnection, MessageReader, Ping, Pong, TextMessage


def read(raw, cuts=(), limit=1 << 20):
    """Events and fault of `bytes` cut at these places."""
    reader = MessageReader(limit)
    events = []
    for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        found, error = reader.feed(raw[start:stop])
        events += found
        if error is not None:
            return events, (error.code, error.reason)
    return events, None


def server(opcode, payload=b"", final=True, reserved=0):
    """A frame as a server sends it."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([(0x80 if final else 0) | reserved | opcode]) + length + payload


GOOD = {
    # RFC 6455 s.5.7.
    "text": (b"\x81\x05Hello", [TextMessage("Hello")]),
    "fragments": (b"\x01\x03Hel\x80\x02lo", [TextMessage("Hello")]),
    "ping": (b"\x89\x05Hello", [Ping(b"Hello")]),
    "256 bytes": (b"\x82\x7e\x01\x00" + b"x" * 256, [BytesMessage(b"x" * 256)]),
    "64 KiB": (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 65536, [BytesMessage(b"x" * 65536)]),
    # Beyond.
    "empty": (server(1) + server(2), [TextMessage(""), BytesMessage(b"")]),
    "empty fragments": (server(2, b"", False) + server(0, b"", False) * 3 + server(0, b"x"), [BytesMessage(b"x")]),
    "between fragments": (
        server(1, b"a", False) + server(9, b"p") + server(0, b"b", False) + server(10, b"q") + server(0, b"c"),
        [Ping(b"p"), Pong(b"q"), TextMessage("abc")],
    ),
    "character over fragments": (
        server(1, b"\xf0\x9f", False) + server(0, b"\x98\x80"),
        [TextMessage("\U0001f600")],
    ),
    "125 in control": (server(9, b"x" * 125) + server(10), [Ping(b"x" * 125), Pong(b"")]),
    "close": (server(8, b"\x03\xe8bye"), [CloseConnection(1000, "bye")]),
    "close without code": (server(8), [CloseConnection(1005, None)]),
    "close without reason": (server(8, b"\x0f\xa0"), [CloseConnection(4000, "")]),
    "after close": (server(8) + b"\xff\xff nonsense", [CloseConnection(1005, None)]),
}
BAD = {
    "reserved bit 1": (server(1, b"x", reserved=0x40), 1002, "a reserved bit"),
    "reserved bit 3": (server(9, reserved=0x10), 1002, "a reserved bit"),
    "masked": (b"\x81\x85\0\0\0\0Hello", 1002, "a frame of the server is masked"),
    "opcode 3": (server(3), 1002, "unknown opcode 3"),
    "opcode 11": (server(11), 1002, "unknown opcode 11"),
    "fragmented control": (server(9, final=False), 1002, "a control frame is fragmented"),
    "large control": (server(9, b"x" * 126), 1002, "more than 125 bytes"),
    "continuation of nothing": (server(0, b"x"), 1002, "without a beginning"),
    "message within another": (server(1, b"x", False) + server(1, b"y"), 1002, "began within another"),
    "length in 2 bytes too long": (b"\x81\x7e\x00\x7d", 1002, "not written in the shortest way"),
    "length in 8 bytes too long": (b"\x81\x7f" + (65535).to_bytes(8, "big"), 1002, "not written in the shortest way"),
    "length with the first bit": (b"\x81\x7f\x80" + bytes(7), 1002, "not written in the shortest way"),
    "bad text": (server(1, b"a\xffb"), 1007, "a text message is no UTF-8"),
    "bad text before its end": (server(1, b"\xc0\x80", False), 1007, "a text message is no UTF-8"),
    "surrogate": (server(1, b"\xed\xa0\x80"), 1007, "a text message is no UTF-8"),
    "half a character": (server(1, b"\xe6\x97"), 1007, "a text message is no UTF-8"),
    "half a code": (server(8, b"\x03"), 1002, "invalid code 3"),
    "bad reason": (server(8, b"\x03\xe8\xff"), 1007, "the reason of a close frame is no UTF-8"),
    **{
        f"code {code}": (server(8, code.to_bytes(2, "big")), 1002, f"invalid code {code}")
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)
    },
}


def cuts_of(raw):
    size = len(raw)
    yield ()
    if size < 1000:
        yield range(1, size)
    yield from ((at,) for at in range(1, min(size, 300)))


@pytest.mark.parametrize("name", GOOD)
def test_frames_are_read_whole_byte_by_byte_and_cut_anywhere(name):
    raw, events = GOOD[name]
    for cuts in cuts_of(raw):
        assert read(raw, cuts) == (events, None), cuts


@pytest.mark.parametrize("name", BAD)
def test_what_breaks_the_protocol_is_told_with_its_code(name):
    raw, code, reason = BAD[name]
    for cuts in cuts_of(raw):
        events, error = read(server(9, b"before") + raw, [8, *(8 + at for at in cuts)])
        assert events == [Ping(b"before")]
        assert error is not None
        assert error[0] == code
        assert reason in error[1]


def test_nonsense_is_told_as_soon_as_it_can_be():
    assert read(b"\x83\x00")[1] == (1002, "a frame has the unknown opcode 3")
    assert read(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"))[1][0] == 1009
    assert read(b"\x01\x7e\x10\x00abc\xff")[1][0] == 1007


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_codes_that_may_be_sent_are_read(code):
    assert read(server(8, code.to_bytes(2, "big"))) == ([CloseConnection(code, "")], None)


@pytest.mark.parametrize("raw", [server(2, b"x" * 8), server(2, b"x" * 5, False) + server(0, b"x" * 3)])
def test_a_message_may_be_as_large_as_the_limit(raw):
    for limit in (8, 9):
        assert read(raw, limit=limit) == ([BytesMessage(b"x" * 8)], None)
    assert read(raw, limit=7) == ([], (1009, "a message has more than max_message_size_bytes=7 bytes"))


def test_empty_fragments_keep_no_memory():
    reader = MessageReader(10)
    reader.feed(server(1, b"", False))
    for _ in range(1000):
        assert reader.feed(server(0, b"", False)) == ([], None)
    assert not reader._text
    assert not reader._bytes


def test_reading_a_large_message_byte_by_byte_is_linear():
    raw = server(2, bytes(300_000))
    reader = MessageReader(1 << 20)
    began = time.perf_counter()
    events = [event for at in range(len(raw)) for event in reader.feed(raw[at : at + 1])[0]]
    assert events == [BytesMessage(bytes(300_000))]
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("size", [*range(20), 65535, 65536, 65537, 65538, 200_001])
def test_masking_is_byte_by_byte_xor_and_its_own_inverse(size):
    raw, key = random.Random(size).randbytes(size), b"\x01\xf0\x80\xff"
    masked = websocket.mask(raw, key)
    assert masked == bytes(byte ^ key[at % 4] for at, byte in enumerate(raw))
    assert websocket.mask(masked, key) == raw


def test_frames_are_written_as_in_the_rfc():
    assert websocket.frame(1, b"Hello", key=b"\x37\xfa\x21\x3d") == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert websocket.frame(2, bytes(126), False, bytes(4)) == b"\x02\xfe\x00\x7e" + bytes(130)
    assert websocket.frame(2, bytes(65536), key=bytes(4))[:14] == b"\x82\xff" + (65536).to_bytes(8, "big") + bytes(4)


def test_each_frame_has_a_key_of_its_own():
    assert len({websocket.frame(9, b"")[2:] for _ in range(100)}) == 100


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300_000])
def test_wsproto_reads_what_is_written(size):
    wsproto = pytest.importorskip("wsproto")
    peer = wsproto.Connection(wsproto.ConnectionType.SERVER)
    raw = os.urandom(size)
    peer.receive_data(websocket.frame(2, raw[: size // 2], False) + websocket.frame(0, raw[size // 2 :]))
    peer.receive_data(websocket.frame(9, b"there?") + websocket.close_frame(4001, "é" * 100))
    *data, ping, close = peer.events()
    assert b"".join(bytes(each.data) for each in data) == raw
    assert ping.payload == b"there?"
    assert (close.code, close.reason) == (4001, "é" * 61)


@pytest.mark.parametrize("code", [1005, 1006, 1015])
def test_codes_that_stand_for_none_are_not_written(code):
    assert websocket.close_frame(code, "gone")[:2] == b"\x88\x80"


def test_the_key_is_answered_as_in_the_rfc():
    assert websocket.accept_for("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert len(websocket.new_key()) == 24
    assert websocket.new_key() != websocket.new_key()


ACCEPTED = {
    "key": "dGhlIHNhbXBsZSBub25jZQ==",
    "upgrade": "WebSocket",
    "connection": "keep-alive, Upgrade",
    "accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "subprotocol": "chat",
    "offered": ["chat", "superchat"],
}


def test_a_good_answer_is_accepted():
    websocket.check_acceptance(**ACCEPTED)
    websocket.check_acceptance(**{**ACCEPTED, "subprotocol": None, "offered": []})


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("upgrade", "", "Upgrade is ''; expected 'websocket'"),
        ("upgrade", "h2c", "Upgrade is 'h2c'"),
        ("connection", "keep-alive", "Connection is 'keep-alive'; expected 'upgrade' in it"),
        ("accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=", "which answers another key"),
        ("accept", "", "which answers another key"),
        ("subprotocol", "shout", "the subprotocol 'shout' was not offered"),
    ],
)
def test_a_bad_answer_is_refused(name, value, complaint):
    with pytest.raises(websocket.WebSocketProtocolError, match=complaint):
        websocket.check_acceptance(**{**ACCEPTED, name: value})
