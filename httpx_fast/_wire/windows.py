"""Count HTTP/2 flow control (RFC 9113 s.5.2, s.6.9): how much each side may send.

What the peer may send to us:

1. The connection's window is credited as soon as bytes have arrived, for whichever stream, read or not. So no stream
   can use up what the others need.
2. A stream's window is credited when its bytes are read. It slows down a peer whose reader is slow, and bounds the
   memory of a stream that is not read.
3. Credit is sent at once when half of a window is due: an update for each frame would cost both sides more than the
   frame does.
4. A stream's window is doubled each time, up to a limit, as long as its reader keeps up with the peer: then the window
   may be what limits a fast link with high latency. That needs no clock, and a slow reader gets no more memory.

At any moment: left + owed + (bytes that have arrived and are not read) == granted.
"""

from __future__ import annotations

from typing import Protocol

from .._kernel.h2_constants import FLOW_CONTROL_ERROR, MAX_WINDOW_SIZE
from .._kernel.h2_errors import Http2Error

# Bytes that may be on their way for all streams together; nothing is held for it. 64 MiB are 10 Gbit/s over 50 ms.
CONNECTION_WINDOW = 64 * 1024 * 1024
# Bytes that a stream may hold unclaimed. 1 MiB is enough until the sender's own slow start has come that far.
STREAM_WINDOW = 1024 * 1024
# Bytes to which the window of a stream may grow whose reader keeps up: 1 Gbit/s over 130 ms.
MAX_STREAM_WINDOW = 16 * 1024 * 1024


class ReceiveWindow(Protocol):
    """Name what the window of one stream, by which the peer may send, consists of."""

    granted: int  # bytes of the window
    left: int  # bytes that the peer may still send; below 0 it has broken the protocol
    owed: int  # bytes that were read, and are still to be credited


def give_back(window: ReceiveWindow, size: int, keeps_up: bool) -> int:
    """Return by how many bytes to update the window now that `size` bytes were read; often 0."""
    owed = window.owed + size
    granted = window.granted
    if owed < granted >> 1:
        window.owed = owed
        return 0
    if keeps_up and granted < MAX_STREAM_WINDOW:
        owed += granted
        window.granted = granted + granted
    window.left += owed
    window.owed = 0
    return owed


def grown(window: int, increment: int, stream_id: int) -> int:
    """Return a window that the peer has enlarged. Http2Error if it exceeds the maximum (RFC 9113 s.6.9.1)."""
    window += increment
    if window > MAX_WINDOW_SIZE:
        raise Http2Error(
            f"the window {f'of stream {stream_id}' if stream_id else 'of the connection'} would have {window} bytes, "
            f"expected {MAX_WINDOW_SIZE} at most (RFC 9113 s.6.9.1)",
            FLOW_CONTROL_ERROR,
            stream_id,
        )
    return window
