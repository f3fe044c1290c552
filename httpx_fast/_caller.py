"""Warnings that name the line of the user's code, from any depth below it."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_caller"]

_PACKAGE = f"{__name__.partition('.')[0]}."


def warn_caller(text: str, category: type[Warning]) -> None:
    """Warn with the line of the innermost code outside this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and f"{frame.f_globals.get('__name__', '')}.".startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
