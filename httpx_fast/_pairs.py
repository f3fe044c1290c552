"""Error messages for input without pairs of name and value: in headers, parameters, cookies and files.

It is called after parsing has failed, so valid input costs nothing. It shows no values: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sized
from typing import cast

__all__ = ["check_pairs"]

_EXPECTED = "expected a mapping, or pairs of name and value"


def check_pairs(given: object, what: str) -> None:
    """Raise TypeError if `given` yields nothing, ValueError for the first item that is no pair."""
    if not isinstance(given, Iterable):
        raise TypeError(f"{what} is {type(given).__name__}; {_EXPECTED}") from None
    if isinstance(given, (str, bytes)):
        raise ValueError(f"{what} is {type(given).__name__}; {_EXPECTED}") from None
    if not isinstance(given, Collection):  # it is consumed by now
        return
    for index, each in enumerate(cast("Collection[object]", given)):
        if not isinstance(each, Sized) or isinstance(each, (str, bytes)):
            raise ValueError(f"{what} has {type(each).__name__} at index {index}; {_EXPECTED}") from None
        size = len(each)
        if size != 2:
            raise ValueError(f"{what} has {type(each).__name__} of {size} at index {index}; {_EXPECTED}") from None
