"""Streams of the user's own: any AnyIO byte stream, closed without waiting."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc
import pytest
from certificates import Authority
from net_worlds import WORLDS, Listener, Sink, World, echo, receive, send

from httpx_fast._exceptions import ReadError, ReadTimeout, WriteError
from httpx_fast._net.anyio import AnyIOStream


@pytest.fixture(params=["anyio-asyncio", "anyio-trio"])
def backend(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]()


class Echo(anyio.abc.ByteStream):
    """A stream over no socket at all; closing it takes a while."""

    def __init__(self) -> None:
        self.octets = b""
        self.arrived = anyio.Event()
        self.closed = False
        self.fails: Exception | None = None

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fails is not None:
            raise self.fails
        self.octets += item
        self.arrived.set()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if self.fails is not None:
            raise self.fails
        while not self.octets:
            self.arrived = anyio.Event()
            await self.arrived.wait()
        taken, self.octets = self.octets[:max_bytes], self.octets[max_bytes:]
        return taken

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self.closed = True


async def settled(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


def test_a_stream_over_no_socket_works_and_is_closed_in_the_background(backend: World):
    async def body() -> None:
        inner = Echo()
        stream = AnyIOStream(inner, time.monotonic)
        sink = Sink()
        stream.attach(sink)
        backend.set_deadline(stream, "read", 30)
        await send(stream, b"there ", b"and back")
        assert await receive(stream, sink, 14) == b"there and back"
        stream.poll_idle()
        assert stream.get_extra_info("socket") is None
        assert stream.get_extra_info("server_addr") is None
        backend.set_deadline(stream, "read", 0.01)
        with pytest.raises(ReadTimeout, match="the peer sent nothing"):
            await stream.receive()
        stream.close()
        await settled(lambda: inner.closed)

    backend.run(body)


@pytest.mark.parametrize(
    "fault", [anyio.BrokenResourceError(), anyio.ClosedResourceError(), OSError(5, "no such luck")]
)
def test_faults_of_a_stream_are_network_errors(backend: World, fault: Exception):
    async def body() -> None:
        inner = Echo()
        stream = AnyIOStream(inner, time.monotonic)
        stream.attach(Sink())
        inner.fails = fault
        with pytest.raises(ReadError, match=r"reading from the peer failed: .+"):
            await stream.receive()
        with pytest.raises(WriteError, match=r"writing to the peer failed: .+"):
            await send(stream, b"x")
        stream.close()
        await settled(lambda: inner.closed)

    backend.run(body)


def test_a_socket_is_let_go_of_in_the_loops_next_turn(backend: World, peer: Listener):
    async def body() -> None:
        stream = await backend.connect(peer)
        stream.attach(Sink())
        far = peer.accept()
        stream.close()
        await backend.settle()
        assert far.recv(1) == b""

    backend.run(body)


def test_anyios_own_tls_is_a_stream_too(backend: World, peer: Listener, authority: Authority):
    server: ssl.SSLContext = authority.server_context("localhost")
    trusting = authority.client_context()

    async def body() -> None:
        peer.serve(echo, server)
        inner: Any = await anyio.connect_tcp(
            "127.0.0.1",
            peer.port,
            tls=True,
            ssl_context=trusting,
            tls_hostname="localhost",
            tls_standard_compatible=False,
        )
        stream = AnyIOStream(inner, time.monotonic)
        sink = Sink()
        with contextlib.closing(stream):
            stream.attach(sink)
            backend.set_deadline(stream, "read", 30)
            await send(stream, b"hello")
            assert await receive(stream, sink, 5) == b"hello"
            assert stream.get_extra_info("server_addr")[:2] == peer.address
        sock = stream.get_extra_info("socket")
        await settled(lambda: sock.fileno() == -1)

    backend.run(body)
