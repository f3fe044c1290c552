"""The checks that all settings share: what they give, and what they say of a value that makes no sense."""

from __future__ import annotations

import decimal
import fractions
import math
import re
from typing import Any

import pytest

from httpx_fast._checks import (
    checked_amount,
    checked_codes,
    checked_count,
    checked_interval,
    checked_items,
    checked_seconds,
    checked_share,
)


class Index:
    """A whole number of another library, as numpy has them."""

    def __index__(self) -> int:
        return 3

    def __lt__(self, other: int) -> bool:
        return other > 3


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (checked_seconds(None, "a"), None),
        (checked_seconds(math.inf, "a"), None),
        (checked_seconds(0, "a"), 0),
        (checked_seconds(decimal.Decimal("0.5"), "a"), 0.5),
        (checked_interval(None, "a", "never"), None),
        (checked_interval(2, "a", "never"), 2),
        (checked_amount(0, "a"), 0),
        (checked_amount(fractions.Fraction(1, 2), "a", positive=True), 0.5),
        (checked_amount(None, "a", none="no limit"), None),
        (checked_share(1, "a"), 1),
        (checked_share(0, "a", zero=True), 0),
        (checked_count(0, "a"), 0),
        (checked_count(None, "a", none="no limit"), None),
        (checked_count(5, "a", 1, most=5), 5),
        (checked_items((1, 2), "a", "numbers"), [1, 2]),
        (checked_codes([503, 429], "a", "codes", 300, 599), {429, 503}),
    ],
)
def test_value_is_returned(value: Any, found: Any):
    assert value == found
    assert type(value) is type(found) or isinstance(value, (frozenset, float))


def test_a_whole_number_of_another_library_is_a_count():
    number = Index()
    assert checked_count(number, "a") is number


@pytest.mark.parametrize(
    ("check", "error", "told"),
    [
        (lambda: checked_seconds("5", "a"), TypeError, "expected seconds or None as a, got '5'"),
        (
            lambda: checked_seconds(-1, "a"),
            ValueError,
            "expected 0 seconds or more, or None for no timeout, as a, got -1",
        ),
        (
            lambda: checked_interval(0, "a", "never"),
            ValueError,
            "expected more than 0 seconds, or None for never, as a, got 0",
        ),
        (lambda: checked_amount(True, "a"), TypeError, "expected seconds as a, got True"),
        (lambda: checked_amount(-1, "a", "bytes"), ValueError, "expected 0 or more bytes as a, got -1"),
        (lambda: checked_amount(math.nan, "a"), ValueError, "expected 0 or more seconds as a, got nan"),
        (lambda: checked_amount(math.inf, "a"), ValueError, "expected 0 or more seconds as a, got inf"),
        (
            lambda: checked_amount(0, "a", positive=True, none="no limit"),
            ValueError,
            "expected more than 0 seconds, or None for no limit, as a, got 0",
        ),
        (lambda: checked_share("20%", "a"), TypeError, "expected a share as a, got '20%'"),
        (lambda: checked_share(0, "a"), ValueError, "expected a share above 0 to 1 as a, got 0"),
        (
            lambda: checked_share(1, "a", zero=True, below_one=True),
            ValueError,
            "expected a share from 0 and below 1 as a, got 1",
        ),
        (lambda: checked_count(1.0, "a"), TypeError, "expected a count as a, got 1.0"),
        (lambda: checked_count(6, "a", 1, most=5), ValueError, "expected 1 to 5 as a, got 6"),
        (
            lambda: checked_count(0, "a", 1, "no limit"),
            ValueError,
            "expected 1 or more, or None for no limit, as a, got 0",
        ),
        (lambda: checked_count("1 MB", "a", what="bytes"), TypeError, "expected bytes as a, got '1 MB'"),
        (lambda: checked_items("ab", "a", "names"), TypeError, "expected names as a, got 'ab'"),
        (lambda: checked_codes([True], "a", "codes", 300, 599), TypeError, "expected codes as a, got True among them"),
        (
            lambda: checked_codes([1], "a", "codes", 300, 599),
            ValueError,
            "expected codes from 300 to 599 as a, got 1 among them",
        ),
    ],
)
def test_message_says_what_was_expected_and_what_was_given(check: Any, error: type[Exception], told: str):
    with pytest.raises(error, match=f"^{re.escape(told)}$"):
        check()
