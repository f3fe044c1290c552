"""Read what a peer promises of an idle HTTP/1.1 connection: the Keep-Alive field (RFC 2068 s.19.7.1.1)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

# Seconds that a peer may be ahead: its time runs from when it has sent a response, ours from when we have read it, and
# the next request takes a while to arrive.
MARGIN: Final = 1.0
_MAX_DIGITS: Final = 9  # of a number that means anything here


def keep_alive_limits(values: Iterable[bytes]) -> tuple[float, float]:
    """Return the seconds and requests that the values of Keep-Alive fields grant; infinite where they say nothing."""
    granted = {b"timeout": math.inf, b"max": math.inf}
    for value in values:
        for parameter in value.split(b","):
            name, _, number = parameter.partition(b"=")
            name, number = name.strip().lower(), number.strip(b' \t"')
            if name in granted and number.isdigit() and len(number) <= _MAX_DIGITS:
                granted[name] = min(granted[name], int(number))
    return granted[b"timeout"], granted[b"max"]
