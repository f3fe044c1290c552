"""Hides credentials in text that is shown or logged."""

from __future__ import annotations

import re

__all__ = ["without_userinfo"]

_USERINFO = re.compile(r"(?<=//)[^/?#]*@")


def without_userinfo(url: str) -> str:
    """Return the text of a URL with its user information replaced by "[secure]"."""
    return _USERINFO.sub("[secure]@", url) if "@" in url else url
