"""Bodies of one HTTP/2 stream, sent and received, whole and in pieces."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from far_end import Server, data, reset, window_update
from http2_scenes import HASTY, MIB, Scene, pieces
from net_worlds import World
from runners import PATIENCE

from httpx_fast._exceptions import (
    LocalProtocolError,
    RemoteProtocolError,
    WriteTimeout,
)
from httpx_fast._wire.windows import CONNECTION_WINDOW, STREAM_WINDOW


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


# Bodies of requests.


def test_a_body_is_not_sent_on_once_the_response_is_an_error(play: Any):
    """The server gives window for more of it for as long as more comes."""

    def script(server: Server) -> None:
        server.until("HEADERS 1")
        server.say(server.head(1, [(":status", "413")]), data(1, b"too large", end=True))
        with contextlib.suppress(ConnectionError):
            while buffer := server.connection.recv(65536):
                if any(line.startswith("RST_STREAM 1") for line in server.hear(buffer)):
                    break
                server.say(window_update(0, 65535), window_update(1, 65535))

    class Endless(AsyncIterator[bytes]):
        async def __anext__(self) -> bytes:
            return bytes(65536)

    async def body(scene: Scene) -> None:
        stream = await scene.begin(method=b"POST", body=Endless(), length=-1, whole=False)
        assert await scene.rest_of(stream) == b"too large"
        assert stream.head is not None
        assert stream.head.status == 413

    play(script, body)


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
