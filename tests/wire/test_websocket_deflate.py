"""permessage-deflate: the RFC's examples, what may be agreed on, and bombs."""

from __future__ import annotations

import zlib

import pytest

from httpx_fast._wire.websocket import BytesMessage, MessageReader, Ping, TextMessage, WebSocketFault
from httpx_fast._wire.websocket_deflate import Deflate, agreed

OFFER = "permessage-deflate; client_max_window_bits"


def read(octets, deflate, limit=1 << 20, cuts=()):
    reader = MessageReader(limit)
    reader.inflater = deflate
    events = []
    for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        found, fault = reader.feed(octets[start:stop])
        events += found
        if fault is not None:
            return events, (fault.code, fault.reason)
    return events, None


@pytest.mark.parametrize(
    "octets",
    [
        # RFC 7692 s.7.2.3.
        "c107f248cdc9c90700",
        "4103f248cd8004c9c90700",
        "c10b000500faff48656c6c6f00",
        "c108f348cdc9c9070000",
        "c10df248050000 00ffffcac9c90700",
    ],
)
def test_examples_of_the_rfc(octets):
    octets = bytes.fromhex(octets)
    for cuts in ((), range(1, len(octets))):
        assert read(octets, Deflate(), cuts=cuts) == ([TextMessage("Hello")], None)


def test_a_message_may_refer_to_the_one_before_it():
    assert read(bytes.fromhex("c107f248cdc9c90700 c105f200110000"), Deflate()) == ([TextMessage("Hello")] * 2, None)
    events, fault = read(bytes.fromhex("c107f248cdc9c90700 c105f200110000"), Deflate(forgets=True))
    assert events == [TextMessage("Hello")]
    assert fault is not None
    assert "cannot be inflated" in fault[1]


def test_messages_are_compressed_each_for_itself():
    deflate = Deflate(window_bits=9)
    text = b"to be or not to be " * 1000
    compressed = deflate.compress(text)
    assert len(compressed) < len(text) / 20
    assert deflate.compress(text) == compressed
    assert zlib.decompressobj(-9).decompress(compressed + b"\0\0\xff\xff") == text


def frame(payload, first=0xC2):
    return bytes([first]) + b"\x7e" + len(payload).to_bytes(2, "big") + payload


def test_a_bomb_is_stopped_at_the_limit():
    bomb = Deflate().compress(bytes(5_000_000))
    assert read(frame(bomb), Deflate(), limit=5_000_000) == ([BytesMessage(bytes(5_000_000))], None)
    assert read(frame(bomb), Deflate(), limit=4_999_999)[1] == (
        1009,
        "a compressed message has more than max_message_size_bytes",
    )


def test_messages_that_are_not_compressed_come_between():
    hello = bytes.fromhex("c107f248cdc9c90700")
    events = [TextMessage("Hello"), TextMessage("a"), Ping(b""), TextMessage("Hello")]
    assert read(hello + b"\x81\x01a\x89\x00" + hello, Deflate()) == (events, None)


@pytest.mark.parametrize("octets", ["c9 00", "a1 00", "4100 c0 00", "e1 00"])
def test_the_bit_belongs_to_the_first_frame_of_a_message(octets):
    _, fault = read(bytes.fromhex(octets), Deflate())
    assert fault == (1002, "a frame has a reserved bit that was not agreed on")


def test_nonsense_is_told():
    assert read(bytes.fromhex("c103ffffff"), Deflate())[1][0] == 1002


@pytest.mark.parametrize(
    ("offered", "answered", "expected"),
    [
        (OFFER, "", None),
        ("", " ", None),
        (OFFER, "permessage-deflate", (False, 15)),
        (OFFER, "Permessage-Deflate; server_no_context_takeover", (True, 15)),
        (OFFER, "permessage-deflate; client_no_context_takeover; server_max_window_bits=8", (False, 15)),
        (OFFER, 'permessage-deflate; client_max_window_bits="10"', (False, 10)),
    ],
)
def test_what_may_be_agreed_on(offered, answered, expected):
    found = agreed(offered, answered)
    assert (found and (found._forgets, found._window_bits)) == expected


@pytest.mark.parametrize(
    ("offered", "answered", "complaint"),
    [
        ("", "permessage-deflate", "was not offered"),
        (OFFER, "x-webkit-deflate-frame", "was not offered"),
        (OFFER, "permessage-deflate, permessage-deflate", "was not offered"),
        ("permessage-deflate", "permessage-deflate; client_max_window_bits=10", "has the parameter"),
        (OFFER, "permessage-deflate; client_max_window_bits=8", "has the parameter"),
        (OFFER, "permessage-deflate; server_max_window_bits=16", "has the parameter"),
        (OFFER, "permessage-deflate; server_max_window_bits", "has the parameter"),
        (OFFER, "permessage-deflate; server_no_context_takeover=1", "has the parameter"),
        (OFFER, "permessage-deflate; foo", "has the parameter 'foo'"),
        (OFFER, "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", "twice"),
    ],
)
def test_what_may_not_be_agreed_on(offered, answered, complaint):
    with pytest.raises(WebSocketFault, match=complaint):
        agreed(offered, answered)
