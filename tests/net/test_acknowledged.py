"""Whether the peer can have read what was sent to it: told from what its system acknowledged."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from net_worlds import Listener, Sink, World, listening, receive, send

from httpx_fast._exceptions import ReadError
from httpx_fast._net.acknowledged import acknowledged, closed_untaken, duplicate

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what was acknowledged")


def close(far: socket.socket) -> None:
    far.close()


def half_close(far: socket.socket) -> None:
    far.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("end", [close, half_close])
def test_what_is_sent_after_the_peer_closed_was_not_taken(
    backend: World, peer: Listener, end: Callable[[socket.socket], None]
) -> None:
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            sink.end_is_enough = True
            stream.attach(sink)
            far = peer.accept()
            await send(stream, b"first")
            assert far.recv(5) == b"first"
            far.sendall(b"answer")
            assert await receive(stream, sink, 6) == b"answer"
            before = acknowledged(stream)
            assert before is not None
            end(far)
            await send(stream, b"second")
            with contextlib.suppress(ReadError):  # where the end was pushed before
                await stream.receive()
            assert closed_untaken(stream, before, None)
            assert not closed_untaken(stream, before - 1, None)

    backend.run(body)


def test_what_the_peer_read_before_it_closed_was_taken(backend: World, peer: Listener) -> None:
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            sink.end_is_enough = True
            stream.attach(sink)
            far = peer.accept()
            before = acknowledged(stream)
            assert before is not None
            await send(stream, b"request")
            assert far.recv(7) == b"request"
            far.close()
            await stream.receive()
            assert not closed_untaken(stream, before, None)

    backend.run(body)


def test_nothing_is_known_of_a_closed_stream(backend: World, peer: Listener) -> None:
    async def body() -> None:
        stream = await backend.connect(peer)
        stream.attach(Sink())
        peer.accept()
        stream.close()
        await backend.settle()
        assert acknowledged(stream) is None
        assert not closed_untaken(stream, 0, None)

    backend.run(body)


def test_nothing_is_known_of_unix_sockets(backend: World, tmp_path: Path) -> None:
    async def body() -> None:
        with (
            listening(str(tmp_path / "socket")) as listener,
            contextlib.closing(await backend.connect(listener)) as one,
        ):
            one.attach(Sink())
            assert acknowledged(one) is None

    backend.run(body)


@pytest.mark.parametrize("blocking", [False, True])
def test_duplicate_leaves_the_connection_blocking_or_not_as_it_was(blocking: bool) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(blocking)
        far.sendall(b"x")
        with duplicate(near) as twin:
            assert os.get_blocking(near.fileno()) == blocking
            assert twin.recv(1, socket.MSG_PEEK) == b"x"
        assert near.recv(1) == b"x"
