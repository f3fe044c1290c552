"""Deadlines: when they come, on which clock, and what they are chosen from."""

from __future__ import annotations

import pytest

from httpx_fast._deadline import Deadline, Total, sooner


def test_a_deadline_counts_from_when_it_was_made_on_any_clock():
    deadline = Deadline(60.0)
    assert deadline.on(lambda: 1000.0) is deadline
    assert deadline.at == pytest.approx(1060.0, abs=5)
    assert deadline.elapsed(deadline.at) == 60.0
    assert deadline.elapsed(deadline.at - 20) == pytest.approx(40.0)


def test_a_deadline_that_is_known_does_not_move():
    deadline = Deadline(60.0).on(lambda: 1000.0)
    at = deadline.at
    assert deadline.on(lambda: 2000.0).at == at


@pytest.mark.parametrize(
    ("at", "budget", "expected"),
    [(None, None, (1060.0, 60.0)), (1050.0, 5.0, (1050.0, 5.0)), (1070.0, 5.0, (1060.0, 60.0))],
)
def test_a_wait_ends_with_what_comes_first(at: float | None, budget: float | None, expected: tuple[float, float]):
    deadline = Deadline(60.0)
    deadline.at = 1060.0
    ends, granted = sooner(at, budget, deadline)
    assert (ends, granted) == expected
    assert isinstance(granted, Total) is (ends == 1060.0)
    assert sooner(at, budget, None) == (at, budget)
