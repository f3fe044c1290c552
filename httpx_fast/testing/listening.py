"""Accept connections on this machine in a thread; subclasses serve them.

One event loop serves all connections. `start()` listens, so that the port is known and connections are accepted when it
returns; `close()` releases everything. It knows no HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from .connection import Connection


class Listening:
    """Accept connections on `port`. A context manager."""

    def __init__(self) -> None:
        self.accepted: int = 0  # count of connections so far
        self.port: int = 0
        self._loop: asyncio.SelectorEventLoop | None = None
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()

    async def converse(self, connection: Connection) -> None:
        """Serve an accepted connection, in this thread's event loop, and close it."""
        raise NotImplementedError

    def start(self) -> None:
        """Listen on a free port. RuntimeError if it has been started before."""
        if self._thread is not None:
            raise RuntimeError("this server has been started already")
        self._listeners = _listen()
        self.port = self._listeners[0].getsockname()[1]
        # Independent of the user's event loop policy: the same sockets on every platform, and nothing to install.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="httpx-fast server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close all connections and wait for the thread to end. May be repeated."""
        if self._thread is None or self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, loop: asyncio.SelectorEventLoop) -> None:
        try:
            loop.run_until_complete(self._serve())
        finally:
            loop.close()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.add_reader(listener, self._accept, listener)
        await self._stop.wait()
        for listener in self._listeners:
            loop.remove_reader(listener)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        for listener in self._listeners:
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        # Not `sock_accept()`, which loses what it has accepted when it is cancelled then.
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # the peer has closed already
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted += 1
        connection = Connection(sock, self.accepted)
        task = asyncio.create_task(self.converse(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before it begins closes nothing.
        task.add_done_callback(lambda _: connection.close())


def _listen() -> list[socket.socket]:
    """Listen on a free port of 127.0.0.1, and on the same of ::1 if there is such: "localhost" may mean either."""
    listeners = [socket.create_server(("127.0.0.1", 0))]
    with contextlib.suppress(OSError):
        listeners.append(socket.create_server(("::1", listeners[0].getsockname()[1]), family=socket.AF_INET6))
    for listener in listeners:
        listener.setblocking(False)
    return listeners
