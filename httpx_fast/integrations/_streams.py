"""Bodies and raw connections as they pass between another package and our transports.

What a response has is undecoded: the package decodes it. Exceptions become the package's own here.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, ClassVar

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._exceptions import HTTPError, InvalidURL
from .._models import Response
from ._package import Package


class Pieces(SyncByteStream):
    """A body of the package's, to be sent by our transport."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)


class Whole:
    """The body of a response that came at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._data,) if self._data else ())


class Streamed:
    """The body of a response that is still coming, undecoded."""

    _package: ClassVar[Package]

    def __init__(self, response: Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        stream: Any = self._response.stream
        try:
            yield from stream
        except (HTTPError, InvalidURL) as error:
            raise self._package.error(error) from error

    def close(self) -> None:
        try:
            self._response.close()
        except HTTPError as error:
            raise self._package.error(error) from error


class AsyncPieces(AsyncByteStream):
    """A body of the package's, to be sent by our transport."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)


class AsyncWhole:
    """The body of a response that came at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data, self._data = self._data, b""
        if not data:
            raise StopAsyncIteration
        return data


class AsyncStreamed:
    """The body of a response that is still coming, undecoded."""

    _package: ClassVar[Package]

    def __init__(self, response: Response) -> None:
        self._response = response
        self._pieces: Any = aiter(response.stream)  # type: ignore[arg-type]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._pieces.__anext__()  # type: ignore[no-any-return]
        except (HTTPError, InvalidURL) as error:
            raise self._package.error(error) from error

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        except HTTPError as error:
            raise self._package.error(error) from error


class _Network:
    """The connection below a response, in the shape that the package's network layer gives it."""

    def __init__(self, package: Package, response: Response) -> None:
        self._package = package
        self._response = response

    @property
    def _own(self) -> Any:
        """Return our network stream; made when it is first used, which is seldom."""
        return self._response.extensions["network_stream"]

    def get_extra_info(self, info: str) -> Any:
        """Return "ssl_object", "client_addr", "server_addr", "socket" or "is_readable"; None for what there is not."""
        return self._own.get_extra_info(info)


class NetworkStream(_Network):
    """See `_Network`; timeouts are seconds, None for no limit. Raises exceptions of the package's network layer."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._own.read(max_bytes, timeout)  # type: ignore[no-any-return]
        except HTTPError as error:
            raise self._package.core_error(error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            self._own.write(buffer, timeout)
        except HTTPError as error:
            raise self._package.core_error(error) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        try:
            encrypted = self._own.start_tls(ssl_context, server_hostname, timeout)
        except HTTPError as error:
            raise self._package.core_error(error) from error
        return Encrypted(self._package, self._response, encrypted)

    def close(self) -> None:
        self._own.close()


class Encrypted(NetworkStream):
    """A stream after `start_tls()`."""

    def __init__(self, package: Package, response: Response, stream: Any) -> None:
        super().__init__(package, response)
        self._stream = stream

    @property
    def _own(self) -> Any:
        return self._stream


class AsyncNetworkStream(_Network):
    """`NetworkStream` with methods to await."""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await self._own.read(max_bytes, timeout)  # type: ignore[no-any-return]
        except HTTPError as error:
            raise self._package.core_error(error) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await self._own.write(buffer, timeout)
        except HTTPError as error:
            raise self._package.core_error(error) from error

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncNetworkStream:
        try:
            encrypted = await self._own.start_tls(ssl_context, server_hostname, timeout)
        except HTTPError as error:
            raise self._package.core_error(error) from error
        return AsyncEncrypted(self._package, self._response, encrypted)

    async def aclose(self) -> None:
        await self._own.aclose()


class AsyncEncrypted(AsyncNetworkStream):
    """A stream after `start_tls()`."""

    def __init__(self, package: Package, response: Response, stream: Any) -> None:
        super().__init__(package, response)
        self._stream = stream

    @property
    def _own(self) -> Any:
        return self._stream
