"""HTTP/2 connections in every world, against a server that is scripted frame by frame."""

from __future__ import annotations

import contextlib
import gc
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from far_end import Server, data, frame, goaway, ping, reset, settings, window_update
from net_worlds import Listener, World
from runners import PATIENCE
from scripted import ScriptedStream

from httpx_fast._conn import http2_liveness, http2_shared
from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._conn.http2 import Http2Connection
from httpx_fast._conn.http2_stream import Http2Stream
from httpx_fast._exceptions import (
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
)
from httpx_fast._journey import ConnectionFacts, Journey
from httpx_fast._origin import Origin, Route
from httpx_fast._wire.heads import WireHead
from httpx_fast._wire.windows import CONNECTION_WINDOW, STREAM_WINDOW

MIB = 1024 * 1024
TIMEOUTS = RequestTimeouts(connect=PATIENCE, read=PATIENCE, write=PATIENCE, pool=PATIENCE)
HASTY = 0.05  # seconds of a budget that is meant to run out


class Owner:
    """Notes what it is told."""

    def __init__(self, world: World) -> None:
        self.backend = world.net
        self.told: list[str] = []

    def lost(self, connection: Http2Connection) -> None:
        self.told.append("lost")

    def limit_changed(self, connection: Http2Connection, limit: int | None) -> None:
        self.told.append(f"limit {limit}")

    def draining(self, connection: Http2Connection) -> None:
        self.told.append("draining")


class Scene:
    """A connection to a scripted server, and the words for exchanges over it."""

    def __init__(self, world: World, connection: Http2Connection, owner: Owner) -> None:
        self.world = world
        self.connection = connection
        self.told = owner.told
        self.journey = Journey(0.0, world.net.clock)

    async def begin(
        self,
        method: bytes = b"GET",
        body: bytes | AsyncIterator[bytes] = b"",
        length: int = 0,
        whole: bool = True,
        path: bytes = b"/",
        read: float | None = PATIENCE,
        write: float | None = PATIENCE,
    ) -> Http2Stream:
        head = WireHead(method, b"http", b"example.org", path, [(b"Host", b"example.org")])
        self.journey = Journey(self.world.net.clock(), self.world.net.clock)
        timeouts = RequestTimeouts(PATIENCE, read, write, PATIENCE)
        return await self.connection.exchange(head, body, length, timeouts, self.journey, whole)

    async def fetch(self, **options: Any) -> bytes:
        """The body of a response."""
        stream = await self.begin(**options)
        body = stream.take_whole()
        stream.rest(self.world.net.clock())
        return body

    async def rest_of(self, stream: Http2Stream) -> bytes:
        """What is left of a streamed body."""
        body = bytearray()
        try:
            while piece := await stream.next_chunk():
                body += piece
        finally:
            self.end(stream)
        return bytes(body)

    def end(self, stream: Http2Stream) -> bool:
        return stream.rest(self.world.net.clock())


@pytest.fixture
def play(world: World, listener: Listener) -> Callable[..., None]:
    """Runs `body(scene)` against `script(server)`, which has a thread of its own."""

    def run(script: Callable[[Server], object], body: Callable[[Scene], Any], *pairs: tuple[int, int], **options: Any):
        async def main() -> None:
            done = listener.serve(lambda connection: script(Server(connection, *pairs)))
            owner = Owner(world)
            stream = await world.connect(listener)
            route = Route(Origin("http", "example.org", 80))
            connection = Http2Connection(stream, route, ConnectionFacts(), owner, **options)
            with contextlib.closing(connection):
                await body(Scene(world, connection, owner))
            await world.runner.hear(done)

        world.run(main)

    return run


class pieces(AsyncIterator[bytes]):  # noqa: N801  # reads as the function that it would be, had nobody to close it
    def __init__(self, *octets: bytes) -> None:
        self._bytes = iter(octets)

    async def __anext__(self) -> bytes:
        for each in self._bytes:
            return each
        raise StopAsyncIteration


def test_exchanges_follow_one_another(play: Any, world: World):
    def script(server: Server) -> None:
        for number in (1, 3, 5):
            server.until(f"HEADERS {number} end")
            server.respond(number, b"%d" % number)
        server.until_closed()
        if not world.by_anyio:  # closes without waiting, so without last words
            assert server.lines[-1] == "GOAWAY 0 0"

    async def body(scene: Scene) -> None:
        for number in (1, 3, 5):
            assert await scene.fetch() == b"%d" % number
        assert scene.connection.alive()
        assert scene.connection.facts.requests == scene.journey.nth == 3
        assert scene.connection.facts.http_version == "HTTP/2"
        assert scene.journey.reused
        marks = [scene.journey.started, scene.journey.sending, scene.journey.sent, scene.journey.done]
        assert sorted(marks) == marks
        assert scene.told == ["limit None"]

    play(script, body)


