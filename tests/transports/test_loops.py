"""One asynchronous client on several event loops, in turn and at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

import httpx_fast
from httpx_fast.testing import LocalServer


@pytest.fixture
def server():
    with LocalServer(tls=False) as running:
        yield running


def test_client_outlives_the_loop_that_it_was_used_on(server):
    client = httpx_fast.AsyncClient()
    for turn in range(3):
        assert asyncio.run(client.get(server.url)).status_code == 200
        assert server.accepted == turn + 1
    asyncio.run(client.aclose())


@pytest.mark.parametrize("world", ["asyncio", "trio"])
def test_sockets_of_a_loop_that_has_ended_are_closed_by_the_next_request(server, world):
    client = httpx_fast.AsyncClient()
    if world == "trio":
        pytest.importorskip("trio", reason="trio is not installed").run(client.get, server.url)
    else:
        asyncio.run(client.get(server.url))
    before = client._transport._last[1]
    assert before.leases.plan.open == 1
    asyncio.run(client.get(server.url))
    assert before.leases.plan.open == 0
    assert len(client._transport._pools) == 1
    asyncio.run(client.aclose())


def test_asyncio_then_trio_then_asyncio(server):
    trio = pytest.importorskip("trio", reason="trio is not installed")
    client = httpx_fast.AsyncClient()
    assert asyncio.run(client.get(server.url)).status_code == 200
    assert trio.run(client.get, server.url).status_code == 200
    assert asyncio.run(client.get(server.url)).status_code == 200
    asyncio.run(client.aclose())


def test_loops_in_several_threads_at_once(server):
    client = httpx_fast.AsyncClient()
    failures: list[BaseException] = []
    loops = 4
    done = threading.Barrier(loops + 1)

    async def work() -> None:
        for _ in range(25):
            responses = await asyncio.gather(*(client.get(server.url) for _ in range(4)))
            assert [response.status_code for response in responses] == [200] * 4
        # Closed by the main thread while this loop runs and its connections are idle.
        await asyncio.to_thread(done.wait)
        await asyncio.to_thread(done.wait)

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            failures.append(error)
            done.abort()

    threads = [threading.Thread(target=run) for _ in range(loops)]
    for thread in threads:
        thread.start()
    done.wait(30)
    asyncio.run(client.aclose())
    done.wait(30)
    for thread in threads:
        thread.join(30)
    assert not failures
    assert server.accepted == loops * 4
