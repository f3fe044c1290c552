"""What peers say of idle connections, and what is learnt of them."""

from __future__ import annotations

import pytest

from httpx_fast._origin import Origin
from httpx_fast._pool.origin_hints import MAX_LEARNT, MEMORY, UNREST, WATCHED, OriginHints, Verdict

A = Origin("http", "a.example", 80)
B = Origin("http", "b.example", 80)


def test_nothing_is_known_of_an_origin_at_first() -> None:
    assert OriginHints().expiry(A, 0.0) is None


def test_age_at_which_a_connection_died_is_learnt_with_a_margin() -> None:
    habits = OriginHints()
    assert habits.learn(A, 10.0, 0.0)
    assert habits.expiry(A, 0.0) == 9.0
    assert habits.expiry(B, 0.0) is None
    habits.learn(A, 1.5, 0.0)
    assert habits.expiry(A, 0.0) == 0.75
    habits.learn(A, 20.0, 0.0)
    assert habits.expiry(A, 0.0) == 0.75
    assert dict(habits.learnt(0.0)) == {A: 0.75}


def test_connection_that_was_closed_at_once_says_nothing_of_times() -> None:
    habits = OriginHints()
    assert not habits.learn(A, 0.9, 0.0)
    assert habits.expiry(A, 0.0) is None


def test_what_was_learnt_is_forgotten_after_a_while() -> None:
    habits = OriginHints()
    habits.learn(A, 10.0, 5.0)
    assert habits.expiry(A, 4.9 + MEMORY) == 9.0
    assert not habits.learnt(5.0 + MEMORY)
    assert habits.expiry(A, 5.0 + MEMORY) is None
    habits.learn(A, 30.0, 5.0 + MEMORY)
    assert habits.expiry(A, 5.0 + MEMORY) == 29.0


def test_streams_that_a_peer_takes_are_learnt_for_a_while() -> None:
    habits = OriginHints()
    assert habits.streams(A, 0.0) is None
    habits.learn_streams(A, 30, 0.0)
    habits.learn_streams(A, 20, 1.0)
    assert habits.streams(A, MEMORY) == 20
    assert habits.streams(B, MEMORY) is None
    assert habits.streams(A, 1.0 + MEMORY) is None
    assert not habits.learnt(0.0)


def test_peer_that_takes_no_stream_for_now_is_asked_one_thing_by_the_next_connection() -> None:
    habits = OriginHints()
    habits.learn_streams(A, 0, 0.0)
    assert habits.streams(A, 0.0) == 1


def test_wish_for_http1_is_learnt_for_a_while() -> None:
    habits = OriginHints()
    assert not habits.wants_http1(A, 0.0)
    habits.learn_http1(A, 0.0)
    assert (habits.wants_http1(A, 1.0), habits.wants_http1(B, 1.0)) == (True, False)
    assert not habits.wants_http1(A, MEMORY)


@pytest.mark.parametrize(("more", "known"), [(-1, True), (0, False), (1, False)])
def test_origins_are_bounded(more: int, known: bool) -> None:
    habits = OriginHints()
    habits.learn(A, 10.0, 0.0)
    for number in range(MAX_LEARNT + more):
        habits.learn(Origin("http", f"{number}.example", 80), 10.0, 0.0)
    assert (habits.expiry(A, 0.0) is not None) is known
    assert len(habits.learnt(0.0)) == min(MAX_LEARNT, MAX_LEARNT + more + 1)


LATER = UNREST + 1.0


def test_peer_of_which_nothing_is_known_is_watched_after_its_first_responses() -> None:
    habits = OriginHints()
    verdicts = [habits.after(A, served, 0.0, 1.0) for served in (1, 2, WATCHED, WATCHED + 1)]
    assert verdicts == [Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.KEEPS]


def test_connection_that_stayed_vouches_for_those_after_it() -> None:
    habits = OriginHints()
    habits.stayed(A, 1, 0.0)
    assert habits.after(A, 1, 0.0, 1.0) is Verdict.KEEPS
    assert habits.after(A, 2, 0.0, 1.0) is Verdict.UNKNOWN
    assert habits.after(B, 1, 0.0, 1.0) is Verdict.UNKNOWN
    # One that has served four has outlasted three.
    assert habits.after(A, 4, 0.0, 1.0) is Verdict.UNKNOWN
    assert habits.after(A, 3, 0.0, 1.0) is Verdict.KEEPS


def test_count_after_which_two_connections_ended_is_believed() -> None:
    habits = OriginHints()
    habits.stayed(A, 1, 0.0)
    habits.ended(A, 7, 0.0)
    assert habits.after(A, 7, 0.0, LATER) is Verdict.UNKNOWN
    habits.ended(A, 7, 0.0)
    assert habits.after(A, 7, 0.0, LATER) is Verdict.CLOSES
    assert habits.after(A, 6, 0.0, LATER) is Verdict.KEEPS
    assert habits.after(A, 1, 0.0, LATER) is Verdict.KEEPS
    # One that went further says otherwise.
    assert habits.after(A, 8, 0.0, LATER) is Verdict.KEEPS
    assert habits.after(A, 7, 0.0, LATER) is Verdict.KEEPS


def test_ends_after_any_number_of_responses_are_a_restart() -> None:
    habits = OriginHints()
    for served in (7, 8, 7):
        habits.ended(A, served, 10.0)
    assert habits.after(A, 7, 0.0, 10.0 + LATER) is Verdict.UNKNOWN
    assert habits.after(A, 5, 0.0, 10.0 + LATER) is Verdict.KEEPS
    # For a moment that may end others of that time, but not those that were made since.
    assert habits.after(A, 5, 0.0, 10.0 + UNREST / 2) is Verdict.UNKNOWN
    assert habits.after(A, 5, 10.1, 10.0 + UNREST / 2) is Verdict.KEEPS


def test_ends_are_forgotten_after_a_while() -> None:
    habits = OriginHints()
    habits.ended(A, 1, 0.0)
    habits.ended(A, 1, 0.0)
    assert habits.after(A, 1, 0.0, MEMORY - 1) is Verdict.CLOSES
    assert habits.after(A, 1, 0.0, MEMORY) is Verdict.UNKNOWN
