"""What httpx2 costs with connections of this package under it, and where that goes.

    python bench/integrations.py [--rounds 9]           client CPU, 100 tasks at once, from nginx
    python bench/integrations.py --instructions         processor instructions of a warm request, without sockets

Beside it: httpx2 alone, this package alone, and httpx2 with a transport that does nothing, which is the part of the
cost that no transport can change.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

import httpx2  # noqa: E402
from compare import measure, show  # noqa: E402
from instructions import ANSWER, FEW, MANY, URL, echoing  # noqa: E402
from loads import AT_ONCE, AsyncLoad, FastAsyncio, Httpx2Asyncio  # noqa: E402
from local_nginx import Nginx, running_nginx  # noqa: E402

from httpx_fast._net.asyncio import AsyncioBackend  # noqa: E402
from httpx_fast._transports import http  # noqa: E402
from httpx_fast.integrations.httpx2 import AsyncFastClient  # noqa: E402

FIELDS = [
    (b"Server", b"nginx"),
    (b"Date", b"Sun, 22 Nov 2026 13:00:00 GMT"),
    (b"Content-Type", b"application/json"),
    (b"Content-Length", b"1024"),
    (b"Connection", b"keep-alive"),
    (b"Cache-Control", b"no-cache"),
    (b"Vary", b"Accept-Encoding"),
]


class Body(httpx2.AsyncByteStream):
    """Hold a body that has arrived already."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __aiter__(self) -> Any:
        yield self.data


class Nothing(httpx2.AsyncBaseTransport):
    """Answer without any work."""

    def __init__(self, size: int) -> None:
        self.body = bytes(size)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        extensions = {"http_version": b"HTTP/1.1", "reason_phrase": b"OK"}
        return httpx2.Response(200, headers=FIELDS, stream=Body(self.body), extensions=extensions)


class FastInHttpx2(Httpx2Asyncio):
    name = "fast in httpx2"

    async def open(self) -> None:
        limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self.client = AsyncFastClient(verify=self.context(), limits=limits, timeout=60, trust_env=False)


class Httpx2WithoutTransport(Httpx2Asyncio):
    name = "httpx2 without a transport"

    async def open(self) -> None:
        self.client = httpx2.AsyncClient(transport=Nothing(self.size), timeout=60)


LOADS: list[type[AsyncLoad]] = [FastAsyncio, FastInHttpx2, Httpx2Asyncio, Httpx2WithoutTransport]


def compare(rounds: int) -> None:
    with running_nginx(Nginx) as nginx:
        show("100 at once", measure(LOADS, nginx, "http", rounds), "httpx2.asyncio")


class EchoedStream:
    """Stand for a connection of httpx2 whose peer has answered before it reads."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return bytes(ANSWER)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None: ...
    async def aclose(self) -> None: ...
    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class EchoedBackend:
    async def connect_tcp(self, *arguments: Any, **options: Any) -> EchoedStream:
        return EchoedStream()


def client(kind: str) -> httpx2.AsyncClient:
    if kind == FastInHttpx2.name:
        http.backend_for = echoing(AsyncioBackend)
        return AsyncFastClient(trust_env=False)
    if kind == Httpx2Asyncio.name:
        import httpcore2

        made = httpx2.AsyncHTTPTransport(trust_env=False)
        made._pool = httpcore2.AsyncConnectionPool(network_backend=EchoedBackend())  # type: ignore[arg-type]
        return httpx2.AsyncClient(transport=made)
    return httpx2.AsyncClient(transport=Nothing(1024))


def ask(kind: str, count: int) -> None:
    async def run() -> None:
        asking = client(kind)
        for _ in range(count):
            assert len((await asking.get(URL)).content) == 1024

    asyncio.run(run())


def instructions(kind: str, count: int) -> int:
    """Return the instructions of a whole run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, __file__]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*command, "--kind", kind, "--count", str(count)], capture_output=True, text=True, env=environment, check=True
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--instructions", action="store_true")
    options.add_argument("--kind", help="only ask this one, --count times, and measure nothing")
    options.add_argument("--count", type=int, default=FEW)
    chosen = options.parse_args()
    if chosen.kind:
        ask(chosen.kind, chosen.count)
    elif chosen.instructions:
        for kind in (FastInHttpx2.name, Httpx2Asyncio.name, Httpx2WithoutTransport.name):
            each = (instructions(kind, MANY) - instructions(kind, FEW)) / (MANY - FEW)
            print(f"{kind:32}{each:10,.0f} instructions for each")
    else:
        compare(chosen.rounds)


if __name__ == "__main__":
    main()
