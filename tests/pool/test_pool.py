"""The pool over streams in memory, with the waits of every world. What it decides is tested with the plan."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from memory import OK, SLOW, A, B, House
from runners import Runner

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._exceptions import PoolTimeout
from httpx_fast._origin import Route

OTHER_NAME = Route(A.origin, "other.example")


def test_who_waits_is_served_first_come_first_served(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"] + [OK] * 10]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        served: list[int] = []

        async def one(number: int) -> None:
            await house.get()
            served.append(number)

        async def finish() -> None:
            assert await lease.next_chunk() == b"ok"

        await runner.together(*(lambda number=number: one(number) for number in range(5)), finish)
        assert len(served) == 5
        if runner.name in ("asyncio", "uvloop"):  # elsewhere tasks do not start in order
            assert served == [0, 1, 2, 3, 4]
        assert house.counts == (0, 1, 0)
        assert len(house.backend.streams) == 1

    run(body)


def test_pool_timeout_says_who_holds_the_connections(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        # The backend's clock stands still at 100: a deadline in the worlds' past is over at once.
        with pytest.raises(
            PoolTimeout, match=r"^pool timed out after 0 s of 0\.5 s: 1 of 1 connections are open \(1 in use,"
        ):
            await house.get(timeouts=RequestTimeouts(None, None, None, 0.5))
        assert house.counts == (1, 0, 0)
        lease.close()
        assert house.counts == (0, 0, 0)
        assert (await house.get())[1] == b"ok"

    run(body)


def test_cancelled_wait_passes_its_grant_on(backend: Runner) -> None:
    """Cancelled between being granted a connection and running again: only asyncio can be stopped just there."""
    if backend.name not in ("asyncio", "uvloop"):
        pytest.skip("the moment between a grant and its use can be met on asyncio only")

    async def body() -> None:
        house = House(backend, connections=1)
        house.backend.scripts = [[SLOW, b"ok", OK, OK]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        first, second = (asyncio.ensure_future(house.get()) for _ in range(2))
        await asyncio.sleep(0)
        assert await lease.next_chunk() == b"ok"
        assert house.counts == (1, 0, 0)  # granted to the first
        first.cancel()
        assert (await second)[1] == b"ok"
        assert first.cancelled()
        assert house.counts == (0, 1, 0)

    backend.run(body)


def test_cancelled_waits_leave_nothing(backend: Runner) -> None:
    if backend.name not in ("asyncio", "uvloop"):
        pytest.skip("cancels tasks of asyncio")

    async def body() -> None:
        house = House(backend, connections=1)
        house.backend.scripts = [[SLOW, b"ok", OK, OK]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        waiting = [asyncio.ensure_future(house.get()) for _ in range(10)]
        await asyncio.sleep(0)
        assert house.pool.leases.plan.waiting == 10
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert house.pool.leases.plan.waiting == 0
        assert await lease.next_chunk() == b"ok"
        assert house.counts == (0, 1, 0)

    backend.run(body)


def test_oldest_idle_connection_makes_room(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        await house.get(A)
        await house.get(B)
        assert house.counts == (0, 1, 0)
        assert [stream.closed for stream in house.backend.streams] == [1, 0]

    run(body)


@pytest.mark.parametrize("sign", [None, b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_connection_that_died_while_idle_is_not_used(run: Any, sign: bytes | None) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.streams[0].idle.append(sign)
        assert (await house.get())[1] == b"ok"
        assert [stream.closed > 0 for stream in house.backend.streams] == [True, False]
        assert house.counts == (0, 1, 0)

    run(body)


def test_who_is_granted_a_dead_connection_keeps_its_turn(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        served: list[Route] = []

        async def one(route: Route) -> None:
            await house.get(route)
            served.append(route)

        async def finish() -> None:
            house.backend.streams[0].idle.append(None)
            assert await lease.next_chunk() == b"ok"

        await runner.together(lambda: one(A), lambda: one(B), finish)
        assert len(served) == 2
        if runner.name in ("asyncio", "uvloop"):  # elsewhere tasks do not start in order
            assert served == [A, B]
        assert house.backend.streams[0].closed
        assert house.counts == (0, 1, 0)

    run(body)


def test_limit_of_connections_by_host_holds_over_its_routes(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=5, per_host=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        await house.get(B)
        with pytest.raises(PoolTimeout, match=r"2 of 5 connections .*, 1 may be to one host, 0 more requests wait"):
            await house.get(OTHER_NAME, timeouts=RequestTimeouts(None, None, None, 0.5))
        lease.close()
        await house.get(OTHER_NAME)

    run(body)
