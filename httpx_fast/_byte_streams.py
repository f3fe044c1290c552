"""The base classes of bodies: subclass one of them to send or return a body of your own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

__all__ = ["AsyncByteStream", "SyncByteStream"]


class SyncByteStream:
    """A body that blocking code reads: subclasses yield its bytes from `__iter__`."""

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__ method")

    def close(self) -> None:
        """Release what the body holds; called once when it is no longer needed, read or not."""


class AsyncByteStream:
    """A body that asynchronous code reads: subclasses yield its bytes from `__aiter__`."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError(f"{type(self).__name__} has no __aiter__ method")

    async def aclose(self) -> None:
        """Release what the body holds; called once when it is no longer needed, read or not."""
