"""Connecting: races between addresses, what each failure is called, and what a socket is given before it connects."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from net_worlds import Listener, Sink, World, receive, send

from httpx_fast._deadline import PhaseTimer
from httpx_fast._drive import drive
from httpx_fast._exceptions import ConnectError, ConnectTimeout
from httpx_fast._net.base import Address
from httpx_fast._net.connecting import ATTEMPT_DELAY, Race, open_socket

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what Linux does with a full queue")


def refusing() -> Any:
    """An address where nobody listens: bound, so that nobody else gets it, and not listening."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


class Hole(Listener):
    """Listens with its queue full: the system drops what knocks, and nobody hears anything."""

    def __init__(self) -> None:
        super().__init__(backlog=0)
        for _ in range(2):
            knocking = self._open.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(self.address)


@pytest.fixture
def hole(request: pytest.FixtureRequest):
    if sys.platform != "linux":
        pytest.skip("what Linux does with a full queue")
    with contextlib.closing(Hole()) as listener:
        yield listener


async def connect(backend: World, *addresses: Address, budget: float = 30, **options: Any) -> Any:
    return await backend.net.connect_tcp(addresses, backend.connecting(budget), **options)


def test_connect_is_what_tools_replace(backend: World, monkeypatch: pytest.MonkeyPatch):
    """pytest-socket allows tests some hosts so; the socket is closed, or a warning would fail this test."""
    if backend.by_anyio:
        pytest.skip("AnyIO connects by itself")
    asked = []

    def guarded(sock: socket.socket, address: Any) -> None:
        asked.append(address)
        raise RuntimeError(f"{address} is not allowed")

    async def body() -> None:
        with pytest.raises(RuntimeError, match="is not allowed"):
            await connect(backend, (socket.AF_INET, ("127.0.0.1", 9)))

    monkeypatch.setattr(socket.socket, "connect", guarded)
    backend.run(body)
    assert asked == [("127.0.0.1", 9)]


def test_a_refusal_names_the_address_and_the_reason(backend: World):
    async def body() -> None:
        with refusing() as sock:
            port = sock.getsockname()[1]
            pattern = rf"^could not connect to 127\.0\.0\.1:{port}: .+"
            with pytest.raises(ConnectError, match=pattern) as caught:
                await connect(backend, (socket.AF_INET, sock.getsockname()))
            assert backend.by_anyio or "(ECONNREFUSED)" in str(caught.value)
            assert isinstance(caught.value.__cause__, OSError)

    backend.run(body)


def test_all_refusals_are_named(backend: World):
    async def body() -> None:
        with refusing() as one, refusing() as other:
            addresses = [(socket.AF_INET, each.getsockname()) for each in (one, other)]
            pattern = rf"127\.0\.0\.1:{one.getsockname()[1]}: .+; 127\.0\.0\.1:{other.getsockname()[1]}: .+"
            with pytest.raises(ConnectError, match=pattern):
                await connect(backend, *addresses)

    backend.run(body)


def test_no_address_is_an_error(backend: World):
    async def body() -> None:
        with pytest.raises(ConnectError, match="the name has no address"):
            await connect(backend)

    backend.run(body)


def test_the_next_address_is_tried_when_one_refuses(backend: World, peer: Listener):
    async def body() -> None:
        with refusing() as sock:
            stream = await connect(backend, (socket.AF_INET, sock.getsockname()), (peer.family, peer.address))
            with contextlib.closing(stream):
                assert stream.get_extra_info("server_addr")[:2] == peer.address

    backend.run(body)


def test_an_address_that_does_not_answer_is_overtaken(backend: World, peer: Listener, hole: Hole):
    async def body() -> None:
        budget = 0.5 if backend.by_anyio else 30  # one after the other there, each with its share
        holes = (hole.family, hole.address)
        stream = await connect(backend, holes, (peer.family, peer.address), budget=budget)
        with contextlib.closing(stream):
            assert stream.get_extra_info("server_addr")[:2] == peer.address

    backend.run(body)


