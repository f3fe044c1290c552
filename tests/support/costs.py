"""Whether work is linear in its input: CPU time for n and for 4n, on a machine that is busy with other things."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_ROUNDS = 5
#: Four times the input may cost this many times as much. Quadratic work costs sixteen times as much; caches and the
#: allocator make linear work cost up to six.
MOST = 9
#: Seconds below which the clock and the interpreter's own work say more than what is measured.
FLOOR = 0.002


def cpu_time(work: Callable[[T], object], given: T) -> float:
    """The least CPU time of this thread that `work` took, in seconds; without collections, which walk all of pytest."""
    best = float("inf")
    collects = gc.isenabled()
    gc.disable()
    try:
        for _ in range(_ROUNDS):
            begun = time.thread_time()
            work(given)
            best = min(best, time.thread_time() - begun)
    finally:
        if collects:
            gc.enable()
    return best


def assert_linear(work: Callable[[T], object], make: Callable[[int], T], n: int) -> None:
    """Fails if `work` on `make(4 * n)` costs much more than four times what it costs on `make(n)`."""
    few, many = cpu_time(work, make(n)), cpu_time(work, make(4 * n))
    assert many <= MOST * max(few, FLOOR), f"{n}: {few:.4f} s, {4 * n}: {many:.4f} s, {many / few:.1f} times as much"
