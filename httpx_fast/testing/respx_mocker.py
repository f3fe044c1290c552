"""A mocker for respx: after `import httpx_fast.testing.respx_mocker`, `respx.mock(using="httpx_fast")` answers us.

Routes, calls and answers are respx's, so their requests and responses are httpx's; clients get ours. Exceptions of
httpx that a route raises reach clients as ours of the same name, if there is one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import httpx
from respx.mocks import AbstractRequestMocker

from .. import _exceptions
from .._content import ByteStream
from .._models import Request, Response
from .._types import AsyncByteStream, SyncByteStream

__all__ = ["HTTPXFastMocker"]


class _Body(SyncByteStream, AsyncByteStream):
    """A body of httpx, in our classes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece


class _TheirBody(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body of ours, in httpx's classes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece


def _ours(error: httpx.HTTPError, request: Request) -> Exception:
    """Return our exception of the same name, or the first that has the name of a base class."""
    for kind in type(error).__mro__:
        found = getattr(_exceptions, kind.__name__, None)
        if isinstance(found, type) and issubclass(found, _exceptions.RequestError):
            return found(str(error), request=request)
    return error


class HTTPXFastMocker(AbstractRequestMocker):
    """Replace `handle_request()` and `handle_async_request()` of our transports."""

    name = "httpx_fast"
    targets: ClassVar[list[str]] = ["httpx_fast.HTTPTransport", "httpx_fast.AsyncHTTPTransport"]
    target_methods: ClassVar[list[str]] = ["handle_request", "handle_async_request"]

    @classmethod
    def to_httpx_request(cls, **kwargs: Any) -> httpx.Request:
        """Return the request in httpx's classes; its body is read by what calls this."""
        request: Request = kwargs["request"]
        return httpx.Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            stream=_TheirBody(request.stream),
            extensions=request.extensions,
        )

    @classmethod
    def prepare_sync_request(cls, httpx_request: httpx.Request, **kwargs: Any) -> tuple[httpx.Request, dict[str, Any]]:
        """Read the body, and give it back to the request, which may have to be sent."""
        kwargs["request"].stream = ByteStream(httpx_request.read())
        return httpx_request, kwargs

    @classmethod
    async def prepare_async_request(
        cls, httpx_request: httpx.Request, **kwargs: Any
    ) -> tuple[httpx.Request, dict[str, Any]]:
        """Read the body, and give it back to the request, which may have to be sent."""
        kwargs["request"].stream = ByteStream(await httpx_request.aread())
        return httpx_request, kwargs

    @classmethod
    def _send_sync_request(cls, httpx_request: httpx.Request, **kwargs: Any) -> Any:
        mocker: Any = super()
        try:
            return mocker._send_sync_request(httpx_request, **kwargs)
        except httpx.HTTPError as error:
            raise _ours(error, kwargs["request"]) from error

    @classmethod
    async def _send_async_request(cls, httpx_request: httpx.Request, **kwargs: Any) -> Any:
        mocker: Any = super()
        try:
            return await mocker._send_async_request(httpx_request, **kwargs)
        except httpx.HTTPError as error:
            raise _ours(error, kwargs["request"]) from error

    @classmethod
    def from_sync_httpx_response(cls, httpx_response: httpx.Response, target: Any, **kwargs: Any) -> Response:
        """Return the response in our classes, with a body that nobody has read."""
        return Response(
            httpx_response.status_code,
            headers=httpx_response.headers.raw,
            stream=_Body(httpx_response.stream),
            extensions=httpx_response.extensions,
        )

    @classmethod
    async def from_async_httpx_response(cls, httpx_response: httpx.Response, target: Any, **kwargs: Any) -> Response:
        """Return the response in our classes, with a body that nobody has read."""
        return cls.from_sync_httpx_response(httpx_response, target, **kwargs)
