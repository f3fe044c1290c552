"""Work in a task of asyncio that is aborted without cancelling the task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from runners import AsyncioRunner, UvloopRunner

from httpx_fast._net.asyncio_work import SteppedWork
from httpx_fast._net.base import Aborted


@pytest.fixture(params=[AsyncioRunner, UvloopRunner])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    run: Callable[[Any], Any] = request.param().run
    return run


def test_result_and_exception_are_those_of_the_work(run: Callable[[Any], Any]) -> None:
    async def give() -> int:
        await asyncio.sleep(0)
        return 7

    async def fail() -> int:
        await asyncio.sleep(0)
        raise KeyError("the work's")

    async def body() -> None:
        assert await SteppedWork(give).run() == 7
        with pytest.raises(KeyError, match="the work's"):
            await SteppedWork(fail).run()

    run(body)


def test_abort_ends_the_work_and_not_its_task(run: Callable[[Any], Any]) -> None:
    async def body() -> None:
        loop, cleaned = asyncio.get_running_loop(), []

        async def wait() -> None:
            try:
                await loop.create_future()
            finally:
                cleaned.append(True)

        work = SteppedWork(wait)
        loop.call_soon(work.abort)
        with pytest.raises(Aborted):
            await work.run()
        assert cleaned == [True]
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)  # nothing of it is left to be delivered

    run(body)


def test_work_that_was_aborted_before_never_waits(run: Callable[[Any], Any]) -> None:
    async def body() -> None:
        async def wait() -> None:
            await asyncio.get_running_loop().create_future()

        work = SteppedWork(wait)
        work.abort()
        with pytest.raises(Aborted):
            await work.run()

    run(body)


def test_cancellation_of_the_task_is_no_abort(run: Callable[[Any], Any]) -> None:
    async def body() -> None:
        waits = asyncio.Event()

        async def wait() -> None:
            waits.set()
            await asyncio.get_running_loop().create_future()

        work = SteppedWork(wait)

        async def run_it() -> None:
            await work.run()

        task = asyncio.ensure_future(run_it())
        await waits.wait()
        task.cancel()
        work.abort()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(body)
