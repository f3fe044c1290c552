"""How long to wait before a request is sent again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpx_fast._retry.backoff import backoff, retry_after

#: 1994-11-06 08:49:37 GMT
DATE = 784111777.0


def test_the_interval_doubles_up_to_the_maximum():
    assert [backoff(nth, 0.5, 3.0, 1.0) for nth in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_whole_interval_is_random():
    chances = random.Random(1)
    waits = [backoff(3, 1.0, 60.0, chances.random()) for _ in range(1000)]
    assert 0 <= min(waits) < 0.05
    assert 3.95 < max(waits) <= 4.0
    assert sum(waits) / 1000 == pytest.approx(2.0, abs=0.1)


@settings(deadline=None)
@given(st.integers(1, 10**6), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1))
def test_it_is_never_longer_than_the_maximum(nth: int, base: float, most: float, chance: float):
    assert 0 <= backoff(nth, base, most, chance) <= most


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 09:50:37 +0100", 60.0),
        ("Sun, 06 Nov 1994 08:50:37 -0000", 60.0),
        ("Sun, 06 Nov 1994 08:48:37 GMT", 0.0),
    ],
)
def test_seconds_and_dates_are_understood(value: str, seconds: float):
    assert retry_after(value, DATE) == seconds


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "-1",
        "1.5",
        "soon",
        "٣",
        "1" * 11,
        "Sun, 99 Nov 1994 08:50:37 GMT",
        "Sun, 06 Nov 99999 08:50:37 GMT",
        ",",
    ],
)
def test_what_is_neither_says_nothing(value: str | None):
    assert retry_after(value, DATE) is None


@settings(deadline=None)
@given(st.text(max_size=50))
def test_nothing_that_a_server_sends_raises(value: str):
    seconds = retry_after(value, DATE)
    assert seconds is None or seconds >= 0
