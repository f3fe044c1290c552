"""Several pools of one client, shown as one."""

from __future__ import annotations

from typing import Any

from memory import SLOW, A, B, House
from runners import Runner

from httpx_fast._pool.group import PoolGroup


def test_counts_and_limits_are_those_of_all_pools(run: Any) -> None:
    async def body(runner: Runner) -> None:
        first, second = House(runner, connections=2, per_host=1), House(runner, connections=3, per_host=2)
        await first.get()
        second.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await second.get(B, whole=False)
        assert lease is not None
        group = PoolGroup([first.pool, second.pool])
        stats = group.stats()
        assert (stats.leased, stats.idle, stats.open, stats.waiting) == (1, 1, 2, 0)
        assert (stats.max_connections, stats.max_per_host) == (5, 2)
        assert [(info.origin, info.state) for info in group.connections()] == [(A.origin, "idle"), (B.origin, "leased")]
        assert group.waiters() == []
        lease.close()

    run(body)


def test_longest_lease_is_the_longest_of_all_pools(run: Any) -> None:
    async def body(runner: Runner) -> None:
        houses, leases = [House(runner), House(runner)], []
        for seconds, house, route in zip((1.0, 5.0), houses, (A, B), strict=True):
            house.backend.scripts = [[SLOW, b"ok"]]
            *_, lease = await house.get(route, whole=False)
            leases.append(lease)
            house.backend.now += seconds
        longest = PoolGroup([house.pool for house in houses]).stats().longest
        assert longest is not None
        assert (longest.origin, longest.leased) == (B.origin, 5.0)
        for lease in leases:
            lease.close()

    run(body)


def test_group_with_one_unlimited_pool_has_no_limit(run: Any) -> None:
    async def body(runner: Runner) -> None:
        limited, unlimited = House(runner), House(runner, connections=None)
        stats = PoolGroup([limited.pool, unlimited.pool]).stats()
        assert (stats.max_connections, stats.max_per_host) == (None, None)

    run(body)
