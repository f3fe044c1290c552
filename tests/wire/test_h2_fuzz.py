"""What servers have said, mutated at random: both kernels make the same of it, and never more than limits allow."""

from __future__ import annotations

import random
from itertools import product
from typing import Any, NamedTuple

import hpack
import pytest
from kernels import speak_http2

from httpx_fast._hpack_tables import HUFFMAN_CODES
from httpx_fast._wire import h2
from httpx_fast._wire.h2_stream import StreamReader
from httpx_fast._wire.heads import WireHead
from httpx_fast._wire.windows import CONNECTION_WINDOW, STREAM_WINDOW
from httpx_fast.testing import frames

ROUNDS = 1500  # mutated conversations for each seed
HEAD = WireHead(b"POST", b"https", b"example.org", b"/", [(b"Host", b"example.org"), (b"X-Thing", b"value")])
BODY = bytes(100_000)
OK = (":status", "200")
FIELDS = [
    [OK, ("content-type", "text/html"), ("content-length", "5"), ("set-cookie", "a=b")],
    [(":status", "404"), ("x-long", "v" * 300), ("server", "nginx")],
    [(":status", "103"), ("link", "</style.css>; rel=preload")],
    [("x-checksum", "12345")],
]


def recordings() -> list[list[bytes]]:
    """Conversations, frame by frame, which the client has nothing to say against."""
    encoder = hpack.Encoder()

    def head(stream: int, fields: list[tuple[str, str]], end: bool = False, cuts: tuple[int, ...] = ()) -> bytes:
        return frames.headers(stream, encoder.encode(fields), end=end, cuts=cuts)

    first = [
        frames.settings(max_concurrent_streams=100, initial_window_size=70_000, max_frame_size=20_000),
        frames.SETTINGS_ACK,
        frames.window_update(0, 100_000),
        head(1, FIELDS[0]),
        head(3, FIELDS[2]),
        frames.data(1, b"12345", end=True),
        head(3, FIELDS[1], cuts=(7, 40)),
        frames.data(3, b"x" * 300, padding=9),
        frames.ping(b"12345678"),
        frames.window_update(5, 50_000),
        frames.data(3, b""),
        head(3, FIELDS[3], end=True),
        frames.frame(0x20, 0, 0, b"extension"),
        head(5, FIELDS[0], end=False),
        frames.data(5, b"12345", end=True),
        frames.reset(5, "NO_ERROR"),
        frames.goaway(5, "NO_ERROR", b"bye"),
    ]
    encoder = hpack.Encoder()
    second = [
        frames.settings(header_table_size=100, initial_window_size=10),
        head(1, FIELDS[1]),
        *(frames.data(stream, bytes((stream,)) * 1000) for stream in (1, 1, 1)),
        frames.settings(initial_window_size=5),
        head(5, FIELDS[1]),
        frames.data(5, b"y" * 1000, end=True),
        frames.reset(3, "REFUSED_STREAM"),
        frames.window_update(5, 3),
        frames.settings(header_table_size=4096, enable_connect_protocol=1),
        frames.data(1, b"", end=True),
    ]
    return [first, second]


RECORDINGS = recordings()


