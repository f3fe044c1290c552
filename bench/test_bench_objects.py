"""Client CPU of everything above the transport: a request is built, sent to a transport that has its response ready,
and the response is read. No socket, no parser; so this is what a client costs whatever speaks to the network.

    python -m pytest bench/test_bench_objects.py

A round is a batch of 1,000 requests, timed by the processor time of this process, so the table's milliseconds are
microseconds for each request. httpx2 runs in the same table; ratios within one run are what may be compared.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import httpx2
import pytest
from loads import note_cost

import httpx_fast

BATCH = 1000
URL = "http://www.example.org/path/to/something?page=1"

PROCESSOR_TIME = pytest.mark.benchmark(timer=time.process_time, min_rounds=10, max_time=1, warmup=False)
LIBRARIES = pytest.mark.parametrize("library", [httpx_fast, httpx2], ids=lambda library: library.__name__)


def new_urls() -> Iterator[str]:
    return (f"http://www.example.org/path/to/{number}?page=1" for number in itertools.count())


def _warm(urls: Iterator[str]) -> tuple[str, str, dict[str, Any]]:
    return "GET", URL, {}


def _new(urls: Iterator[str]) -> tuple[str, str, dict[str, Any]]:
    return "GET", next(urls), {}


def _with_headers(urls: Iterator[str]) -> tuple[str, str, dict[str, Any]]:
    return "GET", URL, {"headers": {"X-Request-Id": "1"}}


def _with_params(urls: Iterator[str]) -> tuple[str, str, dict[str, Any]]:
    return "GET", URL, {"params": {"q": "1"}}


def _with_json(urls: Iterator[str]) -> tuple[str, str, dict[str, Any]]:
    return "POST", URL, {"json": {"name": "value"}}


CASES = {
    "warm URL": _warm,
    "new URL": _new,
    "headers": _with_headers,
    "params": _with_params,
    "json": _with_json,
}


def ready(library: ModuleType) -> Any:
    """Return a transport that has its response ready, for both clients of `library`."""
    response = library.Response(200, content=b'{"a": 1}', headers={"Content-Type": "application/json"})
    stream = response.stream

    def answer(request: Any) -> Any:
        response.stream = stream
        return response

    class Ready(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[name-defined, misc]
        def handle_request(self, request: Any) -> Any:
            return answer(request)

        async def handle_async_request(self, request: Any) -> Any:
            return answer(request)

    return Ready()


def measured(benchmark: Any, run: Callable[[], object]) -> None:
    run()
    benchmark(run)
    note_cost(benchmark, BATCH)


@PROCESSOR_TIME
@LIBRARIES
@pytest.mark.parametrize("case", CASES)
def test_blocking_client(benchmark, library: ModuleType, case: str):
    benchmark.group = f"blocking, {case}"
    client, make, urls = library.Client(transport=ready(library)), CASES[case], new_urls()

    def run() -> None:
        for _ in range(BATCH):
            method, url, options = make(urls)
            client.request(method, url, **options)

    measured(benchmark, run)


@PROCESSOR_TIME
@LIBRARIES
@pytest.mark.parametrize("case", CASES)
def test_asynchronous_client(benchmark, library: ModuleType, case: str):
    benchmark.group = f"asyncio, {case}"
    client, make, urls = library.AsyncClient(transport=ready(library)), CASES[case], new_urls()

    async def run() -> None:
        for _ in range(BATCH):
            method, url, options = make(urls)
            await client.request(method, url, **options)

    with asyncio.Runner() as runner:
        measured(benchmark, lambda: runner.run(run()))


@PROCESSOR_TIME
@LIBRARIES
def test_making_a_client(benchmark, library: ModuleType):
    """Measure construction without a TLS context; httpx2 makes none because a transport is passed."""
    benchmark.group = "making a client"
    transport = ready(library)

    def run() -> None:
        for _ in range(BATCH):
            library.Client(transport=transport)

    measured(benchmark, run)
