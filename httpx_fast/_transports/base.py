"""What a client asks of a transport: one request in, one response out.

A transport knows nothing of redirects, authentication, cookies or hooks. Subclass these classes to send requests some
other way, or to wrap another transport.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from .._models import Request, Response

__all__ = ["AsyncBaseTransport", "BaseTransport"]

#: The extension of a request that is called with its journey, when that begins.
TELL_JOURNEY: Final = "httpx_fast.journey"


class BaseTransport:
    """The base of transports for `Client`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def handle_request(self, request: Request) -> Response:
        """Send one request and return its response, whose body may still be coming.

        The response's stream belongs to the caller, who reads it to its end or closes it; either gives back what the
        transport holds for it. Raises TransportError.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement handle_request()")

    def warm(self, request: Request, n: int = 1) -> int:
        """Open connections ahead of requests like this one; return how many there are. A transport may have none."""
        return 0

    def drain(self, timeout: float | None = None) -> int:
        """Give later requests new connections; return how many old ones are in use after `timeout` seconds."""
        return 0

    def close(self) -> None:
        """Release everything that the transport holds."""


class AsyncBaseTransport:
    """The base of transports for `AsyncClient`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def handle_async_request(self, request: Request) -> Response:
        """Send one request and return its response, whose body may still be coming.

        The response's stream belongs to the caller, who reads it to its end or closes it; either gives back what the
        transport holds for it. Raises TransportError.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement handle_async_request()")

    async def awarm(self, request: Request, n: int = 1) -> int:
        """Open connections ahead of requests like this one; return how many there are. A transport may have none."""
        return 0

    async def adrain(self, timeout: float | None = None) -> int:
        """Give later requests new connections; return how many old ones are in use after `timeout` seconds."""
        return 0

    async def aclose(self) -> None:
        """Release everything that the transport holds."""
