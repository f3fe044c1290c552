"""Puts functions in place of `handle_request()` and `handle_async_request()` of our transports, until a block ends.

For the whole process, in other threads as well: clients that code makes itself are answered too. Blocks nest: what a
block is given as the way to send is what was in place before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias

from .._models import Request, Response
from .._transports import AsyncHTTPTransport, HTTPTransport

__all__ = ["Send", "SendAsync", "transports_replaced"]

Send: TypeAlias = Callable[[HTTPTransport, Request], Response]
SendAsync: TypeAlias = Callable[[AsyncHTTPTransport, Request], Awaitable[Response]]


@contextlib.contextmanager
def transports_replaced(
    around: Callable[[Send], Send], around_async: Callable[[SendAsync], SendAsync]
) -> Generator[None]:
    """Have requests exchanged by what the two make of the methods that are in place now."""
    send, send_async = HTTPTransport.handle_request, AsyncHTTPTransport.handle_async_request
    new_send, new_send_async = around(send), around_async(send_async)

    def handle_request(transport: HTTPTransport, request: Request) -> Response:
        return new_send(transport, request)

    async def handle_async_request(transport: AsyncHTTPTransport, request: Request) -> Response:
        return await new_send_async(transport, request)

    blocking: Any = HTTPTransport
    asynchronous: Any = AsyncHTTPTransport
    blocking.handle_request, asynchronous.handle_async_request = handle_request, handle_async_request
    try:
        yield
    finally:
        blocking.handle_request, asynchronous.handle_async_request = send, send_async
