"""Bodies for transports that others build on pools in httpcore's shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from ..._byte_streams import AsyncByteStream, SyncByteStream
from ..._exceptions import map_httpcore_exceptions

__all__ = ["AsyncResponseStream", "ResponseStream"]


class ResponseStream(SyncByteStream):
    """The body that a pool in httpcore's shape gave, for transports that others build on one."""

    def __init__(self, httpcore_stream: Any) -> None:
        self._httpcore_stream = httpcore_stream

    def __iter__(self) -> Iterator[bytes]:
        with map_httpcore_exceptions():
            yield from self._httpcore_stream

    def close(self) -> None:
        if hasattr(self._httpcore_stream, "close"):
            self._httpcore_stream.close()


class AsyncResponseStream(AsyncByteStream):
    """The asynchronous one."""

    def __init__(self, httpcore_stream: Any) -> None:
        self._httpcore_stream = httpcore_stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with map_httpcore_exceptions():
            async for piece in self._httpcore_stream:
                yield piece

    async def aclose(self) -> None:
        if hasattr(self._httpcore_stream, "aclose"):
            await self._httpcore_stream.aclose()
