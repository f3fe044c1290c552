"""Waiters and sleep, in every world."""

from __future__ import annotations

import threading

import pytest
from net_worlds import World


def test_a_waiter_that_was_set_before_does_not_wait(backend: World):
    async def body() -> None:
        waiter = backend.net.waiter()
        waiter.set()
        waiter.set()
        assert await waiter.wait(None)
        assert await waiter.wait(backend.net.clock())

    backend.run(body)


def test_a_waiter_that_nobody_sets_ends_at_its_deadline(backend: World):
    async def body() -> None:
        waiter = backend.net.waiter()
        start = backend.net.clock()
        assert not await waiter.wait(start + 0.02)
        assert backend.net.clock() >= start + 0.015  # loops count in milliseconds
        assert not await waiter.wait(start - 1)
        waiter.set()
        assert await waiter.wait(start - 1)

    backend.run(body)


def test_a_waiter_is_set_while_it_is_waited_for(backend: World):
    async def body() -> None:
        waiter = backend.net.waiter()
        begun = backend.event()

        async def wait() -> None:
            begun.set()
            assert await waiter.wait(backend.net.clock() + 30)

        async def let_go() -> None:
            await begun.wait()
            await backend.settle()
            waiter.set()

        await backend.together(wait, let_go)

    backend.run(body)


def test_a_cancelled_wait_leaves_no_trace(backend: World):
    if not backend.asynchronous:
        pytest.skip("threads are not cancelled")

    async def body() -> None:
        waiter = backend.net.waiter()

        async def wait() -> None:
            await waiter.wait(backend.net.clock() + 1000)

        await backend.cancel(wait)
        waiter.set()
        assert await waiter.wait(None)

    backend.run(body)


def test_any_thread_may_call_into_a_world(backend: World):
    async def body() -> None:
        waiter = backend.net.waiter()
        thread = threading.Thread(target=backend.net.from_any_thread(waiter.set))
        thread.start()
        assert await waiter.wait(backend.net.clock() + 30)
        thread.join()

    backend.run(body)


def test_sleep_lets_time_pass(backend: World):
    async def body() -> None:
        start = backend.net.clock()
        await backend.net.sleep(0.01)
        assert backend.net.clock() >= start + 0.009

    backend.run(body)
