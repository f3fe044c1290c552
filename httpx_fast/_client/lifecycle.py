"""The life of a client, written once for both: opening, warming, draining and closing of its transports."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from .._exceptions import RequestError
from .._models import Request
from .base import BaseClient, ClientState
from .client_io import ClientIO

_CLOSED, _OPENED = ClientState.CLOSED, ClientState.OPENED


async def enter(client: BaseClient) -> None:
    """Open the client for a `with` block."""
    client._open()
    io: ClientIO = client._io
    entered: list[Any] = []
    try:
        for transport in client._all_transports():
            await io.enter(transport)
            entered.append(transport)
    except BaseException:
        client._state = _CLOSED
        await _each(entered, io.shut)
        raise


async def leave(client: BaseClient, *exc_info: Any) -> None:
    """Close the client at the end of its `with` block."""
    _shut(client)
    io: ClientIO = client._io
    await _each(client._all_transports(), lambda transport: io.leave(transport, *exc_info))


async def close(client: BaseClient) -> None:
    """Close the client."""
    if client._state is not _CLOSED:
        _shut(client)
        io: ClientIO = client._io
        await _each(client._all_transports(), io.shut)


def _shut(client: BaseClient) -> None:
    """Let no further request out, nor those that wait to be sent again."""
    client._state = _CLOSED
    if client._retrier is not None:
        client._retrier.close()


async def warm(client: BaseClient, request: Request, n: int) -> int:
    """Open connections for requests like this one; return how many there are."""
    if n < 0:
        raise ValueError(f"expected a number of connections, 0 or more, as n, got {n}")
    begin(client)
    if request._dispatch.timeout is None:
        client._set_timeout(request)
    request._dispatch = request._dispatch.sent(client._reference, False, None)
    io: ClientIO = client._io
    try:
        return await io.warm(client._transport_for_url(request.url), request, n)
    except RequestError as error:
        if error._request is None:
            error._request = request
        raise


async def drain(client: BaseClient, timeout: float | None) -> int:
    """Close what is idle, and what is in use after its requests; return how much is left after `timeout` seconds."""
    until = None if timeout is None else time.monotonic() + timeout
    io: ClientIO = client._io
    transports = client._all_transports()
    if len(transports) > 1:
        # None keeps old connections because another one is waited for.
        transports = [each for each in transports if await io.drain(each, 0)]
    left = 0
    for transport in transports:
        left += await io.drain(transport, None if until is None else max(until - time.monotonic(), 0))
    return left


def begin(client: BaseClient) -> None:
    """Note that the client is in use from now on. Raises RuntimeError if it was closed."""
    if client._state is _CLOSED:
        raise RuntimeError("the client has been closed: it sends no more requests")
    client._state = _OPENED


async def _each(transports: list[Any], action: Callable[[Any], Awaitable[object]]) -> None:
    """Apply it to all of them, then raise the first exception that there was."""
    failure: BaseException | None = None
    for transport in transports:
        try:
            await action(transport)
        except BaseException as error:  # noqa: BLE001 - raised below, once all were asked
            failure = failure or error
    if failure is not None:
        raise failure
