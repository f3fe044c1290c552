"""The command `httpx-fast`: arguments, output, waterfall and the report of an installation."""

from __future__ import annotations

from .command import main

__all__ = ["main"]
