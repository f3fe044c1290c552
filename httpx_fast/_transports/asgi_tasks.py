"""Tasks and signals of asyncio and trio, for applications that run in this process."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Protocol

from .._deadline import Deadline
from .._net.auto import in_trio_task


class Signal:
    """Wake every task that waits; those that come later wait for the next notification."""

    def __init__(self) -> None:
        self._event: Any = None

    def notify(self) -> None:
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        if self._event is None:
            self._event = sys.modules["trio"].Event() if in_trio_task() else asyncio.Event()
        await self._event.wait()

    async def wait_until(self, deadline: Deadline | None) -> bool:
        """Wait for a notification; return False if `deadline` comes first."""
        if deadline is None:
            await self.wait()
            return True
        import anyio  # a client that sets no such limit never loads it

        with anyio.move_on_after(deadline.at - monotonic()):
            await self.wait()
            return True
        return False


class Task(Protocol):
    """A task that runs beside its maker."""

    def cancel(self) -> None: ...

    async def join(self, seconds: float, shielded: bool = False) -> None:
        """Wait for the end of the task; never raise what it raised."""


class _AsyncioTask:
    def __init__(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._task = asyncio.create_task(run())

    def cancel(self) -> None:
        self._task.cancel()

    async def join(self, seconds: float, shielded: bool = False) -> None:
        # A cancellation is delivered once here, so there is nothing to shield from.
        await asyncio.wait([self._task], timeout=seconds)


class _TrioTask:
    """Run in a system task: it may outlive the nursery that sent the request, as the response does."""

    def __init__(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        import trio

        self._trio = trio
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

        async def contained() -> None:
            try:
                with self._scope:
                    await run()
            finally:
                self._ended.set()

        trio.lowlevel.spawn_system_task(contained, context=contextvars.copy_context())

    def cancel(self) -> None:
        self._scope.cancel()

    async def join(self, seconds: float, shielded: bool = False) -> None:
        with self._trio.CancelScope(deadline=self._trio.current_time() + seconds, shield=shielded):
            await self._ended.wait()


def spawn(run: Callable[[], Coroutine[Any, Any, None]]) -> Task:
    """Run a coroutine function in a task of the running event loop."""
    return _TrioTask(run) if in_trio_task() else _AsyncioTask(run)
