"""Processor time of a request by layer: a warm GET and a POST of JSON to a new URL, HTTP/1.1 over TLS.

    python bench/layers.py [--rounds 5] [--requests 4000] [--plain]
    python bench/layers.py --beside CHECKOUT     # another checkout with its kernels built, in turns: its figure → ours

nginx answers on loopback. Blocking requests go one after the other, those of asyncio in 50 tasks. A timer interrupts
the client every ms; the processor time since the last interrupt goes to the innermost frame that belongs to a
layer, so that helpers of the standard library count for their callers. C code has no frames: its time goes to the frame
that called it, or to the kernel where the call that has just ended has the name of a function of a compiled kernel.
Interrupts cost time: figures are scaled to what as many requests take in the same process without them.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import collections
import functools
import itertools
import json
import re
import signal
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
INTERVAL = 0.001  # seconds
TASKS = 50
DEEPEST = 40  # frames that are looked at

KERNEL = "kernel: heads, buffers, URLs, fields"
#: A layer, and the files that belong to it; the first that matches counts.
LAYERS = {
    "benchmark": r"/bench/layers\.py$",
    "client, models, URLs": r"/httpx_fast/(_client|_models)/",
    "transport": r"/httpx_fast/(_transports/|_head\.py)",
    "pool": r"/httpx_fast/_pool/",
    "connection": r"/httpx_fast/(_conn|_wire)/",
    KERNEL: r"/httpx_fast/_kernel/",
    "TLS": r"/httpx_fast/_net/tls\.py$|/ssl\.py$|/asyncio/sslproto\.py$",
    "sockets and event loop": r"/httpx_fast/(_net/|_drive\.py|_deadline\.py)|/asyncio/|/selectors\.py$|/socket\.py$",
}
REST = ("client, models, URLs", r"/httpx_fast/")
_PATTERNS = [(name, re.compile(pattern)) for name, pattern in (*LAYERS.items(), REST)]

LOADS = ("GET, blocking", "GET, asyncio", "POST, blocking", "POST, asyncio")
CONTENT = {"model": "small", "messages": [{"role": "user", "content": "x" * 900}], "temperature": 0.5, "stream": False}

Place = tuple[CodeType, int]


@functools.cache
def layer_of_file(name: str) -> str | None:
    for layer, pattern in _PATTERNS:
        if pattern.search(name):
            return layer
    return None


@functools.cache
def calls_in(file: str) -> dict[tuple[int, int], str]:
    """Return the name of what is called, by the line and column where the call ends."""
    found = {}
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.end_lineno is not None and node.end_col_offset is not None:
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            found[node.end_lineno, node.end_col_offset] = name
    return found


def called_at(code: CodeType, instruction: int) -> str | None:
    """Return the name of what the instruction calls, None if it is no call."""
    position = next(itertools.islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    if position[1] is None or position[3] is None:
        return None
    return calls_in(code.co_filename).get((position[1], position[3]))


def names_of_kernels() -> set[str]:
    """Return the names of all functions, classes and methods of compiled kernels that are imported."""
    names: set[str] = set()
    for module, kernel in list(sys.modules.items()):
        if module.startswith("httpx_fast._kernel.") and module.endswith("_c") and isinstance(kernel, ModuleType):
            for name, each in vars(kernel).items():
                if getattr(each, "__module__", None) == module and callable(each):
                    names.add(name)
                    names.update(vars(each) if isinstance(each, type) else ())
    return {name for name in names if not name.startswith("__")}


class Sampler:
    """Count processor time by stack while it is entered."""

    def __init__(self) -> None:
        self.stacks: dict[tuple[Place, ...], float] = collections.defaultdict(float)
        self._last = 0.0

    def __enter__(self) -> Self:
        signal.signal(signal.SIGALRM, self._interrupt)
        self._last = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, INTERVAL, INTERVAL)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupt(self, _: int, frame: FrameType | None) -> None:
        used = time.process_time() - self._last
        stack: list[Place] = []
        while frame is not None and len(stack) < DEEPEST:
            stack.append((frame.f_code, frame.f_lasti))
            frame = frame.f_back
        self.stacks[tuple(stack)] += used
        self._last = time.process_time()  # what the sampler took counts for nobody

    def by_layer(self) -> dict[str, float]:
        kernels, found = names_of_kernels(), dict.fromkeys(LAYERS, 0.0)
        for stack, used in self.stacks.items():
            found[layer_of(stack, kernels)] += used
        return found


def layer_of(stack: tuple[Place, ...], kernels: set[str]) -> str:
    """Return the layer of a stack whose innermost frame comes first."""
    code, instruction = stack[0]
    if kernels and "/httpx_fast/" in code.co_filename and called_at(code, instruction) in kernels:
        return KERNEL
    layers = (layer_of_file(code.co_filename) for code, _ in stack)
    return next((layer for layer in layers if layer is not None), "benchmark")


def requests(load: str, url: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return method, URL and arguments of requests without end; the GET is always the same."""
    for number in itertools.count():
        if load.startswith("GET"):
            yield "GET", f"{url}/json", {}
            continue
        trace = f"00-{number:032x}-{number:016x}-01"
        fields = {"Authorization": "Bearer token", "X-Request-Id": f"{number:032x}", "traceparent": trace}
        yield "POST", f"{url}/echo?page={number}&filter=some", {"headers": fields, "json": CONTENT}


