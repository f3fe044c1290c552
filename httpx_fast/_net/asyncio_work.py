"""Run work in an asyncio task that may be aborted from outside, without cancelling the task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

from .base import Abortable, Aborted

T = TypeVar("T")


class SteppedWork(Abortable[T]):
    """Step work here, on behalf of the task that awaits it, so that an exception can be thrown into it.

    The task itself is not cancelled: a cancellation would reach its caller, and could be taken for the user's.
    """

    __slots__ = ("_aborted", "_awaited")

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        super().__init__(work)
        self._aborted = False
        self._awaited: Any = None  # the future that the work waits for

    def run(self) -> Awaitable[T]:
        return self

    def abort(self) -> None:
        self._aborted = True
        awaited = self._awaited
        if awaited is not None:
            # The task is woken by that. If the future is done already it is about to be.
            awaited.cancel()

    def __await__(self) -> Generator[Any, Any, T]:
        work = self._work()
        step: Callable[[Any], Any] = work.send
        argument: Any = None
        told = False
        while True:
            if self._aborted and not told and not _is_cancelled(argument):
                told = True
                step, argument = work.throw, Aborted()
            try:
                awaited = step(argument)
            except StopIteration as end:
                result: T = end.value
                return result
            if self._aborted and not told:
                step, argument = work.send, None
                continue
            self._awaited = awaited
            try:
                argument = yield awaited
                step = work.send
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:  # noqa: BLE001  # it is the work's
                step, argument = work.throw, error
            finally:
                self._awaited = None


def _is_cancelled(thrown: object) -> bool:
    """Return whether it is the cancellation of the task that runs."""
    if not isinstance(thrown, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
