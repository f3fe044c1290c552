"""Connections that `drain()` retires: closed when idle, else after their request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from memory import OK, SLOW, A, B, House
from runners import Runner

from httpx_fast._exceptions import ConnectError


def test_draining_closes_what_is_idle_and_requests_go_on(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        await house.get(B)
        assert await house.pool.drain(None) == 0
        assert [stream.closed for stream in house.backend.streams] == [1, 1]
        assert (await house.get())[1] == b"ok"
        assert house.counts == (0, 1, 0)
        assert len(house.backend.streams) == 3

    run(body)


def test_connection_in_use_while_draining_is_closed_when_it_comes_back(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        assert await house.pool.drain(0) == 1
        await house.get()  # opens another
        assert await house.pool.drain(0) == 1
        assert await lease.next_chunk() == b"ok"
        assert house.counts == (0, 0, 0)
        assert [stream.closed for stream in house.backend.streams] == [1, 1]
        assert await house.pool.drain(0) == 0
        # From then on releases are as cheap as before.
        assert not house.pool.leases.expiry.watchful

    run(body)


def test_draining_waits_for_what_is_in_use(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        begun, order = runner.event(), []
        waiter = house.backend.waiter

        def noticed() -> Any:
            begun.set()
            return waiter()

        house.backend.waiter = noticed  # type: ignore[method-assign]

        async def drain() -> None:
            assert await house.pool.drain(None) == 0
            order.append("drained")

        async def read() -> None:
            await begun.wait()
            order.append("read")
            assert await lease.next_chunk() == b"ok"

        await runner.together(drain, read)
        assert order == ["read", "drained"]
        assert house.counts == (0, 0, 0)

    run(body)


def test_connection_that_was_being_made_while_draining_serves_one_request(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        left = []

        async def drain() -> None:
            house.backend.dialling = None
            left.append(await house.pool.drain(0))

        house.backend.dialling = drain
        await house.get()
        assert left == [1]
        assert house.counts == (0, 0, 0)
        await house.get()
        assert house.counts == (0, 1, 0)

    run(body)


def test_failed_dial_is_waited_for_no_longer(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[ConnectError("refused")]]
        house.backend.on_connect = house.pool.retire
        with pytest.raises(ConnectError, match="refused"):
            await house.get()
        house.backend.on_connect = list
        assert not house.pool.leases.retired
        assert await house.pool.drain(None) == 0

    run(body)


def test_warming_after_draining_counts_new_connections_only(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=5)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        assert await house.pool.drain(0) == 1
        assert await house.pool.warm(A, 2, None) == 2
        assert house.counts == (1, 2, 0)
        lease.close()

    run(body)


def test_waiter_that_gives_up_does_not_keep_a_drained_connection(backend: Runner) -> None:
    if backend.name not in ("asyncio", "uvloop"):
        pytest.skip("cancels tasks of asyncio")

    async def body() -> None:
        house = House(backend, connections=1)
        house.backend.scripts = [[SLOW, b"ok", OK], [OK]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        waiting = asyncio.ensure_future(house.get())
        await asyncio.sleep(0)
        assert await lease.next_chunk() == b"ok"  # granted to the one who waits, who does not know yet
        assert len(house.pool.retire()) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert house.counts == (0, 0, 0)
        assert not house.pool.leases.retired

    backend.run(body)
