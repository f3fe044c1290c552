"""Timers of asyncio loops: one for all deadlines of a loop, moved as little as possible."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from net_worlds import Listener, Sink, receive

from httpx_fast._deadline import PhaseTimer
from httpx_fast._exceptions import ReadTimeout
from httpx_fast._net.asyncio import AsyncioBackend
from httpx_fast._net.asyncio_streams import LoopStream


@pytest.fixture(params=[False, True], ids=["own socket", "protocol"])
def backend(request: pytest.FixtureRequest) -> AsyncioBackend:
    return AsyncioBackend(force_protocol=request.param)


async def connect(backend: AsyncioBackend, peer: Listener) -> LoopStream:
    stream = await backend.connect_tcp([(peer.family, peer.address)], PhaseTimer("connect"))
    assert isinstance(stream, LoopStream)
    return stream


def run(loop: asyncio.AbstractEventLoop, body: Any) -> Any:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(body)


def test_a_nearer_deadline_moves_the_timer(backend: AsyncioBackend, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await connect(backend, peer)) as stream:
            far = peer.accept()
            sink = Sink()
            stream.attach(sink)
            stream.set_deadline("read", backend.clock() + 1000, 1000.0)
            far.sendall(b"x")
            await receive(stream, sink, 1)
            stream.set_deadline("read", backend.clock() + 0.01, 0.01)
            with pytest.raises(ReadTimeout, match=r"of 0\.01 s"):
                await stream.receive()

    asyncio.run(body())


def test_a_timer_that_fires_early_is_set_again(backend: AsyncioBackend, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await connect(backend, peer)) as stream:
            far = peer.accept()
            sink = Sink()
            stream.attach(sink)
            stream.set_deadline("read", backend.clock() + 0.01, 0.01)
            far.sendall(b"x")
            await receive(stream, sink, 1)
            start = backend.clock()
            stream.set_deadline("read", start + 0.05, 0.05)
            with pytest.raises(ReadTimeout, match=r"of 0\.05 s"):
                await stream.receive()
            assert backend.clock() >= start + 0.05

    asyncio.run(body())


def test_an_idle_connection_lets_its_timer_end(backend: AsyncioBackend, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await connect(backend, peer)) as stream:
            far = peer.accept()
            sink = Sink()
            stream.attach(sink)
            stream.set_deadline("read", backend.clock() + 0.005, 0.005)
            far.sendall(b"x")
            await receive(stream, sink, 1)
            while stream._timer is not None:
                await asyncio.sleep(0)

    asyncio.run(body())
