"""Hold the buffers that a thread reads into when a sink has none of its own.

One set per thread is enough for any number of connections: between the read and the end of the push nothing is awaited,
so an idle connection holds no buffer. A sink must not keep the view.
"""

from __future__ import annotations

import threading

from .base import SCRATCH_SIZE

_RECORD = 16 * 1024  # bytes, RFC 8446 s.5.1


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.view = memoryview(bytearray(SCRATCH_SIZE))
        #: For one TLS record, while the ciphertext after it may still lie in `view`.
        self.plain = memoryview(bytearray(_RECORD))


scratch = _Scratch()
