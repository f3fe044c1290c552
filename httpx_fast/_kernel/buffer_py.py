"""Collects a body of known length: the pure twin of ext/buffer.pyx.

It knows no HTTP. The length is a peer's word, so room for at most `FIRST_ROOM` bytes is made on it; more is made only
as bytes arrive, so that a hostile length costs its sender as much as it costs us.
"""

from __future__ import annotations

from .constants import FIRST_ROOM
from .views import Bytes, view_of

__all__ = ["BodyBuffer"]


class BodyBuffer:
    """A body of `expected` bytes, as far as it has come.

    It lies in blocks, each as large as all before it, so that nothing is moved while it grows; they are joined once.
    """

    __slots__ = ("_blocks", "_expected", "_room", "filled")

    def __init__(self, expected: int) -> None:
        if expected < 0:
            raise ValueError(f"a body of {expected} bytes cannot be")
        self._expected = expected
        self._blocks: list[bytearray] | None = [bytearray(min(expected, FIRST_ROOM))]
        self._room = len(self._blocks[0])  # in all blocks, what is filled included
        #: Bytes that are there.
        self.filled = 0

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return self._expected - self.filled

    def view(self) -> memoryview:
        """What to pass to `recv_into`: writable room for the next bytes, never beyond the body's end.

        Let go of it before anything else is called. Raises BufferError when nothing is missing, since a read of no
        bytes would be taken for the end of file.
        """
        blocks = self._opened()
        if self.filled == self._expected:
            raise BufferError("the body is complete")
        if self.filled == self._room:
            blocks.append(bytearray(min(self.missing, self._room)))
            self._room += len(blocks[-1])
        return memoryview(blocks[-1])[self.filled - self._room :]

    def buffer_updated(self, nbytes: int) -> None:
        """Says that `nbytes` bytes (at least 1) were written to the view. Raises ValueError if that is too many."""
        self._opened()
        if not 0 < nbytes <= self._room - self.filled:
            raise ValueError(f"{nbytes} bytes cannot have been written to the view")
        self.filled += nbytes

    def append(self, data: Bytes) -> None:
        """Copies bytes to the end. Raises ValueError if the body has no room for them."""
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
        """The body, once. Raises ValueError while bytes are missing and after the first call.

        A view may still be held (some loops let go of it after they have told of the bytes), but not be written to.
        """
        blocks = self._opened()
        if self.filled != self._expected:
            raise ValueError(f"{self.missing} bytes of the body are missing")
        self._blocks = None
        return b"".join(blocks)

    def cut(self) -> bytes:
        """What has come so far, as if nothing more were expected; once. Raises ValueError after it was taken."""
        blocks = self._opened()
        self._blocks = None
        return bytes(memoryview(blocks[0])[: self.filled]) if len(blocks) == 1 else b"".join(blocks)[: self.filled]

    def _opened(self) -> list[bytearray]:
        if self._blocks is None:
            raise ValueError("the body was taken already")
        return self._blocks
