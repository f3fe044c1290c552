"""Bodies of requests on their way out, piece by piece: from the beginning for each attempt to send them.

A request that met a dead connection may be sent again, and its body with it if the stream says by `restarts` that it
gives the same bytes when it is iterated once more; a body that nobody has begun to read may in any case. What was
begun is ended here, whatever came of it: generators of users hold files and locks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._deadline import Deadline, timed_out


class Outgoing:
    """Give the body of a request, and know whether it can be sent from its beginning."""

    __slots__ = ("_begun", "_stream")

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._begun: list[Any] = []

    @property
    def again(self) -> bool:
        """Return whether it gives all of its bytes when it is iterated now."""
        return not self._begun or getattr(self._stream, "restarts", False)

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def aclose(self) -> None:
        """End what was begun, where that is not left to the one who iterated."""


class BlockingPieces(Outgoing):
    """Give the body of a request of `Client`."""

    __slots__ = ()

    def __init__(self, stream: SyncByteStream) -> None:
        super().__init__(stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._stream)
        self._begun.append(pieces)
        return _stepped(pieces)


class AsyncPieces(Outgoing):
    """Give the body of a request of `AsyncClient`."""

    __slots__ = ()

    def __init__(self, stream: AsyncByteStream) -> None:
        super().__init__(stream)

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: AsyncIterator[bytes] = aiter(self._stream)
        self._begun.append(pieces)
        return pieces

    async def aclose(self) -> None:
        """End what was begun."""
        for pieces in self._begun:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()


class BoundedPieces(AsyncPieces):
    """Do the same, but wait for no piece beyond the deadline. Blocking code cannot be interrupted so."""

    __slots__ = ("_clock", "_deadline")

    def __init__(self, stream: AsyncByteStream, deadline: Deadline, clock: Callable[[], float]) -> None:
        super().__init__(stream)
        self._deadline = deadline
        self._clock = clock

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Bounded(super().__aiter__(), self._deadline, self._clock)


class _Bounded(AsyncIterator[bytes]):
    __slots__ = ("_clock", "_deadline", "_pieces")

    def __init__(self, pieces: AsyncIterator[bytes], deadline: Deadline, clock: Callable[[], float]) -> None:
        self._pieces = pieces
        self._deadline = deadline
        self._clock = clock

    async def __anext__(self) -> bytes:
        import anyio  # a client that sends no such body never loads it

        deadline = self._deadline
        with anyio.move_on_after(deadline.at - self._clock()):
            return await anext(self._pieces)
        raise timed_out("write", deadline.elapsed(self._clock()), deadline.budget, "the body had no next piece")


async def _stepped(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
