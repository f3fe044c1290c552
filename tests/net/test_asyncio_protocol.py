"""Streams of loops that have transports and protocols, but no readers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from net_worlds import Listener, Sink, receive

from httpx_fast._deadline import PhaseTimer
from httpx_fast._net.asyncio import AsyncioBackend
from httpx_fast._net.asyncio_protocol import ProtocolStream
from httpx_fast._net.asyncio_streams import LoopStream


class ProtocolLoop(asyncio.SelectorEventLoop):
    """As Windows' Proactor: it has no readers."""

    add_reader = asyncio.AbstractEventLoop.add_reader
    remove_reader = asyncio.AbstractEventLoop.remove_reader


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


def test_a_loop_without_readers_is_served_by_its_transports(peer: Listener):
    async def body() -> None:
        with contextlib.closing(await connect(AsyncioBackend(), peer)) as stream:
            assert isinstance(stream, ProtocolStream)
        await asyncio.sleep(0)

    loop = ProtocolLoop()
    # A stock loop wakes itself through a reader of its own, which it asks of an inner method.
    run(loop, body())


def test_bytes_that_came_before_anybody_was_attached_are_kept(peer: Listener):
    uvloop = pytest.importorskip("uvloop")

    async def body() -> None:
        done = peer.serve(lambda connection: connection.sendall(b"220 welcome"))
        stream = await connect(AsyncioBackend(), peer)
        await asyncio.to_thread(done.wait, 30)
        for _ in range(20):
            await asyncio.sleep(0)
        sink = Sink()
        with contextlib.closing(stream):
            stream.attach(sink)
            assert await receive(stream, sink, 11) == b"220 welcome"
        await asyncio.sleep(0)

    run(uvloop.new_event_loop(), body())
