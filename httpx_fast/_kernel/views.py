"""Accept the same buffers in the pure Python kernels as in the compiled ones."""

from __future__ import annotations

from typing import TypeAlias

Bytes: TypeAlias = bytes | bytearray | memoryview


def view_of(data: Bytes) -> memoryview:
    """Return a view of the bytes of a contiguous buffer. Raises TypeError for what is none."""
    view = memoryview(data)
    if view.format != "B" or view.strides != (1,):
        view = view.cast("B")  # which refuses what is not contiguous
    return view
