"""Run a coroutine that never suspends. The pure Python twin of ext/drive.pyx.

The result of a coroutine is raised as StopIteration, unless a generator awaits it: then it is a value, at half of the
cost. So generators are kept that await the coroutines sent to them, one after the other.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeAlias, TypeVar

__all__ = ["drive"]

T = TypeVar("T")

#: A generator that awaits coroutines, and the list that it yields at the end of each, with the result.
_Stepper: TypeAlias = tuple[Generator[Any, Any, None], list[Any]]

_idle: list[_Stepper] = []


def drive(coroutine: Coroutine[Any, Any, T], /) -> T:
    """Run a coroutine to its end and return its result. RuntimeError if it suspends."""
    try:
        stepper = _idle.pop()
    except IndexError:
        stepper = _new_stepper()
    steps, returned = stepper
    # A generator that an exception leaves is finished. One in use is in no list, so that calls may nest.
    waited_for = steps.send(coroutine)
    if waited_for is returned:
        value: T = returned.pop()
        _idle.append(stepper)
        return value
    steps.close()
    raise RuntimeError(f"blocking code met an asynchronous wait: {waited_for!r}")


def _new_stepper() -> _Stepper:
    returned: list[Any] = []
    steps: Any = _steps(returned)  # to type checkers it is something to await
    steps.send(None)
    return steps, returned


@types.coroutine
def _steps(returned: list[Any]) -> Generator[Any, Any, None]:
    coroutine = yield
    while True:
        returned.append((yield from coroutine))
        coroutine = None  # keeps no reference until the next one is sent
        coroutine = yield returned