def test_preface_settings_and_request_are_one_write(play: Any):
    octets: list[bytes] = []

    def script(server: Server) -> None:
        octets.append(server.connection.recv(65536))
        server.lines += server.hear(octets[0])
        server.until("HEADERS 1 end")
        server.respond(1)

    async def body(scene: Scene) -> None:
        await scene.fetch()

    play(script, body)
    assert octets[0].startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert len(octets[0]) > 24 + 9 + 24 + 13 + 9


def test_exchanges_run_at_once(play: Any):
    """All are under way before the first is answered, and the answers come in another order."""

    def script(server: Server) -> None:
        numbers = list(range(1, 40, 2))
        server.until(*(f"HEADERS {number} end" for number in numbers))
        for number in reversed(numbers):
            server.respond(number, b"%d" % number)
        server.until_closed()

    async def body(scene: Scene) -> None:
        async def one() -> tuple[int, bytes]:
            stream = await scene.begin()
            return stream.id, stream.take_whole()

        answers = await scene.world.together(*[one] * 20)
        assert sorted(answers) == [(number, b"%d" % number) for number in range(1, 40, 2)]
        assert scene.connection.session.streams == {}

    play(script, body)


def test_a_body_is_streamed_as_it_arrives(play: Any, world: World):
    asked = [threading.Event() for _ in range(3)]

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(server.head(1))
        for number, event in enumerate(asked):
            assert event.wait(PATIENCE)
            server.say(data(1, b"%d" % number, end=number == 2))
        server.until_closed()

    async def body(scene: Scene) -> None:
        stream = await scene.begin(whole=False)
        assert stream.head is not None
        assert (stream.head.status, stream.ended, stream.touched) == (200, False, True)
        for number, event in enumerate(asked):
            event.set()
            assert await stream.next_chunk() == b"%d" % number
        assert await stream.next_chunk() == b""
        assert (stream.ended, stream.complete) == (True, True)
        assert scene.end(stream)

    play(script, body)


def test_trailers_and_interim_responses_are_kept(play: Any):
    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(server.head(1, [(":status", "103")]), server.head(1), data(1, b"ok"))
        server.say(server.head(1, [("a", "b")], end=True))

    async def body(scene: Scene) -> None:
        stream = await scene.begin()
        assert [head.status for head in stream.interim] == [103]
        assert (stream.take_whole(), list(stream.trailers)) == (b"ok", [(b"a", b"b")])

    play(script, body)


# Bodies of requests.


@pytest.mark.parametrize("size", [1, 16384, 65535, 3 * MIB])
def test_a_body_is_sent_as_windows_allow(play: Any, size: int):
    octets = random.Random(size).randbytes(size)

    def script(server: Server) -> None:
        left = size - 65535
        while left > 0:
            server.until("DATA 1")
            server.forget()
            server.say(window_update(1, 50_000), window_update(0, 50_000))
            left -= 50_000
        while len(server.bodies.get(1, b"")) < size:
            server.until("DATA 1")
            server.forget()
        assert server.bodies[1] == octets
        server.respond(1)
        server.until_closed()

    async def body(scene: Scene) -> None:
        assert await scene.fetch(method=b"POST", body=octets, length=size) == b"ok"

    play(script, body)


def test_pieces_are_sent_until_there_are_no_more(play: Any):
    def script(server: Server) -> None:
        server.until("DATA 1 0 end")
        assert server.bodies[1] == b"abcdef"
        server.respond(1)

    async def body(scene: Scene) -> None:
        assert await scene.fetch(method=b"POST", body=pieces(b"abc", b"", b"def"), length=-1) == b"ok"

    play(script, body)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        ([b"abc", b"d"], "the body is longer than its Content-Length of 3 bytes"),
        ([b"ab"], "the body ended after 2 bytes, its Content-Length is 3"),
    ],
)
def test_a_body_of_another_length_resets_its_stream_only(play: Any, octets: list[bytes], error: str):
    def script(server: Server) -> None:
        server.until("RST_STREAM 1 8", "HEADERS 3")
        server.respond(3)

    async def body(scene: Scene) -> None:
        with pytest.raises(LocalProtocolError, match=error):
            await scene.begin(b"POST", pieces(*octets), 3)
        assert await scene.fetch() == b"ok"

    play(script, body)


