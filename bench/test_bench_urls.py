"""Client CPU of URLs and content codings, without any request.

    python -m pytest bench/test_bench_urls.py

A round is a batch of 1,000, timed by the processor time of this process, so the table's milliseconds are microseconds
for each one. httpx2 runs in the same table; ratios within one run are what may be compared. "cold" URLs were never seen
before; a "warm" one is asked again for what a transport wants of it.
"""

from __future__ import annotations

import gzip
import itertools
import json
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import httpx2
import pytest

import httpx_fast
from httpx_fast._decoders import content_decoder, decode_at_once

BATCH = 1000

PROCESSOR_TIME = pytest.mark.benchmark(timer=time.process_time, min_rounds=10, max_time=1, warmup=False)
LIBRARIES = pytest.mark.parametrize("library", [httpx_fast, httpx2], ids=lambda library: library.__name__)

COLD = {
    "plain": "https://api.example.com:8443/v1/items/{}?limit=10&x=y",
    "address": "http://127.0.0.1:8000/items/{}",
    "well-known": "https://example.com/.well-known/{}",
    "userinfo": "https://user:secret@example.com/v1/items/{}?limit=10",
    "escapes": "https://example.com/v1/items/{} and more?q=a b",
    "IPv6": "http://[2001:db8::1]:8080/items/{}",
    "IDNA": "https://münchen.example/items/{}",
}


def for_transport(url: Any) -> None:
    """Read the parts of a URL that a request line, a Host field and a connection need."""
    url.raw_scheme, url.raw_host, url.port, url.netloc, url.raw_path  # noqa: B018


def batches(texts: Callable[[int], str]) -> Callable[[], tuple[tuple[list[str]], dict[str, Any]]]:
    """Set up rounds with a thousand texts that were never seen before."""
    numbers = itertools.count()
    return lambda: (([texts(next(numbers)) for _ in range(BATCH)],), {})


def run(benchmark: Any, one: Callable[[str], Any], setup: Callable[[], Any]) -> None:
    def batch(texts: list[str]) -> None:
        for text in texts:
            one(text)

    benchmark.pedantic(batch, setup=setup, rounds=30, warmup_rounds=2)


@PROCESSOR_TIME
@LIBRARIES
@pytest.mark.parametrize("case", COLD)
def test_cold_url_is_parsed(benchmark: Any, library: ModuleType, case: str) -> None:
    benchmark.group = f"URL, cold: {case}"
    run(benchmark, library.URL, batches(COLD[case].format))


@PROCESSOR_TIME
@LIBRARIES
def test_cold_url_goes_to_the_transport(benchmark: Any, library: ModuleType) -> None:
    benchmark.group = "URL, cold: plain, parsed and read by a transport"
    run(benchmark, lambda text: for_transport(library.URL(text)), batches(COLD["plain"].format))


def repeated(benchmark: Any, one: Callable[[], Any]) -> None:
    def batch() -> None:
        for _ in range(BATCH):
            one()

    benchmark(batch)


@PROCESSOR_TIME
@LIBRARIES
def test_warm_url_goes_to_the_transport(benchmark: Any, library: ModuleType) -> None:
    benchmark.group = "URL, warm: read by a transport"
    url = library.URL(COLD["plain"].format(1))
    for_transport(url)
    repeated(benchmark, lambda: for_transport(url))


@PROCESSOR_TIME
@LIBRARIES
def test_url_gets_params(benchmark: Any, library: ModuleType) -> None:
    benchmark.group = "URL with params"
    params = {"limit": 10, "q": "two words", "on": True}
    repeated(benchmark, lambda: library.URL("https://example.com/items", params=params))


@PROCESSOR_TIME
@LIBRARIES
def test_link_is_joined(benchmark: Any, library: ModuleType) -> None:
    benchmark.group = "URL.join"
    base = library.URL("https://example.com/a/b/c?x=y")
    repeated(benchmark, lambda: base.join("/login?next=1"))


BODY = json.dumps([{"id": i, "name": f"item {i}", "value": i * i / 7} for i in range(200)]).encode()


def _zlib(data: bytes) -> Iterator[bytes]:
    yield gzip.decompress(data)


def _streamed(data: bytes) -> Iterator[bytes]:
    decoder = content_decoder(["gzip"])
    yield from decoder.decode(data)
    yield from decoder.flush()


def _at_once(data: bytes) -> Iterator[bytes]:
    content = decode_at_once(["gzip"], data)
    assert content is not None
    yield content


def _httpx2(data: bytes) -> Iterator[bytes]:
    decoder = httpx2._decoders.GZipDecoder()
    yield from decoder.decode(data)
    yield from decoder.flush()


@PROCESSOR_TIME
@pytest.mark.parametrize("way", [_zlib, _at_once, _streamed, _httpx2], ids=lambda way: way.__name__)
def test_gzip_body_is_decoded(benchmark: Any, way: Callable[[bytes], Iterator[bytes]]) -> None:
    benchmark.group = f"gzip, {len(BODY)} bytes of JSON"
    data = gzip.compress(BODY)
    assert b"".join(way(data)) == BODY
    repeated(benchmark, lambda: b"".join(way(data)))
