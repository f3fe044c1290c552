"""Exceptions for HTTP/1.1 messages that are wrong. Both kernels call these functions, so their messages are the same.

An error of the peer shows at most `MAX_SHOWN` bytes of what was seen, and says what was expected. An error of our own
side never shows a field value, which may be a secret.
"""

from __future__ import annotations

from .._exceptions import MAX_SHOWN, LocalProtocolError, RemoteProtocolError, shown
from .constants import LARGEST_HEAD_SIZE, MAX_CHUNK_EXTENSION, MAX_CHUNK_SIZE_DIGITS, MAX_FIELDS, TOKEN_BYTES

SHOWN_AND_ONE = MAX_SHOWN + 1  # bytes that a kernel passes on, so that `shown` can say that there were more
RAISED_BY = ": Limits(max_head_size=...) sets the limit"  # how to get more than the size that a message names

# Other protocols that may answer on the port: their first bytes, and what these mean.
_STRANGERS = (
    (b"\x16\x03", "this is TLS: https was meant, or a proxy expects it"),
    (b"\x15\x03", "this is a TLS alert: https was meant, or a proxy expects it"),
    (b"HTTP/", "this version of HTTP is not spoken here"),
    (b"PRI * ", "this is HTTP/2"),
    (b"SSH-", "this is SSH"),
    (b"ICY", "this is SHOUTcast"),
    (b"RTSP/", "this is RTSP"),
    (b"SIP/", "this is SIP"),
    (b"220", "this is FTP or SMTP"),
    (b"+OK", "this is POP3"),
    (b"* OK", "this is IMAP"),
    (b"<", "this is a document without a head: HTTP/0.9"),
    (b"\r", "this is an empty line, maybe left over from a response that was longer than it said"),
    (b"\n", "this is an empty line, maybe left over from a response that was longer than it said"),
    (b" ", "a status line does not begin with whitespace"),
    (b"\t", "a status line does not begin with whitespace"),
)


def not_http1(data: bytes) -> RemoteProtocolError:
    """Return the error for bytes that do not begin with "HTTP/1."."""
    return RemoteProtocolError(f"expected a status line like b'HTTP/1.1 200 OK', got {shown(data)}{_stranger(data)}")


def _stranger(data: bytes) -> str:
    if data[3:4] == b"\x04" and data[:1] == b"\0":  # a SETTINGS frame, RFC 9113 s.6.5
        return " (this is HTTP/2)"
    return next((f" ({meaning})" for start, meaning in _STRANGERS if data.startswith(start)), "")


def bad_status_line(line: bytes) -> RemoteProtocolError:
    """Return the error for a first line that is not `HTTP/1.DIGIT SP 3DIGIT [SP reason]` (RFC 9112 s.4)."""
    return RemoteProtocolError(
        f"expected a status line like b'HTTP/1.1 200 OK' with a status from 100 to 999, got {shown(line)}"
    )


def bad_byte(line: bytes) -> RemoteProtocolError:
    """Return the error for CR, LF or NUL within a line; `line` ends with that byte (RFC 9112 s.2.2)."""
    names = {0x00: "NUL", 0x0A: "a LF without CR", 0x0D: "a CR without LF"}
    return RemoteProtocolError(f"a line has {names[line[-1]]} after {shown(line[-MAX_SHOWN - 1 : -1])}")


def bad_field_line(line: bytes) -> RemoteProtocolError:
    """Return the error for a line that is not `token ":" OWS value OWS` (RFC 9112 s.5)."""
    name, colon, _ = line.partition(b":")
    if not colon:
        reason = "it has no colon"
    elif not name:
        reason = "its name is empty"
    elif not name.rstrip(b" \t").strip(TOKEN_BYTES):
        reason = "whitespace stands between name and colon"
    else:
        reason = "its name is no token"
    return RemoteProtocolError(f"a field line cannot be read, since {reason}: {shown(line)}")


