"""What it costs that every request keeps a record of its way: below 2 % of the request."""

from __future__ import annotations

import time
from collections.abc import Callable

from servers import Nginx

import httpx_fast
from httpx_fast._journey import ConnectionFacts, Journey

SHARE = 0.02
ROUNDS = 9


def cheapest(action: Callable[[], object], count: int) -> float:
    """Seconds of processor time for one call, in the best of the rounds."""

    def one_round() -> float:
        started = time.process_time()
        for _ in range(count):
            action()
        return (time.process_time() - started) / count

    return min(one_round() for _ in range(ROUNDS))


def recorder() -> Callable[[], None]:
    """All that is done for the journey of a request on a warm connection, the looks at the clock included."""
    clock = time.monotonic
    facts = ConnectionFacts()

    def record() -> None:
        journey = Journey(clock(), clock)
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
    with httpx_fast.Client() as client:
        url = nginx.url("/json")
        request = cheapest(lambda: client.get(url), 300)
    record = cheapest(recorder(), 5000)
    print(f"a record costs {record * 1e6:.2f} us of {request * 1e6:.1f} us: {record / request:.2%}")
    assert record < SHARE * request
