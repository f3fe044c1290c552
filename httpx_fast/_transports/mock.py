"""A transport that asks a function instead of a server: for tests, without a network."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from .._models import Request, Response
from .base import AsyncBaseTransport, BaseTransport

SyncHandler = Callable[[Request], Response]
AsyncHandler = Callable[[Request], Coroutine[None, None, Response]]

__all__ = ["MockTransport"]


class MockTransport(AsyncBaseTransport, BaseTransport):
    """Answer every request with what `handler(request)` returns.

    The request's body has been read when the handler is called. With an `AsyncClient` the handler may be an `async`
    function. What it raises reaches whoever sent the request. Timeouts of requests do not hold: it waits for nothing.

    ```python
    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, text="hello"))) as client:
        assert client.get("https://www.example.org/").text == "hello"
    ```
    """

    def __init__(self, handler: SyncHandler | AsyncHandler) -> None:
        self.handler = handler

    def handle_request(self, request: Request) -> Response:
        request.read()
        response = self.handler(request)
        if isinstance(response, Response):
            return response
        raise _no_response(response, "a blocking client needs a handler that returns a Response")

    async def handle_async_request(self, request: Request) -> Response:
        await request.aread()
        response = self.handler(request)
        if isinstance(response, Response):
            return response
        if not hasattr(response, "__await__"):
            raise _no_response(response, "a handler returns a Response or awaits to one")
        answer: Any = await response
        if isinstance(answer, Response):
            return answer
        raise _no_response(answer, "an async handler returns a Response")


def _no_response(found: object, expected: str) -> TypeError:
    if hasattr(found, "close"):
        # A coroutine that nobody awaits would warn on top of the error.
        cast("Coroutine[None, None, Response]", found).close()
    return TypeError(f"the mock handler gave {type(found).__name__}: {expected}")