def mutated(dice: random.Random) -> bytes:
    """A conversation with its frames shuffled, lost, repeated and cut, and with some of its bytes changed."""
    said = list(dice.choice(RECORDINGS))
    for _ in range(dice.choice((0, 0, 1, 2))):
        at, other = dice.randrange(len(said)), dice.randrange(len(said))
        match dice.randrange(4):
            case 0:
                del said[at]
            case 1:
                said.insert(other, said[at])
            case 2:
                said[at], said[other] = said[other], said[at]
            case 3:
                said[at] = said[at] * dice.choice((2, 40, 2100))
    raw = bytearray(b"".join(said))
    for _ in range(dice.choice((0, 1, 1, 2, 5))):
        at = dice.randrange(len(raw))
        match dice.randrange(5):
            case 0:
                raw[at] ^= 1 << dice.randrange(8)
            case 1:
                raw[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            case 2:
                del raw[at : at + dice.choice((1, 2, 9))]
            case 3:
                raw[at:at] = dice.randbytes(dice.choice((1, 2, 9, 30)))
            case 4:
                raw[at : at + 9] = frames.frame(
                    dice.randrange(11), dice.randrange(256), dice.choice((0, 1, 2, 3, 5, 7, 2**31 - 1))
                )
    return bytes(raw[: dice.randrange(len(raw))] if dice.random() < 0.1 else raw)


class Told(NamedTuple):
    """All that can be seen of a session and its streams after some bytes."""

    streams: list[Any]
    said: bytes
    counts: tuple[Any, ...]
    broken: str


def told(session: h2.Session, streams: list[StreamReader]) -> Told:
    said = b"".join(session.outgoing)
    session.outgoing.clear()
    return Told(
        [
            (
                stream.state,
                stream.head and (stream.head.status, stream.head.flags, stream.head.fields()),
                [(interim.status, interim.fields()) for interim in stream.interim],
                list(stream.chunks),
                list(stream.trailers),
                repr(stream.error),
                stream.error is not None and stream.error.unprocessed,
                (stream.granted, stream.left, stream.owed, stream.window_out, stream.sending, stream.blocked),
            )
            for stream in streams
        ],
        said,
        (session.room, session.window_out, session.peer_limit, session.draining, session.settled, session.farewell),
        repr(session.broken),
    )


def conversation(raw: bytes, cuts: list[int], claims: bool, plain: bool = False) -> list[Told]:
    session = h2.Session()
    streams = [
        StreamReader(b"POST", whole=True),
        StreamReader(b"POST", whole=False),
        StreamReader(b"POST", whole=False),
    ]
    for stream in streams:
        stream.plain = plain
        session.open(stream, HEAD, end=stream is not streams[2])
    sent = session.send(streams[2], BODY, True)
    seen = [told(session, streams)]
    for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        session.feed(raw[start:stop], 0.0)
        if streams[2].sending and session.broken is None:
            sent += session.send(streams[2], BODY[sent:], True)
        seen.append(told(session, streams))
        if claims:
            for stream in streams[1:]:
                session.claim(stream)
        assert sum(map(len, streams[1].chunks)) <= STREAM_WINDOW
        assert 0 <= session.room <= CONNECTION_WINDOW
        assert session._decoder.table_size <= 4096
        # Nothing that comes makes us say much more than that: a PING of 17 bytes is answered by as many.
        assert sum(len(each.said) for each in seen[1:]) <= sent + 9 * len(seen) + 4 * stop + 1000
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_both_kernels_make_the_same_of_what_servers_never_say(monkeypatch: pytest.MonkeyPatch, seed: int):
    dice = random.Random(seed)
    outcomes: dict[str, int] = {}
    for _ in range(ROUNDS):
        raw = mutated(dice)
        cuts = sorted(dice.randrange(len(raw) + 1) for _ in range(dice.choice((0, 1, 5))))
        claims = dice.random() < 0.5
        seen = []
        for kernel, plain in product(("python", "c"), (False, True)):
            speak_http2(kernel, monkeypatch)
            seen.append(conversation(raw, cuts, claims, plain))
        assert seen.count(seen[0]) == 4, f"seed {seed}: {raw!r} cut at {cuts}"
        broken = seen[0][-1].broken
        outcomes[broken[:40]] = outcomes.get(broken[:40], 0) + 1
    # Mutations that break nothing, or always the same, would prove nothing.
    assert ROUNDS // 10 < outcomes["None"] < ROUNDS * 9 // 10
    assert len(outcomes) > 20


@pytest.mark.parametrize("seed", range(2))
def test_both_kernels_make_the_same_of_any_field_block(monkeypatch: pytest.MonkeyPatch, seed: int):
    """Bytes that look like HPACK, as one conversation of many blocks, since each changes the table."""
    dice = random.Random(seed)

    def string() -> bytes:
        if dice.random() < 0.5:
            raw = bytes(dice.choice(b"ab:-Z\0\n \xff") for _ in range(dice.randrange(6)))
            return bytes((len(raw),)) + raw
        symbols = [dice.randrange(dice.choice((128, 257))) for _ in range(dice.randrange(5))]
        bits = "".join(f"{code:0{size}b}" for code, size in (HUFFMAN_CODES[symbol] for symbol in symbols))
        bits += dice.choice("1111110")[:1] * (-len(bits) % 8)
        raw = int(bits or "0", 2).to_bytes(len(bits) // 8, "big")
        return bytes((0x80 | len(raw),)) + raw

    def field() -> bytes:
        match dice.randrange(7):
            case 0:
                return bytes((0x80 | dice.choice((8, 9, 13, 28, 58, 62, 63, 65, 0)),))
            case 1 | 2:
                return b"\x40" + string() + string()
            case 3:
                return bytes((dice.choice((0x48, 0x5C, 0x7E, 0x0F, 0x1F, 0x10)),)) + string()
            case 4:
                return bytes((dice.choice((0x20, 0x21, 0x3F)),)) + dice.choice((b"", b"\x01", b"\xe1\x1f"))
            case _:
                return b"\0" + string() + string()

    failed = 0
    for _ in range(ROUNDS):
        blocks = [b"\x88" + b"".join(field() for _ in range(dice.randrange(4))) for _ in range(4)]
        raw = frames.settings() + b"".join(
            frames.headers(stream, each) for stream, each in zip((1, 3, 5, 1), blocks, strict=True)
        )
        seen = []
        for kernel in ("python", "c"):
            speak_http2(kernel, monkeypatch)
            seen.append(conversation(raw, [], False))
        assert seen[0] == seen[1], f"seed {seed}: {blocks}"
        failed += seen[0][-1].broken != "None"
    assert ROUNDS // 20 < failed < ROUNDS * 19 // 20
