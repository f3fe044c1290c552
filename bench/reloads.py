"""POSTs that are lost, or done twice, while servers end connections: this package and httpx2 in one run.

    python bench/reloads.py [--server nginx ...] [--world asyncio ...] [--seconds 5] [--tasks 20] [--errors]

Each server is reloaded again and again, or ends connections (workers) by a limit of requests or of idle time. Tasks
(threads) POST one after the other without retries; some rest for as long as the server keeps idle connections. What a
server processed is in its log: done twice is what it has twice.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

import httpx2  # noqa: E402
import trio  # noqa: E402
import uvloop  # noqa: E402
from origins import ORIGINS, Origin  # noqa: E402
from servers import Unavailable  # noqa: E402

import httpx_fast  # noqa: E402

RELOAD_EVERY = 0.4  # seconds
REST_ONE_IN = 40  # requests, where the server limits idleness

#: Title, server, its limits, whether it is reloaded.
CASES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "nginx reload": ("nginx", {}, True),
    "nginx requests": ("nginx", {"limit": 5}, False),
    "nginx idle": ("nginx", {"idle": 0.3}, False),
    "apache reload": ("apache", {}, True),
    "apache requests": ("apache", {"limit": 5}, False),
    "lighttpd reload": ("lighttpd", {}, True),
    "haproxy reload": ("haproxy", {}, True),
    "haproxy idle": ("haproxy", {"idle": 0.3}, False),
    "tinyproxy": ("tinyproxy", {}, False),
    "gunicorn requests": ("gunicorn", {"limit": 500}, False),
    "gunicorn idle": ("gunicorn", {"idle": 1}, False),
    "gunicorn reload": ("gunicorn", {}, True),
    "uvicorn requests": ("uvicorn", {"limit": 500}, False),
    "uvicorn idle": ("uvicorn", {"idle": 1}, False),
}


class Load:
    """Run tasks that POST until the time is up."""

    def __init__(self, server: Origin, tasks: int, seconds: float) -> None:
        self.server = server
        self.tasks = tasks
        self.until = time.monotonic() + seconds
        self.numbers = itertools.count()
        self.sent = 0
        self.lost: Counter[str] = Counter()
        self.doubled = 0
        self.run = f"{random.randrange(10**9)}"

    def url(self) -> str:
        return self.server.url(f"/ok?id={self.run}-{next(self.numbers)}")

    def rest(self) -> float | None:
        if self.server.idle is None or random.randrange(REST_ONE_IN):
            return None
        return random.uniform(0.9, 1.1) * self.server.idle

    def failed(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:100]}"
        journey = getattr(error, "journey", None)
        if journey is not None:
            text += f" (request {journey.nth} of its connection)" if journey.nth < 3 else " (a later request)"
        self.lost[text] += 1

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.until

    async def ask(self, client: Any, sleep: Callable[[float], Any]) -> None:
        while not self.over:
            self.sent += 1
            try:
                await client.post(self.url(), content=self.server.body)
            except Exception as error:  # noqa: BLE001  # whatever it is, the request is lost
                self.failed(error)
            rest = self.rest()
            if rest is not None:
                await sleep(rest)

    def ask_blocking(self, client: Any) -> None:
        while not self.over:
            self.sent += 1
            try:
                client.post(self.url(), content=self.server.body)
            except Exception as error:  # noqa: BLE001
                self.failed(error)
            rest = self.rest()
            if rest is not None:
                time.sleep(rest)


def options(library: Any, server: Origin) -> dict[str, Any]:
    limits = library.Limits(max_connections=100, max_keepalive_connections=100)
    return {"limits": limits, "timeout": 20, "trust_env": False, "proxy": server.proxy}


def in_asyncio(library: Any, load: Load, new_loop: Callable[[], Any] = asyncio.new_event_loop) -> None:
    async def main() -> None:
        async with library.AsyncClient(**options(library, load.server)) as client:
            await asyncio.gather(*(load.ask(client, asyncio.sleep) for _ in range(load.tasks)))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


def in_uvloop(library: Any, load: Load) -> None:
    in_asyncio(library, load, uvloop.new_event_loop)


def in_trio(library: Any, load: Load) -> None:
    async def main() -> None:
        async with library.AsyncClient(**options(library, load.server)) as client, trio.open_nursery() as nursery:
            for _ in range(load.tasks):
                nursery.start_soon(load.ask, client, trio.sleep)

    trio.run(main)


def in_threads(library: Any, load: Load) -> None:
    with library.Client(**options(library, load.server)) as client:
        threads = [threading.Thread(target=load.ask_blocking, args=(client,)) for _ in range(load.tasks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


WORLDS = {"blocking": in_threads, "asyncio": in_asyncio, "uvloop": in_uvloop, "trio": in_trio}


@contextmanager
def reloading(server: Origin) -> Iterator[None]:
    """Reload the server again and again during the block."""
    over = threading.Event()

    def reload() -> None:
        while not over.wait(RELOAD_EVERY):
            server.reload()

    thread = threading.Thread(target=reload)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def measure(case: str, world: str, library: Any, tasks: int, seconds: float) -> Load:
    name, limits, reloads = CASES[case]
    with tempfile.TemporaryDirectory() as folder, ORIGINS[name](Path(folder), **limits) as server:
        with httpx_fast.Client(trust_env=False, proxy=server.proxy) as client:
            client.get(server.url())
        load = Load(server, tasks, seconds)
        if reloads:
            with reloading(server):
                WORLDS[world](library, load)
        else:
            WORLDS[world](library, load)
        time.sleep(0.2)  # what is being written down
        load.doubled = sum(count > 1 for count in server.seen().values())
        return load


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--case", choices=CASES, action="append")
    arguments.add_argument("--world", choices=WORLDS, action="append")
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--tasks", type=int, default=20)
    arguments.add_argument("--errors", action="store_true", help="tell what the lost ones failed with")
    chosen = arguments.parse_args()
    print(f"{'':18}{'':10}{'':12}{'sent':>8}{'lost':>7}{'per 100,000':>13}{'doubled':>9}")
    for case in chosen.case or CASES:
        for world in chosen.world or WORLDS:
            for library in (httpx_fast, httpx2):
                try:
                    load = measure(case, world, library, chosen.tasks, chosen.seconds)
                except Unavailable as error:
                    print(f"{case:18} {error}")
                    continue
                lost = sum(load.lost.values())
                share = lost / load.sent * 100_000
                print(f"{case:18}{world:10}{library.__name__:12}{load.sent:8,}{lost:7,}{share:13,.1f}{load.doubled:9}")
                if chosen.errors:
                    for error, count in load.lost.most_common(4):
                        print(f"{'':28}{count:5} {error}")


if __name__ == "__main__":
    main()
