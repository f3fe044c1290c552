"""Who gets a place when all are taken, and connections of others are idle: patience, and what ends it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import pytest
from planned import Connection, Pool

from httpx_fast._pool.acquirer import IDLE, PATIENCE
from httpx_fast._pool.plan import DIAL, GROWTH, PendingRequest


def busy_and_idle(busy: int = 1, idle: int = 1) -> Pool:
    """A pool at its limit: so many connections of "a" are in use, and so many of "b" are idle since 0."""
    pool = Pool(limit=busy + idle, keep=None, expiry=None)
    pool.idle(*"b" * idle)
    for _ in range(busy):
        assert pool.plan.request("a", 0.0) is DIAL
        pool.connect("a")
    return pool


def test_request_waits_for_a_connection_of_its_own_route_before_one_of_another_is_closed() -> None:
    pool = Pool(limit=2)
    mine = pool.lease("a")
    pool.idle("b")
    pending = pool.queue("a")
    assert pool.to_close() == []
    pool.plan.release(mine, True, 0.0)
    assert pool.granted() == [pending]
    assert pending.grant is mine
    assert pool.counts() == (1, 1, 0)


def test_route_without_a_connection_has_an_idle_one_closed_at_once() -> None:
    pool = Pool(limit=2)
    pool.lease("a")
    (other,) = pool.idle("b")
    assert pool.plan.request("c", 0.0) is DIAL
    assert pool.to_close() == [other]


def test_one_route_alone_knows_no_patience() -> None:
    pool = Pool(limit=1)
    pool.lease("a")
    pending: PendingRequest[Connection] = PendingRequest()
    assert pool.plan.request("a", 0.0) is None
    assert pool.plan.wait("a", pending) is False


def test_free_place_goes_to_a_patient_request() -> None:
    for lose in ("expire", "dead", "retire"):
        pool = busy_and_idle()
        pending = pool.queue("a")
        ((other, *_),) = [each for each in pool.plan.connections() if each[1] is not None]
        if lose == "expire":
            pool.plan._expiry = 1.0
            pool.plan.expire(2.0)
        elif lose == "dead":
            assert pool.plan.dead(other, 1.0)
        else:
            pool.plan.retire(1.0)
        assert pool.granted() == [pending], lose
        assert pending.grant is DIAL


def test_nudge_closes_what_has_been_idle_for_long_enough() -> None:
    pool = busy_and_idle()
    pending = pool.queue("a")
    pool.plan.nudge(pending, 0.9, 1.0)
    assert pending.grant is None
    pool.plan.nudge(pending, 1.0, 1.0)
    assert pending.grant is DIAL
    assert len(pool.to_close()) == 1
    assert pool.counts() == (1, 0, 1)


def test_nudge_serves_the_first_of_the_route() -> None:
    pool = busy_and_idle(idle=2)
    first, second = pool.queue("a"), pool.queue("a")
    pool.plan.nudge(second, 1.0, 1.0)
    assert (first.grant, second.grant) == (DIAL, None)


@pytest.mark.parametrize(("connections", "dials"), [(1, 1), (GROWTH, 1), (2 * GROWTH, 2)])
def test_route_grows_by_a_part_of_itself_at_a_time(connections: int, dials: int) -> None:
    pool = busy_and_idle(connections, 20)
    waiting = [pool.queue("a") for _ in range(20)]
    for pending in waiting:
        pool.plan.nudge(pending, 1.0, 1.0)
    assert pool.plan.dialling == dials


def test_hurry_takes_what_is_idle_whenever_it_was_used() -> None:
    pool = busy_and_idle()
    pending = pool.queue("a")
    pool.plan.hurry(pending, 0.0)
    assert pending.grant is DIAL


def test_after_hurry_what_others_release_is_closed_for_the_request() -> None:
    pool = Pool(limit=2)
    pool.lease("a")
    other = pool.lease("b")
    pending = pool.queue("a")
    pool.plan.release(other, True, 0.0)  # patient: it is idle
    assert pool.plan.request("b", 0.0) is other
    pool.plan.hurry(pending, 0.0)
    assert pending.grant is None
    pool.plan.release(other, True, 0.0)
    assert pending.grant is DIAL
    assert pool.to_close() == [other]


def test_request_is_patient_no_longer_when_its_route_has_lost_its_connections() -> None:
    pool = Pool(limit=2)
    mine = pool.lease("a")
    (other,) = pool.idle("b")
    waiting = [pool.queue("a") for _ in range(2)]
    pool.plan.release(mine, False, 0.0)  # its place is one, that of what is idle another
    assert [pending.grant for pending in waiting] == [DIAL, DIAL]
    assert pool.to_close() == [mine, other]


def test_host_limit_keeps_nobody_of_another_host_from_a_free_place() -> None:
    pool = Pool(limit=4, per_host=1, expiry=None)
    mine = pool.lease("a1")
    pool.lease("c1")
    assert pool.plan.request("a1", 0.0) is None
    blocked: PendingRequest[Connection] = PendingRequest()
    assert pool.plan.wait("a1", blocked) is True
    assert pool.plan.request("b1", 0.0) is DIAL
    pool.plan.release(mine, False, 0.0)
    assert blocked.grant is DIAL


class Origins:
    """Requests to a few routes, whose exchanges take a while each, on a clock of events; dialling takes 1.0."""

    def __init__(self, seed: int, routes: str, limit: int, per_host: int | None, patience: Sequence[int]) -> None:
        self.patience = patience
        self.random = random.Random(seed)
        self.pool = Pool(limit, limit, None, per_host)
        self.events: list[tuple[float, int, Any]] = []
        self.now = 0.0
        self.count = 0
        self.waited: dict[str, list[float]] = {route: [] for route in routes}
        self.dials: Counter[str] = Counter()
        self.order: dict[str, list[int]] = {route: [] for route in routes}

    def at(self, seconds: float, call: Any) -> None:
        self.count += 1
        heappush(self.events, (self.now + seconds, self.count, call))

    def run(self) -> None:
        while self.events:
            self.now, _, call = heappop(self.events)
            call()
            self.settle()

    def settle(self) -> None:
        for pending in self.pool.granted():
            self.begin(pending.route_state.route, pending.grant, pending.since)  # type: ignore[union-attr, attr-defined]
        self.pool.to_close()

    def ask(self, route: str) -> None:
        found = self.pool.plan.request(route, self.now)
        if found is not None:
            self.begin(route, found, self.now)
            return
        pending = Waiting()
        pending.since = self.now
        if self.pool.plan.wait(route, pending):
            for times in self.patience:
                self.at(times, lambda times=times: self.look(pending, times))

    def look(self, pending: Waiting, times: int) -> None:
        if pending.grant is None:
            if times == self.patience[-1]:
                self.pool.plan.hurry(pending, self.now)
            else:
                self.pool.plan.nudge(pending, self.now, IDLE)

    def begin(self, route: str, what: Any, since: float) -> None:
        self.waited[route].append(self.now - since)
        self.order[route].append(round(since * 1e6))
        if what is DIAL:
            self.dials[route] += 1
            self.at(1.0, lambda: self.use(self.pool.connect(route)))
        else:
            self.use(what)

    def use(self, connection: Connection) -> None:
        self.at(self.random.expovariate(10.0), lambda: self.pool.plan.release(connection, True, self.now))


class Waiting(PendingRequest[Connection]):
    __slots__ = ("since",)

    since: float


def ground_of(seed: int, pause: float, per_host: int | None, patience: Sequence[int]) -> tuple[Origins, Counter[str]]:
    """One route is asked for all the time, one now and then, and two by turns; an exchange takes 0.1, dialling 1.0."""
    ground = Origins(seed, "abcd", 10, per_host, patience)
    arrivals = Counter[str]()
    for number in range(4000):
        route = ground.random.choices("abcd", (50, 1, 20, 20))[0]
        arrivals[route] += 1
        ground.at(number * pause + ground.random.random() * 0.01, lambda route=route: ground.ask(route))
    ground.run()
    return ground, arrivals


@pytest.mark.parametrize("per_host", [None, 6])
@pytest.mark.parametrize("pause", [0.016, 0.011], ids=["busy", "more than can be done"])
@pytest.mark.parametrize("seed", range(4))
def test_no_route_starves_and_each_is_served_first_come_first_served(
    seed: int, pause: float, per_host: int | None
) -> None:
    ground, arrivals = ground_of(seed, pause, per_host, PATIENCE)
    assert {route: len(waited) for route, waited in ground.waited.items()} == arrivals
    rare, usual = max(ground.waited["b"]), max(ground.waited["a"])
    # Its patience is over then, and the next places are its own: others pass it sixteen times at most.
    assert max(rare, usual) < PATIENCE[-1] + 4
    for begun in ground.order.values():
        assert begun == sorted(begun)


@pytest.mark.parametrize("per_host", [None, 6])
@pytest.mark.parametrize("seed", range(4))
def test_patience_saves_nine_of_ten_dials_and_most_of_the_waiting(seed: int, per_host: int | None) -> None:
    patient, _ = ground_of(seed, 0.016, per_host, PATIENCE)
    hasty, _ = ground_of(seed, 0.016, per_host, (0,))
    assert sum(patient.dials.values()) * 10 < sum(hasty.dials.values())
    assert sum(map(sum, patient.waited.values())) * 3 < sum(map(sum, hasty.waited.values()))
