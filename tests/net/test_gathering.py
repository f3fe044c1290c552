"""A stream may gather what comes quickly: nothing of it is lost, kept back, or told late."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from net_worlds import Listener, Sink, World, listening, receive, send

from httpx_fast._exceptions import ReadError, ReadTimeout
from httpx_fast._net import gathering
from httpx_fast._net.base import HIGH_WATER, Stream
from httpx_fast._net.gathering import AHEAD, LEAST, wake_from


@pytest.fixture
def gathers(backend: World) -> bool:
    """Whether the streams of this world do."""
    return gathering._AVAILABLE and not backend.by_anyio and backend.name != "blocking-polled"


def least(stream: Stream) -> int:
    """The bytes from which the kernel says that there is something to read."""
    return stream.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


def test_little_is_not_kept_back(backend: World, peer: Listener, gathers: bool):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            backend.set_deadline(stream, "read", 10)
            for number in range(3):
                stream.gather(LEAST)
                assert least(stream) == (LEAST if gathers else 1)
                far.sendall(b"little %d" % number)
                assert await receive(stream, sink, 8) == b"little %d" % number
            stream.gather(0)
            assert least(stream) == 1

    backend.run(body)


def test_silence_ends_it(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            peer.accept()
            stream.gather(LEAST)
            backend.set_deadline(stream, "read", 0.1)
            with pytest.raises(ReadTimeout, match=r"0\.1"):
                await stream.receive()
            assert least(stream) == 1

    backend.run(body)


def test_what_comes_while_nobody_waits_is_there_for_the_next_wait(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            stream.gather(LEAST)
            far.sendall(b"early")
            await backend.settle()
            assert await receive(stream, sink, 5) == b"early"

    backend.run(body)


def test_much_arrives_whole_and_in_order(backend: World, peer: Listener):
    data = bytes(range(256)) * (4 * LEAST // 256) + b"the end"
    pieces: list[bytes] = []

    async def body() -> None:
        sink = Sink(buffer=bytearray(2 * LEAST))

        def keep() -> None:
            pieces.append(sink.received)
            sink.received = b""

        sink.told = keep
        sink.wanted = 0
        done = peer.serve(lambda connection: connection.sendall(data))
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(sink)
            backend.set_deadline(stream, "read", 10)
            while sum(map(len, pieces)) < len(data):
                stream.gather(LEAST)
                await stream.receive()
            await backend.runner.hear(done)

    backend.run(body)
    assert b"".join(pieces) == data


@pytest.mark.parametrize("said", [b"", b"last words"])
def test_the_end_is_told(backend: World, peer: Listener, said: bytes):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            sink.end_is_enough = True
            stream.attach(sink)
            far = peer.accept()
            far.sendall(said or b"x")
            await receive(stream, sink, len(said or b"x"))
            stream.gather(LEAST)
            if said:
                far.sendall(said)
            far.close()
            backend.set_deadline(stream, "read", 10)
            while not sink.ends:
                await stream.receive()
            assert sink.ends == [True]
            assert sink.received == said

    backend.run(body)


def test_a_stream_that_gathers_can_be_closed_while_it_is_read(backend: World, peer: Listener):
    async def body() -> None:
        stream = await backend.connect(peer)
        stream.attach(Sink())
        peer.accept()
        stream.gather(LEAST)
        if not backend.asynchronous:
            stream.close()
            with pytest.raises(ReadError, match="closed"):
                await stream.receive()
            stream.gather(LEAST)
            return

        async def read() -> None:
            with pytest.raises(ReadError, match="closed"):
                await stream.receive()

        async def close() -> None:
            await backend.settle()
            stream.close()
            stream.gather(LEAST)

        await backend.together(read, close)

    backend.run(body)


def test_other_tasks_run_while_much_is_read(backend: World, peer: Listener):
    if not backend.pushes:
        pytest.skip("this backend does not read ahead of its loop")
    size, piece = 16 * LEAST, 65536
    without_a_turn: list[int] = [0]

    async def body() -> None:
        loop = asyncio.get_running_loop()
        sink = Sink(buffer=bytearray(piece))
        sink.wanted = 0

        def turn() -> None:
            without_a_turn.append(0)
            nonlocal ticking
            ticking = loop.call_soon(turn)

        def count() -> None:
            sink.pending = len(sink.received)

        sink.told = count
        done = peer.serve(lambda connection: connection.sendall(bytes(size)))
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(sink)
            backend.set_deadline(stream, "read", 10)
            ticking = loop.call_soon(turn)
            received = 0
            while received < size:
                stream.gather(LEAST)
                await stream.receive()
                received += sink.pending
                without_a_turn[-1] += sink.pending
                sink.received, sink.pending = b"", 0
            ticking.cancel()
            await backend.runner.hear(done)

    backend.run(body)
    # What the loop itself has read since the last turn comes before what is read ahead, and the last read is counted
    # after it was made.
    assert max(without_a_turn) <= AHEAD + HIGH_WATER + piece


def test_a_write_goes_out_meanwhile(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            far = peer.accept()
            stream.gather(LEAST)
            await send(stream, b"a question")
            assert far.recv(100) == b"a question"

    backend.run(body)


def test_sockets_that_cannot_are_left_alone():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not wake_from(ours, LEAST)
    with listening() as listener, socket.create_connection(listener.address) as connected:
        assert wake_from(connected, LEAST) == gathering._AVAILABLE
    assert not wake_from(connected, LEAST)
