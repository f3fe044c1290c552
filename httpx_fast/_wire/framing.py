"""Decide where a message ends (RFC 9112 s.6.3), once for both kernels.

The kernels report every Content-Length and Transfer-Encoding; readers call this module. Requests are smuggled by
lengths that two parties read differently, so an ambiguous one is refused, not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .._exceptions import LocalProtocolError, RemoteProtocolError, shown
from .._head import FieldLine
from .._kernel.constants import (
    CHUNKED_ONLY,
    CONNECTION_CLOSE,
    CONNECTION_KEEP_ALIVE,
    HAS_CONTENT_LENGTH,
    HAS_TRANSFER_ENCODING,
    MAX_LENGTH,
)
from .._kernel.select import ResponseHead

# A framing is the body's length in bytes, or one of these.
CHUNKED = -1
UNTIL_CLOSE = -2
TUNNEL = -3

#: Final statuses without a body, whatever the fields say: bytes that follow do not belong to it (RFC 9112 s.6.3).
NO_BODY = frozenset({204, 304})

#: In HTTP/1.1 without any of these, one Content-Length is the framing and the connection persists: except after these
#: methods, and these statuses.
TRICKY_FLAGS = HAS_TRANSFER_ENCODING | CONNECTION_CLOSE
TRICKY_METHODS = frozenset({b"HEAD", b"CONNECT"})


class Section(Protocol):
    """Describe the field section that either kernel returns."""

    def get_all(self, lower_name: bytes) -> list[bytes]: ...


def response_framing(method: bytes, head: ResponseHead) -> int:
    """Return the framing of a final response, or of a 101, to a request with `method` (RFC 9112 s.6.3).

    RemoteProtocolError if it is ambiguous.
    """
    status = head.status
    if status == 101 or (method == b"CONNECT" and 200 <= status < 300):
        return TUNNEL
    if status in NO_BODY or method == b"HEAD":
        return 0
    if head.flags & HAS_TRANSFER_ENCODING:
        return _coded(head)
    if head.content_length != -2:
        return head.content_length if head.content_length >= 0 else UNTIL_CLOSE
    return repeated_length(head)


def persists(head: ResponseHead, framing: int) -> bool:
    """Return whether the connection may serve another request after this response (RFC 9112 s.9.3)."""
    flags = head.flags
    if framing < CHUNKED or flags & CONNECTION_CLOSE:
        return False
    if head.minor == 0:
        # s.6.1: a chunked HTTP/1.0 message may come from a peer that does not understand what it forwards.
        return bool(flags & CONNECTION_KEEP_ALIVE) and not flags & HAS_TRANSFER_ENCODING
    # s.6.3: both fields may be an attempt at smuggling; the message is read as chunked, then the connection closed.
    return not (flags & HAS_TRANSFER_ENCODING and flags & HAS_CONTENT_LENGTH)


def _coded(head: ResponseHead) -> int:
    if head.flags & CHUNKED_ONLY:
        return CHUNKED
    codings = b", ".join(head.get_all(b"transfer-encoding"))
    raise RemoteProtocolError(f"Transfer-Encoding {shown(codings)} was not asked for; expected 'chunked' alone")


def repeated_length(head: Section) -> int:
    """Return the length of a repeated Content-Length: the one value, if all are valid and the same (s.6.3 item 5)."""
    values = {value.strip(b" \t") for line in head.get_all(b"content-length") for value in line.split(b",")}
    if len(values) == 1:
        length = decimal(values.pop())
        if length is not None:
            return length
    seen = b", ".join(head.get_all(b"content-length"))
    raise RemoteProtocolError(f"Content-Length {shown(seen)} is not one number; the end of the message is unknown")


def decimal(value: bytes) -> int | None:
    """Return the number that `1*DIGIT` stands for; None for other text and above MAX_LENGTH.

    int() is not called with arbitrary text: it accepts signs, blanks and underscores, takes quadratic time on long
    numbers, and raises ValueError above 4300 digits.
    """
    if not value.isdigit():
        return None
    value = value.lstrip(b"0")
    if len(value) > 19:
        return None
    number = int(value or b"0")
    return number if number <= MAX_LENGTH else None


def request_framing(fields: Sequence[FieldLine]) -> int | None:
    """Return the framing that a request's fields announce: a length, CHUNKED, or None if they announce no body.

    LocalProtocolError for what a server would have to guess: no or several Host fields (RFC 9112 s.3.2), a length or a
    coding that is repeated or invalid, or both of them (s.6.1, s.6.2).
    """
    hosts = 0
    length: int | None = None
    chunked = False
    for name, value in fields:
        size = len(name)
        if size == 4:
            hosts += name.lower() == b"host"
        elif size == 14 and name.lower() == b"content-length":
            if length is not None:
                raise LocalProtocolError("Content-Length is set more than once; expected one field")
            length = decimal(value)
            if length is None:
                raise LocalProtocolError(f"Content-Length {shown(value)}; expected one decimal number below 2**63")
        elif size == 17 and name.lower() == b"transfer-encoding":
            if chunked:
                raise LocalProtocolError("Transfer-Encoding is set more than once; expected one field")
            if value.strip(b" \t").lower() != b"chunked":
                raise LocalProtocolError(f"Transfer-Encoding {shown(value)}; only 'chunked' can be sent")
            chunked = True
    if hosts != 1:
        raise LocalProtocolError(f"the request has {hosts or 'no'} Host fields; expected one (RFC 9112 s.3.2)")
    if chunked and length is not None:
        raise LocalProtocolError("both Content-Length and Transfer-Encoding are set; expected one of them")
    return CHUNKED if chunked else length


def body_too_long(length: int) -> LocalProtocolError:
    """Return the error for a body that gives more bytes than its fields announce; 0 if they announce none."""
    if length:
        return LocalProtocolError(f"the body is longer than its Content-Length of {length} bytes")
    return LocalProtocolError(
        "the request has a body, but Content-Length is 0, or neither it nor Transfer-Encoding: chunked is set"
    )
