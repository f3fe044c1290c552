"""Requests as services send them, large bodies, threads and trio: processor time beside other clients, in one run.

    python bench/services.py [--rounds 3] [--seconds 0.5] [--only services-http1 ...] [--json bench/results.json]
    python bench/services.py --quick          # 2 short rounds

Each cell is a process of its own that opens one client, warms it up, and works for some seconds; what is shown is its
user and system time, of all its threads, for each request (or 100 MiB). Rounds take turns over the clients; the median
and the extremes of the rounds are shown. nginx answers on a processor of its own where there are two. A client that is
not installed is left out with a line that says so: `pip install '.[bench]'` brings all.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import importlib.metadata
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

import service_clients as clients  # noqa: E402
from loads import FloorSocket, Framing, request_for  # noqa: E402
from local_nginx import Nginx, running_nginx  # noqa: E402
from scenarios import Floor  # noqa: E402
from servers import BIG, JSON_BODY, MIB  # noqa: E402
from service_clients import Order, Setting  # noqa: E402
from service_work import (  # noqa: E402
    Meter,
    beside_download,
    download_by,
    many_tasks,
    new_clients,
    one_by_one,
    percentile,
)

TASKS = 50
THREADS = 8
AT_ONCE = 100
ANSWERS = 200  # of different sizes
MEDIAN_ANSWER, SIGMA, LARGEST_ANSWER = 1500, 1.0, 65536  # bytes, log-normal

# The body of a POST is read before it is answered as a GET is. SSI makes nginx send chunks, since it does
# not know how long a page will be.
_SERVICE = """
  location /items/ {
    if ($request_method = POST) { rewrite ^/items/(.*)$ /posted/$1 last; }
    default_type application/json; ssi on; ssi_types application/json;
  }
  location ~ ^/posted/(.*)$ { echo_read_request_body; echo_exec /answers/$1; }
  location /answers/ {
    internal;
    alias FOLDER/www/items/;
    default_type application/json; ssi on; ssi_types application/json; error_page 405 =200 $uri;
  }
  location = /tiny {"""


class ServiceNginx(Nginx):
    """nginx with answers of log-normal size below /items/, in chunks where HTTP/1.1 is spoken."""

    def _write_content(self) -> None:
        super()._write_content()
        folder = self.folder / "www" / "items"
        folder.mkdir()
        chance = random.Random(1)
        for number in range(ANSWERS):
            size = min(LARGEST_ANSWER, int(chance.lognormvariate(0, SIGMA) * MEDIAN_ANSWER))
            items = [{"id": each, "name": f"user-{each}", "active": True} for each in range(max(1, size // 45))]
            (folder / str(number)).write_text(json.dumps({"items": items}))

    def _write_configuration(self) -> None:
        super()._write_configuration()
        file = self.folder / "nginx.conf"
        file.write_text(
            file.read_text().replace("\n  location = /tiny {", _SERVICE.replace("FOLDER", str(self.folder)))
        )


def orders(origins: list[str]) -> Iterator[Order]:
    """Return requests without end: each URL is new, each has fields of its own, 60 % have a body."""
    chance = random.Random(2)
    for number in itertools.count():
        headers = {
            "Authorization": "Bearer 0123456789abcdef0123456789abcdef",
            "X-Request-Id": f"{number:032x}",
            "traceparent": f"00-{number:032x}-{number:016x}-01",
        }
        body = None
        if chance.random() < 0.6:
            body = {"id": number, "name": "x" * chance.randrange(20, 900), "tags": ["a", "b"], "active": True}
        url = f"{chance.choice(origins)}/items/{chance.randrange(ANSWERS)}"
        yield Order(url, {"page": str(number), "filter": "two words"}, headers, body)


async def services(client: Any, urls: list[str], seconds: float) -> float:
    requests = orders(urls)

    async def several(count: int) -> None:
        for _ in range(count):
            received = await client.order(next(requests))
            assert received["items"]

    async def batch(each: int) -> None:
        await asyncio.gather(*(several(each) for _ in range(TASKS)))

    await several(2)  # HTTP/2: all at once would connect
    await batch(4)
    meter = Meter(seconds, 0)
    while meter.goes_on():
        await batch(8)
        meter.units += 8 * TASKS
    return meter.each()


async def download(client: Any, urls: list[str], seconds: float) -> float:
    await client.stream(urls[0])  # connects, and imports what is needed first then
    meter = Meter(seconds, 3)
    while meter.goes_on():
        assert await client.stream(urls[0]) == BIG * MIB
        meter.units += 1
    return meter.each()


def download_blocking(kind: Any, setting: Setting, urls: list[str], seconds: float) -> float:
    client = kind(setting)
    client.stream(urls[0])  # connects, and imports what is needed first then
    meter = Meter(seconds, 3)
    while meter.goes_on():
        assert client.stream(urls[0]) == BIG * MIB
        meter.units += 1
    each = meter.each()
    client.close()
    return each


def threads(kind: Any, setting: Setting, urls: list[str], seconds: float) -> tuple[float, float, float]:
    """Let threads share one client, or have one each where it cannot be shared; cost, median and p99 of the waits."""
    one = kind(setting)
    mine = [one if kind.shared else kind(setting) for _ in range(THREADS)]
    waits: list[list[float]] = [[] for _ in range(THREADS)]
    ready = threading.Barrier(THREADS + 1)

    def ask(number: int) -> None:
        get, note = mine[number].get, waits[number].append
        for _ in range(20):
            get(urls[0])
        ready.wait()
        while meter.goes_on():
            for _ in range(20):
                began = time.perf_counter()
                assert get(urls[0]) == len(JSON_BODY)
                note(time.perf_counter() - began)

    running = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    meter = Meter(seconds, 0)
    for thread in running:
        thread.start()
    while ready.n_waiting < THREADS:  # all of them have warmed up
        time.sleep(0.01)
    meter.restart()
    ready.wait()
    for thread in running:
        thread.join()
    ordered = sorted(itertools.chain.from_iterable(waits))
    meter.units = len(ordered)
    each = meter.each()
    for client in {id(client): client for client in (one, *mine)}.values():
        client.close()
    return each, percentile(ordered, 0.5), percentile(ordered, 0.99)


async def on_trio(client: Any, urls: list[str], seconds: float) -> float:
    import trio

    async def several(count: int) -> None:
        for _ in range(count):
            assert await client.get(urls[0]) == len(JSON_BODY)

    async def batch(each: int) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(several, each)

    await batch(3)
    meter = Meter(seconds, 0)
    while meter.goes_on():
        await batch(8)
        meter.units += 8 * AT_ONCE
    return meter.each()


class FloorAsyncio(clients.Client):
    """Count bytes of a prepared request's answer with `asyncio.Protocol`."""

    module = "asyncio"

    async def open(self) -> None:
        self.floor: Floor | None = None

    async def get(self, url: str) -> int:
        if self.floor is None:
            self.floor = Floor(
                self.setting.connections, self.setting.shared_context() if url.startswith("https") else None
            )
        return await self.floor.send(url, request_for(url))

    stream = raw = whole = get

    async def close(self) -> None:
        if self.floor is not None:
            self.floor.close()
        await asyncio.sleep(0)


class FloorBlocking(clients.Blocking):
    """Count bytes of a prepared request's answer from a blocking socket."""

    module = "socket"
    shared = False
    floor: FloorSocket | None = None

    def open(self) -> None: ...

    def get(self, url: str) -> int:
        if self.floor is None:
            self.floor = FloorSocket(url, 0, self.setting.trusted if url.startswith("https") else "")
        return self.floor.get()

    stream = get

    def close(self) -> None:
        if self.floor is not None:
            self.floor.close()


class FloorTrio(clients.Client):
    """Count bytes of a prepared request's answer with trio's socket streams."""

    module = "trio"

    async def open(self) -> None:
        self.idle: list[tuple[Any, Framing]] = []

    async def get(self, url: str) -> int:
        if self.idle:
            stream, framing = self.idle.pop()
        else:
            host, port = url.split("/")[2].split(":")
            stream, framing = await self.package.open_tcp_stream(host, int(port)), Framing()
        framing.begin()
        await stream.send_all(request_for(url))
        while not framing.feed(await stream.receive_some(65536)):
            pass
        self.idle.append((stream, framing))
        return framing.received

    async def close(self) -> None:
        for stream, _ in self.idle:
            await stream.aclose()


class Scenario(NamedTuple):
    title: str
    unit: str  # what one figure is of; the figure is in microseconds, or milliseconds where the unit says so
    scale: float  # from seconds
    loop: str  # asyncio, trio or none
    run: Callable[..., Any]
    connections: int
    listener: str
    path: str
    hosts: tuple[str, ...]
    clients: dict[str, Any]
    #: What further figures of the same work are: after the name, after the title, unit and scale of each.
    more: tuple[tuple[str, str, str, float], ...] = ()
    other_path: str = ""  # of a second URL


REQUEST = "µs of processor time for each request"
DOWNLOAD = "ms of processor time for 100 MiB"
ONE, TWO = ("127.0.0.1",), ("127.0.0.1", "localhost")
_ASYNCIO = {"httpx_fast": clients.HttpxFast, "httpx2": clients.Httpx2, "wreq": clients.Wreq}
_ASYNCIO["pyreqwest"] = clients.Pyreqwest
_HTTP1 = {**_ASYNCIO, "aiohttp": clients.Aiohttp}
_BLOCKING = {
    "httpx_fast": clients.HttpxFastBlocking,
    "httpx2": clients.Httpx2Blocking,
    "urllib3": clients.Urllib3,
    "wreq": clients.WreqBlocking,
    "pyreqwest": clients.PyreqwestBlocking,
    "pycurl": clients.Pycurl,
    "floor": FloorBlocking,
}
WAIT = "ms that a request takes"
_WAITS = (("-p50", ", half are done in", WAIT, 1e3), ("-p99", ", 99 % are done in", WAIT, 1e3))
_FLOORED = {**_HTTP1, "floor": FloorAsyncio}
_HTTP2_BLOCKING = {name: _BLOCKING[name] for name in ("httpx_fast", "httpx2", "wreq", "pyreqwest", "pycurl")}
_RAW = {"httpx_fast": clients.HttpxFast, "httpx2": clients.Httpx2, "floor": FloorAsyncio}
_TRIO = {"httpx_fast": clients.HttpxFast, "httpx2": clients.Httpx2, "floor": FloorTrio}

SCENARIOS = {
    "services-http1": Scenario(
        "Requests of services, HTTP/1.1 over TLS, 50 tasks, two origins",
        *(REQUEST, 1e6, "asyncio", services, 60, "https", "", TWO, _HTTP1),
    ),
    "services-http2": Scenario(
        "Requests of services, HTTP/2, 50 tasks, two origins",
        *(REQUEST, 1e6, "asyncio", services, 60, "http2", "", TWO, _ASYNCIO),
    ),
    "stream-asyncio": Scenario(
        "100 MiB streamed, asyncio",
        *(DOWNLOAD, 1e3, "asyncio", download, 10, "http", "/f100m", ONE, {**_HTTP1, "floor": FloorAsyncio}),
    ),
    "stream-blocking": Scenario(
        "100 MiB streamed, blocking",
        *(DOWNLOAD, 1e3, "none", download_blocking, 10, "http", "/f100m", ONE, _BLOCKING),
    ),
    "threads": Scenario(
        "GET of 1 KB, 8 threads on one client",
        *(REQUEST, 1e6, "none", threads, THREADS, "http", "/json", ONE, _BLOCKING, _WAITS),
    ),
    "trio": Scenario(
        "GET of 1 KB, trio, 100 at once",
        *(REQUEST, 1e6, "trio", on_trio, AT_ONCE, "http", "/json", ONE, _TRIO),
    ),
    "tasks-10": Scenario(
        "GET of 1 KB, 10 tasks",
        *(REQUEST, 1e6, "asyncio", many_tasks(10, 20), 10, "http", "/json", ONE, _FLOORED, _WAITS),
    ),
    "tasks-100": Scenario(
        "GET of 1 KB, 100 tasks",
        *(REQUEST, 1e6, "asyncio", many_tasks(100, 10), 100, "http", "/json", ONE, _FLOORED, _WAITS),
    ),
    "tasks-1000": Scenario(
        "GET of 1 KB, 1,000 tasks over 10 connections",
        *(REQUEST, 1e6, "asyncio", many_tasks(1000, 1), 10, "http", "/json", ONE, _FLOORED, _WAITS),
    ),
    "tasks-10000": Scenario(
        "GET of 1 KB, 10,000 tasks over 100 connections",
        *(REQUEST, 1e6, "asyncio", many_tasks(10_000, 1), 100, "http", "/json", ONE, _FLOORED, _WAITS),
    ),
    "one-asyncio": Scenario(
        "GET of 1 KB, one task",
        *(REQUEST, 1e6, "asyncio", many_tasks(1, 100), 1, "http", "/json", ONE, _FLOORED),
    ),
    "tasks-tls": Scenario(
        "GET of 1 KB over TLS, 100 tasks",
        *(REQUEST, 1e6, "asyncio", many_tasks(100, 10), 100, "https", "/json", ONE, _FLOORED),
    ),
    "tasks-http2": Scenario(
        "GET of 1 KB, HTTP/2, 100 tasks",
        *(REQUEST, 1e6, "asyncio", many_tasks(100, 10), 100, "http2", "/json", ONE, _ASYNCIO),
    ),
    "one-blocking": Scenario(
        "GET of 1 KB, blocking",
        *(REQUEST, 1e6, "none", one_by_one, 1, "http", "/json", ONE, _BLOCKING),
    ),
    "one-blocking-http2": Scenario(
        "GET of 1 KB, HTTP/2, blocking",
        *(REQUEST, 1e6, "none", one_by_one, 1, "http2", "/json", ONE, _HTTP2_BLOCKING),
    ),
    "stream-tls": Scenario(
        "100 MiB streamed over TLS, asyncio",
        *(DOWNLOAD, 1e3, "asyncio", download_by("stream", BIG * MIB), 10, "https", "/f100m", ONE, _HTTP1, (), "/json"),
    ),
    "stream-raw": Scenario(
        "100 MiB streamed undecoded (iter_raw), asyncio",
        *(DOWNLOAD, 1e3, "asyncio", download_by("raw", BIG * MIB), 10, "http", "/f100m", ONE, _RAW, (), "/json"),
    ),
    "read": Scenario(
        "100 MiB read whole, asyncio",
        *(DOWNLOAD, 1e3, "asyncio", download_by("get", BIG * MIB), 10, "http", "/f100m", ONE, _FLOORED, (), "/json"),
    ),
    "new-client": Scenario(
        "New client, TLS handshake, one request",
        *("ms of processor time for each", 1e3, "new", new_clients, 1, "https", "/json", ONE, _FLOORED),
    ),
    "beside-download": Scenario(
        "How much longer p99 of a GET of 1 KB is beside a download of 1 GB",
        *("ms", 1e3, "asyncio", beside_download, 10, "http", "/json", ONE, _HTTP1, (), "/f100m"),
    ),
}


def work(name: str, client: str, urls: list[str], trusted: str, seconds: float) -> list[float]:
    """Measure one cell in this process; return the figures of the scenario and of its `more`."""
    scenario = SCENARIOS[name]
    setting = Setting(trusted, scenario.listener == "http2", scenario.connections)
    kind = scenario.clients[client]

    async def run() -> Any:
        if scenario.loop == "new":
            return await scenario.run(kind, setting)(urls, seconds)
        made = kind(setting)
        await made.open()
        measured = await scenario.run(made, urls, seconds)
        await made.close()
        return measured

    if scenario.loop == "none":
        measured = scenario.run(kind, setting, urls, seconds)
    else:
        measured = _run_trio(run) if scenario.loop == "trio" else asyncio.run(run())
    first, *rest = measured if isinstance(measured, tuple) else (measured,)
    return [first * scenario.scale, *(value * each[3] for value, each in zip(rest, scenario.more, strict=False))]


def _run_trio(run: Callable[[], Awaitable[Any]]) -> Any:
    import trio

    return trio.run(run)


def missing(kind: Any) -> str | None:
    try:
        importlib.import_module(kind.module)
    except ImportError:
        return f"{kind.module.split('.')[0]} is not installed"
    return None


def cell(name: str, client: str, urls: list[str], trusted: str, seconds: float) -> list[float] | str:
    """Measure one cell in a process of its own; return what went wrong where something did."""
    given = json.dumps([name, client, urls, trusted, seconds])
    command = [sys.executable, __file__, "--cell", given]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120 + seconds)
    except subprocess.TimeoutExpired:
        return "did not end"
    if ended.returncode:
        return (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1][:200]
    figures: list[float] = json.loads(ended.stdout.splitlines()[-1])
    return figures


