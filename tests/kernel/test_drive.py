from __future__ import annotations

import asyncio
import gc
import sys
import threading
import types
import weakref
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest

from httpx_fast import _drive
from httpx_fast._kernel import select

Drive: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def drive(kernel: SimpleNamespace) -> Drive:
    """Return the function of one of the twins."""
    found: Drive = kernel.drive
    return found


def test_clients_use_the_kernel_that_was_selected() -> None:
    assert _drive.drive is select.drive


def test_result_of_a_coroutine_that_never_suspends(drive: Drive) -> None:
    async def deep() -> int:
        return 1

    async def top() -> int:
        return await deep() + 1

    assert drive(top()) == 2


def test_exception_of_the_coroutine_is_raised(drive: Drive) -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        drive(fails())


def test_suspension_is_refused_and_the_coroutine_closed(drive: Drive) -> None:
    closed = []

    async def waits() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append(True)

    with pytest.raises(RuntimeError, match="blocking code met an asynchronous wait: None"):
        drive(waits())
    assert closed == [True]


def test_coroutines_may_drive_others(drive: Drive) -> None:
    async def one(depth: int) -> int:
        return drive(one(depth - 1)) + 1 if depth else 0

    assert drive(one(5)) == 5


def test_faults_do_not_spoil_what_is_driven_later(drive: Drive) -> None:
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


def test_nothing_is_kept_of_what_was_driven(drive: Drive) -> None:
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


def test_threads_drive_at_once(drive: Drive) -> None:
    meeting = threading.Barrier(4, timeout=30)

    async def meets(number: int) -> int:
        meeting.wait()
        return number

    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert list(threads.map(lambda number: drive(meets(number)), range(4))) == [0, 1, 2, 3]


def test_what_is_awaited_by_other_means_than_a_coroutine_is_driven_too(drive: Drive) -> None:
    @types.coroutine
    def generator() -> Generator[None, None, str]:
        return "value"
        yield

    assert drive(generator()) == "value"


def test_result_is_passed_on_as_it_is(drive: Drive) -> None:
    """Also one that Python would take apart where a result comes as an exception."""

    async def answers(value: object) -> object:
        return value

    for value in ((1, 2), (), StopIteration(3), None):
        assert drive(answers(value)) is value


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="references are not counted here")
def test_references_are_balanced(drive: Drive) -> None:
    value, before = object(), 0

    async def answers() -> object:
        return value

    async def fails() -> None:
        raise KeyError(value)

    @types.coroutine
    def waits() -> Generator[object, None, None]:
        yield value

    for count in range(200):
        assert drive(answers()) is value
        with pytest.raises(KeyError, match="object"):
            drive(fails())
        with pytest.raises(RuntimeError, match="asynchronous wait"):
            drive(waits())
        if count == 100:
            gc.collect()
            before = sys.getrefcount(value)
    gc.collect()
    assert sys.getrefcount(value) <= before