def test_what_a_body_raises_resets_its_stream_only(play: Any):
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise ValueError("no more")

    def script(server: Server) -> None:
        server.until("RST_STREAM 1 8", "HEADERS 3")
        server.respond(3)

    async def body(scene: Scene) -> None:
        with pytest.raises(ValueError, match="no more"):
            await scene.begin(b"POST", broken(), -1)
        assert await scene.fetch() == b"ok"

    play(script, body)


def test_an_upload_that_waits_for_window_blocks_nobody(play: Any):
    waits = threading.Event()

    def script(server: Server) -> None:
        server.until("DATA 1 16383")
        waits.set()
        server.until("HEADERS 3")
        server.respond(3)
        server.until("HEADERS 5")
        server.respond(5)
        server.say(window_update(0, MIB), window_update(1, MIB))
        while len(server.bodies[1]) < 100_000:
            server.until("DATA 1")
            server.forget()
        server.respond(1)

    async def body(scene: Scene) -> None:
        async def upload() -> None:
            assert await scene.fetch(method=b"POST", body=bytes(100_000), length=100_000) == b"ok"

        async def others() -> None:
            await scene.world.runner.hear(waits)
            for _ in range(2):
                assert await scene.fetch() == b"ok"

        await scene.world.together(upload, others)

    play(script, body)


def test_a_window_that_stays_shut_is_a_timeout_of_one_exchange(play: Any):
    def script(server: Server) -> None:
        server.until("RST_STREAM 1 8", "HEADERS 3")
        server.respond(3)

    async def body(scene: Scene) -> None:
        with pytest.raises(WriteTimeout, match=r"write timed out after .* of 0\.05 s: .* gave no window for more"):
            await scene.begin(b"POST", bytes(100_000), 100_000, write=HASTY)
        assert await scene.fetch() == b"ok"

    play(script, body)


@pytest.mark.parametrize("resets", [True, False], ids=["reset", "silent"])
def test_an_answer_before_the_end_of_the_body_counts(play: Any, resets: bool):
    def script(server: Server) -> None:
        server.until("DATA 1 16383")
        server.respond(1, b"enough")
        if resets:
            server.say(reset(1, 0))
        else:
            server.until("RST_STREAM 1 8")
        server.until("HEADERS 3")
        server.respond(3)

    async def body(scene: Scene) -> None:
        assert await scene.fetch(method=b"POST", body=bytes(100_000), length=100_000) == b"enough"
        assert await scene.fetch() == b"ok"

    play(script, body)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
def test_what_is_sent_may_come_back_at_once_on_the_same_stream(play: Any, whole: bool):
    """An echo that takes no more than was read of what it has sent before."""
    size = 8 * MIB
    octets = random.Random(1).randbytes(size)

    def script(server: Server) -> None:
        server.until("HEADERS 1")
        server.say(server.head(1))
        window, sent = STREAM_WINDOW, 0
        server.forget()
        while sent < size:
            have = bytes(server.bodies.get(1, b"")[sent : sent + min(window, 16384)])
            if have:
                server.say(data(1, have), window_update(1, len(have)), window_update(0, len(have)))
                sent += len(have)
                window -= len(have)
                continue
            for line in server.hear(server.connection.recv(65536)):
                if line.startswith("WINDOW_UPDATE 1"):
                    window += int(line.split()[2])
        server.say(data(1, b"", end=True))

    async def body(scene: Scene) -> None:
        stream = await scene.begin(b"POST", octets, size, whole)
        received = stream.take_whole() if whole else await scene.rest_of(stream)
        assert received == octets

    play(script, body)


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


# Isolation.


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
def test_a_timeout_costs_one_exchange(play: Any, whole: bool):
    def script(server: Server) -> None:
        hasty, patient = server.find("/hasty"), server.find("/patient")
        if not whole:
            server.say(server.head(hasty))
        server.until(f"RST_STREAM {hasty} 8")
        server.say(server.head(hasty, end=True) if whole else data(hasty, b"late"))
        server.respond(patient)
        server.respond(server.find("/last"))
        server.until_closed()

    async def body(scene: Scene) -> None:
        async def hasty() -> None:
            with pytest.raises(
                ReadTimeout, match=r"read timed out after 0\.\d+ s of 0\.05 s: peer sent nothing on stream"
            ):
                await scene.rest_of(await scene.begin(path=b"/hasty", whole=whole, read=HASTY))

        async def patient() -> None:
            assert await scene.fetch(path=b"/patient") == b"ok"

        await scene.world.together(hasty, patient)
        assert await scene.fetch(path=b"/last") == b"ok"

    play(script, body)


