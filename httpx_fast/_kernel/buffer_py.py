"""Collects a body of known length: the pure twin of ext/buffer.pyx.

It knows no HTTP. The length is a peer's word, so room for at most `FIRST_ROOM` octets is made on it; more is made only
as octets arrive, so that a hostile length costs its sender as much as it costs us.
"""

from __future__ import annotations

from typing import TypeAlias

from .facts import FIRST_ROOM

Octets: TypeAlias = bytes | bytearray | memoryview

__all__ = ["BodyBuffer"]


class BodyBuffer:
    """A body of `expected` octets, as far as it has come."""

    __slots__ = ("_expected", "_store", "filled")

    def __init__(self, expected: int) -> None:
        if expected < 0:
            raise ValueError(f"a body of {expected} octets cannot be")
        self._expected = expected
        self._store: bytearray | None = bytearray(min(expected, FIRST_ROOM))
        #: Octets that are there.
        self.filled = 0

    @property
    def missing(self) -> int:
        """Octets that are still to come."""
        return self._expected - self.filled

    def view(self) -> memoryview:
        """What to pass to `recv_into`: writable room for the next octets, never beyond the body's end.

        Let go of it before anything else is called. Raises BufferError when nothing is missing, since a read of no
        octets would be taken for the end of file.
        """
        return memoryview(self._room(1))[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Says that `nbytes` octets (at least 1) were written to the view. Raises ValueError if that is too many."""
        if not 0 < nbytes <= len(self._opened()) - self.filled:
            raise ValueError(f"{nbytes} octets cannot have been written to the view")
        self.filled += nbytes

    def append(self, data: Octets) -> None:
        """Copies octets to the end. Raises ValueError if the body has no room for them."""
        size = memoryview(data).nbytes
        if size == 0:
            return
        if size > self._expected - self.filled:
            raise ValueError(f"{size} octets are more than the {self.missing} that are missing")
        store = self._room(size)
        store[self.filled : self.filled + size] = data
        self.filled += size

    def finish(self) -> bytes:
        """The body, once. Raises ValueError while octets are missing and after the first call.

        A view may still be held (some loops let go of it after they have told of the octets), but not be written to.
        """
        store = self._opened()
        if self.filled != self._expected:
            raise ValueError(f"{self.missing} octets of the body are missing")
        self._store = None
        return bytes(store)

    def _opened(self) -> bytearray:
        if self._store is None:
            raise ValueError("the body was taken already")
        return self._store

    def _room(self, size: int) -> bytearray:
        """The store, with room for `size` more octets."""
        store = self._opened()
        needed = self.filled + size
        if needed > self._expected:
            raise BufferError("the body is complete")
        if needed > len(store):
            room = min(self._expected, max(needed, 2 * len(store)))
            store.extend(bytes(room - len(store)))
        return store
