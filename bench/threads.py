"""Requests for each second that threads make with one client: HTTP/1.1 and HTTP/2.

    python bench/threads.py [--threads 1 --threads 2 --threads 8] [--seconds 3] [--rounds 3]

nginx answers from another process, on the same processors. The rounds take turns, and the best of each is shown: on a
machine that does other work too, only figures of one run can be compared.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

from local_nginx import Nginx, running_nginx  # noqa: E402

import httpx_fast  # noqa: E402
from httpx_fast._kernel import select  # noqa: E402

Counts = list[int]


def ask(client: httpx_fast.Client, url: str, end: float, counts: Counts, number: int) -> None:
    count = 0
    while time.monotonic() < end:
        client.get(url).raise_for_status()
        count += 1
    counts[number] = count


def rate(client: httpx_fast.Client, url: str, threads: int, seconds: float) -> tuple[float, float]:
    """Return requests for each second, and for each second of this process's processor time."""
    counts = [0] * threads
    used, began = time.process_time(), time.monotonic()
    running = [
        threading.Thread(target=ask, args=(client, url, began + seconds, counts, number)) for number in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / (time.monotonic() - began), sum(counts) / (time.process_time() - used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    numbers = options.threads or [1, 2, 8]
    lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"{sys.version.split()[0]}, {'with' if lock else 'without'} the GIL, {os.cpu_count()} processors,", end=" ")
    print(f"kernel {select.IMPLEMENTATION}")
    with running_nginx(Nginx, pinned=False) as nginx:
        context = nginx.authority.client_context()
        for name, http2 in (("HTTP/1.1", False), ("HTTP/2", True)):
            url = nginx.url("/json", "http2" if http2 else "http")
            best = dict.fromkeys(numbers, (0.0, 0.0))
            with httpx_fast.Client(http2=http2, verify=context) as client:
                assert client.get(url).http_version == name
                for _ in range(options.rounds):
                    for threads in numbers:
                        best[threads] = max(best[threads], rate(client, url, threads, options.seconds))
            for threads in numbers:
                whole, used = best[threads]
                print(f"{name}, {threads} threads: {whole:,.0f} requests/s; {used:,.0f} per s of processor time")


if __name__ == "__main__":
    main()
