"""Exceptions for HTTP/2 frames and field blocks that are wrong. Both kernels call these functions on errors only.

Each error carries the error code for GOAWAY or RST_STREAM (RFC 9113 s.7). An error of the peer shows at most
`MAX_SHOWN` bytes of what was seen. An error of our own side never shows a field value, which may be a secret.
"""

from __future__ import annotations

from .._exceptions import MAX_SHOWN, LocalProtocolError, RemoteProtocolError, shown
from . import h2_constants
from .errors import RAISED_BY, bad_name, bad_value

__all__ = ["Http2Error", "SectionTooLarge"]

SHOWN_AND_ONE = MAX_SHOWN + 1  # bytes that a kernel passes on, so that `shown` can say that there were more


class Http2Error(RemoteProtocolError):
    """Report that a peer broke HTTP/2. `stream_id` is 0 for a connection error, else the stream to reset."""

    def __init__(self, message: str, code: int = h2_constants.PROTOCOL_ERROR, stream_id: int = 0) -> None:
        super().__init__(message)
        #: The error code for GOAWAY or RST_STREAM (RFC 9113 s.7).
        self.code = code
        self.stream_id = stream_id


class SectionTooLarge(Http2Error):
    """Report a field section above the limit. It was decoded to its end, so only the stream is lost."""


_OFFENCES = {
    h2_constants.UPPER_CASE_NAME: "a field name has upper-case letters (RFC 9113 s.8.2.1)",
    h2_constants.BAD_NAME: "a field name is no token (RFC 9113 s.8.2.1)",
    h2_constants.BAD_VALUE: "a field value has NUL, CR or LF (RFC 9113 s.8.2.1)",
    h2_constants.CONNECTION_SPECIFIC: "a field belongs to HTTP/1 connections (RFC 9113 s.8.2.2)",
    h2_constants.PSEUDO_LATE: "a pseudo field stands after a regular one (RFC 9113 s.8.3)",
    h2_constants.PSEUDO_UNKNOWN: "a pseudo field is none of a response (RFC 9113 s.8.3)",
    h2_constants.PSEUDO_REPEATED: "a pseudo field stands there twice (RFC 9113 s.8.3)",
    h2_constants.BAD_STATUS: "expected a status from 100 to 999 (RFC 9113 s.8.3.2)",
}


def malformed(offences: int, offender: tuple[bytes, bytes] | None, stream_id: int) -> Http2Error:
    """Return the error for a field section with `offences`; `offender` is the first field that has one."""
    reasons = ", ".join(reason for offence, reason in _OFFENCES.items() if offences & offence)
    name, value = offender or (b"", b"")
    return Http2Error(f"{reasons}: {shown(name)}: {shown(value)}", h2_constants.PROTOCOL_ERROR, stream_id)


def _compression(message: str, at: int) -> Http2Error:
    return Http2Error(f"the field block cannot be decoded at offset {at}: {message}", h2_constants.COMPRESSION_ERROR)


def truncated_integer(at: int) -> Http2Error:
    return _compression("it ends within an integer (RFC 7541 s.5.1)", at)


def integer_too_long(data: bytes, at: int) -> Http2Error:
    return _compression(
        f"an integer has more than {h2_constants.MAX_INTEGER_BYTES} bytes after its first one, the most that is read "
        f"(RFC 7541 s.5.1): {shown(data)}",
        at,
    )


def truncated_string(size: int, left: int, at: int) -> Http2Error:
    return _compression(f"a string has {size} bytes, and {left} are left (RFC 7541 s.5.2)", at)


def truncated_field(at: int) -> Http2Error:
    return _compression("it ends within a field, a string is missing (RFC 7541 s.6.2)", at)


def bad_index(index: int, entries: int, at: int) -> Http2Error:
    return _compression(f"index {index} is in no table, there are {entries} entries (RFC 7541 s.2.3.3)", at)


def bad_padding(data: bytes, at: int) -> Http2Error:
    return _compression(
        f"a Huffman-coded string ends with bits that are neither a code nor padding (RFC 7541 s.5.2): {shown(data)}",
        at,
    )


def end_of_string(data: bytes, at: int) -> Http2Error:
    return _compression(f"a Huffman-coded string has the code of EOS (RFC 7541 s.5.2): {shown(data)}", at)


def table_size_late(at: int) -> Http2Error:
    return _compression("the table's size may change only before the first field (RFC 7541 s.4.2)", at)