def test_each_arrival_moves_the_deadline_of_its_stream_only(play: Any):
    """Of one stream something comes every now and then, of the other nothing."""
    over = threading.Event()

    def script(server: Server) -> None:
        slow, mute = server.find("/slow"), server.find("/mute")
        server.say(server.head(slow), server.head(mute))
        while not over.wait(HASTY / 5):
            server.say(data(slow, b"x"))
        server.say(data(slow, b"", end=True))

    async def body(scene: Scene) -> None:
        async def slow() -> None:
            assert len(await scene.fetch(path=b"/slow", read=4 * HASTY)) > 1

        async def mute() -> None:
            try:
                with pytest.raises(ReadTimeout):
                    await scene.begin(path=b"/mute", read=6 * HASTY)
            finally:
                over.set()

        await scene.world.together(slow, mute)

    play(script, body)


def test_a_response_that_is_left_early_is_reset_and_its_bytes_credited(play: Any):
    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(server.head(1), data(1, bytes(1000)))
        server.until("RST_STREAM 1 8")
        server.say(data(1, bytes(2000)), server.head(1, [("a", "b")], end=True))
        server.until("HEADERS 3 end")
        server.respond(3)
        server.until_closed()

    async def body(scene: Scene) -> None:
        stream = await scene.begin(whole=False)
        assert scene.end(stream)
        assert not stream.complete
        assert await scene.fetch() == b"ok"
        assert scene.connection.session.room == CONNECTION_WINDOW - 3002
        assert scene.connection.session.streams == {}

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


def test_a_malformed_response_costs_one_exchange(play: Any):
    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(server.head(1, [(":status", "200"), ("Bad Name", "x")]))
        server.until("RST_STREAM 1 1", "HEADERS 3 end")
        server.respond(3)

    async def body(scene: Scene) -> None:
        with pytest.raises(RemoteProtocolError, match="a field name is no token"):
            await scene.begin()
        assert await scene.fetch() == b"ok"

    play(script, body)


def test_an_error_in_a_streamed_body_comes_after_what_was_received(play: Any):
    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(server.head(1), data(1, b"so far"), reset(1, 2))
        server.until_closed()

    async def body(scene: Scene) -> None:
        stream = await scene.begin(whole=False)
        assert await stream.next_chunk() == b"so far"
        for _ in range(2):
            with pytest.raises(RemoteProtocolError, match="peer reset stream 1: INTERNAL_ERROR"):
                await stream.next_chunk()
        assert scene.end(stream)
        assert scene.connection.alive()

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


# The connection.


def test_the_peers_limit_is_told_and_kept(play: Any):
    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(settings((3, 1)))
        server.respond(1)
        server.until("HEADERS 3 end")
        server.say(settings((3, 0)), server.head(3), data(3, b"ok", end=True))
        server.until_closed()

    async def body(scene: Scene) -> None:
        assert scene.connection.limit in (100, 7)  # the peer may have said it already
        await scene.fetch()
        assert scene.connection.limit == 1
        await scene.fetch()
        with pytest.raises(RemoteProtocolError, match="the peer takes 0 streams at once, 0 are open") as caught:
            await scene.begin()
        assert caught.value.unprocessed
        # The first may have come together with the second.
        assert scene.told[-2:] == ["limit 1", "limit 0"]
        assert scene.connection.alive()

    play(script, body, (3, 7))


def test_goaway_lets_the_rest_end_and_closes_then(play: Any):
    def script(server: Server) -> None:
        first, _ = sorted((server.find("/a"), server.find("/b")))
        server.say(goaway(first, 0, b"bye"))
        server.respond(first)
        server.until_closed()

    async def body(scene: Scene) -> None:
        results: list[Any] = []

        async def one(path: bytes) -> None:
            try:
                results.append(await scene.fetch(path=path))
            except RemoteProtocolError as error:
                results.append(error)

        await scene.world.together(lambda: one(b"/a"), lambda: one(b"/b"))
        error = next(each for each in results if not isinstance(each, bytes))
        assert b"ok" in results
        assert "peer does not process stream 3, its last one is 1: GOAWAY: NO_ERROR b'bye'" in str(error)
        assert error.unprocessed
        assert not scene.connection.alive()
        assert scene.connection.limit == 0
        assert "draining" in scene.told
        with pytest.raises(RemoteProtocolError) as caught:
            await scene.begin()
        assert caught.value.unprocessed

    play(script, body)


