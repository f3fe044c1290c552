"""How a lease ends: the response is read, closed, forgotten, or given up in another thread."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from memory import SLOW, House
from runners import RUNNERS, Runner

from httpx_fast._drive import drive


def test_streamed_response_holds_its_connection_until_read(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, b"o", b"k"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        assert house.counts == (1, 0, 0)
        assert [await lease.next_chunk() for _ in range(2)] == [b"o", b"k"]
        assert house.counts == (0, 1, 0)  # given back with the last byte, not when somebody asks for more
        assert await lease.next_chunk() == b""
        lease.close()
        assert house.counts == (0, 1, 0)

    run(body)


def test_response_given_up_closes_its_connection(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, b"o"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        lease.close()
        lease.close()
        assert house.counts == (0, 0, 0)
        assert house.backend.streams[0].closed

    run(body)


def collect(held: list[Any]) -> None:
    """Forgets what is held, so that it is finalized before this returns."""
    held.clear()
    gc.collect()


def test_response_that_was_forgotten_gives_its_connection_back_and_is_told_of(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        held = [await house.get(whole=False)]
        assert house.counts == (1, 0, 0)
        with pytest.warns(
            ResourceWarning, match=r"http://a\.example was neither read .* requested at .*memory\.py:\d+"
        ):
            collect(held)
        assert (await house.get())[1] == b"ok"  # takes up what was dropped
        assert house.counts == (0, 1, 0)
        assert house.backend.streams[0].closed

    run(body)


class Reader:
    """Who reads a response, and lets go of it when collected; in a cycle, so that the collector chooses the order."""

    def __init__(self, lease: Any) -> None:
        self.lease = lease
        self.itself = self

    def __del__(self) -> None:
        self.lease.close()


@pytest.mark.filterwarnings("ignore:a response of:ResourceWarning")
def test_response_that_is_forgotten_with_its_reader_is_given_back_once(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        held = [Reader((await house.get(whole=False))[4])]
        collect(held)
        await house.get()  # has its place
        assert house.counts == (0, 1, 0)

    run(body)


def test_response_that_is_let_go_within_a_locked_block_hangs_nobody(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        with house.pool.leases.lock:  # where a collection may run finalizers
            lease.close()
        assert house.counts == (1, 0, 0)
        await house.get()
        assert house.counts == (0, 1, 0)

    run(body)


def test_response_that_is_abandoned_in_another_thread_is_given_back_in_its_own(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        thread = threading.Thread(target=lease.close)
        thread.start()
        thread.join()
        assert house.counts == ((1, 0, 0) if runner.asynchronous else (0, 0, 0))
        await house.get()
        assert house.counts == (0, 1, 0)

    run(body)


def test_forgotten_response_serves_who_waits(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        held = [await house.get(whole=False)]

        async def forget() -> None:
            with pytest.warns(ResourceWarning, match="neither read"):
                collect(held)

        _, (_, data, *_) = await runner.together(forget, house.get)
        assert data == b"ok"

    run(body)


@pytest.mark.parametrize("whole", [True, False])
def test_finalizer_within_the_pools_own_lines_waits_for_the_lock(whole: bool) -> None:
    house = House(RUNNERS["blocking"](), connections=1)
    house.backend.scripts = [[SLOW, b"ok"]]
    held = [drive(house.get(whole=False))]
    with house.pool.leases.lock, pytest.warns(ResourceWarning, match="neither read"):
        collect(held)
    assert house.counts == (1, 0, 0)
    drive(house.get(whole=whole))
    assert len(house.backend.streams) == 2