def test_no_answer_at_all_is_a_timeout_that_names_who_was_tried(backend: World, hole: Hole):
    async def body() -> None:
        pattern = rf"connect timed out after [\d.]+ s of 0\.02 s: no answer from 127\.0\.0\.1:{hole.port}"
        with pytest.raises(ConnectTimeout, match=pattern):
            await connect(backend, (hole.family, hole.address), budget=0.02)
        await backend.settle()

    backend.run(body)


def test_a_cancelled_connect_leaves_nothing_open(backend: World, hole: Hole):
    if not backend.asynchronous:
        pytest.skip("threads are not cancelled")

    async def body() -> None:
        async def dial() -> None:
            await connect(backend, (hole.family, hole.address))

        await backend.cancel(dial)
        await backend.settle()

    backend.run(body)


def test_ipv6_connects(backend: World, listen: Callable[..., Listener]):
    try:
        peer = listen(host="::1")
    except OSError:
        pytest.skip("no IPv6 here")

    async def body() -> None:
        with contextlib.closing(await connect(backend, (peer.family, peer.address))) as stream:
            assert stream.get_extra_info("server_addr")[:2] == peer.address[:2]

    backend.run(body)


def test_a_local_address_is_where_it_connects_from(backend: World, peer: Listener):
    if sys.platform != "linux":
        pytest.skip("elsewhere loopback has one address only")

    async def body() -> None:
        address = (peer.family, peer.address)
        with contextlib.closing(await connect(backend, address, local_address="127.0.0.2")) as stream:
            assert stream.get_extra_info("client_addr")[0] == "127.0.0.2"

    backend.run(body)


def test_options_are_set_and_nothing_waits_to_be_sent(backend: World, peer: Listener):
    async def body() -> None:
        option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        address = (peer.family, peer.address)
        with contextlib.closing(await connect(backend, address, socket_options=[option])) as stream:
            sock = stream.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    backend.run(body)


def test_an_option_that_the_system_refuses_is_a_connect_error(backend: World, peer: Listener):
    if backend.by_anyio:
        pytest.skip("options are set late there, so they are the caller's error")

    async def body() -> None:
        with pytest.raises(ConnectError, match=r"could not connect to 127\.0\.0\.1"):
            await connect(backend, (peer.family, peer.address), socket_options=[(socket.SOL_SOCKET, 99999, 1)])

    backend.run(body)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no Unix sockets")
class TestUnixSockets:
    def test_bytes_go_both_ways(self, backend: World, listen: Callable[..., Listener], tmp_path: Path):
        peer = listen(str(tmp_path / "s"))

        async def body() -> None:
            with contextlib.closing(await backend.connect(peer)) as stream:
                far = peer.accept()
                sink = Sink()
                stream.attach(sink)
                await send(stream, b"question")
                assert far.recv(100) == b"question"
                far.sendall(b"answer")
                assert await receive(stream, sink, 6) == b"answer"
                assert stream.get_extra_info("server_addr") == peer.address

        backend.run(body)

    def test_a_path_that_is_not_there_is_named(self, backend: World, tmp_path: Path):
        async def body() -> None:
            pattern = rf"could not connect to unix socket '{tmp_path}/none': .*\(ENOENT\)"
            with pytest.raises(ConnectError, match=pattern):
                await backend.net.connect_unix(str(tmp_path / "none"), PhaseTimer("connect"))

        backend.run(body)

    def test_a_path_that_is_too_long_is_an_error(self, backend: World):
        async def body() -> None:
            with pytest.raises(ConnectError, match=r"could not connect to unix socket .*too long"):
                await backend.net.connect_unix("/tmp/" + "x" * 200, PhaseTimer("connect"))

        backend.run(body)

    @ON_LINUX
    def test_a_full_queue_is_asked_again(self, backend: World, listen: Callable[..., Listener], tmp_path: Path):
        if backend.by_anyio or backend.name == "asyncio-protocol" or backend.name == "uvloop":
            pytest.skip("they take a full queue for a failure, or for success")
        peer = listen(str(tmp_path / "s"), backlog=0)

        async def body() -> None:
            queued = 0
            with contextlib.ExitStack() as queue:
                with contextlib.suppress(BlockingIOError):
                    while True:  # PyPy listens with a longer queue than it was told
                        waiting = queue.enter_context(socket.socket(socket.AF_UNIX))
                        waiting.setblocking(False)
                        waiting.connect(peer.address)
                        queued += 1
                with pytest.raises(ConnectTimeout, match="connect timed out"):
                    await backend.connect(peer, budget=0.03)
                for _ in range(queued):
                    peer.accept()
                with contextlib.closing(await backend.connect(peer)) as stream:
                    stream.attach(Sink())
                    await send(stream, b"in")
                    assert peer.accept().recv(10) == b"in"

        backend.run(body)


