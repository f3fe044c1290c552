"""Whether more is recorded than costs nothing: `httpx_fast.debug(True)`, or Python's development mode."""

from __future__ import annotations

import sys

__all__ = ["debug", "is_on"]

#: PYTHONDEVMODE and `-X dev` switch it on.
_on: bool = sys.flags.dev_mode


def debug(on: bool = True) -> None:
    """Record from now on which line of code each request that waits came from: see `client.pool.waiters()`.

    It is on in Python's development mode (`PYTHONDEVMODE=1`, `-X dev`).
    """
    global _on
    _on = bool(on)


def is_on() -> bool:
    """Return whether it is on."""
    return _on
