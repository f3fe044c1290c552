"""Client CPU where one thing is more than usual: tasks that wait, handshakes, bytes. Both sides in turns, in one run.

    python bench/scenarios.py [queue] [cold] [post] [transfer] [origins] [--rounds 7]

- queue: 1,000 tasks over 10 connections, and 10,000 over 100, against 100 over 100; microseconds for each request.
- cold: a client made, a TLS handshake, a request, and the client closed; milliseconds.
- post: a warm POST of 1 KB, as bytes and as JSON, with fields too; microseconds for each request.
- transfer: 100 MiB streamed, and 10 MiB sent; milliseconds.
- origins: tasks that ask two origins by turns of chance, over TLS, with fewer connections than both would like; new
  connections for 1,000 requests, and microseconds for each request.

Prints medians, and the median of the ratios to the floor's (or to the first case's) in the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

from loads import FloorConnection, Framing, request_for  # noqa: E402
from local_nginx import Nginx, running_nginx  # noqa: E402
from servers import BIG, MIB  # noqa: E402

import httpx_fast  # noqa: E402

SENT = 10 * MIB
Case = tuple[str, Callable[[], Awaitable[Any]], float]  # name, what is measured, and how many units that are


def client(connections: int, context: ssl.SSLContext | bool = True) -> httpx_fast.AsyncClient:
    limits = httpx_fast.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx_fast.AsyncClient(limits=limits, timeout=60, trust_env=False, verify=context)


class LastChunk(Framing):
    """Detect the end of a short chunked response."""

    def feed(self, data: bytes) -> bool:
        return data.endswith(b"0\r\n\r\n")


class Floor:
    """Connections, the stack of the idle ones and a queue, over `asyncio.Protocol`."""

    def __init__(
        self, connections: int, context: ssl.SSLContext | None = None, framing: type[Framing] = Framing
    ) -> None:
        self.framing = framing
        self.left = connections
        self.context = context
        self.idle: list[FloorConnection] = []
        self.waiting: list[asyncio.Future[FloorConnection]] = []

    async def take(self, url: str) -> FloorConnection:
        if self.idle:
            return self.idle.pop()
        loop = asyncio.get_running_loop()
        if not self.left:
            future: asyncio.Future[FloorConnection] = loop.create_future()
            self.waiting.append(future)
            return await future
        self.left -= 1
        parts = urlsplit(url)
        _, made = await loop.create_connection(
            lambda: FloorConnection(loop), parts.hostname, parts.port, ssl=self.context
        )
        made.framing = self.framing()
        return made

    async def get(self, url: str) -> None:
        await self.send(url, request_for(url))

    async def send(self, url: str, raw: bytes) -> int:
        """Return the bytes of the answer's body, as the framing counts them."""
        connection = await self.take(url)
        await connection.request(raw)
        received = connection.framing.received
        if self.waiting:
            self.waiting.pop().set_result(connection)
        else:
            self.idle.append(connection)
        return received

    def close(self) -> None:
        for connection in self.idle:
            connection.transport.abort()


async def at_once(get: Callable[[str], Awaitable[object]], url: str, tasks: int, each: int = 1) -> None:
    async def several() -> None:
        for _ in range(each):
            await get(url)

    await asyncio.gather(*(several() for _ in range(tasks)))


async def queue(nginx: Nginx, rounds: int) -> None:
    url = nginx.url("/json")
    ten, hundred = client(10), client(100)
    floors = Floor(10), Floor(100)
    for name, few, many in (("httpx_fast", ten, hundred), ("asyncio.Protocol", *floors)):
        await show(
            f"{name}, µs",
            [
                ("100 tasks, 100 connections", lambda many=many: at_once(many.get, url, 100, 20), 2000),
                ("1,000 tasks, 10 connections", lambda few=few: at_once(few.get, url, 1000), 1000),
                ("10,000 tasks, 100 connections", lambda many=many: at_once(many.get, url, 10_000), 10_000),
            ],
            rounds,
            1e6,
        )
    for each in (ten, hundred):
        await each.aclose()
    for floor in floors:
        floor.close()
    await asyncio.sleep(0)


async def cold(nginx: Nginx, rounds: int) -> None:
    url = nginx.url("/tiny", "https")
    context = nginx.authority.client_context()

    async def floor() -> None:
        for _ in range(20):
            one = Floor(1, context)
            await one.get(url)
            one.close()
            await asyncio.sleep(0)

    async def fast() -> None:
        for _ in range(20):
            async with httpx_fast.AsyncClient(verify=context) as one:
                await one.get(url)

    async def unverified() -> None:
        for _ in range(20):
            async with httpx_fast.AsyncClient(verify=False) as one:
                await one.get(url)

    cases: list[Case] = [
        ("asyncio.Protocol", floor, 20),
        ("httpx_fast", fast, 20),
        ("httpx_fast, verify=False", unverified, 20),
    ]
    await show("a client and a handshake, ms", cases, rounds, 1e3)


