"""Processor instructions of a warm request, without sockets, and of a start: figures that no busy machine changes.

    python bench/instructions.py [--world asyncio] [--ask get --ask json ...]
    python bench/instructions.py --check      # compare with bench/instructions.json; fails where one grew by over 3 %
    python bench/instructions.py --update     # write what is measured into that file

Runs itself twice under valgrind, for few requests and for many, and prints the difference for each request. Both worlds
ask over a stream that answers at once, so neither the system nor an event loop takes part. Recorded figures hold for
one build of one CPython: `--check` compares nothing, and says so, on another.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from httpx_fast import AsyncClient, Client  # noqa: E402
from httpx_fast._kernel import select  # noqa: E402
from httpx_fast._net.asyncio import AsyncioBackend  # noqa: E402
from httpx_fast._net.base import DONE, Backend, Stream  # noqa: E402
from httpx_fast._net.sync import SyncBackend  # noqa: E402
from httpx_fast._transports import http  # noqa: E402

FEW, MANY = 300, 1300  # requests
FIGURES = Path(__file__).with_suffix(".json")
ALLOWED = 0.03  # of growth: layouts of memory and dictionaries move figures by less than 0.5 %
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


class Http2Echo(Echo):
    """Answer each HEADERS frame, when the client reads, with a field section and one DATA frame."""

    def __init__(self) -> None:
        self._arriving = bytearray()
        self._answers = [frame(0x4, 0, 0)]  # SETTINGS

    def write(self, *buffers: Any) -> None:
        for buffer in buffers:
            self._arriving += buffer
        if self._arriving.startswith(PREFACE):
            del self._arriving[: len(PREFACE)]
        while len(self._arriving) >= 9:
            end = 9 + int.from_bytes(self._arriving[:3], "big")
            kind, flags, stream = self._arriving[3], self._arriving[4], int.from_bytes(self._arriving[5:9], "big")
            del self._arriving[:end]
            if kind == 0x1:
                self._answers += frame(0x1, 0x4, stream, FIELD_BLOCK), frame(0x0, 0x1, stream, bytes(1024))
            elif kind == 0x4 and not flags:
                self._answers.append(frame(0x4, 0x1, 0))

    def receive(self) -> Any:
        data = b"".join(self._answers)
        self._answers.clear()
        if data:
            self._sink.data_received(memoryview(data))
        return DONE


class Http2EchoSoon(Http2Echo):
    """Answer from the event loop, as asyncio's streams do, which nobody asks to receive."""

    def write(self, *buffers: Any) -> None:
        super().write(*buffers)
        asyncio.get_running_loop().call_soon(self.receive)


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content


def literal(name: bytes, value: bytes) -> bytes:
    """Return a field line of HPACK as a literal that is not indexed, without Huffman coding (RFC 7541 s.6.2.2)."""
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: `:status: 200` of the static table, and what nginx sends.
FIELD_BLOCK = b"\x88" + b"".join(
    literal(name, value)
    for name, value in (
        (b"server", b"nginx"),
        (b"date", b"Sun, 22 Nov 2026 13:00:00 GMT"),
        (b"content-type", b"application/json"),
        (b"content-length", b"1024"),
        (b"cache-control", b"no-cache"),
        (b"vary", b"Accept-Encoding"),
    )
)


def echoing(backend: type[Backend], stream: type[Stream] = Echo) -> Callable[..., Backend]:
    """Return a factory for a backend of that kind whose connections are echoes."""

    async def connect(self: Backend, *arguments: Any, **options: Any) -> Stream:
        return stream()

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
    "http2": lambda client: client.get(URL),
    "new-url": lambda client: client.get(new_url()),
    "new-url-fields": lambda client: client.get(new_url(), headers=own_fields()),
    "new-url-params": lambda client: client.get(URL, params=own_params()),
    "new-url-json": lambda client: client.post(URL, params=own_params(), headers=own_fields(), json=OBJECT),
}


