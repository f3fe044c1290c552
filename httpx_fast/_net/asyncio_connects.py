"""Connect several sockets at once in an asyncio loop; see `connecting.Connector`."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Collection, Iterable
from typing import Any

from .asyncio_timers import AsyncioWaiter
from .connecting import begin_connect, connect_error
from .deadline_heap import Deadlines
from .deadline_stream import NEVER


class SelectorConnects:
    """Race sockets by `add_writer`."""

    __slots__ = ("_deadlines", "_loop")

    def __init__(self, deadlines: Deadlines, loop: asyncio.AbstractEventLoop) -> None:
        self._deadlines = deadlines
        self._loop = loop

    def begin(self, sock: socket.socket, address: Any) -> int:
        return begin_connect(sock, address)

    async def wait(self, sockets: Collection[socket.socket], until: float) -> Iterable[socket.socket]:
        waiter = AsyncioWaiter(self._deadlines)
        at = None if until == NEVER else until
        if len(sockets) > 1:
            return await self._wait_for_some(sockets, waiter, at)
        # Nearly always, and at half the memory: a thousand may be waited for at once.
        number = next(iter(sockets)).fileno() if sockets else -1
        try:
            if sockets:
                self._loop.add_writer(number, waiter.set)
            return sockets if await waiter.wait(at) else ()
        finally:
            if sockets:
                self._loop.remove_writer(number)

    async def _wait_for_some(
        self, sockets: Collection[socket.socket], waiter: AsyncioWaiter, at: float | None
    ) -> Iterable[socket.socket]:
        ended: list[socket.socket] = []

        def end(sock: socket.socket) -> None:
            ended.append(sock)
            waiter.set()

        numbers = [sock.fileno() for sock in sockets]
        try:
            for number, sock in zip(numbers, sockets, strict=True):
                self._loop.add_writer(number, end, sock)
            await waiter.wait(at)
        finally:
            for number in numbers:
                self._loop.remove_writer(number)
        return dict.fromkeys(ended)

    def outcome(self, sock: socket.socket) -> OSError | None:
        return connect_error(sock)

    def drop(self, sock: socket.socket) -> None:
        sock.close()


class TaskConnects:
    """Race sockets by `loop.sock_connect`, a task each: every loop has that."""

    def __init__(self, clock: Callable[[], float], loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._tasks: dict[socket.socket, asyncio.Task[None]] = {}

    def begin(self, sock: socket.socket, address: Any) -> int:
        self._tasks[sock] = self._loop.create_task(self._loop.sock_connect(sock, address))
        return errno.EINPROGRESS

    async def wait(self, sockets: Collection[socket.socket], until: float) -> Iterable[socket.socket]:
        timeout = None if until == NEVER else max(until - self._clock(), 0.0)
        if not self._tasks:
            await asyncio.sleep(timeout or 0.0)
            return ()
        ended, _ = await asyncio.wait(self._tasks.values(), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return [sock for sock, task in self._tasks.items() if task in ended]

    def outcome(self, sock: socket.socket) -> OSError | None:
        failure = self._tasks.pop(sock).exception()
        if failure is not None and not isinstance(failure, OSError):
            raise failure
        return failure

    def drop(self, sock: socket.socket) -> None:
        task = self._tasks.pop(sock, None)
        if task is None:
            sock.close()
        else:
            # The loop uses the descriptor until the task ends; closed before, its number might be reused by then.
            task.add_done_callback(lambda task: sock.close())
            task.cancel()
