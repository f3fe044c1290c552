"""permessage-deflate: the RFC's examples, what may be agreed on, and bombs."""

from __future__ import annotations

import random
import zlib

import pytest

from httpx_fast._wire.websocket import BytesMessage, MessageReader, Ping, TextMessage, WebSocketProtocolError
from httpx_fast._wire.websocket_deflate import Deflate, agreed

OFFER = "permessage-deflate; client_max_window_bits"


def read(data, deflate, limit=1 << 20, cuts=()):
    reader = MessageReader(limit)
    reader.inflater = deflate
    events = []
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        found, error = reader.feed(data[start:stop])
        events += found
        if error is not None:
            return events, (error.code, error.reason)
    return events, None


@pytest.mark.parametrize(
    "data",
    [
        # RFC 7692 s.7.2.3.
        "c107f248cdc9c90700",
        "4103f248cd8004c9c90700",
        "c10b000500faff48656c6c6f00",
        "c108f348cdc9c9070000",
        "c10df248050000 00ffffcac9c90700",
    ],
)
def test_examples_of_the_rfc(data):
    data = bytes.fromhex(data)
    for cuts in ((), range(1, len(data))):
        assert read(data, Deflate(), cuts=cuts) == ([TextMessage("Hello")], None)


def test_a_message_may_refer_to_the_one_before_it():
    assert read(bytes.fromhex("c107f248cdc9c90700 c105f200110000"), Deflate()) == ([TextMessage("Hello")] * 2, None)
    events, error = read(bytes.fromhex("c107f248cdc9c90700 c105f200110000"), Deflate(forgets=True))
    assert events == [TextMessage("Hello")]
    assert error is not None
    assert "cannot be inflated" in error[1]


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


@pytest.mark.parametrize("data", ["c9 00", "a1 00", "4100 c0 00", "e1 00"])
def test_the_bit_belongs_to_the_first_frame_of_a_message(data):
    _, error = read(bytes.fromhex(data), Deflate())
    assert error == (1002, "a frame has a reserved bit that was not agreed on")


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
        (OFFER, "permessage-deflate; client_max_window_bits=7", "has the parameter"),
        (OFFER, "permessage-deflate; client_max_window_bits=08", "has the parameter"),
        (OFFER, "permessage-deflate; client_max_window_bits=16", "has the parameter"),
        (OFFER, "permessage-deflate; client_max_window_bits", "has the parameter"),
        (OFFER, "permessage-deflate; server_max_window_bits=16", "has the parameter"),
        (OFFER, "permessage-deflate; server_max_window_bits", "has the parameter"),
        (OFFER, "permessage-deflate; server_no_context_takeover=1", "has the parameter"),
        (OFFER, "permessage-deflate; foo", "has the parameter 'foo'"),
        (OFFER, "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9", "twice"),
    ],
)
def test_what_may_not_be_agreed_on(offered, answered, complaint):
    with pytest.raises(WebSocketProtocolError, match=complaint):
        agreed(offered, answered)


class Bits:
    """A raw deflate stream (RFC 1951), to see how far back it refers: zlib does not tell."""

    LENGTHS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195)
    LENGTHS = (*LENGTHS, 227, 258)
    ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

    def __init__(self, data):
        self.data, self.at = data, 0
        self.out = bytearray()
        self.farthest = 0

    def bits(self, count):
        value = 0
        for position in range(count):
            value |= (self.data[self.at >> 3] >> (self.at & 7) & 1) << position
            self.at += 1
        return value

    def symbol(self, codes):
        code, size = 0, 0
        while (size, code) not in codes:
            code, size = code << 1 | self.bits(1), size + 1
        return codes[size, code]

    @staticmethod
    def codes(sizes):
        code, found = 0, {}
        for size in range(1, 16):
            code <<= 1
            for symbol in (symbol for symbol, each in enumerate(sizes) if each == size):
                found[size, code] = symbol
                code += 1
        return found

    def trees(self):
        counts = [self.bits(5) + 257, self.bits(5) + 1, self.bits(4) + 4]
        sizes = [0] * 19
        for symbol in self.ORDER[: counts[2]]:
            sizes[symbol] = self.bits(3)
        codes, found = self.codes(sizes), []
        while len(found) < counts[0] + counts[1]:
            symbol = self.symbol(codes)
            if symbol < 16:
                found.append(symbol)
            elif symbol == 16:
                found += found[-1:] * (3 + self.bits(2))
            else:
                found += [0] * (3 + self.bits(3) if symbol == 17 else 11 + self.bits(7))
        return self.codes(found[: counts[0]]), self.codes(found[counts[0] :])

    def block(self, literals, distances):
        while (symbol := self.symbol(literals)) != 256:
            if symbol < 256:
                self.out.append(symbol)
                continue
            extra = 0 if symbol < 265 or symbol == 285 else (symbol - 261) // 4
            length = self.LENGTHS[symbol - 257] + self.bits(extra)
            code = self.symbol(distances)
            extra = max(code // 2 - 1, 0)
            distance = (code if code < 2 else (2 + code % 2) << extra) + 1 + self.bits(extra)
            self.farthest = max(self.farthest, distance)
            for _ in range(length):
                self.out.append(self.out[-distance])

    def read(self):
        final = False
        while not final and self.at < len(self.data) * 8:
            final, kind = self.bits(1), self.bits(2)
            if kind == 0:
                self.at = self.at + 7 & ~7
                size = self.bits(16)
                assert size ^ 0xFFFF == self.bits(16)
                self.out += bytes(self.bits(8) for _ in range(size))
            elif kind == 1:
                sizes = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8
                self.block(self.codes(sizes), self.codes([5] * 30))
            else:
                self.block(*self.trees())
        return bytes(self.out)


@pytest.mark.parametrize("bits", range(8, 16))
def test_what_is_sent_refers_no_farther_back_than_was_agreed(bits):
    deflate = agreed(OFFER, f"permessage-deflate; client_max_window_bits={bits}")
    assert deflate is not None
    chance = random.Random(7692)
    farthest = 0
    for period in (100, 249, 250, 251, 255, 256, 257, 258, 300, 505, 512, 513, 1000, 5000, 40_000):
        unit = chance.randbytes(period)
        text = unit * (2 + 2000 // period) + bytes(300) + unit[: period // 2] + unit
        stream = Bits(deflate.compress(text) + b"\0\0\xff\xff")
        assert stream.read() == text
        assert stream.farthest <= 2**bits
        farthest = max(farthest, stream.farthest)
    assert farthest > 2**bits // 4  # so the test would have seen more


def test_a_window_of_256_bytes_may_be_answered_to_the_offer():
    deflate = agreed(OFFER, "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8")
    assert deflate is not None
    text = b"a message that is repeated, " * 100
    compressed = deflate.compress(text)
    assert len(compressed) < len(text) / 10
    assert Deflate().inflate(compressed, True, 1 << 20) == text
