"""Several sockets that connect at once in a loop of asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest
from net_worlds import Listener
from runners import PATIENCE, AsyncioRunner, UvloopRunner

from httpx_fast._net.asyncio import AsyncioBackend
from httpx_fast._net.asyncio_connects import SelectorConnects, TaskConnects
from httpx_fast._net.deadline_heap import Deadlines


def selector_connects(loop: asyncio.AbstractEventLoop) -> Any:
    return SelectorConnects(Deadlines(AsyncioBackend.clock), loop)


def task_connects(loop: asyncio.AbstractEventLoop) -> Any:
    return TaskConnects(AsyncioBackend.clock, loop)


@pytest.fixture(params=[AsyncioRunner, UvloopRunner])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    run: Callable[[Any], Any] = request.param().run
    return run


@pytest.fixture(params=[selector_connects, task_connects])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


def opened() -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    return sock


def refusing_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        return int(gone.getsockname()[1])


def test_sockets_that_connected_and_that_were_refused_are_told_apart(
    run: Callable[[Any], Any], make: Any, peer: Listener
) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        connects = make(loop)
        with contextlib.closing(opened()) as good, contextlib.closing(opened()) as bad:
            left = {good, bad}
            codes = {good: connects.begin(good, peer.address), bad: connects.begin(bad, ("127.0.0.1", refusing_port()))}
            found: dict[socket.socket, OSError | None] = {}
            for sock, code in codes.items():
                if code not in (0, errno.EINPROGRESS):
                    found[sock] = OSError(code, "refused")
                    left.discard(sock)
            while left:
                for sock in await connects.wait(left, AsyncioBackend.clock() + PATIENCE):
                    found[sock] = connects.outcome(sock)
                    left.discard(sock)
            assert found[good] is None
            refused = found[bad]
            assert refused is not None
            assert refused.errno == errno.ECONNREFUSED

    run(body)


def test_waiting_ends_at_its_time_with_nothing(run: Callable[[Any], Any], make: Any) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        connects = make(loop)
        assert list(await connects.wait((), AsyncioBackend.clock())) == []

    run(body)


def test_dropped_sockets_are_closed(run: Callable[[Any], Any], make: Any, peer: Listener) -> None:
    async def body() -> None:
        connects = make(asyncio.get_running_loop())
        sock = opened()
        connects.begin(sock, peer.address)
        connects.drop(sock)
        for _ in range(20):  # a task that connects ends before its socket is closed
            await asyncio.sleep(0)
        assert sock.fileno() == -1

    run(body)
