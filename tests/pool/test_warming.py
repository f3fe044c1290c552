"""Connections opened ahead of requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from memory import OK, SLOW, A, B, House
from runners import Runner

from httpx_fast._exceptions import ConnectError
from httpx_fast._pool.stats import ConnectionInfo

OTHER = B


def idle(house: House) -> list[ConnectionInfo]:
    return [info for info in house.pool.connections() if info.state == "idle"]


def test_requests_find_warm_connections(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=5)
        assert await house.pool.warm(A, 3, None) == 3
        assert house.counts == (0, 3, 0)
        assert await house.pool.warm(A, 3, None) == 3
        await house.get()
        assert house.last.reused
        assert house.last.nth == 1
        assert list(house.last.phases()) == ["pool", "send", "wait", "receive"]
        assert len(house.backend.streams) == 3

    run(body)


def test_warming_counts_what_is_in_use(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=5)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        assert await house.pool.warm(A, 2, None) == 2
        assert house.counts == (1, 1, 0)
        lease.close()

    run(body)


@pytest.mark.parametrize(
    ("limits", "opened"),
    [({"connections": 4}, 3), ({"connections": 9, "keepalive": 3}, 2), ({"connections": 9, "per_host": 2}, 2)],
)
def test_warming_keeps_within_limits_and_takes_no_place_from_others(run: Any, limits: Any, opened: int) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, **limits)
        await house.get(OTHER)
        assert await house.pool.warm(A, 7, None) == opened
        assert house.counts == (0, 1 + opened, 0)
        assert not any(stream.closed for stream in house.backend.streams)

    run(body)


def test_warming_replaces_connections_that_the_peer_closed(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=5)
        assert await house.pool.warm(A, 2, None) == 2
        house.backend.streams[0].idle.append(None)
        assert await house.pool.warm(A, 2, None) == 2
        assert [stream.closed for stream in house.backend.streams] == [1, 0, 0]
        assert house.counts == (0, 2, 0)

    run(body)


def test_warming_again_leaves_the_age_of_idle_connections_as_it_is(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=5, expiry=5.0)
        await house.pool.warm(A, 1, None)
        house.backend.now += 3.0
        await house.pool.warm(A, 2, None)
        assert [info.idle for info in idle(house)] == [3.0, 0.0]

    run(body)


def test_failure_to_warm_is_raised_and_what_was_opened_stays(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=5)
        house.backend.scripts = [[OK], [ConnectError("refused")], [OK]]
        with pytest.raises(ConnectError, match="refused") as caught:
            await house.pool.warm(A, 3, None)
        assert caught.value.journey is not None
        assert caught.value.journey.phase == "tcp"
        leased, opened, dialling = house.counts
        # Without tasks it ends with the first failure, with tasks when all have ended.
        assert (leased, opened, dialling) == (0, 2 if runner.asynchronous else 1, 0)
        assert await house.pool.warm(A, 3, None) == 3

    run(body)


def test_warm_connection_that_turns_out_dead_costs_no_request(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[None], [OK]]
        await house.pool.warm(A, 1, None)
        assert (await house.get())[1] == b"ok"
        assert [attempt.failure is not None for attempt in house.last.attempts] == [True]

    run(body)


def test_warming_a_closed_pool_opens_nothing(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.pool.close()
        assert await house.pool.warm(A, 1, None) == 0
        assert house.backend.streams == []

    run(body)


@pytest.mark.parametrize("turns", range(6))
def test_cancelled_warming_leaves_no_place_taken(backend: Runner, turns: int) -> None:
    if backend.name not in ("asyncio", "uvloop"):
        pytest.skip("cancels tasks of asyncio")

    async def body() -> None:
        house = House(backend, connections=3)

        async def slow() -> None:
            await asyncio.sleep(0)

        house.backend.dialling = slow
        task = asyncio.ensure_future(house.pool.warm(A, 3, None))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        leased, opened, dialling = house.counts
        assert (leased, dialling) == (0, 0)
        assert await house.pool.warm(A, 3, None) == 3
        assert opened <= 3

    backend.run(body)
