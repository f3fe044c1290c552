"""A transport that sends nothing and says why: for a proxy of the environment that cannot be used.

The environment is not the program's own: what is wrong in it must not keep clients from being made that never need it.
"""

from __future__ import annotations

from .._config import Proxy
from .._exceptions import InvalidURL, ProxyError
from .._models import Request, Response
from .base import AsyncBaseTransport, BaseTransport


class RefusingTransport(AsyncBaseTransport, BaseTransport):
    """Raise ProxyError with `reason` for every request."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def handle_request(self, request: Request) -> Response:
        raise ProxyError(self.reason, request=request)

    async def handle_async_request(self, request: Request) -> Response:
        raise ProxyError(self.reason, request=request)

    def warm(self, request: Request, n: int = 1) -> int:
        raise ProxyError(self.reason, request=request)

    async def awarm(self, request: Request, n: int = 1) -> int:
        raise ProxyError(self.reason, request=request)


def of_environment(pattern: str, url: str) -> Proxy | RefusingTransport:
    """Return the environment's proxy for URLs of `pattern`, or a transport that raises if it cannot be used."""
    try:
        return Proxy(url=url)
    except (InvalidURL, ValueError) as error:
        return RefusingTransport(f"the environment's proxy for {pattern} URLs cannot be used: {error}")
