"""How long idle connections are kept, and the timer that closes them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from memory import SLOW, A, B, House
from runners import Runner

import httpx_fast


def answer(keep_alive: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: " + keep_alive + b"\r\n\r\nok"


def test_idle_connection_is_closed_after_its_time(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.now += 5.0
        await house.get()
        assert [stream.closed for stream in house.backend.streams] == [1, 0]
        assert house.counts == (0, 1, 0)

    run(body)


@pytest.mark.parametrize(("passed", "reused"), [(1.9, True), (2.0, False)])
def test_connection_is_not_reused_in_the_last_second_that_its_peer_grants(
    run: Any, passed: float, reused: bool
) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[answer(b"timeout=3")] * 3]
        await house.get()
        house.backend.now += passed
        await house.get()
        assert len(house.backend.streams) == (1 if reused else 2)

    run(body)


@pytest.mark.parametrize(
    ("granted", "served"),
    [
        ([b"max=0"], 1),
        ([b"max=1"], 1),
        ([b"max=2"] * 9, 2),  # says the same each time
        ([b"max=4", b"max=3", b"max=2", b"max=1", b"max=0"], 4),  # counts down; one is left for the margin
    ],
)
def test_connection_is_not_reused_for_more_requests_than_its_peer_grants(
    run: Any, granted: list[bytes], served: int
) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[answer(each) for each in granted]]
        for _ in range(served + 1):
            await house.get()
        assert [len(stream.sent) for stream in house.backend.streams] == [served, 1]

    run(body)


def test_connection_older_than_max_age_is_closed_when_released_or_idle(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, expiry=None, max_age=10.0)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        house.backend.now += 6.0
        await house.get()
        house.backend.now += 4.0
        assert await lease.next_chunk() == b"ok"
        assert house.counts == (0, 1, 0)
        house.backend.pass_time(6.01)
        assert house.counts == (0, 0, 0)
        assert [stream.closed for stream in house.backend.streams] == [1, 1]

    run(body)


@pytest.mark.parametrize("noticed", ["pushed", "found out"])
def test_origin_that_closes_idle_connections_early_is_learnt(run: Any, noticed: str) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.now += 3.0
        if noticed == "pushed":
            house.backend.streams[0].push(None)
        else:
            house.backend.streams[0].idle.append(None)
        await house.get()
        assert house.pool.stats().learnt == {A.origin: 2.0}
        assert len(house.backend.streams) == 2
        house.backend.now += 1.9
        await house.get()
        assert len(house.backend.streams) == 2
        house.backend.now += 2.0
        await house.get()
        assert len(house.backend.streams) == 3
        await house.get(B)
        house.backend.now += 2.0
        await house.get(B)
        assert len(house.backend.streams) == 4

    run(body)


def test_timer_closes_idle_connections_without_traffic(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=3)
        await house.get(A)
        house.backend.now += 2.0
        await house.get(B)
        assert len(house.backend.timers) == 1
        house.backend.pass_time(3.01)
        assert [stream.closed for stream in house.backend.streams] == [1, 0]
        assert len(house.backend.timers) == 1
        house.backend.pass_time(2.0)
        assert [stream.closed for stream in house.backend.streams] == [1, 1]
        assert house.backend.timers == []

    run(body)


def test_timer_is_set_anew_for_what_goes_sooner(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get(A)
        house.backend.scripts = [[answer(b"timeout=2")]]
        await house.get(B)
        assert [at for at, _ in house.backend.timers] == [pytest.approx(101.0, abs=0.01)]
        house.backend.pass_time(1.01)
        assert [stream.closed for stream in house.backend.streams] == [0, 1]

    run(body)


def test_timer_that_finds_the_connection_in_use_waits_for_its_release(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", SLOW, b"ok"]]
        await house.get()
        *_, lease = await house.get(whole=False)
        assert lease is not None
        house.backend.pass_time(5.01)
        assert house.backend.timers == []
        assert await lease.next_chunk() == b"ok"
        assert len(house.backend.timers) == 1

    run(body)


def test_closing_the_pool_cancels_its_timer(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.pool.close()
        assert house.backend.timers == []

    run(body)


def test_loop_closes_an_idle_connection_without_traffic(backend: Runner, peer: Any) -> None:
    if backend.name not in ("asyncio", "uvloop"):
        pytest.skip("trio and blocking code have no timer that is not a task or a thread")
    closed = threading.Event()

    def script(dialogue: Any) -> None:
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        dialogue.wait_for_close()
        closed.set()

    server = peer(script)

    async def body() -> None:
        limits = httpx_fast.Limits(keepalive_expiry=0.01)
        async with backend.client(limits=limits) as client:
            await client.get(f"http://127.0.0.1:{server.port}/")
            await backend.hear(closed)

    backend.run(body)
