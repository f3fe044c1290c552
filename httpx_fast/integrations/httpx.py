"""Transports and clients for httpx: its classes and its interface, with this package's connections.

    from httpx_fast.integrations.httpx import FastClient

    client = FastClient(http2=True)     # an httpx.Client
    client = httpx.Client(transport=FastTransport())

Both take what httpx's own take, and what `httpx_fast.HTTPTransport` takes beyond that. What httpx's responses have no
place for is in `response.extensions["httpx_fast"]`, this package's response: `trailers` (once the body has been read)
and `informational` (the 1xx responses before it).
"""

from __future__ import annotations

from types import ModuleType

import httpx

from . import _bridge, _streams
from ._package import Package

__all__ = ["AsyncFastClient", "AsyncFastTransport", "FastClient", "FastTransport"]


def _core() -> ModuleType:
    import httpcore  # only exceptions of raw connections need it

    return httpcore


_PACKAGE = Package(httpx, _core)


class _Whole(_streams.Whole, httpx.SyncByteStream):
    pass


class _Streamed(_streams.Streamed, httpx.SyncByteStream):
    _package = _PACKAGE


class _AsyncWhole(_streams.AsyncWhole, httpx.AsyncByteStream):
    pass


class _AsyncStreamed(_streams.AsyncStreamed, httpx.AsyncByteStream):
    _package = _PACKAGE


class FastTransport(_bridge.BlockingTransport, httpx.BaseTransport):
    """A transport for `httpx.Client` that sends requests over a pool of this package's.

    Takes the arguments of `httpx.HTTPTransport`, and `replay`, `resolver`, `address_filter`, `keepalive` and
    `http2_ping_after` of `httpx_fast.HTTPTransport`. `limits` and `proxy` may be of either package.
    """

    _package = _PACKAGE
    _whole = _Whole
    _streamed = _Streamed


class AsyncFastTransport(_bridge.AsynchronousTransport, httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient`, on asyncio and trio; arguments are those of `FastTransport`."""

    _package = _PACKAGE
    _whole = _AsyncWhole
    _streamed = _AsyncStreamed


class FastClient(_bridge.ClientOptions, httpx.Client):
    """An `httpx.Client` whose transports are `FastTransport`s, those for proxies of the environment as well.

    Takes the arguments of `httpx.Client`, and those of `FastTransport` that it does not have. `http2=True` needs no
    other package.
    """

    _fast = FastTransport


class AsyncFastClient(_bridge.ClientOptions, httpx.AsyncClient):
    """An `httpx.AsyncClient` whose transports are `AsyncFastTransport`s; arguments are those of `FastClient`."""

    _fast = AsyncFastTransport
