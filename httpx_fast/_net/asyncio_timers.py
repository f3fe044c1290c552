"""Wait in an asyncio loop for one event, with a deadline."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from .deadline_heap import Deadlines

Future: TypeAlias = "asyncio.Future[bool]"


class AsyncioWaiter:
    """Wait for one event. The deadline is one of `deadlines`, which all waits of a backend share."""

    __slots__ = ("_bounded", "_deadlines", "_future", "_is_set")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._future: Future | None = None
        self._is_set = False
        self._bounded = False  # its deadline is among those

    def set(self) -> None:
        self._is_set = True
        future = self._future
        if future is not None and not future.done():
            future.set_result(True)
            if self._bounded:
                self._deadlines.ended()

    def wait(self, at: float | None) -> Future:
        """Return the future of the wait; a coroutine would be one more object for each task that waits."""
        loop = asyncio.get_running_loop()
        self._future = future = loop.create_future()
        if self._is_set:
            future.set_result(True)
        elif at is not None:
            self._bounded = True
            self._deadlines.add(loop, at, future)
        return future
