"""How long to wait before a request is sent again. Pure: the date and the random number are given."""

from __future__ import annotations

from .._transports.pacing import MAX_DIGITS, retry_after

__all__ = ["MAX_DIGITS", "backoff", "retry_after"]


def backoff(nth: int, base: float, most: float, chance: float) -> float:
    """Return the seconds before the n-th retry, counted from 1; `chance` is a random number from 0 to 1.

    The whole interval is random, not its end only: clients that failed together must not come back together.
    """
    if base <= 0 or most <= 0:
        return 0.0
    # Not beyond what a float holds, nor more doublings than that takes.
    return chance * min(most, base * 2.0 ** min(nth - 1, 64))
