"""Client CPU of HTTP/2 in bytes: HPACK and frames, both twins, and the packages that other clients stand on.

    python -m pytest bench/test_bench_hpack.py

A round is a batch of 1,000, timed by the processor time of this process, so the table's milliseconds are microseconds
for each one; a round of a body is one body. Ratios within one run are what may be compared.

"warm" is a block like the one before it, "news" one of which two fields have changed, "cold" the first one of a
connection. "+facts" asks for what a client has to know of a response, as whoever reads one does.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

hpack = pytest.importorskip("hpack")
hyperframe = pytest.importorskip("hyperframe.frame")

BATCH = 1000
READ = 65536  # bytes that a socket gives at once

PROCESSOR_TIME = pytest.mark.benchmark(timer=time.process_time, min_rounds=5, max_time=1, warmup=True)

RESPONSE = [
    (b":status", b"200"),
    (b"server", b"nginx/1.22.1"),
    (b"content-length", b"1024"),
    (b"date", b"Sun, 22 Nov 2026 07:00:00 GMT"),
    (b"content-type", b"application/json; charset=utf-8"),
    (b"cache-control", b"no-cache, no-store, max-age=0, must-revalidate"),
    (b"etag", b'W/"5f3c-1a2b3c4d5e6f708192a3b4c5d6e7f809"'),
    (b"x-request-id", b"0f8fad5b-d9cb-469f-a165-70867728950e"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"vary", b"Accept-Encoding, Origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"set-cookie", b"session=9f86d081884c7d659a2feaa0c55ad015; Path=/; HttpOnly"),
]
REQUEST = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"example.com"),
    (b":path", b"/api/v1/items?limit=10"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"user-agent", b"python-client/1.0"),
    (b"authorization", b"Bearer 0123456789abcdef"),
)
REQUESTS = [(*REQUEST[:3], (b":path", b"/api/v1/items/%d" % number), *REQUEST[4:]) for number in range(BATCH)]


def changed(number: int) -> list[tuple[bytes, bytes]]:
    """Return the response with another date and another identifier."""
    news = {
        b"date": b"Sun, 22 Nov 2026 07:%02d:%02d GMT" % divmod(number % 3600, 60),
        b"x-request-id": b"%036x" % number,
    }
    return [(name, news.get(name, value)) for name, value in RESPONSE]


def blocks(kind: str) -> tuple[bytes, list[bytes]]:
    """Return the first block of a connection, and a batch of those after it."""
    encoder = hpack.Encoder()
    first = encoder.encode(RESPONSE)
    if kind == "cold":
        return first, [first] * BATCH
    if kind == "warm":
        return first, [encoder.encode(RESPONSE)] * BATCH
    return first, [encoder.encode(changed(number)) for number in range(BATCH)]


def twin(kernel: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(f"httpx_fast._kernel.{kernel}_{name}")
    except ImportError as error:
        pytest.skip(str(error))


def jh2() -> Any:
    return pytest.importorskip("jh2._hazmat", reason="the Rust coder of jh2 is not installed")


#: What makes a decoder of blocks, by name.
DECODERS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "c": lambda: twin("hpack", "c").HpackDecoder().decode,
    "c+facts": lambda: twin("hpack", "c").HpackDecoder().decode_response,
    "python": lambda: twin("hpack", "py").HpackDecoder().decode,
    "python+facts": lambda: twin("hpack", "py").HpackDecoder().decode_response,
    "hpack": lambda: raw(hpack.Decoder()),
    "jh2": lambda: raw(jh2().Decoder()),
}


def raw(decoder: Any) -> Callable[[bytes], Any]:
    return lambda block: decoder.decode(block, raw=True)


@PROCESSOR_TIME
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("kind", ["warm", "news", "cold"])
def test_bench_blocks_decoded(benchmark, kind, decoder):
    benchmark.group = f"1,000 {kind} blocks of 12 fields decoded"
    make = DECODERS[decoder]
    first, batch = blocks(kind)

    def prepared() -> tuple[tuple[Callable[[bytes], Any]], dict[str, Any]]:
        decode = make()
        decode(first)
        return (decode,), {}

    def decode_all(decode: Callable[[bytes], Any]) -> None:
        for block in batch:
            decode(block)

    def decode_first(_decode: Callable[[bytes], Any]) -> None:
        for block in batch:
            make()(block)

    benchmark.pedantic(decode_first if kind == "cold" else decode_all, setup=prepared, rounds=15, warmup_rounds=1)


#: What makes an encoder of field sections, by name.
ENCODERS: dict[str, Callable[[], Callable[[Any], bytes]]] = {
    "c": lambda: twin("hpack_encoder", "c").HpackEncoder().encode,
    "python": lambda: twin("hpack_encoder", "py").HpackEncoder().encode,
    "hpack": lambda: hpack.Encoder().encode,
    "jh2": lambda: jh2().Encoder().encode,  # from triples, the third member says whether the field is a secret
}


@PROCESSOR_TIME
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("kind", ["repeated", "repeated, made anew", "other path"])
def test_bench_requests_encoded(benchmark, kind, encoder):
    benchmark.group = f"1,000 requests of 8 fields encoded, {kind}"
    encode = ENCODERS[encoder]()
    heads = {
        "repeated": [REQUEST] * BATCH,
        "repeated, made anew": [list(REQUEST) for _ in range(BATCH)],
        "other path": REQUESTS,
    }[kind]
    if encoder == "jh2":
        heads = [[(*field, False) for field in head] for head in heads]

    def batch():
        for head in heads:
            encode(head)

    benchmark(batch)


SETTINGS = b"\0\0\0\4\0\0\0\0\0"
EXCHANGE = b"\0\0\x28\1\4\0\0\1\1" + b"h" * 40 + b"\0\4\0\0\1\0\0\1\1" + b"d" * 1024
BODY = (b"\0\x40\0\0\0\0\0\0\1" + b"d" * 16384) * 64


def frames_by_twin(name: str) -> Callable[[memoryview], None]:
    reader = twin("frames", name).FrameReader()
    reader.feed(SETTINGS, 0, len(SETTINGS))

    def read(data: memoryview) -> None:
        for _type, _flags, _stream_id, _contents, _size in reader.feed(data, 0, len(data)):
            pass

    return read


def frames_by_hyperframe() -> Callable[[memoryview], None]:
    waiting = bytearray()

    def read(data: memoryview) -> None:
        waiting.extend(data)
        while len(waiting) >= 9:
            frame, size = hyperframe.Frame.parse_frame_header(memoryview(waiting[:9]))
            if len(waiting) < 9 + size:
                break
            frame.parse_body(memoryview(waiting[9 : 9 + size]))
            del waiting[: 9 + size]

    return read


FRAME_READERS: dict[str, Callable[[], Callable[[memoryview], None]]] = {
    "c": lambda: frames_by_twin("c"),
    "python": lambda: frames_by_twin("py"),
    "hyperframe": frames_by_hyperframe,
}


@PROCESSOR_TIME
@pytest.mark.parametrize("reader", FRAME_READERS)
def test_bench_frames_of_an_exchange(benchmark, reader):
    benchmark.group = "1,000 exchanges of HEADERS and 1 KiB of DATA"
    read, data = FRAME_READERS[reader](), memoryview(EXCHANGE)

    def batch():
        for _ in range(BATCH):
            read(data)

    benchmark(batch)


@PROCESSOR_TIME
@pytest.mark.parametrize("reader", FRAME_READERS)
def test_bench_frames_of_1_mib(benchmark, reader):
    benchmark.group = "1 MiB of DATA in frames of 16 KiB, read by 64 KiB"
    read, data = FRAME_READERS[reader](), memoryview(BODY)

    def body():
        for start in range(0, len(data), READ):
            read(data[start : start + READ])

    benchmark(body)
