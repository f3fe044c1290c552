"""Transports and clients for httpx2: its classes and its interface, with this package's connections.

    from httpx_fast.integrations.httpx2 import FastClient

    client = FastClient(http2=True)     # an httpx2.Client
    client = httpx2.Client(transport=FastTransport())

Both take what httpx2's own take, and what `httpx_fast.HTTPTransport` takes beyond that. What httpx2's responses have no
place for is in `response.extensions["httpx_fast"]`, this package's response: `trailers` (once the body has been read)
and `informational` (the 1xx responses before it).
"""

from __future__ import annotations

from types import ModuleType

import httpx2

from . import _bridge, _streams
from ._package import Package

__all__ = ["AsyncFastClient", "AsyncFastTransport", "FastClient", "FastTransport"]


def _core() -> ModuleType:
    import httpcore2  # only exceptions of raw connections need it

    return httpcore2


_PACKAGE = Package(httpx2, _core)


class _Whole(_streams.Whole, httpx2.SyncByteStream):
    pass


class _Streamed(_streams.Streamed, httpx2.SyncByteStream):
    _package = _PACKAGE


class _AsyncWhole(_streams.AsyncWhole, httpx2.AsyncByteStream):
    pass


class _AsyncStreamed(_streams.AsyncStreamed, httpx2.AsyncByteStream):
    _package = _PACKAGE


class FastTransport(_bridge.BlockingTransport, httpx2.BaseTransport):
    """A transport for `httpx2.Client` that sends requests over a pool of this package's.

    Takes the arguments of `httpx2.HTTPTransport`, and `replay`, `resolver`, `address_filter`, `keepalive` and
    `http2_ping_after` of `httpx_fast.HTTPTransport`. `limits` and `proxy` may be of either package.
    """

    _package = _PACKAGE
    _whole = _Whole
    _streamed = _Streamed


class AsyncFastTransport(_bridge.AsynchronousTransport, httpx2.AsyncBaseTransport):
    """A transport for `httpx2.AsyncClient`, on asyncio and trio; arguments are those of `FastTransport`."""

    _package = _PACKAGE
    _whole = _AsyncWhole
    _streamed = _AsyncStreamed


class FastClient(_bridge.ClientOptions, httpx2.Client):
    """An `httpx2.Client` whose transports are `FastTransport`s, those for proxies of the environment as well.

    Takes the arguments of `httpx2.Client`, and those of `FastTransport` that it does not have. `http2=True` needs no
    other package.
    """

    _fast = FastTransport


class AsyncFastClient(_bridge.ClientOptions, httpx2.AsyncClient):
    """An `httpx2.AsyncClient` whose transports are `AsyncFastTransport`s; arguments are those of `FastClient`."""

    _fast = AsyncFastTransport
