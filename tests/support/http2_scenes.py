"""An HTTP/2 connection to a server that is scripted frame by frame, and short names for exchanges over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from net_worlds import World
from runners import PATIENCE

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._conn.http2 import Http2Connection
from httpx_fast._conn.http2_stream import Http2Stream
from httpx_fast._journey import Journey
from httpx_fast._wire.heads import WireHead

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


class pieces(AsyncIterator[bytes]):  # noqa: N801  # reads as the function that it would be, had nobody to close it
    def __init__(self, *octets: bytes) -> None:
        self._bytes = iter(octets)

    async def __anext__(self) -> bytes:
        for each in self._bytes:
            return each
        raise StopAsyncIteration
