"""Bodies of responses that the network transports give, and the responses themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._deadline import Deadline
from .._drive import drive
from .._exceptions import RemoteProtocolError
from .._head import FieldLine
from .._models import Request, Response
from .._models.response import received
from .._pool.pool import Lease, Reply
from .network import AsyncNetworkStream, NetworkStream, handed_over, of_async_response, of_response


class _Body:
    """Give the body of a response that is still coming, as the framing gave it: undecoded."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @property
    def trailers(self) -> list[FieldLine]:
        """Return the field lines of the trailer section; none before the end of the body."""
        return list(self._lease.trailers)

    def set_deadline(self, deadline: Deadline) -> None:
        """Limit what is left of the body to `deadline`, in place of the one that it had."""
        self._lease.set_deadline(deadline)

    def abandon(self) -> None:
        """Give up the rest without waiting for anything; callable from finalizers."""
        self._lease.close()


class SyncBody(_Body, SyncByteStream):
    """Give the body of a response of `HTTPTransport`."""

    network: Any = staticmethod(of_response)
    network_type = NetworkStream

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = drive(self._lease.next_chunk())
        if not piece:
            raise StopIteration
        return piece

    def close(self) -> None:
        self._lease.close()
        if self._lease.trace is not None:
            drive(self._lease.trace.deliver())


class AsyncBody(_Body, AsyncByteStream):
    """Give the body of a response of `AsyncHTTPTransport`."""

    network: Any = staticmethod(of_async_response)
    network_type = AsyncNetworkStream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._lease.next_chunk()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._lease.close()
        if self._lease.unsent is not None:
            await self._lease.unsent.aclose()
        if self._lease.trace is not None:
            await self._lease.trace.deliver()


def response_of(
    request: Request, reply: Reply, body_type: type[SyncBody | AsyncBody], max_size: int | None
) -> Response:
    """Return the response that a reply of the pool is, with its body, or a stream of it.

    RemoteProtocolError if it is a 101 that was not asked for (RFC 9110 s.7.8).
    """
    head, data, interim, trailers, lease, journey = reply
    stream, network = None, body_type.network
    if lease is not None:
        if head.status == 101 and "upgrade" not in request.headers:
            lease.close()
            error = RemoteProtocolError(
                "the server switches to another protocol, without an Upgrade field in the request"
            )
            error.journey = journey
            raise error
        stream = body_type(lease)
        network = handed_over(lease, journey.connection, body_type.network_type) or network
    response = received(head.status, head, request, journey, data, stream, network)
    if interim or trailers:
        response._add_sections(interim, trailers)
    if max_size is not None:
        response._limit_size(max_size)
    return response
