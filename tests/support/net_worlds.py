"""The worlds of the network floor, and the other end of their connections.

A test drives the peer itself: what a peer writes on loopback lies in the kernel before the test goes on, so the order
of things needs no threads and no waiting. Only a peer that has to act while the test waits gets a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from runners import PATIENCE, AsyncioRunner, BlockingRunner, Body, Runner, TrioRunner, UvloopRunner

from httpx_fast._deadline import PhaseTimer
from httpx_fast._net import sync
from httpx_fast._net.anyio import AnyIOBackend
from httpx_fast._net.asyncio import AsyncioBackend
from httpx_fast._net.base import Backend, Stream
from httpx_fast._net.sync import SyncBackend


class Sink:
    """Keeps what it is told. It has enough when `wanted` bytes are there; the end is never enough by itself."""

    def __init__(self, wanted: int = 1, buffer: bytearray | None = None) -> None:
        self.wanted = wanted
        self.received = b""
        self.ends: list[bool] = []
        self.pushes = 0
        self.pending = 0
        self.buffer = buffer
        self.end_is_enough = False
        self.refuses: Exception | None = None
        self.told = lambda: None  # called after each push

    def get_buffer(self) -> bytearray | None:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> bool:
        assert self.buffer is not None
        return self.data_received(memoryview(self.buffer)[:nbytes])

    def data_received(self, data: memoryview) -> bool:
        assert len(data) > 0
        if self.refuses is not None:
            raise self.refuses
        self.pushes += 1
        self.received += bytes(data)
        self.told()
        return len(self.received) >= self.wanted

    def eof_received(self, clean: bool) -> bool:
        self.ends.append(clean)
        self.told()
        if self.refuses is not None:
            raise self.refuses
        return self.end_is_enough


class World:
    """A runner with the backend of the network floor that belongs to it."""

    def __init__(self, name: str, runner: Runner, make: Callable[[], Backend]) -> None:
        self.name = name
        self.runner = runner
        self.net = make()
        self.run = runner.run
        self.together = runner.together
        self.event = runner.event
        self.asynchronous = runner.asynchronous
        #: Arrivals are pushed while nobody waits.
        self.pushes = isinstance(self.net, AsyncioBackend)
        self.by_anyio = isinstance(self.net, AnyIOBackend)

    async def connect(self, peer: Listener, budget: float | None = PATIENCE) -> Stream:
        timer = self.connecting(budget)
        if isinstance(peer.address, str):
            return await self.net.connect_unix(peer.address, timer)
        return await self.net.connect_tcp([(peer.family, peer.address)], timer)

    def connecting(self, budget: float | None = PATIENCE) -> PhaseTimer:
        return PhaseTimer("connect", None, self.net.clock(), budget)

    def set_deadline(self, stream: Stream, phase: str, budget: float) -> None:
        stream.set_deadline(phase, self.net.clock() + budget, budget)

    async def settle(self) -> None:
        """Lets everything that is due happen: callbacks run, tasks go on until they wait."""
        if isinstance(self.runner, TrioRunner):
            import trio.testing

            await trio.testing.wait_all_tasks_blocked(0.01)
        elif self.asynchronous:
            for _ in range(20):  # the loop looks at its sockets in every turn
                await asyncio.sleep(0)

    async def cancel(self, body: Body) -> None:
        """Starts `body`, and cancels it once it waits."""
        if isinstance(self.runner, TrioRunner):
            import trio.testing

            async with trio.open_nursery() as nursery:
                nursery.start_soon(body)
                await trio.testing.wait_all_tasks_blocked(0.01)
                nursery.cancel_scope.cancel()
            return
        task = asyncio.ensure_future(body())
        await self.settle()
        assert not task.done(), "it does not wait"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class PolledBackend(SyncBackend):
    """The blocking world where the kernel's times cannot be used."""

    async def _stream(self, sock: socket.socket, address: Any) -> Stream:
        stream = await super()._stream(sock, address)
        assert isinstance(stream, sync.SyncStream)
        stream._kernel_times = False
        sock.setblocking(False)
        return stream


def _trio() -> Backend:
    from httpx_fast._net.trio import TrioBackend

    return TrioBackend()


WORLDS: dict[str, Callable[[], World]] = {
    "blocking": lambda: World("blocking", BlockingRunner(), SyncBackend),
    "blocking-polled": lambda: World("blocking-polled", BlockingRunner(), PolledBackend),
    "asyncio": lambda: World("asyncio", AsyncioRunner(), AsyncioBackend),
    "asyncio-protocol": lambda: World("asyncio-protocol", AsyncioRunner(), lambda: AsyncioBackend(force_protocol=True)),
    "uvloop": lambda: World("uvloop", UvloopRunner(), AsyncioBackend),
    "trio": lambda: World("trio", TrioRunner(), _trio),
    "anyio-asyncio": lambda: World("anyio-asyncio", AsyncioRunner(), AnyIOBackend),
    "anyio-trio": lambda: World("anyio-trio", TrioRunner(), AnyIOBackend),
}


class Listener:
    """The other end: a listening socket, and what it accepts."""

    def __init__(self, path: str | None = None, host: str = "127.0.0.1", backlog: int = 16) -> None:
        if path is None:
            self.family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.socket = socket.create_server((host, 0), family=self.family, backlog=backlog)
        else:
            self.family = socket.AF_UNIX
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            self.socket.listen(backlog)
        self.socket.settimeout(PATIENCE)
        self.address: Any = self.socket.getsockname()
        self._open = contextlib.ExitStack()
        self._open.callback(self.socket.close)
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    @property
    def port(self) -> int:
        return self.address[1]

    def accept(self) -> socket.socket:
        connection, _ = self.socket.accept()
        connection.settimeout(PATIENCE)
        return self._open.enter_context(connection)

    def serve(self, script: Callable[[socket.socket], object], tls: ssl.SSLContext | None = None) -> threading.Event:
        """Accepts in a thread and follows `script`; the event is set when that is done."""
        done = threading.Event()

        def follow() -> None:
            try:
                connection = self.accept()
                if tls is not None:
                    connection = self._open.enter_context(tls.wrap_socket(connection, server_side=True))
                script(connection)
            except BaseException as failure:
                self._failures.append(failure)
            finally:
                done.set()

        self._threads.append(threading.Thread(target=follow, name="peer"))
        self._threads[-1].start()
        return done

    def close(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
        self._open.close()
        if self._failures:
            raise self._failures[0]


@contextlib.contextmanager
def listening(*arguments: Any, **options: Any) -> Iterator[Listener]:
    with contextlib.closing(Listener(*arguments, **options)) as listener:
        yield listener


def echo(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):  # the client may leave when it likes
        while raw := connection.recv(65536):
            connection.sendall(raw)


def reset(connection: socket.socket) -> None:
    """Closes with RST: what was on its way is lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def send(stream: Stream, *buffers: bytes) -> None:
    unsent = stream.write(*buffers)
    if unsent is not None:
        await unsent


async def receive(stream: Stream, sink: Sink, wanted: int) -> bytes:
    """Waits until `sink` has `wanted` bytes more than were claimed, and claims them."""
    sink.wanted = wanted
    while len(sink.received) < wanted:
        await stream.receive()
    taken, sink.received = sink.received[:wanted], sink.received[wanted:]
    return taken


def closing(stream: Stream) -> contextlib.closing[Any]:
    return contextlib.closing(stream)


async def first(*awaitables: Awaitable[Any]) -> None:
    for each in awaitables:
        await each


ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="how Linux treats a full queue of connections")
