"""Client CPU of every load in turns, round by round, so that a noisy machine is noisy for all of them alike.

    python bench/compare.py [--rounds 9] [--tls | --http2]

Prints the median of the microseconds for each request, half the distance between the quartiles, and what others cost
as many times as much.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

from loads import AT_ONCE_LOADS, BATCH, SEQUENTIAL_LOADS, Load  # noqa: E402
from loads_http2 import DOWNLOADS, HTTP2_AT_ONCE, HTTP2_DOWNLOADS, HTTP2_SEQUENTIAL, LARGE  # noqa: E402
from local_nginx import Nginx, running_nginx  # noqa: E402
from servers import JSON_BODY  # noqa: E402


def measure(
    kinds: Sequence[type[Load]],
    nginx: Nginx,
    listener: str,
    rounds: int,
    path: str = "/json",
    size: int = len(JSON_BODY),
    batch: int = BATCH,
) -> dict[str, list[float]]:
    """Return the microseconds for each request, in every round, by name."""
    given = (nginx.url(path, listener), size, str(nginx.authority.path))
    for kind in kinds:
        if kind.missing() is not None:
            print(f"{kind.name} is left out: {kind.missing()}")
    loads = [kind(*given) for kind in kinds if kind.missing() is None]
    costs: dict[str, list[float]] = {load.name: [] for load in loads}
    for number in range(-1, rounds):  # the first round connects
        for load in loads:
            started = time.process_time()
            load.run()
            if number >= 0:
                costs[load.name].append((time.process_time() - started) / batch * 1e6)
    for load in loads:
        load.close()
    return costs


def show(title: str, costs: dict[str, list[float]], *references: str) -> None:
    medians = {name: statistics.median(measured) for name, measured in costs.items()}
    print(f"\n{title:32}{'µs':>8}{'±':>7}" + "".join(f"{'x ' + name:>18}" for name in references if name in medians))
    for name, median in sorted(medians.items(), key=lambda each: each[1]):
        low, _, high = statistics.quantiles(costs[name], n=4)
        ratios = "".join(f"{median / medians[reference]:18.2f}" for reference in references if reference in medians)
        print(f"{name:32}{median:8.1f}{(high - low) / 2:7.1f}{ratios}")


def compare_http2(nginx: Nginx, rounds: int) -> None:
    show("100 at once", measure(HTTP2_AT_ONCE, nginx, "http2", rounds), "floor.frames", "httpx2.asyncio")
    show("one after the other", measure(HTTP2_SEQUENTIAL, nginx, "http2", rounds), "httpx2.blocking")
    (nginx.folder / "www" / "f10m").write_bytes(bytes(LARGE))
    downloads = measure(HTTP2_DOWNLOADS, nginx, "http2", rounds, "/f10m", LARGE, DOWNLOADS)
    show("10 MB", downloads, "floor.frames", "httpx2.asyncio")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--tls", action="store_true")
    options.add_argument("--http2", action="store_true", help="over TLS, beside clients that speak it")
    chosen = options.parse_args()
    listener = "https" if chosen.tls else "http"
    with running_nginx(Nginx) as nginx:
        if chosen.http2:
            compare_http2(nginx, chosen.rounds)
            return
        at_once = measure(AT_ONCE_LOADS, nginx, listener, chosen.rounds)
        show("100 at once", at_once, "floor.protocol", "aiohttp")
        sequential = measure(SEQUENTIAL_LOADS, nginx, listener, chosen.rounds)
        show("one after the other", sequential, "floor.socket", "httpx2.blocking")


if __name__ == "__main__":
    main()
