"""Transports that send requests again: around any other transport, for clients and code that take a transport."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from .._copying import Copied
from .._drive import drive
from .._models import Request, Response
from .._origin import Origin
from .._transports.base import AsyncBaseTransport, BaseTransport
from .origins import RetryStats
from .retrier import Retrier
from .settings import Retry, check_retry
from .waits import AsyncWaits, BlockingWaits, Waits

__all__ = ["AsyncRetryTransport", "RetryTransport"]


class _Wrapper(Copied):
    """Share code between both transports."""

    #: Clients leave retries to such a transport.
    retries_requests: Final = True
    _transport: Any
    _retrier: Retrier

    def _waits(self) -> Waits:
        """Return how this transport waits."""
        raise NotImplementedError

    def _configuration(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != "_retrier"}
        return state | {"retry": self._retrier.retry}

    def _configure(self, state: dict[str, Any]) -> None:
        retry = state.pop("retry")
        self.__dict__.update(state)
        self._retrier = Retrier(retry, self._waits())

    def retry_stats(self) -> Mapping[Origin, RetryStats]:
        """Return the budget, and the counts, of each origin."""
        return self._retrier.stats()

    @property
    def pool(self) -> Any:
        """Return the pool of the wrapped transport. AttributeError if that has none."""
        pool = self._transport.pool
        pool.retry_stats = self._retrier.stats
        return pool

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._transport!r}, {self._retrier.retry!r})>"


class RetryTransport(_Wrapper, BaseTransport):
    """Send requests over `transport`, and again as `retry` says, or their extension "retry".

    `transport` is an `HTTPTransport` if none is given. A client that has `retry=` as well leaves retries to this
    transport.
    """

    def __init__(self, transport: BaseTransport | None = None, retry: Retry | None = None) -> None:
        if transport is None:
            from .._transports.default import HTTPTransport

            transport = HTTPTransport()
        if not hasattr(transport, "handle_request"):
            raise TypeError(f"expected a transport with handle_request(), got {transport!r}")
        self._transport = transport
        self._retrier = Retrier(Retry() if retry is None else check_retry(retry), self._waits())

    def _waits(self) -> Waits:
        return BlockingWaits()

    def handle_request(self, request: Request) -> Response:
        """Send one request, as often as it takes and is allowed, and return the last response."""
        return drive(self._retrier.send(self._transport, request))

    def warm(self, request: Request, n: int = 1) -> int:
        return self._transport.warm(request, n)  # type: ignore[no-any-return]

    def drain(self, timeout: float | None = None) -> int:
        return self._transport.drain(timeout)  # type: ignore[no-any-return]

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._retrier.close()
        self._transport.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Close the wrapped transport; requests that wait to be sent again get ClientClosed."""
        self._retrier.close()
        self._transport.close()


class AsyncRetryTransport(_Wrapper, AsyncBaseTransport):
    """Send requests over `transport`, and again as `retry` says; see `RetryTransport`."""

    def __init__(self, transport: AsyncBaseTransport | None = None, retry: Retry | None = None) -> None:
        if transport is None:
            from .._transports.default import AsyncHTTPTransport

            transport = AsyncHTTPTransport()
        if not hasattr(transport, "handle_async_request"):
            raise TypeError(f"expected a transport with handle_async_request(), got {transport!r}")
        self._transport = transport
        self._retrier = Retrier(Retry() if retry is None else check_retry(retry), self._waits())

    def _waits(self) -> Waits:
        return AsyncWaits()

    async def handle_async_request(self, request: Request) -> Response:
        """Send one request, as often as it takes and is allowed, and return the last response."""
        return await self._retrier.send(self._transport, request)

    async def awarm(self, request: Request, n: int = 1) -> int:
        return await self._transport.awarm(request, n)  # type: ignore[no-any-return]

    async def adrain(self, timeout: float | None = None) -> int:
        return await self._transport.adrain(timeout)  # type: ignore[no-any-return]

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._retrier.close()
        await self._transport.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        """Close the wrapped transport; requests that wait to be sent again get ClientClosed."""
        self._retrier.close()
        await self._transport.aclose()
