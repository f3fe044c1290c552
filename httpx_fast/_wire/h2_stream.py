"""Read the response of one HTTP/2 stream: field sections and DATA in, one response out.

    HEAD > BODY > ENDED                     any > FAILED

A stream knows the rules of a message (RFC 9113 s.8.1) and its own window, and nothing of frames or of other streams: a
`Session` feeds it, and resets the stream if a rule was broken. Rules:

- `whole` asks for the body in one piece: the waiting task is not woken before the message has ended, and bytes are
  credited when they arrive. Otherwise each piece is passed on as it arrives, and credited when it is read; so is a long
  body of a status that may not be the last, as a redirect's, even with `whole`.
- `error` is the reason why a stream has FAILED; bytes that were read before stay valid.
"""

from __future__ import annotations

from typing import Final

from .._exceptions import RemoteProtocolError, TransportError
from .._kernel import h2_errors
from .._kernel.constants import FIRST_INTERMEDIATE, HAS_CONTENT_LENGTH, MAX_INTERMEDIATE
from .._kernel.h2_constants import ENHANCE_YOUR_CALM
from .._kernel.h2_errors import Http2Error
from .._kernel.select import FieldSection, StreamState
from . import framing
from .h1 import MAX_INTERIM_SIZE
from .windows import STREAM_WINDOW

HEAD: Final = 0
BODY: Final = 1
ENDED: Final = 2
FAILED: Final = 3


class StreamReader(StreamState):
    """Read the response of one stream. Subclasses override the hooks to learn of events.

    A stream without hooks may be `plain`: then the kernel feeds it what is in order, and sets its `times`.
    """

    __slots__ = ("_interim_size",)

    def __init__(self, method: bytes, whole: bool) -> None:
        StreamState.__init__(self, method, whole, STREAM_WINDOW)
        self._interim_size = 0  # bytes of interim responses, as RFC 9113 s.6.5.2 counts them

    @property
    def ended(self) -> bool:
        """Return whether the message is complete."""
        return self.state == ENDED

    @property
    def tunnels(self) -> bool:
        """Return whether CONNECT was answered by 2xx: DATA is then no body but the tunnel (RFC 9113 s.8.5)."""
        return self.method == b"CONNECT" and self.head is not None and 200 <= self.head.status < 300

    # Hooks for the connection.

    def head_arrived(self) -> None:
        """Do nothing; a hook for subclasses, called when the head of the final response was read."""

    def message_ended(self) -> None:
        """Do nothing; a hook for subclasses, called when the message is complete."""

    # Called by the session. Http2Error if the message is malformed.

    def take_section(self, section: FieldSection, end: bool) -> None:
        """Take a field section: an interim response, the head, or trailers (RFC 9113 s.8.1)."""
        self.touched = True
        if section.offences:
            raise h2_errors.malformed(section.offences, section.offender, self.id)
        if self.state == BODY:
            self._take_trailers(section, end)
            return
        status = section.status
        if status < 200:
            self._take_interim(section, end)
            return
        self.head = section
        if section.flags & HAS_CONTENT_LENGTH:
            length = section.content_length
            if length < 0 or status in (204, 304) or self.method in (b"HEAD", b"CONNECT"):
                length = self._length(section)
            self.remaining = length
        if status >= FIRST_INTERMEDIATE and not 0 <= self.remaining <= MAX_INTERMEDIATE and not end:
            self.whole = False  # the caller may not want all of it
        self.state = BODY
        self.head_arrived()
        if end:
            self.end()
        elif not self.whole:
            self.wake()

    def take_data(self, data: bytes) -> None:
        """Take bytes of the body (at least one) that were within the window."""
        if self.state == HEAD:
            raise Http2Error("DATA came before a final response's head (RFC 9113 s.8.1)", stream_id=self.id)
        size = len(data)
        remaining = self.remaining
        if remaining >= 0:
            remaining -= size
            if remaining < 0:
                raise self._wrong_length(f"{-remaining} bytes more came")
            self.remaining = remaining
        elif self._has_no_content():
            raise Http2Error("DATA came in a response that has no content (RFC 9110 s.6.4.1)", stream_id=self.id)
        self.keep(data)
        if not self.whole:
            self.wake()

    def end(self) -> None:
        """End the message: the peer's side of the stream has ended."""
        if self.state == HEAD:
            raise Http2Error("the stream ended without a final response (RFC 9113 s.8.1)", stream_id=self.id)
        if self.remaining > 0:
            raise self._wrong_length(f"{self.remaining} bytes less came")
        self.end_body()
        self.state = ENDED
        self.message_ended()
        self.wake()

    def fail(self, error: TransportError) -> None:
        """Fail the stream with `error`, for waiters and later readers. A complete message stays complete."""
        self.sending = False
        if self.state < ENDED:
            self.state = FAILED
            self.error = error
        self.wake()

    # Inside.

    def _take_trailers(self, section: FieldSection, end: bool) -> None:
        if self.tunnels:
            raise Http2Error("HEADERS came in a tunnel, which has DATA only (RFC 9113 s.8.5)", stream_id=self.id)
        if not end:
            raise Http2Error("a trailer section does not end the stream (RFC 9113 s.8.1)", stream_id=self.id)
        if section.status:
            raise Http2Error("a trailer section has a pseudo field (RFC 9113 s.8.1)", stream_id=self.id)
        self.trailers = section.fields()
        self.end()

    def _take_interim(self, section: FieldSection, end: bool) -> None:
        status = section.status
        if status == 0:
            raise Http2Error("a response has no status (RFC 9113 s.8.3.2)", stream_id=self.id)
        if end:
            raise Http2Error(f"the interim response {status} ends the stream (RFC 9113 s.8.1)", stream_id=self.id)
        if status == 101:
            raise Http2Error("101 came, which HTTP/2 does not have (RFC 9113 s.8.6)", stream_id=self.id)
        self._interim_size += section.size
        if self._interim_size > MAX_INTERIM_SIZE and self.interim:  # one alone may be as large as any head
            raise Http2Error(
                f"interim responses of more than {MAX_INTERIM_SIZE} bytes, the most that is read; the last one is "
                f"{status}",
                ENHANCE_YOUR_CALM,
                self.id,
            )
        self.interim.append(section)
        self.wake()

    def _has_no_content(self) -> bool:
        assert self.head is not None
        return self.method == b"HEAD" or (self.head.status in (204, 304) and not self.tunnels)

    def _length(self, section: FieldSection) -> int:
        """Return the number of bytes that Content-Length announces (RFC 9113 s.8.1.1), -1 if it announces none."""
        # RFC 9110 s.9.3.6: of a tunnel it means nothing.
        if self._has_no_content() or self.tunnels:
            return -1
        if section.content_length >= 0:
            return section.content_length
        try:
            return framing.repeated_length(section)
        except RemoteProtocolError as error:
            raise Http2Error(str(error), stream_id=self.id) from None

    def _wrong_length(self, seen: str) -> Http2Error:
        assert self.head is not None
        expected = self._length(self.head)
        return Http2Error(
            f"{seen} than the {expected} bytes that Content-Length says (RFC 9113 s.8.1.1)", stream_id=self.id
        )
