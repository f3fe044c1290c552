"""Snapshots of the connections of a pool."""

from __future__ import annotations

from typing import Any

from memory import SLOW, A, B, House
from runners import Runner


def test_snapshots_tell_of_each_connection(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=3)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        await house.get(B)
        await house.get(B)
        house.backend.now += 2.0
        leased, idle = house.pool.connections()
        assert (leased.origin, leased.state, leased.leased, leased.idle) == (A.origin, "leased", 2.0, None)
        assert (idle.origin, idle.state, idle.leased, idle.idle) == (B.origin, "idle", None, 2.0)
        assert (leased.requests, idle.requests) == (1, 2)
        assert (leased.age, idle.age) == (2.0, 2.0)
        assert (leased.streams, idle.streams, idle.max_streams) == (1, 0, 1)
        assert [place.rpartition("/")[2].partition(":")[0] for place in leased.held_by] == ["memory.py"]
        assert (leased.http_version, idle.held_by) == ("HTTP/1.1", ())
        stats = house.pool.stats()
        assert (stats.leased, stats.idle, stats.connecting, stats.waiting, stats.open) == (1, 1, 0, 0, 2)
        assert (stats.max_connections, stats.max_per_host, stats.learnt) == (3, None, {})
        assert stats.longest == leased
        lease.close()
        assert house.pool.stats().longest is None
        assert not house.pool.leases.held

    run(body)