def parse_heads(count: int) -> None:
    """Parse a response head, and ask for what a client has to know of it."""
    parser = select.HeadParser()
    for _ in range(count):
        head = parser.feed(ANSWER, 0, len(ANSWER))
        assert head is not None
        assert head.content_length == 1024
        assert head.fields


def decode_blocks(count: int) -> None:
    """Decode blocks of fields of which one has changed, on one connection."""
    decoder = select.HpackDecoder()
    for number in range(count):
        assert decoder.decode_response(FIELD_BLOCK + literal(b"x-request-id", b"%032x" % number))


def ask(world: str, asked: str, count: int) -> None:
    if world == "start":
        for _ in range(count):
            run_program(STARTS[asked][1])
        return
    if world == "kernel":
        KERNEL[asked](count)
        return
    call = ASKED[asked]
    http.load()
    protocols = {"http1": not asked.startswith("http2"), "http2": asked.startswith("http2")}
    if world == "blocking":
        stream = Http2Echo if protocols["http2"] else Echo
        http.SyncBackend = echoing(SyncBackend, stream)  # type: ignore[misc, assignment]
        client = Client(trust_env=False, **protocols)
        for _ in range(count):
            assert call(client).content
        return
    http.backend_for = echoing(AsyncioBackend, Http2EchoSoon if protocols["http2"] else Echo)

    async def run() -> None:
        client = AsyncClient(trust_env=False, **protocols)
        for _ in range(count):
            assert (await call(client)).content

    asyncio.run(run())


#: What is measured of the kernels alone.
KERNEL: dict[str, Callable[[int], None]] = {"head": parse_heads, "hpack": decode_blocks}


def instructions(world: str, asked: str, count: int) -> int:
    """Return the instructions of a whole run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, __file__]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    arguments = ["--world", world, "--ask", asked, "--count", str(count)]
    ended = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, check=True)
    found = re.search(r"Collected : (\d+)", ended.stderr)
    assert found is not None, ended.stderr
    return int(found[1])


#: What a program does when it starts, and what it has done before: the difference is measured.
STARTS = {
    "import": ("pass", "import httpx_fast"),
    "client": ("import httpx_fast", "import httpx_fast; httpx_fast.Client(trust_env=False)"),
}


def start(asked: str) -> int:
    """Return the instructions of importing the package, or of the first client, with no other package installed."""
    less, more = map(whole_program, STARTS[asked])
    return more - less


def whole_program(program: str) -> int:
    """Return the instructions of a program; what it imports is compiled before."""
    with tempfile.TemporaryDirectory() as compiled:
        run_program(program, compiled)
        ended = run_program(program, compiled, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    found = re.search(r"Collected : (\d+)", ended.stderr)
    assert found is not None, ended.stderr
    return int(found[1])


def run_program(program: str, compiled: str = "", *under: str) -> subprocess.CompletedProcess[str]:
    """Run a program that finds this package and no other.

    Without the garbage collector and without taking the interpreter down: how much either walks hangs on what happens
    to be alive, and would count for more than what a change brought to the start.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONHASHSEED"] = "0"
    if compiled:
        environment["PYTHONPYCACHEPREFIX"] = compiled
    before = f"import gc, os, sys; gc.disable(); sys.path.insert(0, {str(ROOT)!r})"
    command = [*under, sys.executable, "-S", "-c", f"{before}; {program}; os._exit(0)"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True)


def measure(world: str, asked: str) -> int:
    """Return the instructions of one request, or of a start."""
    if world == "start":
        return start(asked)
    return round((instructions(world, asked, MANY) - instructions(world, asked, FEW)) / (MANY - FEW))


#: What is recorded: a world and what is asked.
RECORDED = (
    ("blocking", "get"),
    ("asyncio", "get"),
    ("blocking", "new-url-json"),
    ("asyncio", "new-url-json"),
    ("blocking", "http2"),
    ("asyncio", "http2"),
    ("kernel", "head"),
    ("kernel", "hpack"),
    ("start", "import"),
    ("start", "client"),
)


