"""A server of HTTP/2 that keeps count: what both windows of each connection must be, by its own reckoning.

It answers by the path: /SIZE with so many bytes, as windows allow, a piece at a time and all streams in turn;
/slow/SIZE not before another request was heard after it; /last as everything else, and `reckoned` tells then what is
left of the connection's windows. What comes is credited at once. A client that sends more than it may is a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import NamedTuple

import hpack

from httpx_fast.testing import frames
from httpx_fast.testing.connection import Connection, PeerClosed
from httpx_fast.testing.listening import Listening

PREFACE = 24  # bytes
FIRST_WINDOW = 65535
TICK = 0.002  # seconds; only so that what is slow does not need others to go on
RESPONSE = bytes(range(256)) * 4096


class Reckoned(NamedTuple):
    """What may still be sent on the connection, by the server and by the client."""

    by_server: int
    by_client: int


class _Answer:
    def __init__(self, size: int, slow: bool) -> None:
        self.left = size
        self.at = 0
        self.window = 0  # what WINDOW_UPDATE and the first window of its stream have given
        self.slow = slow


class ModelServer(Listening):
    """Serves any number of connections, one after the other or at once."""

    def __init__(self, streams: int = 100) -> None:
        super().__init__()
        self.reckoned: list[Reckoned] = []
        self.failures: list[BaseException] = []
        self.resets = 0
        self.served = 0
        self._limit = streams

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def converse(self, connection: Connection) -> None:
        try:
            await _Talk(self, connection).run()
        except (PeerClosed, OSError):
            pass
        except Exception as failure:  # told by the test
            self.failures.append(failure)
        finally:
            connection.close()


class _Talk:
    def __init__(self, server: ModelServer, connection: Connection) -> None:
        self.server = server
        self.connection = connection
        self.decoder = hpack.Decoder()
        self.dice = random.Random(7)
        self.raw = b""
        self.outgoing: list[bytes] = []
        self.answers: dict[int, _Answer] = {}
        self.bodies: dict[int, tuple[str, int]] = {}  # path, and window that is left, of requests under way
        self.room = FIRST_WINDOW  # what we may send
        self.window = FIRST_WINDOW  # what the client may send
        self.first_window = FIRST_WINDOW

    async def run(self) -> None:
        await self.connection.send(frames.settings(max_concurrent_streams=self.server._limit))
        await self.connection.read_exactly(PREFACE)
        hearing = asyncio.ensure_future(self.connection.receive())
        try:
            while True:
                waiting = any(not answer.slow or answer.left for answer in self.answers.values())
                await asyncio.wait({hearing}, timeout=TICK if waiting else None)
                if hearing.done():
                    raw = hearing.result()
                    if not raw:
                        return
                    self.hear(raw)
                    hearing = asyncio.ensure_future(self.connection.receive())
                else:
                    for answer in self.answers.values():
                        answer.slow = False
                self.answer()
                if self.outgoing:
                    raw = b"".join(self.outgoing)
                    self.outgoing.clear()
                    await self.connection.send(raw)
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await hearing

    def hear(self, raw: bytes) -> None:
        self.raw += raw
        at = 0
        while len(self.raw) - at >= 9:
            size = int.from_bytes(self.raw[at : at + 3], "big")
            if len(self.raw) - at < 9 + size:
                break
            kind, flags = self.raw[at + 3], self.raw[at + 4]
            stream = int.from_bytes(self.raw[at + 5 : at + 9], "big")
            self.take(kind, flags, stream, self.raw[at + 9 : at + 9 + size])
            at += 9 + size
        self.raw = self.raw[at:]

    def take(self, kind: int, flags: int, stream: int, raw: bytes) -> None:
        if kind == 1:
            assert flags & 4, "heads are small here"
            path = dict(self.decoder.decode(raw, raw=True))[b":path"].decode()
            self.bodies[stream] = path, FIRST_WINDOW
            for answer in self.answers.values():
                answer.slow = False
        elif kind == 0:
            self.take_data(stream, len(raw))
        elif kind == 3:
            self.server.resets += 1
            self.answers.pop(stream, None)
            self.bodies.pop(stream, None)
        elif kind == 8:
            self.credit(stream, int.from_bytes(raw, "big"))
        elif kind == 4 and not flags & 1:
            settings = {raw[at + 1]: int.from_bytes(raw[at + 2 : at + 6], "big") for at in range(0, len(raw), 6)}
            self.first_window = settings.get(4, FIRST_WINDOW)
            self.outgoing.append(frames.SETTINGS_ACK)
        elif kind == 6 and not flags & 1:
            self.outgoing.append(frames.ping(raw, ack=True))
        if kind in (0, 1) and flags & 1 and stream in self.bodies:
            path, _ = self.bodies.pop(stream)
            self.begin(stream, path)

    def take_data(self, stream: int, size: int) -> None:
        self.window -= size
        assert self.window >= 0, "the client sent more than the connection's window"
        if not size:
            return
        if stream in self.bodies:
            path, left = self.bodies[stream]
            assert left >= size, "the client sent more than a stream's window"
            self.bodies[stream] = path, left
            self.outgoing.append(frames.window_update(stream, size))
        self.outgoing.append(frames.window_update(0, size))
        self.window += size

    def credit(self, stream: int, increment: int) -> None:
        if stream == 0:
            self.room += increment
        elif stream in self.answers:
            self.answers[stream].window += increment

    def begin(self, stream: int, path: str) -> None:
        self.server.served += 1
        slow = path.startswith("/slow/")
        size = 5 if path == "/last" else int(path.rpartition("/")[2])
        answer = self.answers[stream] = _Answer(size, slow)
        answer.window = self.first_window
        self.outgoing.append(frames.headers(stream, (":status", "200"), ("x-size", str(size)), end=not size))
        if path == "/last":
            assert len(self.answers) == 1, "something is under way still"
            self.outgoing.append(frames.data(stream, b"last!", end=True))
            self.room -= 5
            self.server.reckoned.append(Reckoned(self.room, self.window))
            size = 0
        if not size:
            del self.answers[stream]

    def answer(self) -> None:
        """A piece of each response, as far as windows go."""
        for stream, answer in list(self.answers.items()):
            size = min(answer.left, answer.window, self.room, self.dice.choice((10, 5000, 60_000, 200_000)))
            if answer.slow or size <= 0:
                continue
            answer.left -= size
            answer.window -= size
            self.room -= size
            start = answer.at % 256
            answer.at += size
            self.outgoing.append(frames.data(stream, RESPONSE[start : start + size], end=not answer.left))
            if not answer.left:
                del self.answers[stream]
