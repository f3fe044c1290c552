"""Counts and waiters that a pool reports, also with PoolTimeout."""

from __future__ import annotations

from typing import Any

import pytest
from memory import SLOW, A, B, House
from runners import Runner

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._exceptions import PoolTimeout
from httpx_fast._origin import Origin


def test_snapshots_tell_of_who_waits_and_what_is_dialled(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.close_gate(waiting=2)
        seen: list[Any] = []
        house.backend.on_connect = lambda: seen.extend((house.pool.waiters(), house.pool.connections()))
        await runner.together(*[house.get] * 3)
        waiters, (info,) = seen
        assert [(waiter.origin, waiter.age) for waiter in waiters] == [(A.origin, 0.0)] * 2
        assert (info.origin, info.state, info.age) == (A.origin, "connecting", None)

    run(body)


def test_pool_timeout_carries_the_stats_and_names_the_longest_lease(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        house.backend.now += 1.5
        with pytest.raises(
            PoolTimeout,
            match=r"1 of 1 connections are open \(1 in use, 0 connecting, 0 idle\), 0 more requests wait; longest in "
            r"use is one to http://a\.example, for 1\.5 s by a response that was requested at .*memory\.py:\d+$",
        ) as caught:
            await house.get(B, timeouts=RequestTimeouts(None, None, None, 0.5))
        assert caught.value.pool.leased == 1
        assert caught.value.pool.longest.origin == Origin("http", "a.example", 80)
        lease.close()

    run(body)
