"""Bound what a peer may send without end on one HTTP/2 connection.

Frames that bring no response further are counted per stretch of time, so that no peer can keep a client busy with them
(CVE-2019-9512, 9514, 9515, 9518); the numbers of streams that we reset are remembered up to a limit.
"""

from __future__ import annotations

from typing import Final

from .._kernel.h2_constants import ENHANCE_YOUR_CALM
from .._kernel.h2_errors import Http2Error

# Per stretch, for a connection. Each costs about a microsecond and most of them an answer, so that a peer gets a
# hundredth of a second of work for each stretch; servers send a few per second.
MAX_CONTROL_FRAMES: Final = (
    2000  # SETTINGS, PING, RST_STREAM, GOAWAY, PRIORITY, unknown ones, HEADERS of streams that were reset
)
# Besides these for each stream that we begin: nginx and HAProxy reset every one whose request they did not read to its
# end, which are thousands per second where many requests with a body are answered at once.
CONTROL_PER_STREAM: Final = 2
MAX_EMPTY_DATA: Final = 1000  # frames of DATA without a byte that do not end their stream
# Besides those that answer our DATA, of which a peer may send two (stream, connection) for each frame, and it may
# split what it gives back.
MAX_WINDOW_UPDATES: Final = 2000
UPDATES_PER_DATA: Final = 8
MAX_SETTINGS: Final = 64  # in one frame; there are some ten
# Numbers remembered of streams that we reset; a peer that sends for older ones is believed to be late.
MAX_RESETS_KEPT: Final = 1000


class FloodGuard:
    """Count the frames of one connection in a stretch of time. Its methods raise Http2Error above a limit."""

    __slots__ = ("_control", "_empty", "_stretch_began", "updates")

    def __init__(self) -> None:
        self._control = self._empty = 0
        #: WINDOW_UPDATE frames so far, less UPDATES_PER_DATA for each DATA frame of ours: the session subtracts them.
        self.updates = 0
        self._stretch_began = 1  # the number that the next stream had then

    def restart(self, next_id: int) -> None:
        """Begin a new stretch; `next_id` is the number of the next stream."""
        self._control = self._empty = self.updates = 0
        self._stretch_began = next_id

    def control_frame(self, next_id: int) -> None:
        """Count a frame that brings no response further; `next_id` is the number of the next stream."""
        self._control += 1
        begun = next_id - self._stretch_began >> 1
        if self._control > MAX_CONTROL_FRAMES + begun * CONTROL_PER_STREAM:
            raise _flood(f"{MAX_CONTROL_FRAMES} control frames beyond {CONTROL_PER_STREAM} for each stream")

    def empty_data(self) -> None:
        """Count a DATA frame without bytes that does not end its stream."""
        self._empty += 1
        if self._empty > MAX_EMPTY_DATA:
            raise _flood(f"{MAX_EMPTY_DATA} empty DATA frames")

    def window_update(self) -> None:
        """Count a WINDOW_UPDATE frame."""
        self.updates += 1
        if self.updates > MAX_WINDOW_UPDATES:
            raise _flood(f"{MAX_WINDOW_UPDATES} WINDOW_UPDATE frames beyond {UPDATES_PER_DATA} for each DATA")


def check_settings(count: int) -> None:
    """Raise Http2Error if one SETTINGS frame has too many settings."""
    if count > MAX_SETTINGS:
        raise _flood(f"{MAX_SETTINGS} settings in one frame")


class ResetStreams:
    """Remember the streams that we reset: frames for them may still arrive (RFC 9113 s.5.1)."""

    __slots__ = ("_forgotten", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[int, None] = {}
        self._forgotten = 0  # up to this number it is not known any more which streams were reset

    def add(self, stream_id: int) -> None:
        """Remember a stream; forget the oldest one above the limit."""
        numbers = self._numbers
        numbers[stream_id] = None
        if len(numbers) > MAX_RESETS_KEPT:
            oldest = next(iter(numbers))
            del numbers[oldest]
            self._forgotten = max(self._forgotten, oldest)

    def __contains__(self, stream_id: int) -> bool:
        """Return whether the stream was reset, as far as is known: of forgotten ones it is assumed."""
        return stream_id <= self._forgotten or stream_id in self._numbers

    def __len__(self) -> int:
        return len(self._numbers)


def _flood(what: str) -> Http2Error:
    return Http2Error(f"peer sent more than {what} in a short time, the most that is taken", ENHANCE_YOUR_CALM)
