"""Steps a coroutine that never suspends to its end.

Everything between the transports and the sockets is written once, as `async def`. On the blocking backend nothing
below ever suspends, so one `send(None)` runs the whole of it. A suspension is a fault of ours (an asynchronous stream
was given to blocking code), never something to wait for.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        waited_for = coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError(f"blocking code met an asynchronous wait: {waited_for!r}")
