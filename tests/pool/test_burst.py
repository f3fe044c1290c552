"""Ten thousand requests at once for a hundred connections: each costs what it costs among a thousand, in its turn."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import deque
from types import FrameType
from typing import Any, Self

import pytest
from planned import Connection, Pool
from runners import Runner

import httpx_fast
from httpx_fast._pool import plan
from httpx_fast._pool import state as places
from httpx_fast._pool import wait_queue as line
from httpx_fast._pool.plan import DIAL, PendingRequest
from httpx_fast.testing import LocalServer

CONNECTIONS = 100
FEW, MANY = 1_000, 10_000
ROUTES = "abc"


class Lines:
    """Counts the lines of the plan that are executed: loops count as often as they go round, clocks for nothing."""

    def __init__(self) -> None:
        self.count = 0
        self._files = {module.__file__ for module in (line, places, plan)}

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        self.count += event == "line"
        return self._trace

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.settrace(self._before)


def burst(count: int, routes: str, chance: random.Random) -> dict[str, list[int]]:
    """So many requests come before the first ends. For each route: their numbers, in the order of being served."""
    pool = Pool(CONNECTIONS, CONNECTIONS)
    wanted = {number: chance.choice(routes) for number in range(count)}
    pending_requests: dict[PendingRequest[Connection], int] = {}
    leased: deque[tuple[str, Connection]] = deque()
    served: dict[str, list[int]] = {route: [] for route in routes}
    for number, route in wanted.items():
        if pool.plan.request(route, 0.0) is DIAL:
            leased.append((route, pool.connect(route)))
            served[route].append(number)
        else:
            pending: PendingRequest[Connection] = PendingRequest()
            pool.plan.wait(route, pending)
            pending_requests[pending] = number
    while leased:
        route, connection = leased.popleft()
        pool.plan.release(connection, True, 0.0)
        for pending in pool.granted():
            number = pending_requests.pop(pending)
            grant = pending.grant
            given = pool.connect(wanted[number]) if grant is DIAL else grant
            assert isinstance(given, Connection)
            leased.append((wanted[number], given))
            served[wanted[number]].append(number)
        assert pool.plan.open <= CONNECTIONS
    assert not pending_requests
    return served


@pytest.mark.parametrize("routes", ["a", ROUTES], ids=["one origin", "three origins"])
def test_plan_does_as_much_for_each_of_many_as_for_each_of_few(routes: str) -> None:
    steps = {}
    for count in (FEW, MANY):
        with Lines() as lines:
            burst(count, routes, random.Random(5))
        steps[count] = lines.count / count
    # Of few a tenth finds a place at once, of many a hundredth.
    assert steps[MANY] < 1.3 * steps[FEW]


def test_requests_of_an_origin_are_served_in_the_order_in_which_they_came() -> None:
    served = burst(MANY, ROUTES, random.Random(6))
    assert sum(map(len, served.values())) == MANY
    assert all(order == sorted(order) for order in served.values())


def test_a_request_among_many_tasks_costs_what_it_costs_among_few(backend: Runner) -> None:
    if backend.name != "asyncio":
        pytest.skip("what is measured is the pool's, and the same in all worlds")
    backend.patience = 600
    limits = httpx_fast.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)

    async def cost(client: httpx_fast.AsyncClient, url: str, count: int) -> float:
        """Processor time of this thread for each request; the server has a thread of its own."""
        began = time.thread_time()
        answers = await asyncio.gather(*(client.get(url) for _ in range(count)))
        assert all(answer.status_code == 200 for answer in answers)
        return (time.thread_time() - began) / count

    async def body() -> None:
        with LocalServer(tls=False) as server:
            url = server.url + "/bytes/10"
            async with httpx_fast.AsyncClient(limits=limits, timeout=None) as client:
                assert await client.warm(url, CONNECTIONS) == CONNECTIONS
                few = min([await cost(client, url, FEW) for _ in range(2)])
                # What grew with those who wait would be ten times as much here; what else the machine does is less.
                assert min([await cost(client, url, MANY) for _ in range(2)]) < 4 * few
                assert server.accepted == CONNECTIONS

    backend.run(body)
