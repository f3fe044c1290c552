"""Tasks cancelled at any moment: while they wait, dial, shake hands, send, receive, stream or close."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

import pytest
from runners import Runner

import httpx_fast
from httpx_fast.testing import LocalServer

LIMIT = 10
BATCHES = 30
BATCH = 40


@pytest.fixture
def server():
    # On PyPy the server's asyncio takes the fault of one TLS connection for that of others, and resets them.
    with LocalServer(tls=sys.implementation.name != "pypy") as running:
        yield running


def trusting(server: LocalServer) -> Any:
    return server.client_context() if server.certificate else True


async def one(client: httpx_fast.AsyncClient, url: str, number: int, chance: random.Random) -> None:
    """A request in one of the ways in which they are made; the answer has to be its own."""
    target = f"/?n={number}"
    kind = chance.randrange(4)
    if kind == 0:
        response = await client.post(url + target, content=b"x" * chance.choice([10, 300_000]))
        assert response.json()["target"] == target
        return
    if kind == 1:
        assert len((await client.get(f"{url}/bytes/{number + 100_000}")).content) == number + 100_000
        return
    async with client.stream("GET", f"{url}/bytes/{number + 100_000}") as response:
        size = 0
        async for piece in response.aiter_raw():
            size += len(piece)
            if kind == 2:
                return
        assert size == number + 100_000


async def settled(client: httpx_fast.AsyncClient, url: str) -> None:
    """Nothing is held any more, and the pool serves as many as before."""
    plan: Any = client._transport._pool._plan
    assert (plan.leased, plan.dialling, plan.waiting) == (0, 0, 0)
    assert plan.idle == plan.open <= LIMIT


def test_cancelled_tasks_leave_the_pool_whole(backend: Runner, server: LocalServer) -> None:
    if backend.name not in ("asyncio", "uvloop"):
        pytest.skip("cancels tasks of asyncio; trio has a test of its own")
    chance = random.Random(1)

    async def body() -> None:
        limits = httpx_fast.Limits(max_connections=LIMIT, max_keepalive_connections=LIMIT)
        async with httpx_fast.AsyncClient(verify=trusting(server), limits=limits) as client:
            cancelled = 0
            for batch in range(BATCHES):
                tasks = [
                    asyncio.ensure_future(one(client, server.url, batch * BATCH + number, chance))
                    for number in range(BATCH)
                ]
                for _ in range(BATCH):
                    for _ in range(chance.randrange(12)):
                        await asyncio.sleep(0)
                    victim = chance.choice(tasks)
                    victim.cancel()
                    if chance.random() < 0.1:
                        victim.cancel()  # twice, as nested time limits do
                for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(outcome, asyncio.CancelledError):
                        cancelled += 1
                    elif outcome is not None:
                        raise outcome
            assert cancelled > BATCHES
            await settled(client, server.url)
            await asyncio.gather(*(one(client, server.url, number, chance) for number in range(3 * LIMIT)))
            await settled(client, server.url)

    backend.run(body)


def test_cancelled_scopes_leave_the_pool_whole(server: LocalServer) -> None:
    trio = pytest.importorskip("trio", reason="trio is not installed")
    chance = random.Random(2)

    async def cancellable(scopes: list[Any], *arguments: Any) -> None:
        with trio.CancelScope() as scope:
            scopes.append(scope)
            await one(*arguments)

    async def body() -> None:
        limits = httpx_fast.Limits(max_connections=LIMIT, max_keepalive_connections=LIMIT)
        async with httpx_fast.AsyncClient(verify=trusting(server), limits=limits) as client:
            scopes: list[Any] = []
            for batch in range(BATCHES):
                scopes.clear()
                async with trio.open_nursery() as nursery:
                    for number in range(BATCH):
                        nursery.start_soon(cancellable, scopes, client, server.url, batch * BATCH + number, chance)
                    for _ in range(BATCH):
                        for _ in range(chance.randrange(12)):
                            await trio.lowlevel.checkpoint()
                        if scopes:
                            chance.choice(scopes).cancel()
            await settled(client, server.url)
            for number in range(3 * LIMIT):
                await one(client, server.url, number, chance)
            await settled(client, server.url)

    trio.run(body)
