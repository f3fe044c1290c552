"""What is measured: one class for each client and each floor, all doing the same requests.

A floor is the least that a client could do: a request that was written before, bytes counted with the simplest
framing, nothing made of them. What a client costs above its floor is the price of being a client.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import shutil
import socket
import ssl
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

BATCH = 1000  # requests in a batch: milliseconds of a batch are microseconds of a request
AT_ONCE = 100


class Load:
    """Open one client on the URL that it will request; `run` is one batch."""

    name: ClassVar[str]
    needs: ClassVar[str] = "asyncio"

    def __init__(self, url: str, size: int, trusted: str) -> None:
        self.url = url
        self.size = size
        self.trusted = trusted

    @classmethod
    def missing(cls) -> str | None:
        """Return what has to be installed first, None when nothing is missing."""
        try:
            importlib.import_module(cls.needs)
        except ImportError:
            return f"{cls.needs} is not installed"
        return None

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.trusted)

    def check(self, received: int) -> None:
        if received != self.size:
            raise RuntimeError(f"{self.name} received {received} bytes of content, not {self.size}")

    def run(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class AsyncLoad(Load):
    """`AT_ONCE` tasks share the requests of a batch, on a loop that stays open."""

    def __init__(self, url: str, size: int, trusted: str) -> None:
        super().__init__(url, size, trusted)
        self.loop = self.new_loop()
        self.loop.run_until_complete(self.open())

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    async def open(self) -> None:
        raise NotImplementedError

    async def get(self) -> int:
        raise NotImplementedError

    async def shut(self) -> None:
        raise NotImplementedError

    def run(self) -> None:
        self.loop.run_until_complete(self._batch())

    async def _batch(self) -> None:
        await asyncio.gather(*(self._several() for _ in range(AT_ONCE)))

    async def _several(self) -> None:
        for _ in range(BATCH // AT_ONCE):
            self.check(await self.get())

    def close(self) -> None:
        self.loop.run_until_complete(self.shut())
        self.loop.close()


class OnUvloop(AsyncLoad):
    needs = "uvloop"

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return importlib.import_module("uvloop").new_event_loop()


class FastAsyncio(AsyncLoad):
    name = "fast.asyncio"

    async def open(self) -> None:
        import httpx_fast

        limits = httpx_fast.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self.client = httpx_fast.AsyncClient(verify=self.context(), limits=limits, timeout=60, trust_env=False)

    async def get(self) -> int:
        return len((await self.client.get(self.url)).content)

    async def shut(self) -> None:
        await self.client.aclose()


class FastUvloop(FastAsyncio, OnUvloop):
    name = "fast.uvloop"


class Httpx2Asyncio(AsyncLoad):
    name = "httpx2.asyncio"
    needs = "httpx2"

    async def open(self) -> None:
        import httpx2

        limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self.client = httpx2.AsyncClient(verify=self.context(), limits=limits, timeout=60, trust_env=False)

    async def get(self) -> int:
        return len((await self.client.get(self.url)).content)

    async def shut(self) -> None:
        await self.client.aclose()


class Aiohttp(AsyncLoad):
    name = "aiohttp"
    needs = "aiohttp"

    async def open(self) -> None:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=self.context())
        self.session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60))

    async def get(self) -> int:
        async with self.session.get(self.url) as response:
            return len(await response.read())

    async def shut(self) -> None:
        await self.session.close()


class Framing:
    """Count the content of one response that has a Content-Length."""

    __slots__ = ("left", "received", "start")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.left = -1
        self.received = 0
        self.start = b""

    def feed(self, data: bytes) -> bool:
        """True at the end of the response."""
        if self.left < 0:
            data = self.start + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.start = data
                return False
            length = data.find(b"Content-Length: ", 0, end)
            self.left = int(data[length + 16 : data.find(b"\r", length)])
            data = data[end + 4 :]
        self.received += len(data)
        return self.received == self.left


def request_for(url: str) -> bytes:
    parts = urlsplit(url)
    return (
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
        "Connection: keep-alive\r\nUser-Agent: floor\r\n\r\n"
    ).encode()


class FloorConnection(asyncio.Protocol):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.framing = Framing()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.framing.feed(data):
            self.waiter.set_result(None)

    def request(self, data: bytes) -> asyncio.Future[None]:
        self.framing.begin()
        self.waiter = self.loop.create_future()
        self.transport.write(data)
        return self.waiter


class FloorProtocol(AsyncLoad):
    """asyncio.Protocol and a stack of connections."""

    name = "floor.protocol"

    async def open(self) -> None:
        self.idle: list[FloorConnection] = []
        self.request = request_for(self.url)
        parts = urlsplit(self.url)
        self.address = (parts.hostname, parts.port)
        self.tls = {"ssl": self.context(), "server_hostname": parts.hostname} if parts.scheme == "https" else {}

    async def get(self) -> int:
        if self.idle:
            connection = self.idle.pop()
        else:
            _, connection = await self.loop.create_connection(
                lambda: FloorConnection(self.loop), *self.address, **self.tls
            )
        await connection.request(self.request)
        self.idle.append(connection)
        return connection.framing.received

    async def shut(self) -> None:
        for connection in self.idle:
            connection.transport.abort()
        await asyncio.sleep(0)  # lets the transports close their sockets


class FloorProtocolUvloop(FloorProtocol, OnUvloop):
    name = "floor.protocol.uvloop"


class BlockingLoad(Load):
    """Send one request after the other."""

    def get(self) -> int:
        raise NotImplementedError

    def run(self) -> None:
        for _ in range(BATCH):
            self.check(self.get())


class FastBlocking(BlockingLoad):
    name = "fast.blocking"

    def __init__(self, url: str, size: int, trusted: str) -> None:
        super().__init__(url, size, trusted)
        import httpx_fast

        self.client = httpx_fast.Client(verify=self.context(), timeout=60, trust_env=False)

    def get(self) -> int:
        return len(self.client.get(self.url).content)

    def close(self) -> None:
        self.client.close()


class Httpx2Blocking(BlockingLoad):
    name = "httpx2.blocking"
    needs = "httpx2"

    def __init__(self, url: str, size: int, trusted: str) -> None:
        super().__init__(url, size, trusted)
        import httpx2

        self.client = httpx2.Client(verify=self.context(), timeout=60, trust_env=False)

    def get(self) -> int:
        return len(self.client.get(self.url).content)

    def close(self) -> None:
        self.client.close()


class FloorSocket(BlockingLoad):
    """Measure a blocking socket."""

    name = "floor.socket"

    def __init__(self, url: str, size: int, trusted: str) -> None:
        super().__init__(url, size, trusted)
        parts = urlsplit(url)
        self.request = request_for(url)
        self.framing = Framing()
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            self.socket = self.context().wrap_socket(self.socket, server_hostname=parts.hostname)

    def get(self) -> int:
        framing, receive = self.framing, self.socket.recv
        framing.begin()
        self.socket.sendall(self.request)
        while not framing.feed(receive(65536)):
            pass
        return framing.received

    def close(self) -> None:
        self.socket.close()


AT_ONCE_LOADS: Sequence[type[Load]] = (
    FastAsyncio, FastUvloop, Aiohttp, Httpx2Asyncio, FloorProtocol, FloorProtocolUvloop,
)  # fmt: skip
SEQUENTIAL_LOADS: Sequence[type[Load]] = (FastBlocking, Httpx2Blocking, FloorSocket)


def note_cost(benchmark: Any, batch: int = BATCH) -> None:
    """Add the cost of one request of a batch to the figures; there are none under --benchmark-disable."""
    if benchmark.stats is not None:
        benchmark.extra_info["microseconds_per_request"] = round(benchmark.stats.stats.median / batch * 1e6, 2)


def apart() -> list[str]:
    """Keep this process on all processors but the last; return the arguments that start a server on that one."""
    gc.collect()
    gc.freeze()  # what was imported would be walked again and again, and be charged to whom is measured then
    taskset = shutil.which("taskset")
    if taskset is None or (os.cpu_count() or 1) < 2:
        return []
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:-1])
    return [taskset, "-c", str(processors[-1])]
