from __future__ import annotations

import asyncio

import pytest

from httpx_fast._drive import drive


def test_result_of_a_coroutine_that_never_suspends() -> None:
    async def deep() -> int:
        return 1

    async def top() -> int:
        return await deep() + 1

    assert drive(top()) == 2


def test_exception_of_the_coroutine_is_raised() -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        drive(fails())


def test_suspension_is_refused_and_the_coroutine_closed() -> None:
    closed = []

    async def waits() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append(True)

    with pytest.raises(RuntimeError, match="blocking code met an asynchronous wait: None"):
        drive(waits())
    assert closed == [True]
