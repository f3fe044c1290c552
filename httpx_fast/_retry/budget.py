"""The budget of retries to one origin: a share of its requests in the last seconds. Pure: the time is given.

Where everything fails, each client that tries three times puts three times the load on a server that is down already.
The budget bounds that: whatever goes wrong, retries are at most so many percent of the requests, as a service that has
just recovered can bear. A few per second are always allowed, for programs that send a request now and then.

Requests and retries are counted in slices of a second, so that a look at the window costs the same however many there
are.
"""

from __future__ import annotations

from collections import deque
from math import floor
from typing import Final

WINDOW: Final = 10  # seconds that are looked back


class Window:
    """Two counts over the last seconds."""

    __slots__ = ("_length", "_slices", "first", "second")

    def __init__(self, slices: int, length: float = 1.0) -> None:
        self._length = length  # seconds of a slice
        self._slices: deque[list[float]] = deque(maxlen=slices)  # of [number, first, second], the newest last
        self.first = 0.0
        self.second = 0.0

    def add(self, now: float, first: float, second: float) -> None:
        """Count."""
        self.look(now)
        number = floor(now / self._length)
        slices = self._slices
        if not slices or slices[-1][0] < number:
            slices.append([number, 0.0, 0.0])
        newest = slices[-1]
        newest[1] += first
        newest[2] += second
        self.first += first
        self.second += second

    def look(self, now: float) -> None:
        """Forget what is older than the window."""
        slices = self._slices
        oldest = floor(now / self._length) - (slices.maxlen or 0) + 1
        while slices and slices[0][0] < oldest:
            _, first, second = slices.popleft()
            self.first -= first
            self.second -= second


class Budget:
    """Count requests and retries, and decide whether one more retry is allowed."""

    __slots__ = ("_window", "refused", "retries_ever")

    def __init__(self) -> None:
        self._window = Window(WINDOW)
        self.retries_ever = 0
        self.refused = 0  # retries that were not allowed, ever

    def request(self, now: float) -> None:
        """Count a request, however often it is sent then."""
        self._window.add(now, 1, 0)

    def allowed(self, share: float | None, per_second: float) -> float:
        """Return how many retries there may be in the window, with what is counted there now."""
        if share is None:
            return float("inf")
        return max(share * self._window.first, per_second * WINDOW)

    def spend(self, now: float, share: float | None, per_second: float) -> bool:
        """Count a retry, if it is allowed; return whether it is."""
        window = self._window
        window.look(now)
        # The sums of floats that are counts are exact; the share of them may be a hair below what it should be.
        if window.second + 1 > self.allowed(share, per_second) + 1e-9:
            self.refused += 1
            return False
        window.add(now, 0, 1)
        self.retries_ever += 1
        return True

    def counts(self, now: float) -> tuple[int, int]:
        """Return the requests and the retries in the window."""
        self._window.look(now)
        return int(self._window.first), int(self._window.second)
