"""What it costs that every request keeps a record of its way: below 2 % of the request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from servers import Nginx

import httpx_fast
from httpx_fast._journey import ConnectionFacts, Journey

SHARE = 0.02
ROUNDS = 15


def one(action: Callable[[], object], count: int) -> float:
    """Return the seconds of processor time for one of `count` calls."""
    started = time.process_time()
    for _ in range(count):
        action()
    return (time.process_time() - started) / count


def recorder() -> Callable[[], None]:
    """Record the journey of a request on a warm connection, with the readings of the clock."""
    clock = time.monotonic
    facts, head = ConnectionFacts(), object()

    def record() -> None:
        journey = Journey(clock(), clock, head)
        journey.leased = journey.started
        facts.requests = journey.nth = facts.requests + 1
        journey.connection = facts
        journey.sending = clock()
        journey.rested_since = 1.0
        journey.sent = clock()
        journey.first = journey.done = clock()

    return record


def test_record(benchmark):
    benchmark(recorder())


def test_record_is_a_small_share_of_a_request(nginx: Nginx):
    """In the best of some rounds: what else the machine does makes either side dearer, hardly both alike."""
    record = recorder()
    shares: list[float] = []
    with httpx_fast.Client() as client:
        url = nginx.url("/json")
        for _ in range(ROUNDS):
            request_costs = one(lambda: client.get(url), 300)
            record_costs = one(record, 5000)
            shares.append(record_costs / request_costs)
            print(f"a record costs {record_costs * 1e6:.2f} us of {request_costs * 1e6:.1f} us: {shares[-1]:.2%}")
    assert min(shares) < SHARE


def test_record_is_a_small_share_of_a_request_among_many(nginx: Nginx):
    """On asyncio, a hundred at once."""
    record, url = recorder(), nginx.url("/json")

    async def ask() -> float:
        async with httpx_fast.AsyncClient() as client:
            await asyncio.gather(*[client.get(url) for _ in range(100)])
            started = time.process_time()
            for _ in range(5):
                await asyncio.gather(*[client.get(url) for _ in range(100)])
            return (time.process_time() - started) / 500

    shares: list[float] = []
    for _ in range(ROUNDS):
        request_costs = asyncio.run(ask())
        record_costs = one(record, 5000)
        shares.append(record_costs / request_costs)
        print(f"a record costs {record_costs * 1e6:.2f} us of {request_costs * 1e6:.1f} us: {shares[-1]:.2%}")
    assert min(shares) < SHARE
