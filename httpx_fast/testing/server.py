"""An HTTP/1.1 server on this machine, in a thread of its own, with or without TLS.

For demonstrations and tests: it is plain, strict where a client could be wrong, and lets go of everything when its
`with` block ends. One event loop serves all connections; listening begins in `start()`, so that the port is known and
connections are taken from the moment it returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from .certificate import Certificate
from .connection import Connection, PeerClosed, TooLong
from .messages import Malformed, receive, send
from .replies import Reply, Request, answer, text


class LocalServer:
    """A server at `url`; a context manager.

    `tls` is True (a certificate for localhost is made on the spot), False, or the certificate to show. `answer` gives
    the reply to a request, in the server's thread; an exception of it becomes a reply with status 500.
    """

    def __init__(self, *, tls: bool | Certificate = True, answer: Callable[[Request], Reply] = answer) -> None:
        self.certificate = Certificate() if tls is True else tls or None
        self.accepted = 0  # count of connections so far
        self.port = 0
        self._answer = answer
        self._context = self.certificate.server_context() if self.certificate else None
        self._loop: asyncio.SelectorEventLoop | None = None
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()

    @property
    def url(self) -> str:
        """The server's origin as a URL, without a path."""
        return f"{'https' if self.certificate else 'http'}://localhost:{self.port}"

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this server and no other. RuntimeError without TLS."""
        if self.certificate is None:
            raise RuntimeError("this server has no certificate: it was made with tls=False")
        return self.certificate.client_context()

    def start(self) -> None:
        """Listens on a free port. RuntimeError when it has been started before."""
        if self._thread is not None:
            raise RuntimeError("this server has been started already")
        self._listeners = _listen()
        self.port = self._listeners[0].getsockname()[1]
        # Not what the user's policy says: the same sockets on every platform, and nothing to install.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="httpx-fast server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Closes all connections and waits for the thread to end; repeatable."""
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
        for listener in self._listeners:
            self._spawn(self._accept(listener))
        await self._stop.wait()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        for listener in self._listeners:
            listener.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            self._spawn(self._converse(Connection(sock, self.accepted)))

    async def _converse(self, connection: Connection) -> None:
        """Serves one connection to its end."""
        try:
            if self._context is not None:
                await connection.start_tls(self._context)
            nth = 1
            while await self._exchange(connection, nth):
                nth += 1
        except (TooLong, Malformed) as error:
            with contextlib.suppress(OSError):
                await send(connection, None, text(400, f"{error}\n"))
        except (PeerClosed, OSError):  # a peer that goes away, or does not like the certificate, may
            pass
        finally:
            connection.close()

    async def _exchange(self, connection: Connection, nth: int) -> bool:
        """One request and its reply; False when the connection is to be closed then."""
        request = await receive(connection, nth)
        if request is None:
            return False
        try:
            reply = self._answer(request)
        except Exception as error:  # noqa: BLE001 - whatever a test's function raises is to be seen by the test
            reply = text(500, f"{type(error).__name__}: {error}\n")
        return await send(connection, request, reply)


def _listen() -> list[socket.socket]:
    """Listens on a free port of 127.0.0.1, and on the same of ::1 if there is such: "localhost" may mean either."""
    listeners = [socket.create_server(("127.0.0.1", 0))]
    with contextlib.suppress(OSError):
        listeners.append(socket.create_server(("::1", listeners[0].getsockname()[1]), family=socket.AF_INET6))
    for listener in listeners:
        listener.setblocking(False)
    return listeners
