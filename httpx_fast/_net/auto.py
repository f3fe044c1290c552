"""Detect the running event loop: once per request, so cheaply, and without importing any.

A program that only blocks would pay more for importing asyncio than for importing this package.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .base import Backend

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


def _first_look() -> AbstractEventLoop | None:
    """Return the running loop, as long as no other code has imported asyncio."""
    global running_loop
    if "asyncio" not in sys.modules:
        return None
    # None where the public one raises, at a tenth of the cost.
    from asyncio import _get_running_loop as running_loop

    return running_loop()


running_loop: Callable[[], AbstractEventLoop | None] = _first_look


def _is_loop(token: Any) -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(token, asyncio.AbstractEventLoop)


def in_trio_task() -> bool:
    """Return whether this code runs in a task of trio."""
    trio = sys.modules.get("trio")
    if trio is None:
        return False
    try:
        trio.lowlevel.current_task()  # trio.lowlevel.in_trio_task() came with trio 0.29
    except RuntimeError:
        return False
    return True


def current_token() -> object:
    """Return a token of the running event loop: the asyncio loop, or trio's token. RuntimeError if none runs."""
    loop = running_loop()
    # Trio does not run before it was imported. It may run inside an asyncio loop (guest mode), not in a task of it.
    trio = sys.modules.get("trio")
    if trio is not None and (loop is None or (sys.modules["asyncio"].current_task(loop) is None and in_trio_task())):
        try:
            return trio.lowlevel.current_trio_token()
        except RuntimeError:
            pass
    if loop is None:
        raise RuntimeError("an asynchronous client works only while an event loop runs, of asyncio or trio")
    return loop


def has_ended(token: Any) -> bool:
    """Return whether the event loop that a token of `current_token` stands for has ended; callable from any thread."""
    if _is_loop(token):
        return bool(token.is_closed())
    try:
        token.run_sync_soon(_nothing)
    except RuntimeError:  # trio.RunFinishedError
        return True
    return False


def _nothing() -> None:
    """Do nothing: trio is asked to call this in order to find out whether it still runs."""


def backend_for(token: object) -> Backend:
    """Return a backend for the event loop that a token of `current_token` stands for."""
    if _is_loop(token):
        from .asyncio import AsyncioBackend

        return AsyncioBackend()
    from .trio import TrioBackend

    return TrioBackend()