def fold_without_field(line: bytes) -> RemoteProtocolError:
    """Return the error for a first field line that begins with whitespace, so that it continues no field."""
    return RemoteProtocolError(f"the first field line begins with whitespace: {shown(line)}")


def too_large(section: str, limit: int) -> RemoteProtocolError:
    """Return the error for a section above its limit in bytes; `section` is "head" or "trailer section"."""
    return RemoteProtocolError(f"the {section} has not ended after {limit} bytes, the most that is read{RAISED_BY}")


def check_head_size(size: int) -> None:
    """Raise ValueError if a parser cannot have this limit."""
    if not 0 < size <= LARGEST_HEAD_SIZE:
        raise ValueError(f"expected 1 to {LARGEST_HEAD_SIZE} bytes as the size of a head, got {size}")


def too_many_fields(section: str) -> RemoteProtocolError:
    """Return the error for a section above its limit; `section` is "head" or "trailer section"."""
    return RemoteProtocolError(f"the {section} has more than {MAX_FIELDS} field lines, the most that is read")


def chunk_size_expected(data: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"expected a chunk size in hexadecimal digits, got {shown(data)}")


def chunk_size_too_long(data: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"a chunk size has more than {MAX_CHUNK_SIZE_DIGITS} digits, the most that is read: {shown(data)} goes on"
    )


def chunk_size_unended(data: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"expected CRLF or an extension after a chunk size, got {shown(data)}")


def bad_chunk_extension(data: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"a chunk extension has a control character: {shown(data)}")


def chunk_extension_too_long() -> RemoteProtocolError:
    return RemoteProtocolError(
        f"the chunk extensions of this message take more than {MAX_CHUNK_EXTENSION} bytes, the most that is read"
    )


def chunk_unended(data: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"expected CRLF after the data of a chunk, got {shown(data)}")


def bad_method(method: bytes) -> LocalProtocolError:
    return LocalProtocolError(f"the method has to be a token (RFC 9110 s.9.1), not {shown(method)}")


def bad_target(target: bytes, at: int) -> LocalProtocolError:
    """Return the error for a target with an invalid byte at `at`; the query is not shown: it may hold a secret."""
    if not target:
        return LocalProtocolError("the request target is empty")
    path, mark, _ = target.partition(b"?")
    return LocalProtocolError(
        f"the request target has {target[at : at + 1]!r} at offset {at}, only visible ASCII may be sent: "
        f"{shown(path + mark)}"
    )


def not_bytes(first: object, second: object, what: str = "name and value of a field") -> TypeError:
    return TypeError(f"{what} have to be bytes, not {type(first).__name__} and {type(second).__name__}")


def bad_name(name: bytes) -> LocalProtocolError:
    return LocalProtocolError(f"a field name has to be a token (RFC 9110 s.5.1), not {shown(name)}")


def bad_value(name: bytes, value: bytes, at: int) -> LocalProtocolError:
    """Return the error for a value whose byte at `at` cannot be sent; whitespace cannot be sent at the ends."""
    byte = value[at : at + 1]
    if byte in (b" ", b"\t"):
        reason = "begins or ends with whitespace"
    else:
        reason = f"has {byte!r} at offset {at}, a control character"
    return LocalProtocolError(f"the value of the field {shown(name)} {reason}")


def name_of_wrong_type(name: object) -> TypeError:
    """Return the error for a field name that is neither text nor bytes."""
    return TypeError(f"a header name is str or bytes, not {type(name).__name__}: {name!r}")


def value_of_wrong_type(name: bytes, value: object) -> TypeError:
    """Return the error for a field value that is neither text nor bytes."""
    shown_name = name.decode("ascii", "replace")
    return TypeError(f"the value of header {shown_name!r} is to be str or bytes, not {type(value).__name__}")


def tell_where(error: UnicodeEncodeError, name: bytes | None) -> None:
    """Add to the error which value could not be encoded; without a name it was a name itself."""
    where = "a header name" if name is None else f"the value of header {name.decode('ascii', 'replace')!r}"
    error.reason += f", in {where}: give bytes, or Headers with an encoding"
