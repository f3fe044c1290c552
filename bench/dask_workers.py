"""Time of the same requests on one Dask worker and on two, with a server that answers after 20 ms.

    python bench/dask_workers.py [--requests 2000] [--concurrency 10] [--rounds 5]

Workers are processes of one thread, on this machine. One and two take turns in one run; the spread is of their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from distributed import Client as Scheduler
from distributed import LocalCluster

import httpx_fast
from httpx_fast.integrations import dask

SERVER = """
import asyncio

async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(input)

asyncio.run(main())
"""


def measured(scheduler: Scheduler, url: str, count: int, concurrency: int) -> float:
    """Return the seconds of `count` requests."""
    client = httpx_fast.Client(trust_env=False, timeout=60, headers={"X-Bench": "dask"})
    urls = [f"{url}{number}" for number in range(count)]
    began = time.perf_counter()
    done = sum(row["status"] == 200 for row in dask.rows(scheduler, urls, client=client, concurrency=concurrency))
    assert done == count
    return time.perf_counter() - began


def cluster(workers: int) -> LocalCluster:
    return LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/"
        with cluster(1) as one, cluster(2) as two, Scheduler(one) as single, Scheduler(two) as double:
            for scheduler in (single, double):
                measured(scheduler, url, 200, given.concurrency)
            ratios = []
            for _ in range(given.rounds):
                alone = measured(single, url, given.requests, given.concurrency)
                both = measured(double, url, given.requests, given.concurrency)
                ratios.append(both / alone)
                print(f"one worker {alone:.2f} s, two {both:.2f} s")
        print(f"ratio {statistics.median(ratios):.2f} [{min(ratios):.2f}..{max(ratios):.2f}]")
    finally:
        server.communicate("\n")


if __name__ == "__main__":
    main()
