"""Client CPU for a request of a burst: 1,000 or 10,000 tasks at once on 100 connections, nginx on loopback.

A round is a burst; `extra_info` has the processor time of this process for one request of it. In the larger burst that
is to be what it is in the smaller one.
"""

from __future__ import annotations

import asyncio
import time

import pytest
from loads import note_cost
from servers import Nginx

import httpx_fast

CONNECTIONS = 100


@pytest.mark.benchmark(group="burst on 100 connections", timer=time.process_time)
@pytest.mark.parametrize("tasks", [1_000, 10_000])
def test_burst(benchmark, tasks: int, nginx: Nginx):
    limits = httpx_fast.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    url = nginx.url("/json")

    async def burst(client: httpx_fast.AsyncClient) -> None:
        answers = await asyncio.gather(*(client.get(url) for _ in range(tasks)))
        assert {answer.status_code for answer in answers} == {200}

    with asyncio.Runner() as runner:
        client = httpx_fast.AsyncClient(limits=limits, timeout=None)
        assert runner.run(client.warm(url, CONNECTIONS)) == CONNECTIONS
        benchmark.pedantic(lambda: runner.run(burst(client)), rounds=5, warmup_rounds=1)
        runner.run(client.aclose())
    note_cost(benchmark, tasks)
