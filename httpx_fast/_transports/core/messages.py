"""Requests and responses in httpcore's shape, and how they become ours and come of ours."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from ... import _models as models
from ... import _urls as urls
from ..._byte_streams import AsyncByteStream, SyncByteStream
from ..._content import AsyncIteratorByteStream, ByteStream, IteratorByteStream

__all__ = ["URL", "ConnectionNotAvailable", "Origin", "Request", "Response"]

_Lines: TypeAlias = list[tuple[bytes, bytes]]
_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443, b"socks5": 1080, b"socks5h": 1080}


class ConnectionNotAvailable(Exception):
    """A connection was closed, or taken by another request, before it was given this one: ask another."""


class Origin(NamedTuple):
    """Scheme, host and port, in bytes."""

    scheme: bytes
    host: bytes
    port: int

    def __str__(self) -> str:
        return f"{self.scheme.decode('ascii')}://{self.host.decode('ascii')}:{self.port}"


class URL:
    """A URL in four parts, in bytes."""

    def __init__(
        self,
        url: bytes | str = "",
        *,
        scheme: bytes | str = b"",
        host: bytes | str = b"",
        port: int | None = None,
        target: bytes | str = b"",
    ) -> None:
        if url:
            parsed = urls.URL(url if isinstance(url, str) else url.decode("ascii"))
            scheme, host, port, target = parsed.raw_scheme, parsed.raw_host, parsed.port, parsed.raw_path
        self.scheme = _bytes(scheme)
        self.host = _bytes(host)
        self.port = port
        self.target = _bytes(target)

    @property
    def origin(self) -> Origin:
        """Return the origin of the URL; the port is filled in."""
        return Origin(self.scheme, self.host, self.port or _PORTS.get(self.scheme, 0))

    def _parts(self) -> tuple[bytes, bytes, int | None, bytes]:
        return self.scheme, self.host, self.port, self.target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URL) and self._parts() == other._parts()

    def __bytes__(self) -> bytes:
        port = b"" if self.port is None else b":%d" % self.port
        return self.scheme + b"://" + self.host + port + self.target

    def __repr__(self) -> str:
        return f"URL(scheme={self.scheme!r}, host={self.host!r}, port={self.port!r}, target={self.target!r})"


class Request:
    """A request as httpcore hands it on."""

    def __init__(
        self,
        method: bytes | str,
        url: URL | bytes | str,
        *,
        headers: Any = None,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.method = _bytes(method)
        self.url = url if isinstance(url, URL) else URL(url)
        self.headers = field_lines(headers)
        self.stream = body_stream(content)
        self.extensions = dict(extensions or {})

    def __repr__(self) -> str:
        return f"<Request [{self.method!r}]>"


class Response:
    """A response as httpcore hands it back."""

    #: The response that this one was made from, whose journey and connection it cannot hold.
    _received: models.Response | None = None
    _content: bytes | None = None

    def __init__(
        self,
        status: int,
        *,
        headers: Any = None,
        content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.headers = field_lines(headers)
        self.stream: Any = body_stream(content)
        self.extensions = dict(extensions or {})

    @property
    def content(self) -> bytes:
        """Return the body. Raises RuntimeError before it was read."""
        if self._content is None:
            raise RuntimeError("the response is streamed: call read() or aread() before using its content")
        return self._content

    def read(self) -> bytes:
        """Read the body to its end and close."""
        if self._content is None:
            self._content = b"".join(self.iter_stream())
            self.close()
        return self._content

    async def aread(self) -> bytes:
        """Read the body to its end and close."""
        if self._content is None:
            self._content = b"".join([piece async for piece in self.aiter_stream()])
            await self.aclose()
        return self._content

    def iter_stream(self) -> Iterator[bytes]:
        yield from self.stream

    async def aiter_stream(self) -> AsyncIterator[bytes]:
        async for piece in self.stream:
            yield piece

    def close(self) -> None:
        if hasattr(self.stream, "close"):
            self.stream.close()

    async def aclose(self) -> None:
        if hasattr(self.stream, "aclose"):
            await self.stream.aclose()

    def __repr__(self) -> str:
        return f"<Response [{self.status}]>"


def core_request(request: models.Request) -> Request:
    url = request.url
    return Request(
        request.method,
        URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def model_request(request: Request) -> models.Request:
    url = request.url
    return models.Request(
        request.method.decode("ascii"),
        urls.URL(scheme=url.scheme.decode("ascii"), host=url.host.decode("ascii"), port=url.port, raw_path=url.target),
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )


def core_response(received: models.Response) -> Response:
    response = Response(
        received.status_code, headers=received.headers.raw, content=received.stream, extensions=received.extensions
    )
    response._received = received
    return response


def model_response(response: Response) -> models.Response:
    if response._received is not None:
        return response._received
    return models.Response(
        response.status, headers=response.headers, stream=body_stream(response.stream), extensions=response.extensions
    )


def field_lines(headers: Any) -> _Lines:
    """Return the field lines of a mapping or of pairs, text or bytes."""
    pairs: Iterable[tuple[bytes | str, bytes | str]] = headers or ()
    if isinstance(headers, Mapping):
        pairs = cast("Mapping[bytes | str, bytes | str]", headers).items()
    return [(_bytes(name), _bytes(value)) for name, value in pairs]


def body_stream(
    content: bytes | Iterable[bytes] | AsyncIterable[bytes] | None,
) -> SyncByteStream | AsyncByteStream:
    if content is None or isinstance(content, bytes):
        return ByteStream(content or b"")
    if isinstance(content, SyncByteStream | AsyncByteStream):
        return content
    return AsyncIteratorByteStream(content) if isinstance(content, AsyncIterable) else IteratorByteStream(content)


def _bytes(value: bytes | str) -> bytes:
    return value.encode("ascii") if isinstance(value, str) else value
