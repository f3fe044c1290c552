"""The pool over streams in memory, with the waits of every world. What it decides is tested with the plan."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from memory import OK, SLOW, A, B, House
from runners import RUNNERS, Runner

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._drive import drive
from httpx_fast._exceptions import ConnectError, PoolTimeout, ReadError, RemoteProtocolError
from httpx_fast._origin import Route


def test_second_request_reuses_the_connection(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        assert house.counts == (0, 0, 0)
        for _ in range(2):
            head, data, interim, trailers, lease = await house.get()
            assert (head.status, data, list(interim), list(trailers), lease) == (200, b"ok", [], [], None)
            assert house.counts == (0, 1, 0)
        assert len(house.backend.streams) == 1

    run(body)


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


def test_failure_while_streaming_names_the_journey_and_frees_the_place(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, ReadError("reset")]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        with pytest.raises(ReadError, match="reset") as caught:
            await lease.next_chunk()
        assert caught.value.journey is not None
        assert caught.value.journey.phase == "receive"
        assert house.counts == (0, 0, 0)

    run(body)


def test_malformed_response_frees_the_place_and_the_pool_goes_on(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[b"HTTP/9.9 ???\r\n\r\n"]]
        with pytest.raises(RemoteProtocolError, match="status line") as caught:
            await house.get()
        assert caught.value.journey is not None
        assert caught.value.journey.phase == "wait"
        assert caught.value.journey.stopped == house.backend.now
        assert house.counts == (0, 0, 0)
        assert (await house.get())[1] == b"ok"

    run(body)


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


def test_failed_dial_passes_its_leave_on(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[ConnectError("refused")]]
        with pytest.raises(ConnectError, match="refused") as caught:
            await house.get()
        assert caught.value.journey is not None
        assert caught.value.journey.phase == "tcp"
        assert house.counts == (0, 0, 0)
        assert (await house.get())[1] == b"ok"

    run(body)


def test_retries_dial_again_within_the_budget(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, retries=5)
        house.backend.scripts = [[ConnectError("refused")] for _ in range(3)]
        assert (await house.get(timeouts=RequestTimeouts(60.0, None, None, None)))[1] == b"ok"
        assert house.backend.slept == [0.5, 1.0]
        house.backend.scripts = [[ConnectError("refused")] for _ in range(9)]
        with pytest.raises(ConnectError, match="refused"):
            await house.get(B, timeouts=RequestTimeouts(3.0, None, None, None))
        assert house.backend.slept == [0.5, 1.0, 0.5, 1.0]  # 2 s more would pass the deadline
        assert house.counts == (0, 1, 0)

    run(body)


def test_oldest_idle_connection_makes_room(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        await house.get(A)
        await house.get(B)
        assert house.counts == (0, 1, 0)
        assert [stream.closed for stream in house.backend.streams] == [1, 0]

    run(body)


def test_idle_connection_is_closed_after_its_time(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.now += 5.0
        await house.get()
        assert [stream.closed for stream in house.backend.streams] == [1, 0]
        assert house.counts == (0, 1, 0)

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


@pytest.mark.parametrize("sign", [None, b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_connection_that_tells_of_its_death_leaves_the_pool(run: Any, sign: bytes | None) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.streams[0].push(sign)
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


CLOSED_BEFORE_ANSWER: list[Any] = [None, ReadError("reset by peer")]


@pytest.mark.parametrize("end", CLOSED_BEFORE_ANSWER, ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("options", "sent_again"),
    [
        ({}, True),
        ({"method": b"DELETE"}, True),
        ({"replay": False}, False),
        ({"method": b"POST"}, False),
        ({"method": b"POST", "replay": True}, True),
        ({"method": b"POST", "fields": [(b"Idempotency-Key", b"1")]}, True),
        ({"method": b"PUT", "fields": [(b"Content-Length", b"1")], "body": b"x"}, True),
    ],
)
def test_request_on_a_dead_reused_connection_is_replayed_if_harmless(
    run: Any, end: Any, options: dict[str, Any], sent_again: bool
) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[OK, end]]
        await house.get()
        if not sent_again:
            with pytest.raises((ReadError, RemoteProtocolError), match=r"closed the connection|reset by peer"):
                await house.get(**options)
            assert len(house.backend.streams) == 1
            assert house.counts == (0, 0, 0)
            return
        assert (await house.get(**options))[1] == b"ok"
        (attempt,) = house.last.attempts
        assert attempt.reused
        assert attempt.failure is not None
        assert attempt.failure.startswith("the reused connection was dead: ")
        assert not house.last.reused
        assert house.counts == (0, 1, 0)
        # Head and body are the same bytes both times.
        assert house.backend.streams[0].sent[1] == house.backend.streams[1].sent[0]

    run(body)


def test_body_that_cannot_be_read_twice_is_not_replayed(run: Any) -> None:
    async def pieces() -> Any:
        yield b"x"

    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[OK, None]]
        await house.get()
        with pytest.raises(RemoteProtocolError, match="without sending a response"):
            await house.get(method=b"PUT", fields=[(b"Transfer-Encoding", b"chunked")], body=pieces())
        assert len(house.backend.streams) == 1

    run(body)


@pytest.mark.parametrize("script", [[None], [OK, b"HTTP/1.1 2", None]], ids=["new connection", "answer begun"])
def test_failure_that_may_have_been_processed_is_not_replayed(run: Any, script: list[Any]) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [list(script)]
        if len(script) > 1:
            await house.get()
        with pytest.raises(RemoteProtocolError, match="closed the connection"):
            await house.get()
        assert len(house.backend.streams) == 1

    run(body)


def test_replay_is_tried_once(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=3)
        house.backend.scripts = [[SLOW, b"ok", None], [OK, None]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        await house.get()
        await lease.next_chunk()
        with pytest.raises(RemoteProtocolError, match="without sending a response") as caught:
            await house.get()
        assert caught.value.journey is not None
        assert len(caught.value.journey.attempts) == 1
        assert len(house.backend.streams) == 2

    run(body)
