"""Many waits of one asyncio loop: one timer for all of them, on a clock that stands still unless it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from httpx_fast._net.asyncio_timers import AsyncioWaiter
from httpx_fast._net.deadline_heap import Deadlines


class Loop:
    """A loop whose timers go off when they are told to."""

    def __init__(self) -> None:
        self.real = asyncio.new_event_loop()
        self.now = 100.0
        self.timers: list[Timer] = []

    def clock(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        return self.real.create_future()

    def call_later(self, delay: float, call: Callable[[], object], context: object) -> Timer:
        self.timers.append(Timer(self.timers, self.now + delay, call))
        return self.timers[-1]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in [each for each in self.timers if each.at <= self.now]:
            self.timers.remove(timer)
            timer.call()


class Timer:
    def __init__(self, timers: list[Timer], at: float, call: Callable[[], object]) -> None:
        self.timers = timers
        self.at = at
        self.call = call

    def cancel(self) -> None:
        self.timers.remove(self)


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.real.close()


def add(deadlines: Deadlines, loop: Any, at: float) -> asyncio.Future[bool]:
    future: asyncio.Future[bool] = loop.create_future()
    deadlines.add(loop, at, future)
    return future


def outcomes(*futures: asyncio.Future[bool]) -> list[bool | None]:
    return [each.result() if each.done() else None for each in futures]


def test_thousand_waits_have_one_timer(loop: Loop):
    deadlines = Deadlines(loop.clock)
    waits = [add(deadlines, loop, loop.now + 5 + number / 1000) for number in range(1000)]
    assert len(loop.timers) == 1
    loop.advance(4.999)
    assert not any(each.done() for each in waits)
    loop.advance(2)
    assert outcomes(*waits) == [False] * 1000
    assert loop.timers == []


def test_each_wait_ends_at_its_own_deadline_whatever_their_order(loop: Loop):
    deadlines = Deadlines(loop.clock)
    late, early, between = (add(deadlines, loop, loop.now + seconds) for seconds in (9, 1, 4))
    loop.advance(1)
    assert outcomes(late, early, between) == [None, False, None]
    loop.advance(3)
    assert outcomes(late, between) == [None, False]
    assert [timer.at for timer in loop.timers] == [109]
    loop.advance(5)
    assert outcomes(late) == [False]


def test_who_was_served_or_has_gone_is_left_alone_at_the_deadline(loop: Loop):
    deadlines = Deadlines(loop.clock)
    served, gone = add(deadlines, loop, loop.now + 1), add(deadlines, loop, loop.now + 1)
    served.set_result(True)
    gone.cancel()
    loop.advance(1)
    assert served.result()
    assert gone.cancelled()
    assert loop.timers == []


def test_timer_that_comes_too_early_is_set_again(loop: Loop):
    deadlines = Deadlines(loop.clock)
    wait = add(deadlines, loop, loop.now + 1)
    loop.timers.pop().call()
    assert outcomes(wait) == [None]
    assert [timer.at for timer in loop.timers] == [101]


def test_entries_of_waits_that_were_cancelled_do_not_pile_up(loop: Loop):
    deadlines = Deadlines(loop.clock)
    waiting = add(deadlines, loop, loop.now + 1)
    for _ in range(10_000):
        add(deadlines, loop, loop.now + 60).cancel()
        assert len(deadlines._entries) <= 70
    assert outcomes(waiting) == [None]
    loop.advance(1)
    assert outcomes(waiting) == [False]


def test_thousand_waits_that_were_served_leave_little_behind(loop: Loop):
    deadlines = Deadlines(loop.clock)
    waits = [add(deadlines, loop, loop.now + 60) for _ in range(1000)]
    for each in waits:
        each.set_result(True)
        deadlines.ended()
    assert len(deadlines._entries) <= 64


def test_another_loop_begins_anew(loop: Loop):
    deadlines = Deadlines(loop.clock)
    left_behind = add(deadlines, loop, loop.now + 1)
    other = Loop()
    try:
        wait = add(deadlines, other, loop.now + 2)
        assert [timer.at for timer in other.timers] == [102]
        loop.now = 102
        other.advance(2)
        assert outcomes(wait, left_behind) == [False, None]
    finally:
        other.real.close()


def test_waits_of_a_loop_without_a_deadline_need_no_timer():
    async def body() -> None:
        deadlines = Deadlines(asyncio.get_running_loop().time)
        waiter = AsyncioWaiter(deadlines)
        waiting = waiter.wait(None)
        waiter.set()
        assert await waiting
        assert deadlines._timer is None

    asyncio.run(body())
