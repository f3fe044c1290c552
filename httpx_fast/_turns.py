"""Let the other tasks of an event loop run, from code that has computed for a while and does not know its loop."""

from __future__ import annotations

import sys
import types
from collections.abc import Generator

#: Seconds of computing after which an asynchronous reader lets other tasks run.
TURN = 0.005


@types.coroutine
def _suspend() -> Generator[None, None, None]:
    yield


async def give_turn() -> None:
    """Suspend this task until the other tasks that are ready have run; does nothing where no event loop runs.

    It may be cancelled there, as at any await. Imports neither asyncio nor trio.
    """
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            trio.lowlevel.current_task()
        except RuntimeError:
            pass
        else:
            await trio.lowlevel.checkpoint()
            return
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        await _suspend()
