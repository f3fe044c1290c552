"""How long to wait before a request is sent again. Pure: the date and the random number are given."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

MAX_DIGITS: Final = 10  # of the seconds in Retry-After; what is longer is no time that anybody means


def backoff(nth: int, base: float, most: float, chance: float) -> float:
    """Return the seconds before the n-th retry, counted from 1; `chance` is a random number from 0 to 1.

    The whole interval is random, not its end only: clients that failed together must not come back together.
    """
    if base <= 0 or most <= 0:
        return 0.0
    # Not beyond what a float holds, nor more doublings than that takes.
    return chance * min(most, base * 2.0 ** min(nth - 1, 64))


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After field asks for (RFC 9110 s.10.2.3); None if it says nothing that is valid.

    `now` is the time of day, in seconds since 1970, for a date; one that has passed asks for 0 seconds.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= MAX_DIGITS else None
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000", which RFC 9110 has no use for, and servers that forget the zone: they mean GMT
        date = date.replace(tzinfo=UTC)
    try:
        return max(date.timestamp() - now, 0.0)
    except (OverflowError, ValueError):
        return None
