"""Let the kernel gather what a quick sender sends, so that a reader is woken for a large piece, not for each arrival.

A download from a near server comes in a thousand arrivals for 100 MB, and a reader that is quicker than the sender
sleeps and wakes for each: that is half of its processor time. With SO_RCVLOWAT the kernel wakes it once `LEAST` bytes
are there. What comes more slowly than that must not wait for it: a stream stops gathering when nothing was read for
`PATIENCE` seconds, and the kernel then tells at once of what is there.
"""

from __future__ import annotations

import socket
import sys
from typing import Final

LEAST: Final = 256 * 1024  # bytes
PATIENCE: Final = 0.003  # seconds; a byte waits for twice of it at most, and for a tick of the kernel's clock
# Bytes that an asyncio stream reads without a turn of the loop, where they are there already: to sleep costs more than
# to read a piece that is not large. Other tasks do not run meanwhile, some 0.1 ms.
AHEAD: Final = 2 * LEAST

# Elsewhere poll may ignore the option, or it cannot be set.
_AVAILABLE: Final = sys.platform == "linux" and hasattr(socket, "SO_RCVLOWAT")
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


def wake_from(sock: socket.socket, size: int) -> bool:
    """Have `sock` readable from `size` bytes on, or when the peer has ended; return False if that cannot be had."""
    if not _AVAILABLE or sock.family not in _FAMILIES:
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
    except OSError:  # closed, or another kernel behind the same calls
        return False
    return True
