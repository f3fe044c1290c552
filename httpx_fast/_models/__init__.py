"""Export the models under the module name that httpx uses and other libraries import; each model has its own module."""

from __future__ import annotations

from .cookies import Cookies, CookieTypes
from .headers import Headers, HeaderTypes
from .request import Request
from .response import Response

__all__ = ["CookieTypes", "Cookies", "HeaderTypes", "Headers", "Request", "Response"]
