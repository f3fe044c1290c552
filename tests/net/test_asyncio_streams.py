"""What only asyncio's streams do: one reader for a connection's life, one timer, no task ever cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from net_worlds import Listener, Sink, receive, send

from httpx_fast._deadline import PhaseTimer
from httpx_fast._exceptions import ReadTimeout
from httpx_fast._net.asyncio import AsyncioBackend
from httpx_fast._net.asyncio_protocol import ProtocolStream
from httpx_fast._net.asyncio_streams import AsyncioStream, LoopStream


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what is registered with it."""

    def __init__(self) -> None:
        super().__init__()
        self.readers = 0
        self.timers = 0

    def add_reader(self, *arguments: Any) -> None:
        self.readers += 1
        super().add_reader(*arguments)

    def call_at(self, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
        self.timers += 1
        return super().call_at(*arguments, **options)


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


def test_a_hundred_exchanges_register_one_reader_and_one_timer(peer: Listener):
    loop = CountingLoop()

    async def body() -> None:
        backend = AsyncioBackend()
        with contextlib.closing(await connect(backend, peer)) as stream:
            far = peer.accept()
            sink = Sink()
            stream.attach(sink)
            loop.readers = loop.timers = 0
            for _ in range(100):
                await send(stream, b"q")
                far.sendall(b"a")
                stream.set_deadline("read", backend.clock() + 5, 5.0)
                await receive(stream, sink, 1)
            assert (loop.readers, loop.timers) == (0, 1)

    run(loop, body())


def test_arming_holds_for_a_wait_that_goes_on(backend: AsyncioBackend, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await connect(backend, peer)) as stream:
            peer.accept()
            stream.attach(Sink())
            waiting = stream.receive()
            stream.set_deadline("read", backend.clock() + 0.01, 0.01)
            with pytest.raises(ReadTimeout, match=r"of 0\.01 s"):
                await waiting

    asyncio.run(body())


def test_two_tasks_do_not_receive_at_once(backend: AsyncioBackend, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await connect(backend, peer)) as stream:
            far = peer.accept()
            stream.attach(Sink())
            waiting = stream.receive()
            with pytest.raises(RuntimeError, match="by one task at a time"):
                stream.receive()
            far.sendall(b"x")
            await waiting

    asyncio.run(body())


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy does not say when it lets go of an object")
def test_the_context_of_who_connected_is_not_kept(backend: AsyncioBackend, peer: Listener):
    class Baggage:
        pass

    variable: contextvars.ContextVar[Baggage] = contextvars.ContextVar("variable")

    async def body() -> None:
        streams: list[LoopStream] = []

        async def request() -> weakref.ref[Baggage]:
            baggage = Baggage()
            variable.set(baggage)
            stream = await connect(backend, peer)
            sink = Sink()
            stream.attach(sink)
            stream.set_deadline("read", backend.clock() + 1000, 1000.0)
            peer.accept().sendall(b"x")
            await receive(stream, sink, 1)
            streams.append(stream)
            return weakref.ref(baggage)

        baggage = await asyncio.create_task(request())
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        assert baggage() is None
        streams[0].close()
        await asyncio.sleep(0)

    asyncio.run(body())


def test_a_stock_loop_is_served_by_its_readers(peer: Listener):
    async def body() -> None:
        with contextlib.closing(await connect(AsyncioBackend(), peer)) as stream:
            assert type(stream) is AsyncioStream

    asyncio.run(body())


def test_closing_after_the_loop_is_quiet(backend: AsyncioBackend, peer: Listener):
    async def body() -> LoopStream:
        stream = await connect(backend, peer)
        stream.attach(Sink())
        return stream

    stream = asyncio.run(body())
    sock = stream.get_extra_info("socket")
    if isinstance(stream, ProtocolStream):
        # Its transport would complain that nobody closed it while the loop ran, and rightly so.
        stream._transport._sock = None
    stream.close()
    stream.close()
    assert sock.fileno() == -1


@pytest.fixture
def traced() -> Iterator[Any]:
    tracemalloc = pytest.importorskip("tracemalloc")
    tracemalloc.start()
    yield tracemalloc
    tracemalloc.stop()


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="memory is counted otherwise")
def test_an_idle_connection_is_small(traced: Any, peer: Listener):
    async def body() -> float:
        backend = AsyncioBackend()

        async def visit() -> tuple[LoopStream, Any]:
            stream = await connect(backend, peer)
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            far.sendall(b"x" * 1000)
            stream.set_deadline("read", backend.clock() + 1000, 1000.0)
            await receive(stream, sink, 1000)
            sink.received = b""
            return stream, far

        warm = [await visit() for _ in range(2)]
        gc.collect()
        before, _ = traced.get_traced_memory()
        kept = [await visit() for _ in range(50)]
        gc.collect()
        after, _ = traced.get_traced_memory()
        for stream, far in warm + kept:
            stream.close()
            far.close()
        return (after - before) / 50

    assert asyncio.run(body()) < 6000  # bytes; both ends' sockets and the test's own sink are among them
