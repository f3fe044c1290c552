"""Check values that users set: counts, seconds, shares, codes. One function for each kind of value.

`name` is the argument that the value was given as. Messages say what was expected and what was given. A wrong type is a
TypeError, a value out of its range a ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def is_number(value: Any) -> bool:
    """Return whether the value can be used as a number; text and booleans are mistakes."""
    return hasattr(value, "__float__") and not isinstance(value, (bool, str, bytes))


def checked_seconds(value: Any, name: str) -> float | None:
    """Return seconds, 0 or more; None, as for infinity, if there is no limit."""
    if value is None:
        return None
    if not is_number(value):
        raise TypeError(f"expected seconds or None as {name}, got {value!r}")
    if not value >= 0:
        raise ValueError(f"expected 0 seconds or more, or None for no timeout, as {name}, got {value!r}")
    if value == math.inf:
        return None
    return value if isinstance(value, (int, float)) else float(value)


def checked_interval(value: Any, name: str, none: str) -> float | None:
    """Return seconds, more than 0; `none` says what None stands for."""
    seconds = checked_seconds(value, name)
    if seconds == 0:
        raise ValueError(f"expected more than 0 seconds, or None for {none}, as {name}, got {value!r}")
    return seconds


def checked_amount(value: Any, name: str, what: str = "seconds", *, positive: bool = False, none: str = "") -> Any:
    """Return a finite number of what `what` says: 0 or more, or if `positive` more than 0.

    `none` says what None stands for, if that is allowed.
    """
    if none and value is None:
        return None
    or_none = f", or None for {none}," if none else ""
    if not is_number(value):
        raise TypeError(f"expected {what}{or_none} as {name}, got {value!r}")
    if not 0 <= value < math.inf or (positive and not value):
        least = f"more than 0 {what}" if positive else f"0 or more {what}"
        raise ValueError(f"expected {least}{or_none} as {name}, got {value!r}")
    return value if isinstance(value, (int, float)) else float(value)


def checked_share(value: Any, name: str, *, zero: bool = False, below_one: bool = False) -> float:
    """Return a number from 0 to 1: 0 only with `zero`, 1 not with `below_one`."""
    if not is_number(value):
        raise TypeError(f"expected a share as {name}, got {value!r}")
    if not 0 <= value <= 1 or (not value and not zero) or (below_one and value == 1):
        limits = f"{'from' if zero else 'above'} 0 {'and below' if below_one else 'to'} 1"
        raise ValueError(f"expected a share {limits} as {name}, got {value!r}")
    return value if isinstance(value, (int, float)) else float(value)


def checked_count(
    value: Any, name: str, least: int = 0, none: str = "", *, most: int | None = None, what: str = "a count"
) -> Any:
    """Return a whole number; `none` says what None stands for, if that is allowed."""
    if value.__class__ is int and value >= least and most is None:  # nearly always
        return value
    if none and value is None:
        return None
    or_none = f", or None for {none}," if none else ""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"expected {what}{or_none} as {name}, got {value!r}")
    if value < least or (most is not None and value > most):
        limits = f"{least} or more" if most is None else f"{least} to {most}"
        raise ValueError(f"expected {limits}{or_none} as {name}, got {value!r}")
    return value


def checked_items(values: Any, name: str, what: str) -> list[Any]:
    """Return the items of an iterable that is no text; `what` says what they are."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"expected {what} as {name}, got {values!r}")
    found: list[Any] = list(values)  # pyright: ignore[reportUnknownArgumentType]
    return found


def checked_codes(values: Any, name: str, what: str, least: int, most: int) -> frozenset[int]:
    """Return a set of whole numbers from `least` to `most`; `what` says what they are."""
    for value in (found := checked_items(values, name, what)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"expected {what} as {name}, got {value!r} among them")
        if not least <= value <= most:
            raise ValueError(f"expected {what} from {least} to {most} as {name}, got {value!r} among them")
    return frozenset(map(int, found))
