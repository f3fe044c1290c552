"""Tell a function how much of a request's body was sent: the extension "upload_progress" of a request.

A piece counts when the next one is asked for: the connection has taken it then. What is sent once more, after a
redirect or on another connection, counts from 0.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._content import ByteStream

SLICE = 65_536  # bytes of a body in memory that are sent at once, so that there is progress


class _Told:
    """Pass a stream on, and tell how much of it was taken."""

    def __init__(self, stream: Any, report: Callable[[int, int | None], object], total: int | None) -> None:
        self._source = stream
        self._report = report
        self._total = total

    def __getattr__(self, name: str) -> Any:
        if name == "restarts" and isinstance(self._source, ByteStream):
            return True
        if name in ("restarts", "_again"):
            return getattr(self._source, name)
        raise AttributeError(name)

    def _tell(self, sent: int) -> Any:
        return self._report(sent, self._total)


class ToldSyncStream(_Told, SyncByteStream):
    """Pass on the body of a request of `Client`."""

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        self._tell(0)
        for piece in _sliced(self._source):
            yield piece
            sent += len(piece)
            self._tell(sent)


class ToldAsyncStream(_Told, AsyncByteStream):
    """Pass on the body of a request of `AsyncClient`."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        sent = 0
        await self._atell(0)
        source: Any = aiter(self._source)
        try:
            async for whole in source:
                for piece in _slices(whole):
                    yield piece
                    sent += len(piece)
                    await self._atell(sent)
        finally:
            # A consumer that stops early would leave the generator to the garbage collector.
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    async def _atell(self, sent: int) -> None:
        result = self._tell(sent)
        if hasattr(result, "__await__"):
            await result


class ToldStream(ToldSyncStream, ToldAsyncStream):
    """Pass on a body that either client can send."""


def _sliced(stream: Any) -> Iterator[bytes]:
    for whole in stream:
        yield from _slices(whole)


def _slices(piece: bytes) -> Iterator[bytes]:
    if len(piece) <= 4 * SLICE:
        yield piece
        return
    for start in range(0, len(piece), SLICE):
        yield piece[start : start + SLICE]


def told(stream: Any, report: Any, length: str | None) -> Any:
    """Return `stream` as one that tells `report` of its progress. Raises TypeError if that cannot be called."""
    if not callable(report):
        raise TypeError(f"expected a callable as extension 'upload_progress', got {report!r}")
    if isinstance(stream, _Told):  # of the request before a redirect
        return stream
    total = int(length) if length is not None and length.isascii() and length.isdigit() else None
    is_sync, is_async = isinstance(stream, SyncByteStream), isinstance(stream, AsyncByteStream)
    kind = ToldStream if is_sync and is_async else ToldSyncStream if is_sync else ToldAsyncStream
    return kind(stream, report, total)
