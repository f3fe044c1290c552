"""What a stream gives to a connection that many share: posting without waiting, and draining."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import pytest
from net_worlds import Listener, Sink, World

from httpx_fast._exceptions import WriteError, WriteTimeout
from httpx_fast._net.base import Backend

MIB = 1024 * 1024


def receive_all(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        received += connection.recv(MIB)
    return bytes(received)


def test_what_was_left_unsent_is_drained_in_order(backend: World, listen: Callable[..., Listener]):
    parts = [bytes([number]) * 65536 for number in range(100)]
    received: list[bytes] = []
    peer = listen()

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            # The socket is full at some time, since the peer does not read before all is posted.
            posted = [stream.post(part) for part in parts]
            assert not posted[-1]
            assert stream.unsent > 0
            done = peer.serve(lambda connection: received.append(receive_all(connection, 6553600)))
            await stream.flush(reading=False)
            assert stream.unsent == 0
            await stream.flush(reading=False)
            await backend.runner.hear(done)

    backend.run(body)
    assert received == [b"".join(parts)]


def test_a_peer_that_is_to_be_read_first_is_read_while_draining(backend: World, listen: Callable[..., Listener]):
    size = 16 * MIB
    peer = listen()

    def script(connection: socket.socket) -> None:
        connection.sendall(bytes(size))
        assert len(receive_all(connection, size)) == size

    async def body() -> None:
        done = peer.serve(script)
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink(wanted=size)
            stream.attach(sink)
            stream.post(bytes(size))
            await stream.flush(reading=True)
            while len(sink.received) < size:
                await stream.receive()
            # It may have ended when the sink had what it wanted, before all was sent.
            await stream.flush(reading=False)
            await backend.runner.hear(done)

    backend.run(body)


def test_draining_ends_at_the_deadline_for_writing(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            peer.accept()
            backend.set_deadline(stream, "read", 30)
            for reading in (True, False):
                backend.set_deadline(stream, "write", 0.02)
                if not stream.unsent:
                    stream.post(bytes(32 * MIB))
                with pytest.raises(WriteTimeout, match="took nothing more"):
                    await stream.flush(reading)
                if backend.by_anyio:
                    break

    backend.run(body)


def test_nothing_follows_what_was_cut_off(backend: World, peer: Listener):
    if not backend.by_anyio:
        pytest.skip("other streams know what they sent")

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            peer.accept()
            stream.post(bytes(32 * MIB))
            backend.set_deadline(stream, "write", 0.02)
            with pytest.raises(WriteTimeout):
                await stream.flush(reading=False)
            with pytest.raises(WriteError, match="a write before was cancelled half way"):
                stream.post(b"x")

    backend.run(body)


def test_worlds_that_push_call_soon(backend: World):
    called = []

    async def body() -> None:
        if not backend.pushes:
            assert not backend.net.pushes
            with pytest.raises(NotImplementedError):
                backend.net.soon(lambda: None)
            return
        assert backend.net.pushes
        backend.net.soon(lambda: called.append(True))
        assert not called
        await backend.settle()
        assert called

    backend.run(body)
    assert issubclass(type(backend.net), Backend)