def measure_all(count: Callable[[str, str], int]) -> dict[str, int]:
    """Return each figure by name; runs share the processors, which does not change what is counted."""
    with ThreadPoolExecutor(os.cpu_count()) as runs:
        counts = runs.map(lambda recorded: count(*recorded), RECORDED)
        return {f"{world} {asked}": each for (world, asked), each in zip(RECORDED, counts, strict=True)}


def interpreter() -> dict[str, str]:
    """Return what the figures depend on beside this package."""
    optimized = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "build": "optimized" if optimized else "not optimized",
        "machine": platform.machine(),
        "kernel": select.IMPLEMENTATION,
    }


def minor_version() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def why_not_compared(record: Mapping[str, Any], here: Mapping[str, str]) -> str | None:
    """Return why figures of this interpreter cannot be compared with the recorded ones, None where they can."""
    if not record:
        return "no figures are recorded for this version of Python (--update records them)"
    differing = [
        f"{name} is {here[name]}, recorded with {value}" for name, value in record["of"].items() if here[name] != value
    ]
    return "; ".join(differing) or None


def compare(recorded: Mapping[str, int], measured: Mapping[str, int]) -> list[str]:
    """Print both sides of each figure; return the names of those that grew too much, or are not recorded."""
    print(f"{'instructions':28}{'recorded':>10}{'now':>10}{'change':>9}")
    grown = []
    for name, now in measured.items():
        before = recorded.get(name)
        if before is None:
            print(f"{name:28}{'-':>10}{now:10,}")
            grown.append(name)
            continue
        too_much = now > before * (1 + ALLOWED)
        print(f"{name:28}{before:10,}{now:10,}{now / before - 1:+9.1%}{'  GREW' if too_much else ''}")
        if too_much:
            grown.append(name)
    return grown


def check(file: Path = FIGURES, count: Callable[[str, str], int] = measure) -> int:
    """Measure and compare with the file; return the exit status."""
    record = json.loads(file.read_text(encoding="utf-8")).get(minor_version(), {})
    reason = why_not_compared(record, interpreter())
    if reason is not None:
        print(f"instructions are not compared: {reason}")
        return 0
    measured = measure_all(count)
    grown = compare(record["instructions"], measured)
    if grown:
        print(f"more than {ALLOWED:.0%} above what is recorded, or not recorded: {', '.join(grown)}")
        print("Make it cheaper; where the growth is meant, record it: python bench/instructions.py --update")
    return 1 if grown else 0


def update(file: Path = FIGURES, count: Callable[[str, str], int] = measure) -> None:
    """Write the figures of this interpreter; those of other minor versions stay."""
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    measured = measure_all(count)
    compare(kept.get(minor_version(), {}).get("instructions", {}), measured)
    kept[minor_version()] = {"of": interpreter(), "instructions": measured}
    file.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n", encoding="utf-8")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--world", choices=("blocking", "asyncio", "kernel", "start"), action="append")
    options.add_argument("--ask", choices=(*ASKED, *KERNEL, *STARTS), action="append")
    options.add_argument("--count", type=int, help="only ask that often, and count nothing")
    options.add_argument("--check", action="store_true", help="compare with the recorded figures")
    options.add_argument("--update", action="store_true", help="record the figures")
    chosen = options.parse_args()
    if (chosen.check or chosen.update) and shutil.which("valgrind") is None:
        print("instructions are not counted: valgrind is not installed (Debian: apt-get install valgrind)")
        return 0 if chosen.check and "CI" not in os.environ else 1
    if chosen.check:
        return check()
    if chosen.update:
        update()
        return 0
    for world in chosen.world or ("blocking", "asyncio"):
        for asked in chosen.ask or {"kernel": KERNEL, "start": STARTS}.get(world, ("get",)):
            if chosen.count:
                ask(world, asked, chosen.count)
                continue
            print(f"{world:12}{asked:16}{measure(world, asked):10,} instructions for each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
