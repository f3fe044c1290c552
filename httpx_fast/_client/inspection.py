"""What both clients show of themselves: what they send, and pictures for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from .record import Recording

__all__ = ["Inspection"]


class Inspection:
    """Looks into a client; it changes nothing."""

    def record(self, limit: int | None = None) -> Recording:
        """Return a context manager that keeps what this client sends meanwhile: at most `limit` exchanges, or 1000."""
        from .record import MAX_RECORDED, Recording  # few record

        return Recording(self, MAX_RECORDED if limit is None else limit)

    def _repr_html_(self) -> str:
        try:
            pool: str = cast("Any", self).pool._repr_html_()
        except (AttributeError, RuntimeError):  # a transport without a pool, or no event loop
            pool = ""
        return f"<div>{escape(repr(self))}</div>{pool}"
