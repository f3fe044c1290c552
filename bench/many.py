"""Cost of `AsyncClient.map()` beside the loop with a semaphore that people write by hand, and its memory.

    python bench/many.py [--requests 100000] [--concurrency 100] [--rounds 3]

CPU time of this process for each request, both in one run and in turn, with the spread of their ratio; the server runs
in a process of its own. Then the peak of the memory while as many requests are sent again.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import time

import httpx_fast

SERVER = """
from httpx_fast.testing import LocalServer, Reply
with LocalServer(tls=False, answer=lambda request: Reply(200, [], b"ok")) as server:
    print(server.port, flush=True)
    input()
"""


async def by_hand(client: httpx_fast.AsyncClient, url: str, count: int, concurrency: int) -> int:
    """Send `count` requests as one would without `map()`; return how many were answered."""
    permits = asyncio.Semaphore(concurrency)

    async def one(number: int) -> httpx_fast.Response:
        async with permits:
            return await client.get(f"{url}{number % 10}")

    answers = await asyncio.gather(*[one(number) for number in range(count)])
    return sum(answer.status_code == 200 for answer in answers)


async def by_map(client: httpx_fast.AsyncClient, url: str, count: int, concurrency: int) -> int:
    """Send them by `map()`."""
    answered = 0
    async for outcome in client.map((f"{url}{number % 10}" for number in range(count)), concurrency=concurrency):
        answered += bool(outcome)
    return answered


def measured(way, url: str, count: int, concurrency: int) -> float:
    """Return the CPU seconds of this process."""

    async def run() -> float:
        limits = httpx_fast.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx_fast.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:
            await way(client, url, concurrency, concurrency)
            began = time.process_time()
            assert await way(client, url, count, concurrency) == count
            return time.process_time() - began

    return asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = f"http://localhost:{int(server.stdout.readline())}/"
        share = max(given.requests // given.rounds, given.concurrency)
        # map() first, since the other keeps all responses: the peak of the memory is map()'s until then.
        measured(by_map, url, share // 10, given.concurrency)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        measured(by_map, url, given.requests, given.concurrency)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(f"map(): {given.requests:,} requests made the process {grown:,} KiB larger than a tenth of a round did")
        ratios = []
        for _ in range(given.rounds):
            ours = measured(by_map, url, share, given.concurrency)
            theirs = measured(by_hand, url, share, given.concurrency)
            ratios.append(ours / theirs)
            print(f"map() {1e6 * ours / share:.1f} us, by hand {1e6 * theirs / share:.1f} us for each request")
        print(f"ratio {statistics.median(ratios):.2f} [{min(ratios):.2f}..{max(ratios):.2f}]")
    finally:
        server.communicate("\n")


if __name__ == "__main__":
    main()
