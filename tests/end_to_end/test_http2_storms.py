"""HTTP/2 with thousands of requests at once that are given up at any moment: nothing is lost, and nobody is starved."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from h2_model import RESPONSE, ModelServer
from servers import MIB

import httpx_fast
from httpx_fast._conn import http2_stream
from httpx_fast._wire import h2, h2_stream
from httpx_fast.testing import frames

CANCELLATIONS = 10_000
AT_ONCE = 50  # tasks; and threads, of which there are fewer
THREADS = 12
ONE = httpx_fast.Limits(max_connections=1)


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server
    assert not server.failures, server.failures


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """These take some ten seconds where nothing else is done, and many times that where much is."""
    monkeypatch.setattr("runners.PATIENCE", 240)


def expected(size: int) -> bytes:
    return RESPONSE[:size]


async def ask(
    client: Any, base: str, dice: random.Random, content: Callable[..., Any], timeout: float | httpx_fast.Timeout = 20
) -> None:
    """A request of some kind, read in some way."""
    size = dice.choice((0, 10, 3000, 70_000))
    url = base + dice.choice((f"/{size}", f"/slow/{size}"))
    match dice.randrange(6):
        case 0:
            assert (await client.get(url, timeout=timeout)).content == expected(size)
        case 1:
            assert (await client.post(url, content=bytes(200_000), timeout=timeout)).content == expected(size)
        case 2:
            answer = await client.post(url, content=content([b"x" * 40_000] * 3), timeout=timeout)
            assert answer.content == expected(size)
        case 3:
            async with client.stream("GET", url, timeout=timeout) as streamed:
                assert await streamed.aread() == expected(size)
        case 4:
            async with client.stream("GET", url, timeout=timeout) as streamed:
                async for piece in streamed.aiter_raw():
                    assert piece
                    break
        case 5:
            async with client.stream("POST", url, content=bytes(100_000), timeout=timeout):
                pass


async def storm_of_asyncio(client: Any, base: str, backend: Any) -> int:
    """Tasks that are cancelled after some turns of the loop, some of them twice."""
    cancelled = 0

    async def some(seed: int) -> None:
        nonlocal cancelled
        dice = random.Random(seed)
        for _ in range(CANCELLATIONS // AT_ONCE):
            task = asyncio.ensure_future(ask(client, base, dice, backend.content))
            for _ in range(dice.choice((0, 1, 2, 3, 5, 10, 30))):
                await asyncio.sleep(0)
            task.cancel()
            if dice.random() < 0.3:
                await asyncio.sleep(0)
                task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1

    await asyncio.gather(*map(some, range(AT_ONCE)))
    return cancelled


async def storm_of_trio(client: Any, base: str, backend: Any) -> int:
    """Scopes that are cancelled after some turns of the loop, some of them from within a cancelled one."""
    trio = backend._trio
    cancelled = 0

    async def some(seed: int) -> None:
        nonlocal cancelled
        dice = random.Random(seed)
        for _ in range(CANCELLATIONS // AT_ONCE):
            async with trio.open_nursery() as nursery:
                inner = trio.CancelScope()

                async def one(inner: Any = inner) -> None:
                    with inner:
                        await ask(client, base, dice, backend.content)

                nursery.start_soon(one)
                for _ in range(dice.choice((1, 1, 2, 3, 5, 10, 30))):
                    await trio.lowlevel.checkpoint()
                inner.cancel()
                if dice.random() < 0.3:
                    nursery.cancel_scope.cancel()
            cancelled += inner.cancelled_caught or nursery.cancel_scope.cancelled_caught

    async with trio.open_nursery() as nursery:
        for seed in range(AT_ONCE):
            nursery.start_soon(some, seed)
    return cancelled


async def storm_of_threads(client: Any, base: str, backend: Any) -> int:
    """Nobody can cancel a thread: here time runs out, at the very first wait or after some."""
    given_up = 0

    def some(seed: int) -> Callable[[], Any]:
        async def requests() -> None:
            nonlocal given_up
            dice = random.Random(seed)
            for _ in range(CANCELLATIONS // THREADS):
                seconds = dice.choice((0.0, 0.0, 0.0005, 0.002))
                timeout = httpx_fast.Timeout(20, read=seconds, write=dice.choice((20, seconds)))
                try:
                    await ask(client, base, dice, backend.content, timeout)
                except (httpx_fast.ReadTimeout, httpx_fast.WriteTimeout):
                    given_up += 1

        return requests

    await backend.together(*map(some, range(THREADS)))
    return given_up


def test_windows_and_places_are_whole_after_ten_thousand_cancellations(backend, model):
    storm = {"trio": storm_of_trio, "blocking": storm_of_threads}.get(backend.name, storm_of_asyncio)

    async def body():
        async with backend.client(http1=False, http2=True, limits=ONE, timeout=20) as client:
            assert (await client.get(f"{model.url}/0")).status_code == 200
            given_up = await storm(client, model.url, backend)
            assert given_up > CANCELLATIONS // 4
            pool = client._transport.pool
            stats = pool.stats()
            assert (stats.leased, stats.idle, stats.waiting, stats.connecting) == (0, 1, 0, 0)
            for _ in range(2):
                assert (await client.get(f"{model.url}/last")).content == b"last!"
            ((connection, *_),) = pool.leases.plan.connections()
            session, shared = connection.session, connection.shared
            assert session.streams == {}
            assert (session.room, session.window_out) == model.reckoned[-1]
            assert shared._reader is None
            assert not shared._next_readers
            assert shared._flusher is None
            assert not session._blocked
        assert model.accepted == 1
        assert model.resets > CANCELLATIONS // 20

    backend.run(body)


STREAMS = 1000
WINDOW = 16_384  # bytes of a stream that nobody reads; so none of the larger ones has ended before all have begun
SIZES = (0, 1, 5000, 20_000, 50_000, 100_000, 200_000, 300_000)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    opening = h2.PREFACE + frames.settings(enable_push=0, initial_window_size=WINDOW)
    monkeypatch.setattr(h2, "_OPENING", opening + frames.window_update(0, h2.CONNECTION_WINDOW - 65535))
    monkeypatch.setattr(h2_stream, "STREAM_WINDOW", WINDOW)
    monkeypatch.setattr(http2_stream, "STREAM_WINDOW", WINDOW)


@pytest.mark.usefixtures("small_windows")
def test_a_thousand_streams_at_once_are_read_at_any_speed(backend, nginx, authority):
    """nginx takes 128 streams on a connection; nobody reads before all of them have their heads."""
    context = authority.client_context()
    data = nginx.big_file.read_bytes()[:MIB]
    dice = random.Random(1)
    kinds = [dice.choice(SIZES) for _ in range(STREAMS)]
    large = sum(size > WINDOW for size in kinds)

    async def body():
        begun = iter(range(1, STREAMS + 1))
        all_begun = backend.event()
        async with backend.client(http2=True, verify=context, timeout=120) as client:

            def one(size: int) -> Callable[[], Any]:
                async def request() -> None:
                    start = size * 7 % 1000
                    fields = {"Range": f"bytes={start}-{start + size}"}
                    async with client.stream("GET", nginx.url("/f100m", "http2"), headers=fields) as answer:
                        assert (answer.status_code, answer.http_version) == (206, "HTTP/2")
                        if next(begun) == STREAMS:
                            all_begun.set()
                        await all_begun.wait()
                        received = b""
                        async for piece in answer.aiter_bytes(1 + size // 3):
                            received += piece
                        assert received == data[start : start + size + 1]

                return request

            await backend.together(*map(one, kinds))
            stats = client._transport.pool.stats()
            assert (stats.leased, stats.waiting, stats.connecting) == (0, 0, 0)
            assert stats.idle >= large // 128

    backend.run(body)