def table_size_too_large(size: int, limit: int, at: int) -> Http2Error:
    return _compression(f"a table of {size} bytes is above the limit of {limit} (RFC 7541 s.6.3)", at)


def table_size_missing(size: int, limit: int) -> Http2Error:
    return _compression(
        f"the limit of the table's size is {limit} now, and the block does not begin with a change from {size} "
        "(RFC 9113 s.4.3.1)",
        0,
    )


def list_too_large(size: int, limit: int) -> SectionTooLarge:
    return SectionTooLarge(
        f"a field section of {size} bytes is above the limit of {limit} (RFC 9113 s.6.5.2)",
        h2_constants.ENHANCE_YOUR_CALM,
    )


def unsendable_name(name: bytes) -> LocalProtocolError:
    """Return the error for a name that is not a token in lower case (RFC 9113 s.8.2.1)."""
    if name.lower() != name:
        return LocalProtocolError(f"a field name in HTTP/2 has to be in lower case, not {shown(name)}")
    return bad_name(name)


def unsendable_value(name: bytes, value: bytes, at: int) -> LocalProtocolError:
    return bad_value(name, value, at)


def _frame(kind: int) -> str:
    return h2_constants.FRAME_NAMES[kind] if kind < len(h2_constants.FRAME_NAMES) else f"frame of type 0x{kind:02x}"


def not_http2(head: bytes) -> Http2Error:
    """Return the error for a connection that does not begin with a SETTINGS frame (RFC 9113 s.3.4)."""
    what = " (this is HTTP/1)" if head.startswith(b"HTTP/") else ""
    what = " (this is TLS)" if head.startswith((b"\x15\x03", b"\x16\x03")) else what
    return Http2Error(f"expected a SETTINGS frame to begin with (RFC 9113 s.3.4), got {shown(head)}{what}")


def frame_too_large(kind: int, size: int, limit: int) -> Http2Error:
    return Http2Error(
        f"{_frame(kind)} of {size} bytes is above the limit of {limit} (RFC 9113 s.4.2)", h2_constants.FRAME_SIZE_ERROR
    )


def frame_size(kind: int, size: int, expected: str, section: str, stream_id: int = 0) -> Http2Error:
    return Http2Error(
        f"{_frame(kind)} has {size} bytes, expected {expected} (RFC 9113 {section})",
        h2_constants.FRAME_SIZE_ERROR,
        stream_id,
    )


def wrong_stream(kind: int, stream_id: int, section: str) -> Http2Error:
    expected = "no stream" if stream_id else "a stream"
    return Http2Error(f"{_frame(kind)} names stream {stream_id}, expected {expected} (RFC 9113 {section})")


def too_much_padding(kind: int, padding: int, size: int, section: str) -> Http2Error:
    return Http2Error(f"{_frame(kind)} of {size} bytes has {padding} bytes of padding (RFC 9113 {section})")


def push_refused() -> Http2Error:
    return Http2Error("PUSH_PROMISE came, though push is switched off (RFC 9113 s.8.4)")


def continuation_expected(kind: int, stream_id: int, expected: int) -> Http2Error:
    return Http2Error(
        f"expected CONTINUATION on stream {expected}, whose field block has not ended, "
        f"got {_frame(kind)} on stream {stream_id} (RFC 9113 s.6.10)"
    )


def continuation_unexpected(stream_id: int) -> Http2Error:
    return Http2Error(f"CONTINUATION on stream {stream_id} continues nothing (RFC 9113 s.6.10)")


def block_too_large(stream_id: int, max_size: int, max_continuations: int) -> Http2Error:
    return Http2Error(
        f"the field block on stream {stream_id} has more than {max_size} bytes or "
        f"{max_continuations} CONTINUATION frames, the most that is read{RAISED_BY}",
        h2_constants.ENHANCE_YOUR_CALM,
    )


def bad_setting(
    setting: int, value: int, expected: str, code: int = h2_constants.PROTOCOL_ERROR, section: str = "RFC 9113 s.6.5.2"
) -> Http2Error:
    return Http2Error(f"setting 0x{setting:x} is {value}, expected {expected} ({section})", code)


def no_increment(stream_id: int) -> Http2Error:
    return Http2Error(
        f"WINDOW_UPDATE on stream {stream_id} adds nothing (RFC 9113 s.6.9)", h2_constants.PROTOCOL_ERROR, stream_id
    )
