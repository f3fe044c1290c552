"""The models by the module name that httpx gives them, which other libraries import; each has its own module."""

from __future__ import annotations

from ._cookies import Cookies
from ._headers import Headers
from ._request import Request
from ._response import Response

__all__ = ["Cookies", "Headers", "Request", "Response"]
