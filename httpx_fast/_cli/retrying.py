"""`--retry`: when a request is sent again, and how long to wait before that. curl's rules."""

from __future__ import annotations

import time
from collections.abc import Callable

from .._exceptions import ConnectError, TimeoutException
from .._models import Response
from .failures import exit_code

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
MAX_DELAY = 600.0  # seconds, curl's


def is_transient(error: Exception) -> bool:
    """Return whether an error may be over soon: a timeout, or a name that could not be resolved."""
    return isinstance(error, TimeoutException) or (isinstance(error, ConnectError) and exit_code(error) in (5, 6))


def retry_after(response: Response) -> float | None:
    """Return seconds that the server asks for, where it says them as a number."""
    told = response.headers.get("Retry-After", "").strip()
    return float(told) if told.isdecimal() and len(told) <= 6 else None


class Retries:
    """Count tries, and wait between them."""

    def __init__(self, times: int, delay: float | None, say: Callable[[str], None]) -> None:
        self._left = times
        self._fixed = delay or None
        self._delay = 1.0
        self._say = say

    def again(self, why: str, asked: float | None = None) -> bool:
        """Wait and return True if there is another try left."""
        if self._left < 1:
            return False
        self._left -= 1
        delay = self._fixed or asked or self._delay
        delay = min(delay, MAX_DELAY)
        self._delay *= 2
        self._say(f"{why}; next try in {delay:g} s, {self._left} left after that")
        time.sleep(delay)
        return True

    @property
    def left(self) -> int:
        """Return how many tries there are left."""
        return self._left