class ScriptedConnects:
    """Connects that end as a script says: for each address when, and with which error number."""

    def __init__(self, ends: dict[int, tuple[float, int]]) -> None:
        self.ends = ends
        self.now = 0.0
        self.begun: list[tuple[float, int]] = []
        self.places: dict[socket.socket, tuple[float, int]] = {}
        self.dropped = 0
        self.result: Any = None

    def begin(self, sock: socket.socket, address: Any) -> int:
        self.begun.append((self.now, address[1]))
        after, code = self.ends[address[1]]
        self.places[sock] = (self.now + after, code)
        return errno.EINPROGRESS if after else code

    async def wait(self, sockets: Any, until: float) -> Any:
        next_end = min((self.places[sock][0] for sock in sockets), default=until)
        self.now = min(next_end, until)
        return [sock for sock in sockets if self.places[sock][0] <= self.now]

    def outcome(self, sock: socket.socket) -> OSError | None:
        code = self.places[sock][1]
        return OSError(code, os.strerror(code)) if code else None

    def drop(self, sock: socket.socket) -> None:
        self.dropped += 1
        sock.close()


def race(ends: dict[int, tuple[float, int]], addresses: list[Address]) -> ScriptedConnects:
    connects = ScriptedConnects(ends)
    running = Race(
        connects, lambda: connects.now, addresses, PhaseTimer("connect"), lambda family: open_socket((), None, family)
    )
    try:
        sock, address = drive(running.run())
    except ConnectError as error:
        connects.result = error
    else:
        connects.result = address[1]
        sock.close()
    return connects


def v4(*ports: int) -> list[Address]:
    return [(socket.AF_INET, ("127.0.0.1", port)) for port in ports]


def test_addresses_start_one_delay_apart_and_the_first_to_answer_wins():
    connects = race({1: (9, 0), 2: (9, 0), 3: (0.1, 0)}, v4(1, 2, 3))
    assert connects.begun == [(0, 1), (ATTEMPT_DELAY, 2), (2 * ATTEMPT_DELAY, 3)]
    assert connects.result == 3
    assert connects.dropped == 2


def test_a_failure_starts_the_next_address_at_once():
    connects = race({1: (0.1, errno.ECONNREFUSED), 2: (0, errno.ENETUNREACH), 3: (0, 0)}, v4(1, 2, 3))
    assert connects.begun == [(0, 1), (0.1, 2), (0.1, 3)]
    assert connects.result == 3


def test_a_slow_address_still_wins_when_all_others_fail():
    refused = (0.01, errno.ECONNREFUSED)
    connects = race({1: (5, 0), 2: refused, 3: refused}, v4(1, 2, 3))
    assert connects.result == 1


def test_the_families_take_turns():
    six = [(socket.AF_INET6, ("::1", port, 0, 0)) for port in (61, 62, 63)]
    refused = (0, errno.ECONNREFUSED)
    connects = race(dict.fromkeys((61, 62, 63, 41, 42), refused), [*six, *v4(41, 42)])
    assert [port for _, port in connects.begun] == [61, 41, 62, 42, 63]
    assert "could not connect to [::1]:61: Connection refused (ECONNREFUSED); " in str(connects.result)
