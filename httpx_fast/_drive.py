"""Steps a coroutine that never suspends to its end.

Everything between the transports and the sockets is written once, as `async def`. On the blocking backend nothing
below ever suspends, so one `send()` runs the whole of it. A suspension is a fault of ours (an asynchronous stream was
given to blocking code), never something to wait for.

What a coroutine returns comes out of it as StopIteration, unless a generator awaits it: there it is a value, at half of
the cost. So generators are kept that await what they are sent, one coroutine after the other.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

#: What awaits, and the list that it yields at the end of each coroutine, with what that has returned.
_Stepper: TypeAlias = tuple[Generator[Any, Any, None], list[Any]]

_idle: list[_Stepper] = []


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        stepper = _idle.pop()
    except IndexError:
        stepper = _new_stepper()
    steps, returned = stepper
    # One that an exception leaves is over. One that is at work is in no list, so others may drive meanwhile.
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
        coroutine = None  # not to be kept until the next one comes
        coroutine = yield returned
