"""What every stream keeps, in every world: bytes, ends, deadlines, cancellation, backpressure."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from importlib import metadata

import pytest
from net_worlds import Listener, Sink, World, echo, receive, reset, send

from httpx_fast._exceptions import ReadError, WriteError
from httpx_fast._net.base import HIGH_WATER

BIG = 8 * 1024 * 1024  # bytes; more than any system keeps in its sockets


def test_what_is_written_arrives_and_what_arrives_is_pushed(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            far = peer.accept()
            sink = Sink()
            stream.attach(sink)
            for number in range(3):
                await send(stream, b"question %d" % number)
                assert far.recv(100) == b"question %d" % number
                far.sendall(b"answer %d" % number)
                assert await receive(stream, sink, 8) == b"answer %d" % number

    backend.run(body)


def test_several_buffers_go_out_in_order(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            await send(stream, b"head", bytearray(b" and "), memoryview(b"body"), b"", b"!")
            await send(stream, *[b"%d" % (number % 10) for number in range(100)])
            far = peer.accept().makefile("rb")
            with far:
                assert far.read(14) == b"head and body!"
                assert far.read(100) == b"0123456789" * 10

    backend.run(body)


def test_a_sink_may_have_its_own_buffer(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink(buffer=bytearray(3))
            stream.attach(sink)
            peer.accept().sendall(b"more than fits at once")
            assert await receive(stream, sink, 22) == b"more than fits at once"
            assert backend.by_anyio or sink.pushes > 1

    backend.run(body)


def test_large_transfers_go_both_ways_at_once(backend: World, peer: Listener):
    data = bytes(range(256)) * (BIG // 256)

    async def body() -> None:
        peer.serve(echo)
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink(buffer=bytearray(65536))
            pieces: list[bytes] = []

            def keep() -> None:
                pieces.append(sink.received)
                sink.received = b""

            sink.told = keep
            stream.attach(sink)
            backend.set_deadline(stream, "write", 30)

            async def write() -> None:
                await send(stream, data[: BIG // 2], data[BIG // 2 :])

            async def read() -> None:
                while sum(map(len, pieces)) < BIG:
                    await stream.receive()

            sink.wanted = 0
            await backend.together(write, read)
            assert b"".join(pieces) == data

    backend.run(body)


def test_a_clean_end_is_told_once_and_then_refused(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            far.sendall(b"last")
            far.close()
            assert await receive(stream, sink, 4) == b"last"
            for _ in range(2):
                with pytest.raises(ReadError, match=r"127\.0\.0\.1:\d+ closed the connection"):
                    await stream.receive()
            assert sink.ends == [True]

    backend.run(body)


def test_an_end_may_be_all_that_is_waited_for(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            sink.end_is_enough = True
            stream.attach(sink)
            peer.accept().close()
            await stream.receive()
            assert sink.ends == [True]
            with pytest.raises(ReadError, match="closed the connection"):
                await stream.receive()

    backend.run(body)


def test_what_a_sink_raises_ends_the_wait(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            sink.refuses = ValueError("not like this")
            stream.attach(sink)
            peer.accept().sendall(b"x")
            with pytest.raises(ValueError, match="not like this"):
                await stream.receive()

    backend.run(body)


def test_what_a_sink_raises_at_the_end_ends_the_wait(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            sink.refuses = ValueError("too early")
            stream.attach(sink)
            peer.accept().close()
            with pytest.raises(ValueError, match="too early"):
                await stream.receive()

    backend.run(body)


def test_what_a_sink_raises_while_idle_is_for_who_receives_next(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            sink.refuses = ValueError("nobody asked")
            stream.attach(sink)
            peer.accept().sendall(b"x")
            await backend.settle()
            stream.poll_idle()
            with pytest.raises(ValueError, match="nobody asked"):
                await stream.receive()

    backend.run(body)


def test_who_is_attached_after_the_end_is_told_of_it(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            before, after = Sink(), Sink()
            stream.attach(before)
            peer.accept().close()
            with pytest.raises(ReadError, match="closed the connection"):
                await stream.receive()
            stream.attach(after)
            with pytest.raises(ReadError, match="closed the connection"):
                await stream.receive()
            assert (before.ends, after.ends) == ([True], [True])

    backend.run(body)


def test_a_reset_fails_reading_with_the_systems_reason(backend: World, peer: Listener):
    reason = r".*\(ECONNRESET\)"
    if backend.name.startswith("anyio") and metadata.version("anyio") < "4.13":  # which did not tell it
        reason += "|BrokenResourceError"

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            backend.set_deadline(stream, "read", 30)
            reset(peer.accept())
            with pytest.raises(ReadError, match=rf"reading from 127\.0\.0\.1:\d+ failed: ({reason})$"):
                await stream.receive()

    backend.run(body)


def test_a_reset_fails_writing_with_the_systems_reason(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            backend.set_deadline(stream, "write", 30)
            reset(peer.accept())
            with pytest.raises(WriteError, match=r"127\.0\.0\.1:\d+ failed: .*\((ECONNRESET|EPIPE)\)"):
                for _ in range(100):
                    await send(stream, bytes(65536))

    backend.run(body)


def test_cancelled_reading_loses_nothing(backend: World, peer: Listener):
    if not backend.asynchronous:
        pytest.skip("threads are not cancelled")

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            backend.set_deadline(stream, "read", 30)

            async def read() -> None:
                await stream.receive()

            await backend.cancel(read)
            far.sendall(b"after")
            assert await receive(stream, sink, 5) == b"after"

    backend.run(body)


def test_what_a_cancelled_write_left_goes_out_first(backend: World, peer: Listener):
    if not backend.asynchronous or backend.by_anyio:
        pytest.skip("threads are not cancelled, and AnyIO does not say how much it sent")

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            far = peer.accept()

            async def write() -> None:
                await send(stream, b"a" * BIG)

            await backend.cancel(write)
            received = bytearray()

            def drain(connection: socket.socket) -> None:
                while data := connection.recv(65536):
                    received.extend(data)

            drainer = threading.Thread(target=drain, args=[far])
            drainer.start()
            await send(stream, b"z")
            stream.close()
            drainer.join(30)
            assert received == b"a" * BIG + b"z"

    backend.run(body)


def test_tasks_may_write_at_once_and_nothing_is_mixed(backend: World, peer: Listener):
    if not backend.asynchronous:
        pytest.skip("one thread writes at a time")

    async def body() -> None:
        received = bytearray()

        def drain(connection: socket.socket) -> None:
            while data := connection.recv(65536):
                received.extend(data)

        done = peer.serve(drain)
        with contextlib.closing(await backend.connect(peer)) as stream:
            stream.attach(Sink())
            data = [bytes([letter]) * (BIG // 4) for letter in b"abcd"]
            order: list[bytes] = []

            def writer(piece: bytes):
                async def write() -> None:
                    order.append(piece)
                    await send(stream, piece)

                return write

            await backend.together(*map(writer, data))
        await backend.runner.hear(done)
        assert received == b"".join(order)

    backend.run(body)


def test_closing_ends_the_waits_of_others(backend: World, peer: Listener):
    async def body() -> None:
        stream = await backend.connect(peer)
        stream.attach(Sink())
        far = peer.accept()
        failures: list[Exception] = []
        begun = backend.event()

        async def read() -> None:
            begun.set()
            try:
                await stream.receive()
            except ReadError as error:
                failures.append(error)

        async def close() -> None:
            await begun.wait()
            await backend.settle()
            stream.close()

        await backend.together(read, close)
        assert "was closed on this side" in str(failures[0])
        assert far.recv(1) == b""

    backend.run(body)


def test_closing_ends_a_wait_to_write(backend: World, peer: Listener):
    async def body() -> None:
        stream = await backend.connect(peer)
        stream.attach(Sink())
        peer.accept()
        failures: list[Exception] = []
        begun = backend.event()

        async def write() -> None:
            unsent = stream.write(bytes(BIG))
            begun.set()
            try:
                assert unsent is not None
                await unsent
            except (ReadError, WriteError) as error:
                failures.append(error)

        async def close() -> None:
            await begun.wait()
            await backend.settle()
            stream.close()

        await backend.together(write, close)
        assert len(failures) == 1

    backend.run(body)


def test_a_closed_stream_refuses_in_words(backend: World, peer: Listener):
    async def body() -> None:
        stream = await backend.connect(peer)
        stream.attach(Sink())
        stream.close()
        stream.close()
        stream.poll_idle()
        with pytest.raises(ReadError, match="was closed on this side"):
            await stream.receive()
        with pytest.raises(WriteError, match="was closed on this side"):
            await send(stream, b"x")
        await backend.settle()

    backend.run(body)


def test_a_sink_may_close_its_stream(backend: World, peer: Listener):
    async def body() -> None:
        stream = await backend.connect(peer)
        with contextlib.closing(stream):
            sink = Sink()
            sink.told = stream.close
            stream.attach(sink)
            far = peer.accept()
            far.sendall(b"x")
            with contextlib.suppress(ReadError):  # closing ends the wait, or the push does
                await stream.receive()
            assert sink.received == b"x"
            with pytest.raises(ReadError, match="was closed on this side"):
                await stream.receive()
        await backend.settle()

    backend.run(body)


def test_a_sink_may_close_its_stream_while_idle(backend: World, peer: Listener):
    async def body() -> None:
        stream = await backend.connect(peer)
        with contextlib.closing(stream):
            sink = Sink()
            sink.told = stream.close
            stream.attach(sink)
            peer.accept().close()
            await backend.settle()
            stream.poll_idle()
            assert sink.ends == [True]
        await backend.settle()

    backend.run(body)


def test_an_idle_stream_notices_that_the_peer_left(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            stream.poll_idle()
            assert sink.ends == []
            far.close()
            await backend.settle()
            stream.poll_idle()
            stream.poll_idle()
            assert sink.ends == [True]

    backend.run(body)


def test_an_idle_stream_tells_a_reset_as_an_unclean_end(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            reset(peer.accept())
            await backend.settle()
            stream.poll_idle()
            assert len(sink.ends) == 1
            assert backend.by_anyio or sink.ends == [False]
            with pytest.raises(ReadError, match=r"failed|closed"):
                await stream.receive()

    backend.run(body)


def test_what_comes_while_idle_is_pushed(backend: World, peer: Listener):
    if backend.by_anyio:
        pytest.skip("AnyIO's streams are read by waiting only")

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            far.sendall(b"unasked")
            far.close()
            await backend.settle()
            stream.poll_idle()
            assert sink.received == b"unasked"
            assert sink.ends == [True]

    backend.run(body)


def test_what_came_since_the_loop_looked_last_is_pushed_when_asked(backend: World, peer: Listener):
    if backend.by_anyio:
        pytest.skip("AnyIO's streams are read by waiting only")

    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            far = peer.accept()
            stream.poll_idle()
            assert (sink.received, sink.ends) == (b"", [])
            far.sendall(b"unasked")
            stream.poll_idle()
            assert (sink.received, sink.ends) == (b"unasked", [])
            far.sendall(b" and more")
            far.close()
            stream.poll_idle()
            assert (sink.received, sink.ends) == (b"unasked and more", [True])
            await backend.settle()
            assert sink.ends == [True]
            with pytest.raises(ReadError, match="closed the connection"):
                await stream.receive()

    backend.run(body)


def test_reset_that_came_since_the_loop_looked_last_is_found_when_asked(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()
            stream.attach(sink)
            reset(peer.accept())
            stream.poll_idle()
            assert len(sink.ends) == 1
            assert backend.by_anyio or sink.ends == [False]
            await backend.settle()
            assert len(sink.ends) == 1

    backend.run(body)


def test_who_was_cancelled_does_not_keep_a_full_sink_reading(backend: World, peer: Listener):
    if not backend.pushes:
        pytest.skip("nothing is read while nobody waits")

    async def body() -> None:
        peer.serve(lambda connection: connection.recv(1) and connection.sendall(bytes(BIG)))
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink(wanted=BIG)
            pieces = [0]

            def count() -> None:
                sink.pending = pieces[0] = pieces[0] + len(sink.received)
                sink.received = b""

            sink.told = count
            stream.attach(sink)

            async def read() -> None:
                await stream.receive()

            await backend.cancel(read)
            await send(stream, b"x")
            while pieces[0] < HIGH_WATER:
                await backend.settle()
            for _ in range(20):
                await backend.settle()
            assert pieces[0] <= HIGH_WATER + 256 * 1024
            backend.set_deadline(stream, "read", 30)
            sink.pending = 0

            def add() -> None:
                pieces[0] += len(sink.received)
                sink.received = b""

            sink.wanted, sink.told = 0, add
            while pieces[0] < BIG:
                await stream.receive()

    backend.run(body)


def test_a_sink_that_is_full_stops_reading_until_somebody_receives(backend: World, peer: Listener):
    async def body() -> None:
        peer.serve(lambda connection: connection.sendall(bytes(BIG)))
        with contextlib.closing(await backend.connect(peer)) as stream:
            sink = Sink()

            def keep() -> None:
                sink.pending = len(sink.received)

            sink.told = keep
            stream.attach(sink)
            backend.set_deadline(stream, "read", 30)
            await stream.receive()
            for _ in range(20):
                await backend.settle()
                stream.poll_idle()
            assert len(sink.received) <= HIGH_WATER + 256 * 1024
            total = 0
            while total < BIG:
                total += len(sink.received)
                sink.received = b""
                sink.pending = 0
                if total < BIG:
                    await stream.receive()
            assert total == BIG

    backend.run(body)


def test_addresses_and_socket_are_known(backend: World, peer: Listener):
    async def body() -> None:
        with contextlib.closing(await backend.connect(peer)) as stream:
            far = peer.accept()
            assert stream.get_extra_info("server_addr")[:2] == peer.address
            assert stream.get_extra_info("client_addr")[:2] == far.getpeername()
            assert stream.get_extra_info("socket").fileno() >= 0
            assert stream.get_extra_info("ssl_object") is None
            assert stream.get_extra_info("no such thing") is None

    backend.run(body)


def test_a_closed_stream_is_let_go_of(backend: World, peer: Listener):
    async def body() -> None:
        stream = await backend.connect(peer)
        sink = Sink()
        stream.attach(sink)
        backend.set_deadline(stream, "read", 30)
        peer.accept().sendall(b"x")
        await stream.receive()
        stream.close()
        await backend.settle()
        del stream
        gc.collect()
        assert not [each for each in gc.get_referrers(sink) if type(each).__module__.startswith("httpx_fast")]

    backend.run(body)