async def post(nginx: Nginx, rounds: int) -> None:
    url = nginx.url("/sink")
    body = b"x" * 1024
    written = {"model": "small", "messages": [{"role": "user", "content": "x" * 950}], "temperature": 0.5}
    fields = {"Authorization": "Bearer token", "X-Request-Id": "1"}
    fast, floor = client(1), Floor(1, framing=LastChunk)
    start = request_for(url).replace(b"GET", b"POST")[:-2] + b"Content-Length: 1024\r\n\r\n"

    async def several(ask: Callable[[], Awaitable[object]]) -> None:
        for _ in range(500):
            await ask()

    cases: list[Case] = [
        ("asyncio.Protocol", lambda: several(lambda: floor.send(url, start + body)), 500),
        ("httpx_fast, GET", lambda: several(lambda: fast.get(url)), 500),
        ("httpx_fast, bytes", lambda: several(lambda: fast.post(url, content=body)), 500),
        ("httpx_fast, JSON", lambda: several(lambda: fast.post(url, json=written)), 500),
        ("httpx_fast, JSON and fields", lambda: several(lambda: fast.post(url, json=written, headers=fields)), 500),
    ]
    await show("POST of 1 KB, µs", cases, rounds, 1e6)
    await fast.aclose()
    floor.close()
    await asyncio.sleep(0)


async def transfer(nginx: Nginx, rounds: int) -> None:
    url, sink = nginx.url("/f100m"), nginx.url("/sink")
    body = os.urandom(SENT)
    asking, floor, sending = client(10), Floor(10), Floor(10, framing=LastChunk)
    blocking = httpx_fast.Client(timeout=60, trust_env=False)
    parts = urlsplit(url)
    post = f"POST {urlsplit(sink).path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {SENT}\r\n\r\n".encode()

    async def socket_down() -> None:
        framing = Framing()
        with socket.create_connection((parts.hostname, parts.port)) as sock:
            sock.sendall(request_for(url))
            while not framing.feed(sock.recv(256 * 1024)):
                pass

    async def blocking_down() -> None:
        with blocking.stream("GET", url) as response:
            assert sum(map(len, response.iter_bytes())) == BIG * MIB

    async def down() -> None:
        async with asking.stream("GET", url) as response:
            assert sum([len(piece) async for piece in response.aiter_bytes()]) == BIG * MIB

    blocking_cases: list[Case] = [("socket", socket_down, 1), ("httpx_fast", blocking_down, 1)]
    await show("100 MiB streamed, blocking, ms", blocking_cases, rounds, 1e3)
    cases: list[Case] = [("asyncio.Protocol", lambda: floor.get(url), 1), ("httpx_fast", down, 1)]
    await show("100 MiB streamed, asyncio, ms", cases, rounds, 1e3)
    sends: list[Case] = [
        ("asyncio.Protocol", lambda: sending.send(sink, post + body), 1),
        ("httpx_fast", lambda: asking.post(sink, content=body), 1),
    ]
    await show("10 MiB sent, asyncio, ms", sends, rounds, 1e3)
    blocking.close()
    await asking.aclose()
    for each in (floor, sending):
        each.close()
    await asyncio.sleep(0)


async def origins(nginx: Nginx, rounds: int) -> None:
    context = nginx.authority.client_context()
    urls = [nginx.url("/json", "https"), nginx.url("/json", "https").replace("127.0.0.1", "localhost")]
    chance = random.Random(1)
    for tasks, connections in ((50, 60), (50, 40), (200, 60)):
        made: list[int] = []
        async with client(connections, context) as one:

            async def several(
                one: httpx_fast.AsyncClient = one, made: list[int] = made, each: int = 4000 // tasks
            ) -> None:
                for url in chance.choices(urls, k=each):
                    response = await one.get(url)
                    made.append(response.journey.nth == 1)

            async def together(tasks: int = tasks, run: Callable[[], Awaitable[None]] = several) -> None:
                await asyncio.gather(*(run() for _ in range(tasks)))

            await together()
            made.clear()
            await show(f"{tasks} tasks, {connections} connections, µs", [("two origins", together, 4000)], rounds, 1e6)
        print(f"{'new connections for 1,000 requests':34}{1000 * sum(made) / len(made):8.2f}")


async def show(title: str, cases: list[Case], rounds: int, scale: float) -> None:
    costs: dict[str, list[float]] = {name: [] for name, _, _ in cases}
    for number in range(-1, rounds):  # the first round connects
        for name, run, units in cases:
            gc.collect()
            started = time.process_time()
            await run()
            if number >= 0:
                costs[name].append((time.process_time() - started) / units * scale)
    print(f"\n{title:34}{'median':>8}{'±':>7}{'ratio':>8}")
    reference = next(iter(costs.values()))
    for name, measured in costs.items():
        low, median, high = statistics.quantiles(measured, n=4)
        ratio = statistics.median([mine / other for mine, other in zip(measured, reference, strict=True)])
        print(f"{name:34}{median:8.1f}{(high - low) / 2:7.1f}{ratio:8.2f}")


SCENARIOS = {"queue": queue, "cold": cold, "post": post, "transfer": transfer, "origins": origins}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("scenarios", nargs="*", metavar="scenario", default=list(SCENARIOS))
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    with running_nginx(Nginx) as nginx:
        for name in chosen.scenarios:
            asyncio.run(SCENARIOS[name](nginx, chosen.rounds))


if __name__ == "__main__":
    main()
