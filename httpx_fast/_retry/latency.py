"""How long an origin usually takes to answer: percentiles of its last answers, which are kept. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import ceil
from typing import Final

KEPT: Final = 1000  # answers; 16 KiB for an origin, and the quickest change that a percentile of 0.99 can follow


class Latencies:
    """The seconds of the last answers, in the order of arrival and in order of size.

    Exact, where an estimate (as P2) would be wrong for thousands of answers after the origin has changed: a new one
    costs two searches and two moves in a list of 1000.
    """

    __slots__ = ("_arrived", "_sorted")

    def __init__(self, kept: int = KEPT) -> None:
        self._arrived: deque[float] = deque(maxlen=kept)
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, seconds: float) -> None:
        """Note how long an answer took."""
        arrived, ordered = self._arrived, self._sorted
        if len(arrived) == arrived.maxlen:
            del ordered[bisect_left(ordered, arrived[0])]
        arrived.append(seconds)
        insort(ordered, seconds)

    def percentile(self, share: float) -> float | None:
        """Return the seconds in which that share of the answers came; None if there is none yet."""
        ordered = self._sorted
        return ordered[max(ceil(share * len(ordered)) - 1, 0)] if ordered else None
