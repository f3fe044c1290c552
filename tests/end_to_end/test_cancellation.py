"""Requests cancelled at any moment: while they wait, dial, shake hands, send, receive, stream or close.

Ten thousand of them over one client of asyncio, and as many over one of trio; blocking requests are given up by
timeouts. Every answer has to be its request's own, and in the end the pool has all of its places.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from runners import Runner

import httpx_fast
from httpx_fast.testing import LocalServer, Reply, Request, answer

LIMIT = 10  # connections
BATCH = 60  # requests at once
CANCELLATIONS = {"asyncio": 10_000, "uvloop": 2_500, "trio": 10_000}
TIMEOUTS = 1_000
THREADS = 20

LARGE = 300_000  # bytes; more than sockets take at once
ENDLESS = "/endless"


def answered(request: Request) -> Reply:
    """Answer as usual, but for one path by an endless body: it has not arrived, however quick the server is."""
    return Reply(200, [], itertools.repeat(bytes(64 * 1024))) if request.target == ENDLESS else answer(request)


@pytest.fixture
def urls() -> Iterator[list[str]]:
    """Two origins, so that places go from one to the other; by TLS a few of the requests, which costs a lot."""
    # On PyPy the server's asyncio takes the fault of one TLS connection for that of others, and resets them.
    with (
        LocalServer(tls=False, answer=answered) as plain,
        LocalServer(tls=sys.implementation.name != "pypy") as secure,
    ):
        urls = [plain.url] * 19 + [secure.url]
        urls_context[secure.url] = secure.client_context() if secure.certificate else True
        yield urls
        urls_context.clear()


urls_context: dict[str, Any] = {}


def options(urls: list[str]) -> dict[str, Any]:
    limits = httpx_fast.Limits(max_connections=LIMIT, max_keepalive_connections=LIMIT)
    return {"verify": urls_context[urls[-1]], "limits": limits}


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data
    yield data


async def one(client: httpx_fast.AsyncClient, urls: list[str], number: int, chance: random.Random) -> None:
    """A request in one of the ways in which they are made; the answer has to be its own."""
    url = chance.choice(urls)
    kind = chance.randrange(6)
    size = number % 5_000 + (LARGE if chance.random() < 0.01 else 1)
    if kind < 2:
        target = f"/?n={number}"
        data = b"x" * size
        response = await client.post(url + target, content=data if kind else pieces(data))
        assert response.json()["target"] == target
    elif kind == 2:
        assert len((await client.get(f"{url}/bytes/{size}")).content) == size
    elif kind == 3 and chance.random() < 0.02:
        await (client.drain(chance.choice([0, None])) if number % 2 else client.warm(url, 3))
    else:
        await streamed(client, f"{url}/bytes/{size}", size, whole=kind == 4)


async def streamed(client: httpx_fast.AsyncClient, url: str, expected: int, whole: bool) -> None:
    async with client.stream("GET", url) as response:
        size = 0
        async for piece in response.aiter_raw():
            size += len(piece)
            if not whole:
                return
        assert size == expected


def check(pool: Any) -> None:
    """What holds at any moment."""
    stats, connections = pool.stats(), pool.connections()
    assert stats.leased + stats.idle + stats.connecting == stats.open == len(connections) <= LIMIT


def settled(pool: Any) -> None:
    """Nothing is held any more."""
    check(pool)
    stats = pool.stats()
    assert (stats.leased, stats.connecting, stats.waiting) == (0, 0, 0)
    assert not pool.leases.held


async def has_all_its_places(client: httpx_fast.AsyncClient, url: str) -> None:
    """As many responses as there are places are held at once, and none has to wait for its own."""
    settled(client.pool)
    async with contextlib.AsyncExitStack() as held:
        for _ in range(LIMIT):
            stream = client.stream("GET", url + ENDLESS, timeout=httpx_fast.Timeout(30, pool=0))
            await held.enter_async_context(stream)
        assert client.pool.stats().leased == LIMIT
    settled(client.pool)


def test_cancelled_tasks_leave_the_pool_whole(backend: Runner, urls: list[str]) -> None:
    if backend.name not in ("asyncio", "uvloop"):
        pytest.skip("cancels tasks of asyncio; trio has a test of its own")
    chance = random.Random(1)
    backend.patience = 600

    async def batch(client: httpx_fast.AsyncClient, first: int) -> int:
        """Cancels most of so many requests; how many."""
        tasks = [asyncio.ensure_future(one(client, urls, first + number, chance)) for number in range(BATCH)]
        while waiting := [task for task in tasks if not task.done()]:
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            victim = chance.choice(waiting)
            victim.cancel()
            if chance.random() < 0.1:
                victim.cancel()  # twice, as nested time limits do
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes]
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert failures == []
        check(client.pool)
        return sum(cancelled)

    async def body() -> None:
        async with httpx_fast.AsyncClient(**options(urls)) as client:
            number = cancelled = 0
            while cancelled < CANCELLATIONS[backend.name]:
                cancelled += await batch(client, number)
                number += BATCH
            await has_all_its_places(client, urls[0])
            await asyncio.gather(*(one(client, urls, number, chance) for number in range(3 * LIMIT)))
            settled(client.pool)

    backend.run(body)


def test_cancelled_scopes_leave_the_pool_whole(urls: list[str]) -> None:
    trio = pytest.importorskip("trio", reason="trio is not installed")
    chance = random.Random(2)
    outcomes: Counter[str] = Counter()

    async def cancellable(scopes: list[Any], *arguments: Any) -> None:
        # Some have a deadline that may come at any time, some are nested.
        deadline = trio.current_time() + chance.choice([0.0003, 0.003, 1000])
        with trio.CancelScope() as outer, trio.CancelScope(deadline=deadline) as inner:
            scopes += [outer, inner]
            await one(*arguments)
        outcomes["cancelled" if outer.cancelled_caught or inner.cancelled_caught else "answered"] += 1

    async def batch(client: httpx_fast.AsyncClient, first: int) -> None:
        scopes: list[Any] = []
        async with trio.open_nursery() as nursery:
            for number in range(BATCH):
                nursery.start_soon(cancellable, scopes, client, urls, first + number, chance)
            while len(nursery.child_tasks) > 0:
                for _ in range(chance.randrange(6)):
                    await trio.lowlevel.checkpoint()
                if scopes:
                    scopes.pop(chance.randrange(len(scopes))).cancel()
        check(client.pool)

    async def body() -> None:
        async with httpx_fast.AsyncClient(**options(urls)) as client:
            number = 0
            while outcomes["cancelled"] < CANCELLATIONS["trio"]:
                await batch(client, number)
                number += BATCH
            await has_all_its_places(client, urls[0])
            for number in range(3 * LIMIT):
                await one(client, urls, number, chance)
            settled(client.pool)

    trio.run(body)


def test_blocking_requests_that_time_out_leave_the_pool_whole(urls: list[str]) -> None:
    chance = random.Random(3)
    outcomes: Counter[str] = Counter()
    turn = threading.Lock()

    def some(client: httpx_fast.Client, first: int) -> None:
        for number in range(first, TIMEOUTS, THREADS):
            with turn:
                url, kind, size = chance.choice(urls), chance.randrange(3), 1 + chance.choice([100, LARGE])
                timeout = chance.choice([1e-6, 0.0003, 0.001, 30])
                phase = chance.choice(["connect", "read", "write", "pool"])
            granted = httpx_fast.Timeout(30, **{phase: timeout})
            try:
                if kind == 0:
                    target = f"/?n={number}"
                    response = client.post(url + target, content=bytes(size), timeout=granted)
                    assert response.json()["target"] == target
                elif kind == 1:
                    assert len(client.get(f"{url}/bytes/{size}", timeout=granted).content) == size
                else:
                    with client.stream("GET", f"{url}/bytes/{size}", timeout=granted) as streamed:
                        assert sum(map(len, streamed.iter_raw())) == size
            except httpx_fast.TimeoutException as error:
                outcome = type(error).__name__
            else:
                outcome = "answered"
            with turn:
                outcomes[outcome] += 1

    with httpx_fast.Client(**options(urls)) as client:
        threads = [threading.Thread(target=some, args=(client, first)) for first in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(outcomes.values()) == TIMEOUTS, "a thread failed"
        assert outcomes["answered"] < TIMEOUTS
        settled(client.pool)
        with contextlib.ExitStack() as held:
            for _ in range(LIMIT):
                granted = httpx_fast.Timeout(30, pool=0)
                held.enter_context(client.stream("GET", urls[0] + ENDLESS, timeout=granted))
            assert client.pool.stats().leased == LIMIT
        settled(client.pool)
