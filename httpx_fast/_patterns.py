"""Regular expressions that are compiled when they are first used.

Compiling one takes as long as importing a small module, and few programs need more than some of them. Those that the
kernels match with every request are not made here.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast

__all__ = ["pattern", "unlike"]

#: The methods of `re.Pattern` that a pattern has.
_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub")


class _Pattern:
    """Compile a pattern when one of its methods is asked for, and keep them all."""

    __slots__ = (*_METHODS, "_flags", "pattern")

    def __init__(self, text: Any, flags: int) -> None:
        self.pattern = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name not in _METHODS:
            raise AttributeError(f"a pattern has no attribute {name!r}")
        compiled = re.compile(self.pattern, self._flags)
        for each in _METHODS:
            setattr(self, each, getattr(compiled, each))
        return getattr(compiled, name)


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what `re.compile()` returns, as far as `_METHODS` go; errors in it show when it is used."""
    return cast("re.Pattern[AnyStr]", _Pattern(text, flags))


def unlike(characters: str) -> re.Pattern[str]:
    """Return a pattern of one character or more that are not among these."""
    return pattern(f"[^{re.escape(characters)}]+")
