"""Which line of the user's code is at work, and warnings that name one."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType

__all__ = ["NOT_USERS", "caller", "warn_of_leak"]

_PACKAGE = os.path.dirname(os.path.dirname(__file__))

#: Packages whose code stands between users and this one: contextlib is what `with client.stream(...)` runs in, and
#: event loops run what users gave them.
NOT_USERS: set[str] = {"anyio", "asyncio", "concurrent", "contextlib", "outcome", "threading", "trio", "uvloop"}


def caller(depth: int) -> str:
    """Return file and line of the innermost code of users that is at work, `depth` calls above or further."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and (
        frame.f_code.co_filename.startswith(_PACKAGE)
        or frame.f_globals.get("__name__", "").partition(".")[0] in NOT_USERS
    ):
        frame = frame.f_back
    return "an unknown place" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def warn_of_leak(text: str, place: str, source: object) -> None:
    """Warn of what a finalizer found, as if the line at `place` did: whose code runs just now is of no interest."""
    file, _, line = place.rpartition(":")
    if line.isdigit():
        warnings.warn_explicit(text, ResourceWarning, file, int(line), source=source)
    else:
        warnings.warn(text, ResourceWarning, stacklevel=3, source=source)
