"""Deadlines: when they come, on which clock, and what they are chosen from."""

from __future__ import annotations

import pytest

from httpx_fast._deadline import NEVER, PHASES, Deadline, PhaseTimer, RequestTimeouts, Total


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


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_ends_when_its_time_has_come_and_says_so(phase: str):
    timer = PhaseTimer(phase)
    timer.set(phase, 105.0, 5.0)
    assert timer.at == timer.until == 105.0
    failure = timer.expired(107.0, "the peer is silent", "it had not ended")
    assert type(failure) is PHASES[phase].error
    assert (failure.phase, failure.limit) == (PHASES[phase].reported, phase)
    assert (failure.elapsed, failure.budget) == (7.0, 5.0)
    assert str(failure) == f"{phase} timed out after 7 s of 5 s: the peer is silent"


@pytest.mark.parametrize("phase", PHASES)
def test_no_phase_goes_beyond_the_hard_deadline(phase: str):
    timer = PhaseTimer(phase)
    timer.set_hard(103.0, Total(9.0))
    for at in (None, 103.0, 105.0):
        timer.set(phase, at, 5.0)
        assert timer.at == 103.0
    timer.postpone(lambda: 102.0)
    assert timer.renewed(102.0) == 103.0
    failure = timer.expired(104.0, "the peer is silent", "it had not ended")
    assert (failure.limit, failure.elapsed, failure.budget) == ("total", 10.0, 9.0)
    assert str(failure).endswith(f"while {PHASES[phase].doing}: it had not ended")


@pytest.mark.parametrize("phase", PHASES)
def test_progress_begins_the_budget_anew_where_the_phase_bounds_silence(phase: str):
    timer = PhaseTimer(phase)
    timer.set(phase, 105.0, 5.0)
    timer.postpone(lambda: 104.0)
    assert timer.at == (109.0 if phase in ("read", "write") else 105.0)


def test_what_was_heard_renews_only_what_is_waited_to_be_received():
    for phase, at in (("read", 109.0), ("write", 105.0), ("first_byte", 105.0)):
        timer = PhaseTimer(phase)
        timer.set(phase, 105.0, 5.0)
        assert timer.renewed(104.0) == at
        assert timer.renewed(101.0) == at


def test_a_timer_of_nothing_never_ends():
    timer = PhaseTimer("read")
    timer.set("read", None, None)
    timer.postpone(lambda: 104.0)
    assert (timer.at, timer.until, timer.renewed(104.0)) == (NEVER, None, NEVER)


def test_a_timer_takes_its_hard_deadline_from_the_whole():
    deadline = Deadline(60.0).on(lambda: 1000.0)
    timer = PhaseTimer("read", deadline)
    assert (timer.at, timer.hard, timer.hard_budget) == (deadline.at, deadline.at, 60.0)


@pytest.mark.parametrize("budget", [None, 5.0, 70.0])
def test_a_timer_that_begins_ends_after_its_budget_or_with_the_whole(budget: float | None):
    deadline = Deadline(60.0)
    deadline.at = 1060.0
    begun = PhaseTimer("read", deadline)
    begun.begin("connect", 1000.0, budget)
    for timer in (PhaseTimer("connect", deadline, 1000.0, budget), begun):
        assert (timer.phase, timer.at) == ("connect", 1005.0 if budget == 5.0 else 1060.0)
        assert timer.granted == (5.0 if budget == 5.0 else 60.0)
        assert isinstance(timer.granted, Total) is (budget != 5.0)
        assert timer.left(1001.0) == timer.at - 1001.0
        assert timer.left(2000.0) == 0.0
        limit = "connect" if budget == 5.0 else "total"
        assert timer.expired(1060.0, "no answer").limit == limit


def test_a_timer_that_begins_without_a_limit_never_ends():
    timer = PhaseTimer("connect", None, 1000.0, None)
    assert (timer.until, timer.granted, timer.left(1e9)) == (None, None, NEVER)


def test_the_wait_for_a_head_has_a_time_of_its_own_if_one_is_granted():
    assert RequestTimeouts(1.0, 2.0, 3.0, 4.0).until_head(10.0, 11.0) == ("read", 13.0, 2.0)
    assert RequestTimeouts(1.0, 2.0, 3.0, 4.0, 5.0).until_head(10.0, 11.0) == ("first_byte", 15.0, 5.0)
    assert RequestTimeouts(None, None, None, None).until_head(10.0, 11.0) == ("read", None, None)
