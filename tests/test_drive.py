from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

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


def test_coroutines_may_drive_others() -> None:
    async def one(depth: int) -> int:
        return drive(one(depth - 1)) + 1 if depth else 0

    assert drive(one(5)) == 5


def test_faults_do_not_spoil_what_is_driven_later() -> None:
    async def fails() -> None:
        raise KeyError("x")

    async def answers() -> list[object]:
        return []

    for _ in range(3):
        with pytest.raises(KeyError, match="x"):
            drive(fails())
        with pytest.raises(RuntimeError, match="asynchronous wait"):
            drive(asyncio.sleep(0))
        assert drive(answers()) == []


def test_nothing_is_kept_of_what_was_driven() -> None:
    class Result:
        pass

    async def makes() -> Result:
        return Result()

    coroutine = makes()
    result = weakref.ref(drive(coroutine))
    kept = weakref.ref(coroutine)
    del coroutine
    gc.collect()
    assert (result(), kept()) == (None, None)


def test_threads_drive_at_once() -> None:
    meeting = threading.Barrier(4, timeout=30)

    async def meets(number: int) -> int:
        meeting.wait()
        return number

    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert list(threads.map(lambda number: drive(meets(number)), range(4))) == [0, 1, 2, 3]
