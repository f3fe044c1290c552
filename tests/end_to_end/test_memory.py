"""What many connections, and many tasks, hold of memory while nothing happens with them.

Only what this package's lines allocate is counted, so the server may live in the same loop. asyncio alone: there a
process has thousands of either.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import httpx_fast

tracemalloc = pytest.importorskip("tracemalloc", reason="PyPy has none")

FEW = 4
MANY = 200
KIB = 1024
HEAD = b"HTTP/1.1 200 OK\r\nServer: patient\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Answers(asyncio.Protocol):
    """Answers nobody before `wanted` requests are there."""

    waiting: list[asyncio.Transport]
    wanted: int

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting.append(self.transport)
        if len(self.waiting) >= self.wanted:
            for transport in self.waiting:
                transport.write(HEAD)
            self.waiting.clear()


@contextlib.asynccontextmanager
async def server(wanted: int) -> AsyncIterator[tuple[type[Answers], str]]:
    kind = type("Kind", (Answers,), {"waiting": [], "wanted": wanted})
    listening = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", 0, backlog=MANY)
    async with listening:
        yield kind, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


def held() -> int:
    """Bytes that lines of this package have allocated, and nobody has freed."""
    gc.collect()
    package = tracemalloc.Filter(True, str(Path(httpx_fast.__file__).parent / "*"))
    return sum(each.size for each in tracemalloc.take_snapshot().filter_traces([package]).statistics("filename"))


def client(connections: int) -> httpx_fast.AsyncClient:
    limits = httpx_fast.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=None
    )
    return httpx_fast.AsyncClient(limits=limits, timeout=600, trust_env=False)


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_an_idle_connection_holds_less_than_2_and_a_half_kib(traced):
    async def body() -> float:
        async with server(1) as (kind, url), client(MANY + 1) as asking:
            await asking.get(url)
            kind.wanted = FEW
            await asyncio.gather(*(asking.get(url) for _ in range(FEW)))  # what is done once, is done
            before = held()
            kind.wanted = MANY
            await asyncio.gather(*(asking.get(url) for _ in range(MANY)))
            await asyncio.sleep(0)  # until here the loop holds what woke this task, and with that the responses
            return (held() - before) / (MANY - FEW)

    raw = asyncio.run(body())
    assert 1 * KIB < raw < 2.5 * KIB


def test_a_request_whose_connection_is_dialled_holds_less_than_7_kib(traced):
    # As many as are dialled at once hold this, and what an allocator keeps of it afterwards is what a process shows.
    async def body() -> float:
        async with server(1) as (kind, url), client(MANY + 1) as asking:
            await asking.get(url)
            kind.wanted = MANY
            before = held()
            tasks = [asyncio.ensure_future(asking.get(url)) for _ in range(MANY)]
            await asyncio.sleep(0)
            assert asking.pool.stats().connecting == MANY - 1
            raw = (held() - before) / MANY
            await asyncio.gather(*tasks)
            return raw

    raw = asyncio.run(body())
    assert 1 * KIB < raw < 7 * KIB


def test_a_task_that_waits_for_a_connection_holds_less_than_4_kib(traced):
    async def body() -> float:
        async with server(1) as (kind, url), client(1) as asking:
            await asking.get(url)
            kind.wanted = 2  # nobody is answered
            before = held()
            tasks = [asyncio.ensure_future(asking.get(url)) for _ in range(MANY)]
            await asyncio.sleep(0)
            assert asking.pool.stats().waiting == MANY - 1
            raw = (held() - before) / MANY
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return raw

    raw = asyncio.run(body())
    assert 1 * KIB < raw < 4 * KIB
