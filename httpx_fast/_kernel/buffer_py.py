"""Collect a body of known length: the pure Python twin of ext/buffer.pyx.

This module knows no HTTP. The length comes from the peer, so at most `FIRST_ROOM` bytes are allocated because of it;
more is allocated only as bytes arrive, so that a hostile length costs its sender as much as it costs us.
"""

from __future__ import annotations

from .constants import FIRST_ROOM
from .views import Bytes, view_of

__all__ = ["BodyBuffer"]

# The twin says why: where malloc of glibc serves `bytes`, freeing such a block keeps those up to its size on the heap.
_FROM_HEAP = 2 * FIRST_ROOM - 64 * 1024  # bytes
bytes(_FROM_HEAP)


class BodyBuffer:
    """Collect a body of `expected` bytes as they arrive.

    The bytes are kept in blocks, each as large as all before it, so that none is moved while the body grows; they are
    joined once.
    """

    __slots__ = ("_blocks", "_expected", "_room", "filled")

    def __init__(self, expected: int) -> None:
        if expected < 0:
            raise ValueError(f"a body of {expected} bytes cannot be")
        self._expected = expected
        self._blocks: list[bytearray] | None = []
        self._room = 0  # in all blocks, what is filled included
        #: Bytes that are there.
        self.filled = 0

    @property
    def missing(self) -> int:
        """Return how many bytes have not arrived yet."""
        return self._expected - self.filled

    def view(self) -> memoryview:
        """Return writable space for the next bytes, for `recv_into`; it never reaches beyond the end of the body.

        Release it before another method is called. Raises BufferError when nothing is missing, since a read of no
        bytes would be taken for the end of file.
        """
        blocks = self._opened()
        if self.filled == self._expected:
            raise BufferError("the body is complete")
        if self.filled == self._room:
            blocks.append(bytearray(min(self.missing, self._room or FIRST_ROOM)))
            self._room += len(blocks[-1])
        return memoryview(blocks[-1])[self.filled - self._room :]

    def buffer_updated(self, nbytes: int) -> None:
        """Record that `nbytes` bytes (at least 1) were written to the view. Raises ValueError if that is too many."""
        self._opened()
        if not 0 < nbytes <= self._room - self.filled:
            raise ValueError(f"{nbytes} bytes cannot have been written to the view")
        self.filled += nbytes

    def append(self, data: Bytes) -> None:
        """Copy bytes to the end. Raises ValueError if they are more than the body still lacks."""
        source = view_of(data)
        if source.nbytes > self._expected - self.filled:
            raise ValueError(f"{source.nbytes} bytes are more than the {self.missing} that are missing")
        while source.nbytes:
            view = self.view()
            taken = min(view.nbytes, source.nbytes)
            view[:taken] = source[:taken]
            source = source[taken:]
            self.filled += taken

    def finish(self) -> bytes:
        """Return the body. Raises ValueError while bytes are missing and after the first call.

        A view may still be held (some event loops release it after they have reported the bytes), but must not be
        written to.
        """
        blocks = self._opened()
        if self.filled != self._expected:
            raise ValueError(f"{self.missing} bytes of the body are missing")
        self._blocks = None
        return b"".join(blocks)

    def cut(self) -> bytes:
        """Return the bytes that have arrived and stop collecting. Raises ValueError if the body was taken already."""
        blocks = self._opened()
        self._blocks = None
        if not blocks:
            return b""
        last = memoryview(blocks.pop())
        return b"".join((*blocks, last[: len(last) + self.filled - self._room]))

    def _opened(self) -> list[bytearray]:
        if self._blocks is None:
            raise ValueError("the body was taken already")
        return self._blocks
