"""Processor instructions of a warm request, without sockets: a figure that does not depend on how busy the machine is.

    python bench/instructions.py [--world asyncio] [--ask get --ask json ...]

Runs itself twice under valgrind, for few requests and for many, and prints the difference for each request. Both worlds
ask over a stream that answers at once, so neither the system nor an event loop takes part.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from httpx_fast import AsyncClient, Client  # noqa: E402
from httpx_fast._net.asyncio import AsyncioBackend  # noqa: E402
from httpx_fast._net.base import DONE, Backend, Stream  # noqa: E402
from httpx_fast._net.sync import SyncBackend  # noqa: E402
from httpx_fast._transports import http  # noqa: E402

FEW, MANY = 500, 2500  # requests
URL = "http://127.0.0.1/json"
ANSWER = memoryview(
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 13:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1024\r\nConnection: keep-alive\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n\r\n"
    + bytes(1024)
)


class Echo(Stream):
    """Answer each write before it returns."""

    def attach(self, sink: Any) -> None:
        self._sink = sink

    def write(self, *buffers: Any) -> None:
        self._sink.data_received(ANSWER)

    @property
    def unsent(self) -> int:
        return 0

    def receive(self) -> Any:
        return DONE

    def poll_idle(self) -> None: ...
    def set_hard_deadline(self, *arguments: Any) -> None: ...
    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None: ...
    def close(self) -> None: ...
    def get_extra_info(self, name: str) -> None: ...
    async def flush(self, reading: bool) -> None: ...
    async def start_tls(self, *arguments: Any) -> Any: ...


def echoing(backend: type[Backend]) -> Callable[..., Backend]:
    """Return a factory for a backend of that kind whose connections are echoes."""

    async def connect(self: Backend, *arguments: Any, **options: Any) -> Stream:
        return Echo()

    kind = type("Echoing", (backend,), {"connect_tcp": connect})
    return lambda *_: kind()


NUMBERS = itertools.count()


def new_url() -> str:
    """Return a URL that was never asked for, with a query of its own."""
    number = next(NUMBERS)
    return f"http://127.0.0.1/items/{number}?page={number}"


def own_fields() -> dict[str, str]:
    """Return the fields that services send with each request: two of three differ every time."""
    number = next(NUMBERS)
    trace = f"00-{number:032x}-{number:016x}-01"
    return {"Authorization": "Bearer token", "X-Request-Id": f"{number:032x}", "traceparent": trace}


def own_params() -> dict[str, str | int]:
    return {"page": next(NUMBERS), "filter": "two words"}


BODY = bytes(1024)
FIELDS = {"Authorization": "Bearer token", "X-Request-Id": "1"}
OBJECT = {"model": "small", "messages": [{"role": "user", "content": "x" * 900}], "temperature": 0.5, "stream": False}

#: What is asked, of either client.
ASKED: dict[str, Callable[[Any], Any]] = {
    "get": lambda client: client.get(URL),
    "fields": lambda client: client.get(URL, headers=FIELDS),
    "content": lambda client: client.post(URL, content=BODY),
    "json": lambda client: client.post(URL, json=OBJECT),
    "json-fields": lambda client: client.post(URL, json=OBJECT, headers=FIELDS),
    "data": lambda client: client.post(URL, data={"name": "value", "other": "something else"}),
    "new-url": lambda client: client.get(new_url()),
    "new-url-fields": lambda client: client.get(new_url(), headers=own_fields()),
    "new-url-params": lambda client: client.get(URL, params=own_params()),
    "new-url-json": lambda client: client.post(URL, params=own_params(), headers=own_fields(), json=OBJECT),
}


def ask(world: str, asked: str, count: int) -> None:
    call = ASKED[asked]
    if world == "blocking":
        http.SyncBackend = echoing(SyncBackend)  # type: ignore[misc, assignment]
        client = Client(trust_env=False)
        for _ in range(count):
            assert call(client).content
        return
    http.backend_for = echoing(AsyncioBackend)

    async def run() -> None:
        client = AsyncClient(trust_env=False)
        for _ in range(count):
            assert (await call(client)).content

    asyncio.run(run())


def instructions(world: str, asked: str, count: int) -> int:
    """Return the instructions of a whole run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, __file__]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    arguments = ["--world", world, "--ask", asked, "--count", str(count)]
    ended = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, check=True)
    found = re.search(r"Collected : (\d+)", ended.stderr)
    assert found is not None, ended.stderr
    return int(found[1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--world", choices=("blocking", "asyncio"), action="append")
    options.add_argument("--ask", choices=ASKED, action="append")
    options.add_argument("--count", type=int, help="only ask that often, and count nothing")
    chosen = options.parse_args()
    for world in chosen.world or ("blocking", "asyncio"):
        for asked in chosen.ask or ("get",):
            if chosen.count:
                ask(world, asked, chosen.count)
                continue
            each = (instructions(world, asked, MANY) - instructions(world, asked, FEW)) / (MANY - FEW)
            print(f"{world:12}{asked:12}{each:10,.0f} instructions for each")


if __name__ == "__main__":
    main()
