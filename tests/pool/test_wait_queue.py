"""The order of routes that need a place: by their first requests, patient ones apart."""

from __future__ import annotations

import math

import pytest

from httpx_fast._pool import wait_queue
from httpx_fast._pool.wait_queue import Host, PendingRequest, RouteState, WaitQueue


def route_with(*numbers: int, impatient: int = 1000, host: Host[str] | None = None) -> RouteState[str]:
    route_state: RouteState[str] = RouteState(f"route of {numbers}", host, False)
    route_state.impatient = impatient
    for number in numbers:
        pending: PendingRequest[str] = PendingRequest()
        pending.number, pending.route_state = number, route_state
        route_state.waiting[pending] = None
    return route_state


def first_number(queue: WaitQueue[str]) -> int | None:
    pending = queue.first(math.inf)
    return None if pending is None else pending.number


def test_route_whose_first_request_came_first_is_first() -> None:
    queue: WaitQueue[str] = WaitQueue[str]().other
    for numbers in ((5, 6), (2, 9), (3,)):
        queue.add(route_with(*numbers))
    assert first_number(queue) == 2


def test_number_of_a_request_that_left_is_put_right() -> None:
    queue: WaitQueue[str] = WaitQueue[str]().other
    first, second = route_with(1, 7), route_with(4)
    queue.add(first)
    queue.add(second)
    first.waiting.popitem(last=False)
    assert first_number(queue) == 4
    second.waiting.clear()
    assert first_number(queue) == 7
    first.waiting.clear()
    assert first_number(queue) is None
    assert first.queue is second.queue is None


def test_route_moves_to_the_queue_that_its_first_request_belongs_to() -> None:
    patient: WaitQueue[str] = WaitQueue()
    route_state = route_with(1, 2, impatient=1)
    patient.add(route_state)
    assert first_number(patient) is None
    assert first_number(patient.other) == 1
    route_state.waiting.popitem(last=False)
    assert first_number(patient.other) is None
    assert first_number(patient) == 2


@pytest.mark.parametrize("idle", [False, True])
def test_route_of_a_full_host_leaves_the_queue_unless_something_can_be_closed_for_it(idle: bool) -> None:
    host: Host[str] = Host("host")
    host.open = 2
    if idle:
        host.idle["connection"] = None
    for queue, impatient in ((WaitQueue[str](), 0), (WaitQueue[str]().other, 1)):
        route_state = route_with(1, impatient=impatient, host=host)
        queue.add(route_state)
        found = queue.first(2)
        assert (found is not None) is (idle and impatient == 1)
        assert (route_state in host.blocked) is (found is None)


def test_entries_of_routes_that_wait_no_more_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_queue, "_MIN_TIDY", 4)
    queue: WaitQueue[str] = WaitQueue[str]().other
    queue.add(route_with(1))
    gone = [route_with(number) for number in range(2, 50)]
    for route_state in gone:
        queue.add(route_state)
        route_state.waiting.clear()
    assert len(queue._entries) <= 8
    assert first_number(queue) == 1
