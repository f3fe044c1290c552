"""Letting other tasks run, from code that does not know its event loop."""

from __future__ import annotations

import asyncio

import pytest

from httpx_fast._drive import drive
from httpx_fast._turns import give_turn


def test_another_task_of_asyncio_runs_meanwhile():
    async def main() -> list[str]:
        order: list[str] = []

        async def other() -> None:
            order.append("other")

        task = asyncio.ensure_future(other())
        order.append("first")
        await give_turn()
        order.append("last")
        await task
        return order

    assert asyncio.run(main()) == ["first", "other", "last"]


def test_another_task_of_trio_runs_meanwhile():
    trio = pytest.importorskip("trio")

    async def main() -> list[str]:
        order: list[str] = []

        async def other() -> None:
            order.append("other")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            order.append("first")
            for _ in range(2):  # trio runs the tasks that are ready at the same time in any order
                await give_turn()
            order.append("last")
        return order

    assert trio.run(main) == ["first", "other", "last"]


def test_it_can_be_cancelled_there():
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await give_turn()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


def test_without_an_event_loop_nothing_suspends():
    assert drive(give_turn()) is None
