"""The budget of retries: a share of the requests of the last seconds, and a floor."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpx_fast._retry.budget import WINDOW, Budget, Window


def test_a_few_are_always_allowed():
    budget = Budget()
    budget.request(100.0)
    assert [budget.spend(100.0, 0.2, 1.0) for _ in range(WINDOW + 1)] == [True] * WINDOW + [False]
    assert (budget.counts(100.0), budget.retries_ever, budget.refused) == ((1, WINDOW), WINDOW, 1)
    assert budget.spend(100.0 + WINDOW, 0.2, 1.0)


def test_with_many_requests_it_is_their_share():
    budget = Budget()
    for _ in range(1000):
        budget.request(5.0)
    spent = sum(budget.spend(5.0, 0.2, 1.0) for _ in range(1000))
    assert spent == 200


@pytest.mark.parametrize(("share", "floor", "spent"), [(0.0, 0.0, 0), (0.0, 0.5, 5), (1.0, 0.0, 50), (None, 0.0, 99)])
def test_share_and_floor_are_apart(share: float | None, floor: float, spent: int):
    budget = Budget()
    for _ in range(50):
        budget.request(0.0)
    assert sum(budget.spend(0.0, share, floor) for _ in range(99)) == spent


#: Seconds since the event before, and whether a retry is asked for.
EVENTS = st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=300)


@settings(deadline=None)
@given(EVENTS, st.sampled_from([0.0, 0.1, 0.2, 0.5]), st.sampled_from([0.0, 0.3, 1.0]))
def test_in_no_window_there_are_more_retries_than_allowed(events: list[tuple[float, bool]], share: float, floor: float):
    budget, now = Budget(), 1000.0
    requests: list[int] = []  # by whole seconds, which the window is counted in
    retries: list[int] = []
    for passed, retry in events:
        now += passed
        since = int(now) - WINDOW + 1
        if not retry:
            budget.request(now)
            requests.append(int(now))
            continue
        allowed = max(share * sum(at >= since for at in requests), floor * WINDOW)
        before = sum(at >= since for at in retries)
        spent = budget.spend(now, share, floor)
        assert spent == (before + 1 <= allowed + 1e-9)
        if spent:
            retries.append(int(now))


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(0.05, 1.0))
def test_at_a_steady_rate_retries_are_at_most_the_share_of_all_requests(seed: int, failing: float):
    chances, budget = random.Random(seed), Budget()
    count = 3000
    for number in range(count):
        now = number * 0.01
        budget.request(now)
        if chances.random() < failing:
            budget.spend(now, 0.2, 0.0)
    assert budget.retries_ever <= 0.2 * count


def test_a_window_holds_nothing_that_is_older():
    window = Window(3, 0.5)
    for now in (0.0, 0.4, 0.6, 1.2):
        window.add(now, 1, 0)
    assert window.first == 4
    window.look(1.6)
    assert window.first == 2
    window.look(100.0)
    assert (window.first, window.second) == (0, 0)
