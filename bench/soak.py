"""Memory over a million requests, for each protocol, with one client.

    python bench/soak.py [--requests 1000000] [--protocol http1 --protocol http2] [--svg docs/assets/soak.svg]

HTTP/1.1 is a blocking client that asks one after the other, HTTP/2 an asynchronous one with 20 tasks, over TLS. The
kernel is selected by HTTPX_FAST_IMPL. nginx answers in another process. Resident memory and the number of objects are
read a hundred times. The run fails if memory after the last request is more than 5 % above that after the first tenth.
With --svg the course is drawn.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

from local_nginx import Nginx, running_nginx  # noqa: E402

import httpx_fast  # noqa: E402
from httpx_fast._kernel import select  # noqa: E402

SAMPLES = 100
TASKS = 20  # requests at once, over HTTP/2
MAX_GROWTH = 1.05

Sample = tuple[int, float, int]  # requests, MiB, objects
COLOURS = {"http1": "#1f77b4", "http2": "#d62728"}
WORLDS = {"http1": "HTTP/1.1, one blocking client", "http2": f"HTTP/2 over TLS, one client in asyncio, {TASKS} tasks"}


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def sample(count: int) -> Sample:
    gc.collect()
    return count, resident(), len(gc.get_objects())


def soak_http1(nginx: Nginx, requests: int, note: Callable[[Sample], None]) -> None:
    with httpx_fast.Client() as client:
        url = nginx.url("/json")
        for step in range(SAMPLES):
            for _ in range(requests // SAMPLES):
                client.get(url).raise_for_status()
            note(sample((step + 1) * (requests // SAMPLES)))


def soak_http2(nginx: Nginx, requests: int, note: Callable[[Sample], None]) -> None:
    async def ask(client: httpx_fast.AsyncClient, url: str, count: int) -> None:
        for _ in range(count):
            response = await client.get(url)
            if response.http_version != "HTTP/2":
                raise RuntimeError(f"the response came by {response.http_version}")

    async def main() -> None:
        async with httpx_fast.AsyncClient(http2=True, verify=nginx.authority.client_context()) as client:
            url = nginx.url("/json", "http2")
            for step in range(SAMPLES):
                each = requests // SAMPLES // TASKS
                tasks: list[Awaitable[None]] = [ask(client, url, each) for _ in range(TASKS)]
                await asyncio.gather(*tasks)
                note(sample((step + 1) * each * TASKS))

    asyncio.run(main())


def what_runs() -> str:
    kernel = "compiled" if select.IMPLEMENTATION == "c" else "Python"
    return f"{kernel} kernel, {platform.python_implementation()} {platform.python_version()}"


def drawn(courses: dict[str, list[Sample]]) -> str:
    """Return the course of memory as a picture in SVG."""
    width, height, left, bottom = 720, 320, 60, 40
    top = max(mib for course in courses.values() for _, mib, _ in course) * 1.2
    most = max(count for course in courses.values() for count, _, _ in course)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<path d="M{left} 10V{height - bottom}H{width - 10}" fill="none" stroke="#000"/>',
        f'<text x="{left}" y="{height - 8}">0</text>',
        f'<text x="{width - 10}" y="{height - 8}" text-anchor="end">{most:,} requests</text>',
        f'<text x="{left - 6}" y="22" text-anchor="end">{top:.0f} MiB</text>',
        f'<text x="{left - 6}" y="{height - bottom}" text-anchor="end">0</text>',
        f'<text x="{left + 20}" y="{height - bottom - 14}">Resident memory of GETs of JSON, {what_runs()}</text>',
    ]
    for row, (name, course) in enumerate(courses.items()):
        places = [
            (left + count / most * (width - left - 10), mib / top * (height - bottom - 10)) for count, mib, _ in course
        ]
        points = " ".join(f"{x:.1f},{height - bottom - y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        text = f"{WORLDS[name]}: {course[-1][1]:.1f} MiB at the end"
        parts.append(f'<text x="{left + 20}" y="{30 + 16 * row}" fill="{COLOURS[name]}">{text}</text>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--protocol", action="append", choices=["http1", "http2"])
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    courses: dict[str, list[Sample]] = {}
    failed = False
    print(what_runs())
    with running_nginx(Nginx, pinned=False) as nginx:
        for name in options.protocol or ["http1", "http2"]:
            course = courses[name] = []
            began = time.monotonic()
            {"http1": soak_http1, "http2": soak_http2}[name](nginx, options.requests, course.append)
            early, last = course[SAMPLES // 10 - 1], course[-1]
            growth = last[1] / early[1]
            failed |= growth > MAX_GROWTH
            print(
                f"{name}: {last[0]} requests in {time.monotonic() - began:.0f} s;"
                f" {early[1]:.1f} MiB after the first tenth, {last[1]:.1f} MiB at the end ({growth - 1:+.1%});"
                f" {early[2]} and {last[2]} objects"
            )
    if options.svg is not None:
        options.svg.write_text(drawn(courses), encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