def measure(name: str, nginx: Nginx, rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Return what was measured of a scenario, and of its `more`, by name."""
    scenario = SCENARIOS[name]
    url = nginx.url(scenario.path, scenario.listener)
    urls = [url.replace("127.0.0.1", host) for host in scenario.hosts]
    if scenario.other_path:
        urls.append(nginx.url(scenario.other_path, scenario.listener))
    present = []
    for client, kind in scenario.clients.items():
        reason = missing(kind)
        if reason is None:
            present.append(client)
        else:
            print(f"{client} is left out: {reason}")
    kinds = [("", "", scenario.unit), *(each[:3] for each in scenario.more)]
    measured: dict[str, dict[str, Any]] = {
        f"{name}{suffix}": {"title": scenario.title + words, "unit": unit, "clients": {}}
        for suffix, words, unit in kinds
    }
    for _ in range(rounds):
        for client in present:
            figures = cell(name, client, urls, str(nginx.authority.path), seconds)
            if isinstance(figures, str):
                print(f"{client} failed in {name}: {figures}")
                continue
            for found, figure in zip(measured.values(), figures, strict=False):
                found["clients"].setdefault(client, []).append(round(figure, 3))
    return measured


def show(result: dict[str, Any]) -> None:
    costs = {client: statistics.median(measured) for client, measured in result["clients"].items()}
    print(f"\n{result['title']}: {result['unit']}")
    for client, median in sorted(costs.items(), key=lambda each: each[1]):
        measured = result["clients"][client]
        ratio = f"{median / costs['httpx_fast']:8.2f}" if costs.get("httpx_fast") else ""
        print(f"{client:14}{median:9.1f}  {min(measured):8.1f} to {max(measured):8.1f}{ratio}", flush=True)


def about(rounds: int, seconds: float) -> dict[str, Any]:
    """Return where and with what it was measured."""
    versions = {}
    for package in ("httpx-fast", "aiohttp", "httpx2", "wreq", "pyreqwest", "pycurl", "urllib3", "trio"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "load": round(os.getloadavg()[0], 1),
        "rounds": rounds,
        "seconds": seconds,
        "versions": versions,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=0.5)
    options.add_argument("--quick", action="store_true", help="2 rounds of a quarter of a second")
    options.add_argument("--only", choices=SCENARIOS, action="append")
    options.add_argument("--json", type=Path, help="write the figures there, for plots.py")
    options.add_argument("--cell", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.cell:
        print(json.dumps(work(*json.loads(chosen.cell))), flush=True)
        os._exit(0)  # threads of clients in Rust may abort an interpreter that ends
    rounds, seconds = (2, 0.25) if chosen.quick else (chosen.rounds, chosen.seconds)
    results: dict[str, Any] = {"about": about(rounds, seconds), "scenarios": {}}
    with running_nginx(ServiceNginx) as nginx:
        for name in chosen.only or SCENARIOS:
            for key, found in measure(name, nginx, rounds, seconds).items():
                results["scenarios"][key] = found
                show(found)
            if chosen.json:
                chosen.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
