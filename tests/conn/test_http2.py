"""HTTP/2 connections in every world, against a server that is scripted frame by frame."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from typing import Any

import pytest
from far_end import Server, data, frame, goaway, ping, settings
from http2_scenes import HASTY, Owner, Scene
from net_worlds import Listener, World
from runners import PATIENCE

from httpx_fast._conn import http2_liveness
from httpx_fast._conn.http2 import TRUSTED_FOR, Http2Connection
from httpx_fast._exceptions import (
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
)
from httpx_fast._journey import ConnectionFacts
from httpx_fast._origin import Origin, Route


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


def test_small_bodies_of_requests_that_begin_together_are_one_write(
    play: Any, world: World, monkeypatch: pytest.MonkeyPatch
):
    writes: list[int] = []

    def script(server: Server) -> None:
        numbers = range(1, 23, 2)
        server.until(*(f"DATA {number} 4 end" for number in numbers))
        for number in numbers:
            server.respond(number)
        server.until_closed()

    async def body(scene: Scene) -> None:
        async def post() -> None:
            assert scene.connection.alive_now()
            assert await scene.fetch(method=b"POST", body=b"body", length=4) == b"ok"

        write = type(scene.connection.stream).write

        def counted(stream: Any, *buffers: Any) -> Any:
            writes.append(sum(map(len, buffers)))
            return write(stream, *buffers)

        monkeypatch.setattr(type(scene.connection.stream), "write", counted)
        await scene.world.together(*[post] * 11)

    play(script, body)
    if world.net.pushes:
        # Beside it: the first request, GOAWAY, and the answer to the settings, which may be part of another.
        assert [size for size in writes if size > 10 * (9 + 9 + 4)] == [max(writes)]
        assert len(writes) <= 4


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
                ReadTimeout, match=r"read timed out after [\d.]+ s of 0\.05 s: peer sent nothing on stream"
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


def test_a_connection_that_was_used_just_now_is_polled_only_where_a_request_may_not_be_repeated(
    play: Any, world: World, monkeypatch: pytest.MonkeyPatch
):
    polls: list[None] = []

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.respond(1)
        server.until_closed()

    async def body(scene: Scene) -> None:
        await scene.fetch()
        connection = scene.connection
        used = connection.idle_since
        assert used is not None
        poll = type(connection.stream).poll_idle

        def counted(stream: Any) -> None:
            polls.append(None)
            poll(stream)

        monkeypatch.setattr(type(connection.stream), "poll_idle", counted)
        pulled = not world.net.pushes
        assert connection.alive(used + TRUSTED_FOR / 2)
        assert not polls
        assert connection.alive(used + 2 * TRUSTED_FOR)
        assert len(polls) == pulled
        assert connection.alive()
        assert len(polls) == 2 * pulled
        assert connection.alive_now()
        assert len(polls) == 2 * pulled + 1

    play(script, body)


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_request_over_a_connection_that_ended_just_now(play: Any, world: World, method: bytes):
    """What may be repeated is written, and fails as on a connection that has answered nothing; the rest is not."""

    answered = threading.Event()

    def script(server: Server) -> None:
        server.until("HEADERS 1 end")
        server.respond(1)
        assert answered.wait(PATIENCE)
        server.connection.shutdown(socket.SHUT_WR)
        server.until_closed()
        assert ("HEADERS 3 end" in server.lines) is (method == b"GET" and not world.net.pushes)

    async def body(scene: Scene) -> None:
        await scene.fetch()
        connection = scene.connection
        assert connection.alive(connection.idle_since)
        answered.set()
        if method == b"POST" or world.net.pushes:
            while connection.alive_now():
                await world.settle()
            return
        with pytest.raises((RemoteProtocolError, ReadError), match=r"closed the connection|reset"):
            await scene.begin()
        assert connection.left_unanswered(scene.journey)
        assert not connection.alive(connection.idle_since)

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
