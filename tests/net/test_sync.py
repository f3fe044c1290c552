"""What only the blocking world does: it leaves waiting to the kernel, and serves several threads."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from net_worlds import Listener, Sink

from httpx_fast._deadline import PhaseTimer
from httpx_fast._drive import drive
from httpx_fast._exceptions import ReadError, ReadTimeout, WriteError
from httpx_fast._net import sync
from httpx_fast._net.sync import SyncBackend, SyncStream

KERNEL = pytest.mark.skipif(not sync._KERNEL_TIMES, reason="the kernel's times are not used here")


class CountingSocket(socket.socket):
    """Counts what it is asked."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.calls: list[str] = []

    def send(self, *arguments: Any) -> int:
        self.calls.append("send")
        return super().send(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        self.calls.append("recv")
        return super().recv_into(*arguments)

    def setsockopt(self, *arguments: Any) -> None:
        self.calls.append("setsockopt")
        super().setsockopt(*arguments)


CountingSocket.__module__ = "socket"  # as the system's own


@pytest.fixture
def pair() -> Iterator[tuple[CountingSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    counting = CountingSocket(fileno=ours.detach())
    with counting, theirs:
        yield counting, theirs


def attached(sock: socket.socket, clock: Any = SyncBackend.clock) -> tuple[SyncStream, Sink]:
    stream, sink = SyncStream(sock, "pair", clock), Sink()
    stream.attach(sink)
    return stream, sink


@KERNEL
def test_a_warm_exchange_is_one_send_and_one_receive(pair: tuple[CountingSocket, socket.socket]):
    ours, theirs = pair
    stream, _ = attached(ours)
    clock = stream._clock
    for number in range(3):
        theirs.sendall(b"answer")
        assert stream.write(b"question") is None
        stream.set_deadline("read", clock() + 5, 5.0)
        drive(_await(stream.receive()))
        assert theirs.recv(100) == b"question"
        if number:
            assert ours.calls == ["send", "recv"]
        ours.calls.clear()


async def _await(awaitable: Any) -> Any:
    return await awaitable


@KERNEL
@pytest.mark.parametrize(
    ("before", "after", "set_again"),
    [
        (5.0, 4.999, False),
        (5.0, 1.0, True),
        (5.0, 60.0, True),
        (5.0, None, True),
        (None, 5.0, True),
        (None, None, False),
    ],
)
def test_the_kernels_time_is_set_when_the_deadline_needs_another(
    pair: tuple[CountingSocket, socket.socket], before: float | None, after: float | None, set_again: bool
):
    ours, theirs = pair
    stream, _ = attached(ours, lambda: 100.0)
    for left in (before, after):
        ours.calls.clear()
        theirs.sendall(b"x")
        stream.set_deadline("read", None if left is None else 100.0 + left, left)
        stream.receive()
    assert ("setsockopt" in ours.calls) == set_again
    seconds, micros = struct.unpack("@ll", ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16))
    granted = seconds + micros / 1e6
    if after is None:
        assert granted == 0  # for ever
    else:
        # The kernel may be late by an eighth: it still gives up before the deadline, and poll waits for the rest.
        assert 0 < granted * 1.125 <= after


@KERNEL
def test_a_kernel_that_gives_up_early_is_not_a_timeout(pair: tuple[CountingSocket, socket.socket]):
    ours, theirs = pair
    times = iter([0.0, 0.0, 0.0] + [0.02] * 10)
    stream, _ = attached(ours, lambda: next(times))
    stream.set_deadline("read", 0.02, 0.02)
    with pytest.raises(ReadTimeout, match=r"read timed out after 0\.02 s of 0\.02 s: unix socket 'pair' sent nothing"):
        stream.receive()
    assert ours.calls.count("recv") >= 2
    theirs.close()


def test_a_replaced_socket_is_not_left_to_the_kernel(pair: tuple[CountingSocket, socket.socket]):
    ours, _ = pair

    class Green(socket.socket):
        """As a framework's that switches tasks inside `recv`."""

    with Green(fileno=ours.detach()) as green:
        stream, _ = attached(green)
        assert green.gettimeout() == 0
        stream.set_deadline("read", stream._clock() + 0.01, 0.01)
        with pytest.raises(ReadTimeout, match="sent nothing"):
            stream.receive()


def test_closing_from_another_thread_wakes_who_reads_without_a_deadline():
    with contextlib.closing(Listener()) as peer:
        stream = drive(SyncBackend().connect_tcp([(peer.family, peer.address)], PhaseTimer("connect")))
        stream.attach(Sink())
        peer.accept()
        failures: list[Exception] = []

        def read() -> None:
            try:
                drive(_await(stream.receive()))
            except ReadError as error:
                failures.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        stream.close()
        reader.join(30)
        assert not reader.is_alive()
        assert "was closed on this side" in str(failures[0])


def test_what_comes_once_another_thread_has_closed_is_not_what_a_reader_waited_for():
    class ClosedMeanwhile(SyncStream):
        """Is closed by another thread when a read has just begun."""

        __slots__ = ()

        def _pull(self, flags: int = 0) -> bool:
            self.close()
            return super()._pull(flags)

    with contextlib.closing(Listener()) as peer, socket.create_connection(peer.address) as sock:
        stream = ClosedMeanwhile(sock, peer.address, SyncBackend.clock)
        stream.attach(Sink())
        accepted = peer.accept()
        accepted.sendall(b"HTTP/1.1 200 OK")
        assert select.select([sock], [], [], 30)[0]
        with pytest.raises(ReadError, match="was closed on this side"):
            stream.receive()


def test_threads_share_no_buffer():
    data = [bytes([letter]) * 500_000 for letter in b"abcd"]
    results: dict[int, bytes] = {}

    def visit(number: int) -> None:
        with contextlib.closing(Listener()) as peer:
            peer.serve(lambda connection: connection.sendall(data[number]))
            stream = drive(SyncBackend().connect_tcp([(peer.family, peer.address)], PhaseTimer("connect")))
            sink = Sink(wanted=500_000)
            stream.attach(sink)
            with contextlib.closing(stream):
                drive(_await(stream.receive()))
            results[number] = sink.received

    threads = [threading.Thread(target=visit, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [results[number] for number in range(4)] == data


@KERNEL
def test_signals_that_keep_coming_hold_off_no_deadline(pair):
    came = []

    def interrupt(*_: Any) -> None:
        came.append(None)
        if len(came) > 1000:  # ten seconds at least: it would go on for ever
            raise AssertionError("the deadline was forgotten")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        stream, _ = attached(pair[0])
        stream.set_deadline("read", stream._clock() + 0.1, 0.1)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        with pytest.raises(ReadTimeout, match=r"of 0\.1 s"):
            drive(_await(stream.receive()))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    stream.close()


def test_descriptor_is_not_given_away_while_a_thread_is_at_work_with_it() -> None:
    """Another socket that got its number would be read from by who reads here."""
    with contextlib.closing(Listener()) as peer:
        backend, sink = SyncBackend(), Sink()
        stream = drive(backend.connect_tcp([(peer.family, peer.address)], PhaseTimer("connect")))
        sock = stream.get_extra_info("socket")
        number = sock.fileno()
        seen: list[int] = []

        def close_from_elsewhere() -> None:
            closing = threading.Thread(target=stream.close)
            closing.start()
            closing.join()
            seen.append(sock.fileno())

        sink.told = close_from_elsewhere  # type: ignore[assignment]
        stream.attach(sink)
        peer.accept().sendall(b"x")
        stream.receive()
        assert seen == [number]
        assert sock.fileno() == -1
        with pytest.raises(ReadError, match="was closed on this side"):
            stream.receive()
        with pytest.raises(WriteError, match="was closed on this side"):
            stream.write(b"x")
