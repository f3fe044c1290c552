"""Requests for each second that threads make, with one client for all or one for each: HTTP/1.1 and HTTP/2.

    python bench/threads.py [--threads 1 --threads 2 --threads 8] [--seconds 3] [--rounds 3] [--svg FILE]

nginx answers from another process, on the same processors. The rounds take turns; medians are shown, in the picture
with the least and the greatest: on a machine that does other work too, only figures of one run can be compared. A
client for each thread is made by that thread, and so are its connections.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

from local_nginx import Nginx, running_nginx  # noqa: E402
from plots import STYLE, WIDTH, figure  # noqa: E402

import httpx_fast  # noqa: E402
from httpx_fast._kernel import select  # noqa: E402

#: Requests for each second, and for each second of this process's processor time.
Rates = tuple[float, float]
Results = dict[tuple[str, str], dict[int, list[Rates]]]  # of each protocol and way, by the number of threads

ONE, EACH = "one client for all", "one client for each"


def rate(new_client: Callable[[], httpx_fast.Client], shared: bool, url: str, threads: int, seconds: float) -> Rates:
    """Ask as often as possible; what happens before all are ready to ask is not counted."""
    counts = [0] * threads
    ready, go = threading.Barrier(threads + 1), threading.Event()
    ends = [0.0]

    def ask(number: int, client: httpx_fast.Client) -> None:
        client.get(url).raise_for_status()
        ready.wait()
        go.wait()
        count, end = 0, ends[0]
        while time.monotonic() < end:
            client.get(url)
            count += 1
        counts[number] = count

    def ask_alone(number: int) -> None:
        with new_client() as client:
            ask(number, client)

    with contextlib.ExitStack() as stack:
        one = stack.enter_context(new_client())
        if shared:
            one.get(url)
        running = [
            threading.Thread(target=ask, args=(number, one))
            if shared
            else threading.Thread(target=ask_alone, args=(number,))
            for number in range(threads)
        ]
        for thread in running:
            thread.start()
        ready.wait()
        used, began = time.process_time(), time.monotonic()
        ends[0] = began + seconds
        go.set()
        for thread in running:
            thread.join()
        return sum(counts) / (time.monotonic() - began), sum(counts) / (time.process_time() - used)


def measure(numbers: list[int], rounds: int, seconds: float) -> Results:
    results: Results = {}
    with running_nginx(Nginx, pinned=False) as nginx:
        context = nginx.authority.client_context()
        for _ in range(rounds):
            for protocol, http2 in (("HTTP/1.1", False), ("HTTP/2", True)):
                url = nginx.url("/json", "http2" if http2 else "http")
                for way in (ONE, EACH):
                    found = results.setdefault((protocol, way), {threads: [] for threads in numbers})
                    for threads in numbers:
                        new_client = maker(http2, context)
                        found[threads].append(rate(new_client, way is ONE, url, threads, seconds))
    return results


def maker(http2: bool, context: ssl.SSLContext) -> Callable[[], httpx_fast.Client]:
    return lambda: httpx_fast.Client(http2=http2, verify=context)


TITLES = ("Requests/s; more is better", "Requests per second of processor time; more is better")
LEFT, HALF, TOP, ROW = 150, 230, 62, 19


def draw(results: Results, about: str) -> str:
    """Return the SVG: a bar for each number of threads, in four groups, of both rates beside each other."""
    rows = sum(len(found) + 1 for found in results.values())
    height = TOP + rows * ROW + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>Threads of free-threaded CPython that ask with one client, and with one for each</title>",
        STYLE,
        '<text class="title" x="10" y="22">GET of 1 KB by threads, without the GIL</text>',
    ]
    for which, title in enumerate(TITLES):
        start = LEFT + which * (HALF + 40)
        parts.append(f'<text class="small" x="{start}" y="44">{title}</text>')
        most = max(each[which] for found in results.values() for rounds in found.values() for each in rounds)
        top = TOP
        for (protocol, way), found in results.items():
            if not which:
                parts.append(f'<text x="10" y="{top + 12}">{protocol}, {way}</text>')
            for number, (threads, rounds) in enumerate(found.items(), 1):
                if not which:
                    parts.append(f'<text class="small" x="{LEFT - 8}" y="{top + number * ROW + 11}" text-anchor="end">')
                    parts.append(f"{threads} thread{'s' * (threads > 1)}</text>")
                measured = [each[which] for each in rounds]
                parts += bar(measured, start, top + number * ROW, HALF * 0.8 / most, way is ONE)
            top += (len(found) + 1) * ROW
    parts += [f'<text class="small" x="10" y="{height - 10}">{escape(about)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def bar(measured: list[float], left: int, top: int, scale: float, ours: bool) -> list[str]:
    median, start, end = statistics.median(measured), left + min(measured) * scale, left + max(measured) * scale
    kind = "ours" if ours else "bar"
    return [
        f'<rect class="{kind}" x="{left}" y="{top}" width="{median * scale:.1f}" height="13" rx="2"/>',
        f'<path class="spread" d="M{start:.1f} {top + 6.5}H{end:.1f}M{start:.1f} {top + 3}v7M{end:.1f} {top + 3}v7"/>',
        f'<text class="small" x="{end + 6:.1f}" y="{top + 11}">{figure(median)}</text>',
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    python = f"CPython {sys.version.split()[0]} {'with' if lock else 'without'} the GIL"
    about = (
        f"{python}, {os.cpu_count()} processors for nginx and the client, kernel {select.IMPLEMENTATION}, "
        f"{time.strftime('%Y-%m-%d')}, {options.rounds} rounds of {options.seconds:g} s"
    )
    print(about)
    results = measure(options.threads or [1, 2, 8], options.rounds, options.seconds)
    for (protocol, way), found in results.items():
        for threads, rounds in found.items():
            whole, used = (statistics.median(each[which] for each in rounds) for which in (0, 1))
            print(f"{protocol}, {way}, {threads} threads: {whole:,.0f} requests/s; {used:,.0f} per s of processor time")
    if options.svg:
        options.svg.write_text(draw(results, about), encoding="utf-8")


if __name__ == "__main__":
    main()
