"""The same for HTTP/2 over TLS: 100 requests at once on one connection, one after the other, and downloads of 10 MB.

The floor counts bytes of DATA and looks at nothing else: no field section is decoded, and windows are so large that
none is ever given back.
"""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from loads import AT_ONCE, BATCH, AsyncLoad, BlockingLoad, Load, OnUvloop

DOWNLOADS = 10  # in a batch
LARGE = 10 * 1024 * 1024  # bytes of one


class OverHttp2(Load):
    """Open a client for HTTP/2; a context of ours sets its ALPN protocols itself."""

    def context(self) -> ssl.SSLContext:
        context = super().context()
        context.set_alpn_protocols(["h2"])
        return context


class FastHttp2(OverHttp2, AsyncLoad):
    name = "fast.asyncio"

    async def open(self) -> None:
        import httpx_fast

        self.client = httpx_fast.AsyncClient(verify=self.context(), http2=True, timeout=60, trust_env=False)

    async def get(self) -> int:
        return len((await self.client.get(self.url)).content)

    async def shut(self) -> None:
        await self.client.aclose()


class FastHttp2Uvloop(FastHttp2, OnUvloop):
    name = "fast.uvloop"


class Httpx2Http2(FastHttp2):
    name = "httpx2.asyncio"
    needs = "httpx2"

    async def open(self) -> None:
        import httpx2

        self.client = httpx2.AsyncClient(verify=self.context(), http2=True, timeout=60, trust_env=False)


class Wreq(AsyncLoad):
    name = "wreq"
    needs = "wreq"

    async def open(self) -> None:
        import wreq

        # BoringSSL takes no self-signed certificate of a server; handshakes are not measured.
        self.client = wreq.Client(tls_verify=False, http2_only=True, timeout=timedelta(seconds=60))
        await self.get()  # at once all would connect

    async def get(self) -> int:
        response = await self.client.get(self.url)
        return len(await response.bytes())

    async def shut(self) -> None:
        del self.client


class Pyreqwest(AsyncLoad):
    name = "pyreqwest"
    needs = "pyreqwest"

    async def open(self) -> None:
        from pyreqwest.client import ClientBuilder

        # rustls takes no self-signed certificate of a server; handshakes are not measured.
        builder = ClientBuilder().danger_accept_invalid_certs(True).http2(True).timeout(timedelta(seconds=60))
        self.client = await builder.build().__aenter__()
        await self.get()  # at once all would connect

    async def get(self) -> int:
        response = await self.client.get(self.url).build().send()
        return len(await response.bytes())

    async def shut(self) -> None:
        await self.client.__aexit__(None, None, None)


class FrameCounter(asyncio.Protocol):
    """Count what each stream of one connection gets."""

    def __init__(self, loop: asyncio.AbstractEventLoop, block: bytes) -> None:
        self.loop = loop
        self.block = block
        self.next_id = 1
        self.waiting: dict[int, asyncio.Future[int]] = {}
        self.counts: dict[int, int] = {}
        self.rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        settings = b"\x00\x02" + bytes(4) + b"\x00\x04" + (2**31 - 1).to_bytes(4, "big")
        window = (2**31 - 1 - 65535).to_bytes(4, "big")
        transport.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x0c\x04\x00\x00\x00\x00\x00" + settings
            + b"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + window
        )  # fmt: skip

    def data_received(self, data: bytes) -> None:
        data = self.rest + data if self.rest else data
        at, size = 0, len(data)
        while at + 9 <= size:
            length = int.from_bytes(data[at : at + 3], "big")
            end = at + 9 + length
            if end > size:
                break
            kind, flags = data[at + 3], data[at + 4]
            if kind == 4 and not flags:
                self.transport.write(b"\x00\x00\x00\x04\x01\x00\x00\x00\x00")
            elif kind <= 1:
                number = int.from_bytes(data[at + 5 : at + 9], "big")
                if kind == 0:
                    self.counts[number] += length
                if flags & 1:
                    self.waiting.pop(number).set_result(self.counts.pop(number))
            at = end
        self.rest = data[at:]

    def request(self) -> asyncio.Future[int]:
        number = self.next_id
        self.next_id += 2
        head = len(self.block).to_bytes(3, "big") + b"\x01\x05" + number.to_bytes(4, "big")
        self.counts[number] = 0
        self.waiting[number] = future = self.loop.create_future()
        self.transport.write(head + self.block)
        return future


class FloorFrames(OverHttp2, AsyncLoad):
    """asyncio.Protocol and a loop over frame heads."""

    name = "floor.frames"

    async def open(self) -> None:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", parts.path.encode())]
        fields += [(b":authority", parts.netloc.encode()), (b"accept", b"*/*"), (b"user-agent", b"floor")]
        block = b"".join(b"\x10" + bytes((len(name),)) + name + bytes((len(value),)) + value for name, value in fields)
        _, self.connection = await self.loop.create_connection(
            lambda: FrameCounter(self.loop, block), parts.hostname, parts.port, ssl=self.context()
        )

    async def get(self) -> int:
        return await self.connection.request()

    async def shut(self) -> None:
        self.connection.transport.abort()
        await asyncio.sleep(0)


class OneAtATime(AsyncLoad):
    """Run a batch of downloads."""

    batch: ClassVar[int] = DOWNLOADS

    async def _batch(self) -> None:
        gc.collect()
        for _ in range(DOWNLOADS):
            self.check(await self.get())


class FastDownload(OneAtATime, FastHttp2):
    """Streamed, as the floor has it: nothing is kept."""

    async def get(self) -> int:
        async with self.client.stream("GET", self.url) as response:
            return sum([len(piece) async for piece in response.aiter_raw()])


class FloorDownload(OneAtATime, FloorFrames):
    pass


class Httpx2Download(OneAtATime, Httpx2Http2):
    async def get(self) -> int:
        async with self.client.stream("GET", self.url) as response:
            return sum([len(piece) async for piece in response.aiter_raw()])


class FastHttp2Blocking(OverHttp2, BlockingLoad):
    name = "fast.blocking"

    def __init__(self, url: str, size: int, trusted: str) -> None:
        super().__init__(url, size, trusted)
        import httpx_fast

        self.client = httpx_fast.Client(verify=self.context(), http2=True, timeout=60, trust_env=False)

    def get(self) -> int:
        return len(self.client.get(self.url).content)

    def close(self) -> None:
        self.client.close()


class Httpx2Http2Blocking(FastHttp2Blocking):
    name = "httpx2.blocking"
    needs = "httpx2"

    def __init__(self, url: str, size: int, trusted: str) -> None:
        Load.__init__(self, url, size, trusted)
        import httpx2

        self.client = httpx2.Client(verify=self.context(), http2=True, timeout=60, trust_env=False)


assert BATCH % AT_ONCE == 0
HTTP2_AT_ONCE: Sequence[type[Load]] = (FastHttp2, FastHttp2Uvloop, Httpx2Http2, Wreq, Pyreqwest, FloorFrames)
HTTP2_SEQUENTIAL: Sequence[type[Load]] = (FastHttp2Blocking, Httpx2Http2Blocking)
HTTP2_DOWNLOADS: Sequence[type[Load]] = (FastDownload, Httpx2Download, FloorDownload)
