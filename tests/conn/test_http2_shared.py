"""One HTTP/2 session that many tasks or threads share: reading, flushing, and passing these on."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from far_end import Server, data, ping, window_update
from http2_scenes import HASTY, MIB, Owner, Scene
from net_worlds import World
from runners import PATIENCE
from scripted import ScriptedStream

from httpx_fast._conn import http2_shared
from httpx_fast._conn.http2 import Http2Connection
from httpx_fast._exceptions import (
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
)
from httpx_fast._journey import ConnectionFacts
from httpx_fast._origin import Origin, Route
from httpx_fast._wire.windows import CONNECTION_WINDOW, STREAM_WINDOW


def test_a_peer_that_must_be_read_before_it_reads_is(play: Any):
    """It fills the socket with its response before it takes the rest of the body."""

    def script(server: Server) -> None:
        server.until("HEADERS 1")
        server.say(window_update(1, 64 * MIB), window_update(0, 64 * MIB), server.head(1))
        for number in range(64):
            server.say(data(1, bytes(16384), end=number == 63))
        server.until("DATA 1")
        while len(server.bodies[1]) < 16 * MIB:
            server.forget()
            server.until("DATA 1")

    async def body(scene: Scene) -> None:
        assert len(await scene.fetch(method=b"POST", body=bytes(16 * MIB), length=16 * MIB)) == MIB

    play(script, body)


def test_a_stream_that_nobody_reads_starves_nobody(play: Any):
    """Its window fills; its siblings get more than the window of the connection meanwhile."""
    size = 15 * MIB
    count = CONNECTION_WINDOW // size + 1

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(server.head(1), *[data(1, bytes(262144))] * (STREAM_WINDOW // 262144))
        for number in range(count):
            stream_id = server.find(f"/{number}")
            server.say(server.head(stream_id))
            room, left = STREAM_WINDOW, size
            while left:
                part = min(262144, left, room)
                if part:
                    server.say(data(stream_id, bytes(part), end=part == left))
                    left -= part
                    room -= part
                    continue
                for line in server.hear(server.connection.recv(65536)):
                    if line.startswith(f"WINDOW_UPDATE {stream_id} "):
                        room += int(line.split()[2])
        server.until_closed()

    async def body(scene: Scene) -> None:
        unread = await scene.begin(whole=False)
        for number in range(count):
            assert len(await scene.fetch(path=b"/%d" % number)) == size
        assert unread.pending == STREAM_WINDOW
        assert scene.end(unread)

    play(script, body)


def test_a_cancelled_exchange_is_reset_and_hands_on_its_role(play: Any, world: World):
    if not world.asynchronous:
        pytest.skip("threads cannot be cancelled")
    answered = threading.Event()

    def script(server: Server) -> None:
        gone = server.find("/gone")
        server.until(f"RST_STREAM {gone} 8")
        server.say(server.head(gone, end=True))
        assert answered.wait(PATIENCE)
        server.respond(server.find("/stays"))
        server.until_closed()

    async def body(scene: Scene) -> None:
        async def gone() -> None:
            await scene.begin(path=b"/gone")

        async def cancel() -> None:
            await world.cancel(gone)
            answered.set()

        async def stays() -> None:
            assert await scene.fetch(path=b"/stays") == b"ok"

        await world.together(cancel, stays)
        assert scene.connection.session.streams == {}

    play(script, body)


def test_a_forgotten_exchange_may_be_reset_while_the_lock_is_held(play: Any):
    """As by a finalizer that runs within the session: the reset goes out when the lock is let go of."""

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(server.head(1))
        server.until("HEADERS 3 end", "RST_STREAM 1 8")
        server.respond(3)

    async def body(scene: Scene) -> None:
        stream = await scene.begin(whole=False)
        with scene.connection.shared.lock:
            assert scene.end(stream)
            assert scene.connection.session.streams == {1: stream}
        assert await scene.fetch() == b"ok"
        assert scene.connection.session.streams == {}

    play(script, body)


def test_closing_fails_what_is_under_way(play: Any, world: World):
    arrived = threading.Event()

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        arrived.set()
        server.until_closed()

    async def body(scene: Scene) -> None:
        async def waits() -> None:
            with pytest.raises(ReadError, match="closed on this side"):
                await scene.begin()

        async def closes() -> None:
            await world.runner.hear(arrived)
            scene.connection.close()
            scene.connection.close()

        await world.together(waits, closes)

    play(script, body)


def test_answers_that_the_peer_does_not_read_are_bounded(play: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http2_shared, "MAX_BACKLOG", 1000)
    monkeypatch.setattr("httpx_fast._wire.h2_limits.MAX_CONTROL_FRAMES", 10**9)

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        with contextlib.suppress(ConnectionError):
            while True:
                server.say(ping(bytes(8)) * 1000)

    async def body(scene: Scene) -> None:
        with pytest.raises(RemoteProtocolError, match="more than 1000 bytes of answers wait and does not read them"):
            await scene.begin()

    play(script, body)


def test_answers_before_the_first_request_are_bounded(play: Any, world: World, monkeypatch: pytest.MonkeyPatch):
    """They go out with it, and a connection that was opened ahead may never see one."""
    if world.by_anyio:
        pytest.skip("an adapted stream says nothing while idle but that it has ended")
    monkeypatch.setattr(http2_shared, "MAX_EARLY_ANSWERS", 100)
    said = threading.Event()

    def script(server: Server) -> None:
        server.say(ping(bytes(8)) * 101)
        said.set()
        server.until_closed()
        assert server.lines[-1] == "GOAWAY 0 11"

    async def body(scene: Scene) -> None:
        await world.runner.hear(said)
        while scene.connection.alive():
            await world.settle()
        assert str(scene.connection.session.broken) == "peer asks for more than 100 answers before the first request"

    play(script, body)


@pytest.mark.parametrize(("unsent", "fails"), [(1000, False), (1001, True)])
def test_what_waits_for_a_peer_that_reads_nothing_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch, unsent: int, fails: bool
):
    monkeypatch.setattr(http2_shared, "MAX_UNSENT", 1000)

    class Full(ScriptedStream):
        """Takes nothing."""

        def write(self, *buffers: Any) -> Any:
            async def never() -> None:
                raise AssertionError("nobody waits for this")

            return never()

    async def main() -> None:
        stream = Full([])
        stream.unsent = unsent
        route = Route(Origin("http", "example.org", 80))
        owner = Owner(world)
        connection = Http2Connection(stream, route, ConnectionFacts(), owner)
        with contextlib.closing(connection):
            if fails:
                with pytest.raises(WriteError, match="the peer took nothing of more than 1000 bytes"):
                    await Scene(world, connection, owner).begin()
                assert stream.closed
            else:
                connection.session.ping(b"12345678", 0.0)
                connection.shared.write_out()
                assert connection.session.broken is None

    world.run(main)


def test_a_small_body_waits_behind_what_the_peer_has_not_taken(play: Any, world: World):
    if world.by_anyio:
        pytest.skip("AnyIO's streams do not say what they have not sent")
    timed_out = threading.Event()

    def script(server: Server) -> None:
        server.until("HEADERS 1")
        server.say(window_update(1, 64 * MIB), window_update(0, 64 * MIB))
        assert timed_out.wait(PATIENCE)
        server.respond(1)
        server.until_closed()

    async def body(scene: Scene) -> None:
        shared = scene.connection.shared

        async def large() -> None:
            stream = await scene.begin(method=b"POST", body=bytes(32 * MIB), length=32 * MIB)
            assert stream.take_whole() == b"ok"
            scene.end(stream)

        async def small() -> None:
            while not shared.stream.unsent:
                await world.settle()
            with pytest.raises(WriteTimeout, match=r"of 0\.05 s: the peer took nothing of \d+ bytes"):
                await scene.begin(method=b"POST", body=b"small", length=5, write=HASTY)
            timed_out.set()

        await world.together(large, small)

    play(script, body)


# Who reads.


def test_the_reader_hands_its_role_on_with_its_response(play: Any):
    """Each is answered only when the one before has been; whoever reads leaves first."""
    count = 10
    left = [threading.Event() for _ in range(count)]

    def script(server: Server) -> None:
        numbers = [server.find(f"/{number}") for number in range(count)]
        for stream_id, event in zip(numbers, left, strict=True):
            server.respond(stream_id)
            assert event.wait(PATIENCE)
        server.until_closed()

    async def body(scene: Scene) -> None:
        def one(number: int) -> Callable[[], Any]:
            async def fetch() -> None:
                assert await scene.fetch(path=b"/%d" % number) == b"ok"
                left[number].set()

            return fetch

        await scene.world.together(*(one(number) for number in range(count)))
        assert scene.connection.shared._reader is None
        assert not scene.connection.shared._next_readers

    play(script, body)


def test_the_reader_hands_its_role_on_when_its_time_is_over(play: Any):
    over = threading.Event()

    def script(server: Server) -> None:
        hasty, patient = server.find("/hasty"), server.find("/patient")
        server.until(f"RST_STREAM {hasty} 8")
        assert over.wait(PATIENCE)
        server.respond(patient)

    async def body(scene: Scene) -> None:
        async def hasty() -> None:
            with pytest.raises(ReadTimeout):
                await scene.begin(path=b"/hasty", read=HASTY)
            over.set()

        async def patient() -> None:
            assert await scene.fetch(path=b"/patient") == b"ok"

        await scene.world.together(hasty, patient)

    play(script, body)


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_exchanges_of_mixed_sizes_and_speeds(play: Any, world: World, seed: int):
    if world.by_anyio and seed:
        pytest.skip("once is enough for adapted streams")
    dice = random.Random(seed)
    count = 1000 if world.asynchronous else 200
    sizes = [dice.choice((0, 1, 100, 5000, 70_000)) for _ in range(count)]
    contents = dice.randbytes(70_000)

    def script(server: Server) -> None:
        """Answers each as soon as it is there, in pieces, those of several in turns."""
        server.respond(server.find("/"))
        server.requests.clear()
        answered = 0
        open_now: list[tuple[int, int, int]] = []
        order = random.Random(seed)
        while answered < count:
            while len(open_now) < min(50, count - answered):
                known = len(server.requests)
                for stream_id, fields in list(server.requests.items()):
                    server.requests.pop(stream_id)
                    number = int(dict(fields)[b":path"][1:])
                    server.say(server.head(stream_id))
                    open_now.append((stream_id, number, 0))
                if not known:
                    if open_now:
                        break
                    server.lines += server.hear(server._receive())
            at = order.randrange(len(open_now))
            stream_id, number, sent = open_now.pop(at)
            part = min(sizes[number] - sent, order.choice((1000, 16384)))
            end = sent + part == sizes[number]
            server.say(data(stream_id, contents[sent : sent + part], end=end))
            if end:
                answered += 1
            else:
                open_now.append((stream_id, number, sent + part))
            if answered % 50 == 0:
                server.connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    server.lines += server.hear(server.connection.recv(65536))
                server.connection.settimeout(PATIENCE)
        server.until_closed()

    async def body(scene: Scene) -> None:
        def one(number: int) -> Callable[[], Any]:
            async def fetch() -> None:
                stream = await scene.begin(path=b"/%d" % number, whole=number % 3 > 0)
                received = await scene.rest_of(stream) if number % 3 == 0 else stream.take_whole()
                assert received == contents[: sizes[number]]
                scene.end(stream)

            return fetch

        await scene.fetch()  # the peer's limit is known then
        await scene.world.together(*(one(number) for number in range(count)))
        assert scene.connection.session.streams == {}

    play(script, body, (3, count))
