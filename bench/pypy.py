"""httpx_fast on PyPy beside httpx2 on CPython: 100 tasks that get 1 KB, processor time for each request.

    python bench/pypy.py --pypy pypy3                        # one that is installed
    python bench/pypy.py --pypy pypy3 --root /srv/debian     # one below a folder that chroot enters; needs root

PyPy is warmed up for `--warm` seconds, since its compiler has to see what is done often. It needs no packages: idna and
certifi, which are pure Python, are copied for it. The rounds take turns; medians and extremes are shown.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TASKS, EACH = 100, 10


async def load(module: str, url: str, warm: float, seconds: float) -> float:
    """Return the microseconds of processor time for each request."""
    package: Any = importlib.import_module(module)
    if module == "httpx_fast":
        assert importlib.import_module("httpx_fast._kernel.select").IMPLEMENTATION == "python"
    limits = package.Limits(max_connections=TASKS, max_keepalive_connections=TASKS)
    async with package.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:

        async def several() -> None:
            for _ in range(EACH):
                assert len((await client.get(url)).content) > 1000

        async def batches(until: float) -> int:
            count = 0
            while count == 0 or time.monotonic() < until:
                await asyncio.gather(*(several() for _ in range(TASKS)))
                count += TASKS * EACH
            return count

        await batches(time.monotonic() + warm)
        used = time.process_time()
        count = await batches(time.monotonic() + seconds)
        return (time.process_time() - used) / count * 1e6


def packages(folder: Path) -> None:
    """Copy what PyPy imports; its kernels are those in pure Python."""
    shutil.copytree(HERE.parent / "httpx_fast", folder / "httpx_fast", ignore=shutil.ignore_patterns("*.so"))
    for name in ("idna", "certifi"):
        where = importlib.import_module(name).__file__
        assert where is not None
        shutil.copytree(Path(where).parent, folder / name)
    shutil.copy(__file__, folder / "pypy.py")


def child(command: list[str], path: str, script: str, arguments: list[str]) -> float:
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [*command, script, "--child", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"{' '.join(command)} failed: {ended.stderr.strip()}")
    return float(ended.stdout.split()[-1])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pypy", default="pypy3", help="the command")
    options.add_argument("--root", type=Path, help="the folder that it is below, to be entered by chroot")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=2)
    options.add_argument("--warm", type=float, default=5)
    options.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        module, url, warm, seconds = chosen.child
        print(asyncio.run(load(module, url, float(warm), float(seconds))))
        return
    sys.path.insert(0, str(HERE))
    from local_nginx import Nginx, running_nginx

    inside = None if chosen.root is None else chosen.root / "tmp"
    with running_nginx(Nginx) as nginx, tempfile.TemporaryDirectory(dir=inside) as folder:
        Path(folder).chmod(0o755)
        packages(Path(folder))
        url, seconds = nginx.url("/json"), str(chosen.seconds)
        pypy, seen = [chosen.pypy], folder
        if chosen.root is not None:
            pypy, seen = ["chroot", str(chosen.root), chosen.pypy], f"/tmp/{Path(folder).name}"
        cpython = [sys.executable]
        cells = {
            "httpx_fast, PyPy": lambda: child(
                pypy, seen, f"{seen}/pypy.py", ["httpx_fast", url, str(chosen.warm), seconds]
            ),
            "httpx_fast, CPython, pure Python": lambda: child(
                cpython, folder, f"{folder}/pypy.py", ["httpx_fast", url, "0.5", seconds]
            ),
            "httpx2, CPython": lambda: child(cpython, "", f"{folder}/pypy.py", ["httpx2", url, "0.5", seconds]),
        }
        costs: dict[str, list[float]] = {name: [] for name in cells}
        for _ in range(chosen.rounds):
            for name, measure in cells.items():
                costs[name].append(measure())
    base = statistics.median(costs["httpx2, CPython"])
    print(f"{'100 at once, 1 KB':36}{'µs':>8}  {'rounds':18}of httpx2")
    for name, measured in costs.items():
        median = statistics.median(measured)
        print(f"{name:36}{median:8.1f}  {min(measured):.1f} to {max(measured):<10.1f}{median / base:6.3f}")


if __name__ == "__main__":
    main()
