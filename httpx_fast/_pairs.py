"""Says what is wrong where names and values could not be told apart: in headers, parameters, cookies and files.

It is asked after that has failed, so what is right never pays for it. It shows no values: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sized
from typing import cast

__all__ = ["check_pairs"]

_EXPECTED = "expected a mapping, or pairs of name and value"


def check_pairs(given: object, what: str) -> None:
    """TypeError if nothing comes out of `given`, ValueError for the first thing in it that is no pair."""
    if not isinstance(given, Iterable):
        raise TypeError(f"{what} is {type(given).__name__}; {_EXPECTED}") from None
    if isinstance(given, (str, bytes)):
        raise ValueError(f"{what} is {type(given).__name__}; {_EXPECTED}") from None
    if not isinstance(given, Collection):  # what has been consumed by now
        return
    for index, each in enumerate(cast("Collection[object]", given)):
        if not isinstance(each, Sized) or isinstance(each, (str, bytes)):
            raise ValueError(f"{what} has {type(each).__name__} at index {index}; {_EXPECTED}") from None
        size = len(each)
        if size != 2:
            raise ValueError(f"{what} has {type(each).__name__} of {size} at index {index}; {_EXPECTED}") from None