def test_goaway_while_idle_is_noticed(play: Any, world: World):
    if world.by_anyio:
        pytest.skip("an adapted stream says nothing while idle but that it has ended")
    said = threading.Event()

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.respond(1)
        server.say(goaway(1))
        said.set()
        server.until_closed()

    async def body(scene: Scene) -> None:
        await scene.fetch()
        await world.runner.hear(said)
        while scene.connection.alive():
            await world.settle()
        assert scene.told[-2:] == ["draining", "lost"]

    play(script, body)


def test_an_end_while_idle_is_noticed(play: Any, world: World):
    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.respond(1)
        server.connection.shutdown(socket.SHUT_WR)
        server.until_closed()

    async def body(scene: Scene) -> None:
        await scene.fetch()
        while scene.connection.alive():
            await world.settle()
        assert scene.told[-2:] == ["draining", "lost"]

    play(script, body)


def test_the_end_of_the_connection_fails_all(play: Any):
    def script(server: Server) -> None:
        server.until("HEADERS 5 end")
        server.connection.shutdown(socket.SHUT_RDWR)

    async def body(scene: Scene) -> None:
        async def one() -> None:
            with pytest.raises((RemoteProtocolError, ReadError), match=r"closed the connection|reset") as caught:
                await scene.begin()
            assert not caught.value.unprocessed

        await scene.world.together(one, one, one)
        assert not scene.connection.alive()

    play(script, body)


def test_a_peer_that_breaks_the_protocol_is_told_why(play: Any, world: World):
    def script(server: Server) -> None:
        server.until("HEADERS 3 end")
        server.say(frame(5, 4, 1, bytes(8)))
        server.until_closed()
        if not world.by_anyio:
            assert server.lines[-1] == "GOAWAY 0 1"

    async def body(scene: Scene) -> None:
        async def one() -> None:
            with pytest.raises(RemoteProtocolError, match="PUSH_PROMISE came, though push is switched off"):
                await scene.begin()

        await scene.world.together(one, one)

    play(script, body)


def test_what_does_not_speak_http2_is_named(world: World, listener: Listener):
    async def main() -> None:
        done = listener.serve(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        stream = await world.connect(listener)
        route = Route(Origin("http", "example.org", 80))
        connection = Http2Connection(stream, route, ConnectionFacts(), Owner(world))
        with (
            contextlib.closing(connection),
            pytest.raises((RemoteProtocolError, ReadError), match=r"this is HTTP/1|reset"),
        ):
            await Scene(world, connection, Owner(world)).begin()
        await world.runner.hear(done)

    world.run(main)


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


def test_pings_are_answered(play: Any):
    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.say(ping(b"12345678"))
        server.until("PING ack 3132333435363738")
        server.respond(1)

    async def body(scene: Scene) -> None:
        assert await scene.fetch() == b"ok"

    play(script, body)


def test_a_silent_peer_is_pinged_while_exchanges_wait(play: Any):
    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        for number in (1, 2):
            octets = number.to_bytes(8, "big")
            server.until(f"PING {octets.hex()}")
            server.say(ping(octets, ack=True))
        server.respond(1)

    async def body(scene: Scene) -> None:
        assert await scene.fetch(read=None) == b"ok"
        rtt = scene.connection.rtt
        assert rtt is not None
        assert 0 <= rtt < PATIENCE

    play(script, body, ping_after=0.02)


def test_a_peer_that_answers_no_ping_is_dead(play: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http2_liveness, "PING_PATIENCE", 0.02)

    def script(server: Server) -> None:
        server.until("HEADERS 3 end", "PING")
        server.until_closed()

    async def body(scene: Scene) -> None:
        async def one() -> None:
            with pytest.raises(ReadError, match=r"did not answer a PING within 0\.02 s: the connection is dead"):
                await scene.begin(read=None)

        await scene.world.together(one, one)
        assert not scene.connection.alive()

    play(script, body, ping_after=0.2)


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


def test_an_ended_connection_leaves_no_cycles(play: Any):
    """What is dropped goes at once: sockets are not left to the collector."""

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.respond(1)
        server.until_closed()

    async def body(scene: Scene) -> None:
        stream = await scene.begin()
        scene.end(stream)
        scene.connection.close()
        assert stream.id not in scene.connection.session.streams
        gc.collect()

    play(script, body)
