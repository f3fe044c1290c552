"""Client CPU for GETs of 1 KiB of JSON under 12 field lines, from nginx on loopback.

    python -m pytest bench                             compiled kernels, if there
    HTTPX_FAST_IMPL=python python -m pytest bench      Python kernels
    python bench/compare.py                            the same loads in turns, and their ratios

A round is a batch of 1,000 requests and what is timed is the processor time of this process, so the table's
milliseconds are microseconds for each request. They hardly depend on the server and on what else the machine does.
"""

from __future__ import annotations

import time

import pytest
from loads import AT_ONCE_LOADS, SEQUENTIAL_LOADS, Load, note_cost
from servers import JSON_BODY, Nginx

from httpx_fast._kernel import select

PROCESSOR_TIME = pytest.mark.benchmark(timer=time.process_time)


def measure(benchmark, load: type[Load], nginx: Nginx, listener: str) -> None:
    missing = load.missing()
    if missing:
        pytest.skip(missing)
    opened = load(nginx.url("/json", listener), len(JSON_BODY), str(nginx.authority.path))
    try:
        opened.run()  # connects
        benchmark(opened.run)
    finally:
        opened.close()
    note_cost(benchmark)
    benchmark.extra_info["kernel"] = select.IMPLEMENTATION


@PROCESSOR_TIME
@pytest.mark.benchmark(group="100 at once")
@pytest.mark.parametrize("load", AT_ONCE_LOADS, ids=lambda load: load.name)
def test_get_100_at_once(benchmark, load: type[Load], nginx: Nginx):
    measure(benchmark, load, nginx, "http")


@PROCESSOR_TIME
@pytest.mark.benchmark(group="100 at once, TLS")
@pytest.mark.parametrize("load", AT_ONCE_LOADS, ids=lambda load: load.name)
def test_get_100_at_once_over_tls(benchmark, load: type[Load], nginx: Nginx):
    measure(benchmark, load, nginx, "https")


@PROCESSOR_TIME
@pytest.mark.benchmark(group="one after the other")
@pytest.mark.parametrize("load", SEQUENTIAL_LOADS, ids=lambda load: load.name)
def test_get_one_after_the_other(benchmark, load: type[Load], nginx: Nginx):
    measure(benchmark, load, nginx, "http")


@PROCESSOR_TIME
@pytest.mark.benchmark(group="one after the other, TLS")
@pytest.mark.parametrize("load", SEQUENTIAL_LOADS, ids=lambda load: load.name)
def test_get_one_after_the_other_over_tls(benchmark, load: type[Load], nginx: Nginx):
    measure(benchmark, load, nginx, "https")
