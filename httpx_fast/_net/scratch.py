"""Hold the buffers that a thread reads into when a sink has none of its own.

One set per thread is enough for any number of connections: between the read and the end of the push nothing is awaited,
so an idle connection holds no buffer. A sink must not keep the view.
"""

from __future__ import annotations

import threading

from .base import SCRATCH_SIZE

RECORD = 16 * 1024  # bytes, RFC 8446 s.5.1


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.view = memoryview(bytearray(SCRATCH_SIZE))
        #: For TLS records, while the ciphertext after them may still lie in `view`. Not more than a `TLSStream` takes
        #: at once: one in another uses this buffer, too, as soon as it has taken what is there.
        self.plain = memoryview(bytearray(2 * RECORD))


scratch = _Scratch()
