"""The network transports under the name that httpx gives their module, with the attribute that tools look for.

Tools read `transport._pool` as a pool of httpcore. That pool is made of the transport's own when it is asked for; one
that is set in its place sends the transport's requests.
"""

from __future__ import annotations

from typing import Any

from .._exceptions import map_httpcore_exceptions
from .core.bodies import AsyncResponseStream, ResponseStream
from .http import AsyncHTTPTransport, HTTPTransport
from .transport_core import TransportCore

# The last three for transports that others build on httpcore, which take them from here.
__all__ = [
    "AsyncHTTPTransport",
    "AsyncResponseStream",
    "HTTPTransport",
    "ResponseStream",
    "map_httpcore_exceptions",
]


def _pool_of(transport: Any) -> Any:
    """Return the pool of a transport in httpcore's shape."""
    from .core.pools import pool_of

    return pool_of(transport)


def _give_pool(transport: Any, pool: Any) -> None:
    """Have a transport send its requests through a pool in httpcore's shape."""
    from .core.given import given_pool

    transport._given_pool = given_pool(transport, pool)


TransportCore._pool = property(_pool_of, _give_pool)
for _kind in (HTTPTransport, AsyncHTTPTransport):
    _kind.__module__ = __name__  # reprs, and what is pickled by reference, name this module
