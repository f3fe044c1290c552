"""Times what a hostile server can make a client compute, at n and at 4n: CPU seconds, ours beside httpx2's.

    python bench/hostile.py [--peer]

Linear work shows as a ratio of about 4; work that is refused at a limit shows as a ratio of about 1.
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections.abc import Callable
from typing import Any

import httpx_fast

Case = Callable[[int], dict[str, Any]]


def members(count: int) -> dict[str, Any]:
    """Return a body of gzip members without content, inside gzip."""
    return {"headers": {"Content-Encoding": "gzip, gzip"}, "content": gzip.compress(gzip.compress(b"") * count)}


def frames(count: int) -> dict[str, Any]:
    """Return a body of zstd frames without content, inside gzip; RFC 8878 s.3.1.1: magic, header, one empty block."""
    empty = bytes.fromhex("28b52ffd2000010000")
    return {"headers": {"Content-Encoding": "zstd, gzip"}, "content": gzip.compress(empty * count)}


def charset(name: str) -> Case:
    return lambda count: {
        "headers": {"Content-Type": f"text/plain; charset={name}"},
        "content": b"a-" + b"b" * count,
    }


CASES: dict[str, tuple[Case, int]] = {
    "charset=punycode": (charset("punycode"), 12_500),
    "Content-Type of many ';'": (
        lambda count: {"headers": {"Content-Type": "a" + ";" * count + "charset=x"}, "content": b"a"},
        12_500,
    ),
    "gzip members without content": (members, 20_000),
    "zstd frames without content": (frames, 20_000),
}


def seconds(library: Any, arguments: dict[str, Any]) -> float:
    """Return the CPU seconds of making a response and reading its text."""
    began = time.process_time()
    try:
        _ = library.Response(200, **arguments).text
    except library.DecodingError:
        pass  # refused at a limit
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="store_true", help="time httpx2 as well; some of it takes long")
    libraries: dict[str, Any] = {"httpx_fast": httpx_fast}
    if parser.parse_args().peer:
        import httpx2

        libraries["httpx2"] = httpx2
    for name, (case, count) in CASES.items():
        for library, module in libraries.items():
            first, fourfold = (min(seconds(module, case(size)) for _ in range(3)) for size in (count, 4 * count))
            ratio = fourfold / max(first, 1e-6)
            print(f"{name:30} {library:10} {first:.4f} s at {count}, {fourfold:.4f} s at {4 * count}: {ratio:.1f}")


if __name__ == "__main__":
    main()
