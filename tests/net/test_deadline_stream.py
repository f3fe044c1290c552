"""Deadlines of reading, writing and connecting on streams."""

from __future__ import annotations

import contextlib

import pytest
from net_worlds import Listener, Sink, World, receive

from httpx_fast._deadline import Total
from httpx_fast._exceptions import ReadTimeout, WriteError, WriteTimeout

BIG = 8 * 1024 * 1024  # bytes; more than any system keeps in its sockets


def test_silence_ends_reading_when_its_time_is_up(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            peer.accept()
            backend.set_deadline(stream, "read", 0.02)
            pattern = r"^read timed out after [\d.]+ s of 0\.02 s: 127\.0\.0\.1:\d+ sent nothing$"
            with pytest.raises(ReadTimeout, match=pattern):
                await stream.receive()

    backend.run(body)


def test_a_timeout_leaves_the_stream_readable(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            backend.set_deadline(stream, "read", 0.01)
            with pytest.raises(ReadTimeout, match="sent nothing"):
                await stream.receive()
            far.sendall(b"late")
            backend.set_deadline(stream, "read", 30)
            assert await receive(stream, sink, 4) == b"late"

    backend.run(body)


def test_a_deadline_that_has_passed_still_reads_what_is_there(backend: World, peer: Listener):
    if backend.pushes or backend.by_anyio:
        pytest.skip("bytes reach the sink by the event loop, which sees the deadline first")

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            peer.accept().sendall(b"there")
            backend.set_deadline(stream, "read", -1)
            assert await receive(stream, sink, 5) == b"there"

    backend.run(body)


def test_a_peer_that_takes_nothing_ends_writing_when_its_time_is_up(backend: World, peer: Listener):
    if backend.by_anyio and backend.name.endswith("asyncio"):
        pytest.skip("AnyIO's sockets on asyncio take one piece more than the system does")

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            peer.accept()
            unsent = stream.write(bytes(BIG))
            assert unsent is not None
            backend.set_deadline(stream, "write", 0.05)
            with pytest.raises(WriteTimeout, match=r"write timed out after [\d.]+ s of 0\.05 s: .* took nothing more"):
                await unsent

    backend.run(body)


@pytest.mark.parametrize(("reading", "writing"), [(0.05, 30), (30, 0.05)], ids=["reading", "writing"])
def test_reading_and_writing_at_once_have_a_deadline_each(
    backend: World, peer: Listener, reading: float, writing: float
):
    if backend.by_anyio and backend.name.endswith("asyncio"):
        pytest.skip("AnyIO's sockets on asyncio take one piece more than the system does")

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            ends = []

            async def read() -> None:
                backend.set_deadline(stream, "read", reading)
                try:
                    await stream.receive()
                except ReadTimeout:
                    ends.append("read")
                    await settle_the_other()

            async def write() -> None:
                unsent = stream.write(bytes(BIG))
                assert unsent is not None
                backend.set_deadline(stream, "write", writing)
                try:
                    await unsent
                except WriteTimeout:
                    ends.append("write")
                    await settle_the_other()

            async def settle_the_other() -> None:
                if reading > writing:
                    far.sendall(b"x")
                else:
                    far.close()

            with contextlib.suppress(WriteError):
                await backend.together(read, write)
            assert ends == ["read" if reading < writing else "write"]

    backend.run(body)


class SteppedClock:
    """Time that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_arrival_moves_the_read_deadline_on(backend: World, peer: Listener):
    clock = SteppedClock()
    backend.net.clock = clock

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink(wanted=3)
            stream.attach(sink)
            far = peer.accept()
            stream.set_deadline("read", clock.now + 20, 20.0)

            def later() -> None:
                clock.now += 15
                if len(sink.received) < 3:
                    far.sendall(b"x")

            sink.told = later
            far.sendall(b"x")
            await stream.receive()
            assert clock.now == 1045

    backend.run(body)


def test_arrivals_do_not_move_the_deadline_of_connecting(backend: World, peer: Listener):
    clock = SteppedClock()
    backend.net.clock = clock

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink(wanted=3)
            stream.attach(sink)
            far = peer.accept()
            stream.set_deadline("connect", clock.now + 0.02, 0.02)

            def later() -> None:
                clock.now += 0.02

            sink.told = later
            far.sendall(b"x")
            with pytest.raises(Exception, match=r"connect timed out after 0\.02 s of 0\.02 s"):
                await stream.receive()

    backend.run(body)


@pytest.mark.parametrize("phase", ["read", "first_byte"])
def test_arrivals_move_no_deadline_beyond_the_bound(backend: World, peer: Listener, phase: str):
    clock = SteppedClock()
    backend.net.clock = clock

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink(wanted=3)
            stream.attach(sink)
            far = peer.accept()
            stream.set_hard_deadline("connect", clock.now + 0.02, Total(5.0))
            stream.set_deadline(phase, clock.now + 20, 20.0)

            def later() -> None:
                clock.now += 0.02

            sink.told = later
            far.sendall(b"x")
            pattern = r"^total timed out after 5 s of 5 s, while .*: 127\.0\.0\.1:\d+ had more to send$"
            with pytest.raises(ReadTimeout, match=pattern) as caught:
                await stream.receive()
            assert (caught.value.phase, caught.value.limit) == ("read", "total")
            stream.set_hard_deadline("connect", None, None)
            stream.set_deadline("read", clock.now + 20, 20.0)
            far.sendall(b"yz")
            assert await receive(stream, sink, 3) == b"xyz"

    backend.run(body)


def test_arrivals_do_not_move_the_deadline_of_the_first_byte(backend: World, peer: Listener):
    clock = SteppedClock()
    backend.net.clock = clock

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink(wanted=3)
            stream.attach(sink)
            far = peer.accept()
            stream.set_deadline("first_byte", clock.now + 0.02, 0.02)

            def later() -> None:
                clock.now += 0.02

            sink.told = later
            far.sendall(b"x")
            pattern = r"^first_byte timed out after 0\.02 s of 0\.02 s: 127\.0\.0\.1:\d+ did not answer$"
            with pytest.raises(ReadTimeout, match=pattern) as caught:
                await stream.receive()
            assert (caught.value.phase, caught.value.limit) == ("read", "first_byte")

    backend.run(body)


def test_writing_is_not_waited_for_beyond_the_bound(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            peer.accept()
            stream.set_hard_deadline("write", backend.net.clock() + 0.02, Total(5.0))
            unsent = stream.write(bytes(4 * BIG))
            assert unsent is not None
            backend.set_deadline(stream, "write", 30)
            with pytest.raises(
                WriteTimeout, match=r"^total timed out after 5.* s of 5 s, while sending: .* more to take"
            ):
                await unsent

    backend.run(body)


def test_a_bound_for_writing_is_none_for_reading(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            stream.set_hard_deadline("write", backend.net.clock() - 1, Total(5.0))
            backend.set_deadline(stream, "read", 30)
            far.sendall(b"x")
            assert await receive(stream, sink, 1) == b"x"

    backend.run(body)


def test_reading_again_without_arming_grants_the_budget_anew(backend: World, peer: Listener):
    clock = SteppedClock()
    backend.net.clock = clock

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            stream.set_deadline("read", clock.now + 20, 20.0)
            far.sendall(b"x")
            assert await receive(stream, sink, 1) == b"x"
            clock.now += 100  # who reads was busy; the peer was not silent while it was waited for
            far.sendall(b"y")
            assert await receive(stream, sink, 1) == b"y"

    backend.run(body)
