"""Decide how many streams an HTTP/2 peer takes, and why it takes no more (RFC 9113 s.5.1.2, s.6.8, s.8.7).

`peer_limit` follows the peer's settings, and what it really takes: a peer that refuses streams while others are open
takes no more than these at once, so more are tried one by one as it answers.
"""

from __future__ import annotations

from .._exceptions import RemoteProtocolError, TransportError
from .._kernel.h2_constants import ERROR_NAMES
from .._kernel.h2_errors import Http2Error
from .._kernel.select import StreamTable
from .events import Http1Required
from .windows import CONNECTION_WINDOW


class StreamAdmission(StreamTable):
    """Hold the open streams of a connection, and what limits their number."""

    __slots__ = (
        "_allowed",
        "_promised",
        "_raise_at",
        "_unanswered",
        "broken",
        "draining",
        "farewell",
        "next_id",
        "peer_limit",
        "wants_http1",
    )

    def __init__(self, first_limit: int) -> None:
        super().__init__(CONNECTION_WINDOW)
        self.next_id = 1
        # Streams that the peer takes at once, None for any number; before its settings, a number that peers accept.
        self.peer_limit: int | None = first_limit
        self._allowed: int | None = (
            first_limit  # as the peer's settings say it; `peer_limit` is less where it refused streams
        )
        self._raise_at = -1  # once it has answered so many streams one more is tried; below 0 it refused none
        self.draining = False  # no stream may begin any more
        self.broken: TransportError | None = None
        self.farewell: str | None = None  # the peer's GOAWAY, for messages
        self.wants_http1 = False  # its code was HTTP_1_1_REQUIRED
        self._unanswered = 0  # streams that are over, and were not processed by the peer as far as we know
        self._promised = False  # by GOAWAY the peer processes a stream that was open then

    @property
    def limit(self) -> int | None:
        """Return how many streams may be open at once now; None for any number (RFC 9113 s.5.1.2)."""
        return 0 if self.draining else self.peer_limit

    @property
    def progressed(self) -> bool:
        """Return whether the peer has answered a stream, or says by GOAWAY that it processes one."""
        return self._promised or self._answered() > 0

    def try_more(self) -> None:
        """Raise the limit of a peer that has refused streams, if it has since answered as many as it takes at once."""
        limit, allowed = self.peer_limit, self._allowed
        if self._raise_at < 0 or limit is None or self._answered() < self._raise_at:
            return
        if allowed is None or limit < allowed:
            self.peer_limit = limit + 1
            self._raise_at = self._answered() + limit + 1
        else:
            self._raise_at = -1

    @property
    def careful(self) -> bool:
        """Return whether the peer has refused streams and so takes fewer than its settings say, as far as we know."""
        return self._raise_at >= 0

    def _answered(self) -> int:
        """Return how many streams have ended with an answer."""
        return (self.next_id >> 1) - len(self.streams) - self._unanswered

    def _refusal(self) -> TransportError:
        error: TransportError
        if self.broken is not None and self.farewell is None:
            error = self._for_stream(self.broken)
        elif self.draining:
            kind = Http1Required if self.wants_http1 else RemoteProtocolError
            error = kind(f"the connection takes no more streams: {self.farewell or 'numbers are used up'}")
        else:
            error = RemoteProtocolError(
                f"the peer takes {self.peer_limit} streams at once, {len(self.streams)} are open"
            )
        error.unprocessed = True
        return error

    def _for_stream(self, error: TransportError) -> TransportError:
        """Return a new exception for one stream: several tasks and threads may raise them at once."""
        kind = RemoteProtocolError if isinstance(error, Http2Error) else type(error)
        return kind(str(error))


def error_name(code: int) -> str:
    """Return the name of an error code (RFC 9113 s.7)."""
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"error 0x{code:x}"