def profile(load: str, url: str, trusted: str, count: int) -> dict[str, float]:
    """Return the seconds of processor time that a request takes in each layer."""
    asked, context = requests(load, url), ssl.create_default_context(cafile=trusted)
    sampler = Sampler()
    if load.endswith("asyncio"):
        undisturbed = asyncio.run(ask_tasks(asked, context, count, sampler))
    else:
        undisturbed = ask_one_by_one(asked, context, count, sampler)
    found = sampler.by_layer()
    scale = undisturbed / count / (sum(found.values()) or 1)
    return {layer: used * scale for layer, used in found.items()}


def ask_one_by_one(asked: Iterator[Any], context: ssl.SSLContext, count: int, sampler: Sampler) -> float:
    """Ask so often without and with the sampler; return the processor time that the first took."""
    import httpx_fast  # of the checkout that is measured

    with httpx_fast.Client(verify=context, trust_env=False) as client:

        def several(number: int) -> None:
            for method, url, arguments in itertools.islice(asked, number):
                assert client.request(method, url, **arguments).content

        several(50)
        began = time.process_time()
        several(count)
        undisturbed = time.process_time() - began
        with sampler:
            several(count)
    return undisturbed


async def ask_tasks(asked: Iterator[Any], context: ssl.SSLContext, count: int, sampler: Sampler) -> float:
    """Ask as `ask_one_by_one` does, in tasks."""
    import httpx_fast  # of the checkout that is measured

    async with httpx_fast.AsyncClient(verify=context, trust_env=False) as client:

        async def several(number: int) -> None:
            for method, url, arguments in itertools.islice(asked, number):
                assert (await client.request(method, url, **arguments)).content

        async def in_tasks(each: int) -> None:
            await asyncio.gather(*(several(each) for _ in range(TASKS)))

        await in_tasks(2)
        began = time.process_time()
        await in_tasks(count // TASKS)
        undisturbed = time.process_time() - began
        with sampler:
            await in_tasks(count // TASKS)
    return undisturbed


def measure(checkout: Path, *arguments: str) -> dict[str, float]:
    """Profile the package of that checkout in a process of its own."""
    command = [sys.executable, str(HERE / "layers.py"), "--child", str(checkout), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    return dict(json.loads(ended.stdout))


def child(checkout: str, load: str, url: str, trusted: str, count: str) -> None:
    sys.path.insert(0, checkout)
    import httpx_fast

    assert httpx_fast.__file__.startswith(checkout), httpx_fast.__file__
    print(json.dumps(profile(load, url, trusted, int(count))))


def table(found: dict[str, list[list[dict[str, float]]]]) -> str:
    """Return Markdown: for each load the rounds of each checkout; a figure is the median of rounds, in microseconds."""
    lines = ["| Layer | " + " | ".join(found) + " |", "|---|" + "--:|" * len(found)]
    for layer in (*LAYERS, "all"):
        cells = []
        for checkouts in found.values():
            medians = (statistics.median(map(of_layer(layer), rounds)) for rounds in checkouts)
            cells.append(" → ".join(f"{median * 1e6:.1f}" for median in medians))
        lines.append(f"| {layer} | " + " | ".join(cells) + " |")
    spreads = (" → ".join(map(spread, checkouts)) for checkouts in found.values())
    lines.append("| rounds of all | " + " | ".join(spreads) + " |")
    return "\n".join(lines)


def spread(rounds: list[dict[str, float]]) -> str:
    sums = [sum(measured.values()) * 1e6 for measured in rounds]
    return f"{min(sums):.0f} to {max(sums):.0f}"


def of_layer(layer: str) -> Callable[[dict[str, float]], float]:
    return lambda measured: sum(measured.values()) if layer == "all" else measured[layer]


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000, help="of each load in each round")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--beside", type=Path, help="a checkout of another version, with its kernels built")
    options = parser.parse_args()
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]
    from local_nginx import Nginx, running_nginx

    checkouts = [*([options.beside.resolve()] if options.beside else []), HERE.parent]
    found: dict[str, list[list[dict[str, float]]]] = {load: [[] for _ in checkouts] for load in LOADS}
    with running_nginx(Nginx) as nginx:
        url = nginx.url("", "http" if options.plain else "https")
        for _, load, number in itertools.product(range(options.rounds), LOADS, range(len(checkouts))):
            arguments = load, url, str(nginx.authority.path), str(options.requests)
            found[load][number].append(measure(checkouts[number], *arguments))
    print(table(found))


if __name__ == "__main__":
    main()
