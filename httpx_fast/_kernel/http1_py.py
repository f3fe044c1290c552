"""Parse HTTP/1.1 response heads and chunked bodies, write request heads. The pure Python twin of ext/http1.pyx.

This module knows no connection, no request and no rule about message length: it reports what it reads, or raises. Its
rules:

1. The caller owns the bytes and passes all that belong to the head at each call; a decoder of chunks keeps its own.
2. No byte is scanned twice. A head that has arrived whole is matched by one expression (measured on 12 fields: a fifth
   of the cost of line by line); only what it does not match, because it is incomplete, unusual or wrong, is read line
   by line, and that code decides. So the expression must not accept what the line reader refuses.
3. Bytes are refused by default. The comment at each leniency names the peer that needs it.
4. No object is created per field before `fields()` is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from .._exceptions import RemoteProtocolError
from . import errors
from .constants import (
    BAD_LENGTH,
    CHUNKED_ONLY,
    COMMON_NAMES,
    CONNECTION_FLAGS,
    FIELD_FLAGS,
    HAS_CONNECTION,
    HAS_CONTENT_LENGTH,
    HAS_TRANSFER_ENCODING,
    MAX_CHUNK_EXTENSION,
    MAX_CHUNK_SIZE_DIGITS,
    MAX_FIELDS,
    MAX_HEAD_SIZE,
    MAX_LENGTH,
    NO_LENGTH,
    TARGET_BYTES,
    TOKEN_BYTES,
    VALUE_BYTES,
)
from .views import Bytes, view_of

__all__ = ["ChunkedDecoder", "HeadParser", "ResponseHead", "check_field", "chunk_head", "request_head"]

FieldLine: TypeAlias = tuple[bytes, bytes]

PIECE = 8192  # bytes copied at a time while a head's end is searched; nearly all heads are smaller, bodies are not

_TOKEN = b"[" + re.escape(TOKEN_BYTES) + b"]+"
_is_token = re.compile(_TOKEN).fullmatch
_field_name = re.compile(b"(" + _TOKEN + b"):").match
# status-line = HTTP-version SP status-code SP [ reason-phrase ], RFC 9112 s.4. Leniency: the second SP may be missing
# where there is no reason, as it is from many small servers; curl, Go, h11 and llhttp take that too. Bytes of the
# reason are as free as those of a value, see below.
_STATUS_LINE = rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: ([^\0\r\n]*))?"
_status_line = re.compile(_STATUS_LINE).fullmatch
# Leniency: LF alone ends a line of a head. CGI programs and small devices print "\n"; curl, Go and h11 take it.
_whole_head = re.compile(_STATUS_LINE + rb"\r?\n((?:" + _TOKEN + rb":[^\0\r\n]*\r?\n)*)\r?\n").match
_line_end = re.compile(rb"\r\n|[\0\r\n]").search
_known_fields = re.compile(rb"\n(" + b"|".join(map(re.escape, FIELD_FLAGS)) + rb"):([^\r\n]*)", re.IGNORECASE).findall
_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,%d})\r\n" % MAX_CHUNK_SIZE_DIGITS).match
_next_chunk_line = re.compile(rb"\r\n([0-9A-Fa-f]{1,%d})\r\n" % MAX_CHUNK_SIZE_DIGITS).match
_is_digits = re.compile(rb"[0-9]+").fullmatch
_unsendable_target = re.compile(b"[^" + re.escape(TARGET_BYTES) + b"]").search
# A value is empty, or begins and ends with field-vchar (RFC 9110 s.5.5). The first expression is twice as fast, the
# second finds what is wrong.
_FIELD_VCHAR = b"[" + re.escape(VALUE_BYTES.translate(None, b" \t")) + b"]"
_is_value = re.compile(b"(?:%b(?:[%b]*%b)?)?" % (_FIELD_VCHAR, re.escape(VALUE_BYTES), _FIELD_VCHAR)).fullmatch
_unsendable_value = re.compile(rb"\A[ \t]|[^" + re.escape(VALUE_BYTES) + rb"]|[ \t]\Z").search

_VERSION = b"HTTP/1."
_shared_name = {name: name for name in COMMON_NAMES}.get
_WHITESPACE = b" \t"
_FOLDS = (0x20, 0x09)


class ResponseHead:
    """Hold the status line and the field section of a response. Read-only."""

    __slots__ = ("_block", "_fields", "_rest", "content_length", "count", "flags", "minor", "reason", "size", "status")

    def __init__(
        self,
        minor: bytes,
        status: bytes,
        reason: bytes | None,
        size: int,
        count: int,
        known: Iterable[FieldLine],
        block: bytes,
        fields: list[FieldLine] | None = None,
    ) -> None:
        self.status: int = int(status)
        #: Of "HTTP/1.minor".
        self.minor: int = int(minor)
        self.reason: bytes = reason or b""
        #: Bytes of the head, its last line end included.
        self.size: int = size
        #: Number of fields.
        self.count: int = count
        self.flags: int
        self.content_length: int
        self.flags, self.content_length = _facts(known)
        # The field lines without the empty one, as they came; empty where `fields` were made at once.
        self._block = block
        self._fields = fields
        self._rest: bytes | None = None

    def fields(self) -> list[FieldLine]:
        """Return names as received and values without whitespace around them; the same list at every call."""
        fields = self._fields
        if fields is None:
            shared = _shared_name
            lines = [line.partition(b":") for line in self._block.split(b"\n")]
            lines.pop()  # what follows the last line end
            fields = self._fields = [(shared(name, name), value.strip(b" \t\r")) for name, _, value in lines]
        return fields

    def get_all(self, lower_name: bytes) -> list[bytes]:
        """Return the values of all fields with this name, which is given in lower case."""
        if self._fields is None and lower_name not in self._block.lower():
            return []
        return [value for name, value in self.fields() if name.lower() == lower_name]

    def take_rest(self) -> bytes | None:
        """Return the bytes after the head, once, if they are as many as one valid Content-Length says; else None."""
        rest, self._rest = self._rest, None
        return rest


def _facts(known: Iterable[FieldLine]) -> tuple[int, int]:
    """Return flags and content length of the fields named in FIELD_FLAGS; values may have whitespace around them."""
    flags = 0
    length = NO_LENGTH
    for name, value in known:
        flag = FIELD_FLAGS[name.lower()]
        if flag == HAS_CONTENT_LENGTH:
            length = BAD_LENGTH if flags & flag else _length(value.strip(b" \t\r"))
        elif flag == HAS_CONNECTION:
            for member in value.split(b","):
                flags |= CONNECTION_FLAGS.get(member.strip(b" \t\r").lower(), 0)
        elif flag == HAS_TRANSFER_ENCODING:
            if flags & flag:
                flags &= ~CHUNKED_ONLY
            elif value.strip(b" \t\r").lower() == b"chunked":
                flags |= CHUNKED_ONLY
        flags |= flag
    return flags, length


def _length(value: bytes) -> int:
    # Content-Length = 1*DIGIT, RFC 9110 s.8.6. Any number of leading zeros is allowed, so they go before int(), which
    # takes quadratic time on long numbers.
    if not _is_digits(value):
        return BAD_LENGTH
    value = value.lstrip(b"0")
    if len(value) > 19:
        return BAD_LENGTH
    length = int(value or b"0")
    return length if length <= MAX_LENGTH else BAD_LENGTH


class _Section:
    """Read a status line and field lines, or a trailer section, line by line as they arrive.

    Errors are reported in this order: NUL or a stray CR or LF as soon as it arrives, all others when the line has
    ended. So the report does not depend on how the bytes were cut.
    """

    __slots__ = ("_line", "_scanned", "bare_lf", "fields", "raw", "title")

    def __init__(self, title: str, bare_lf: bool) -> None:
        self.title = title
        self.bare_lf = bare_lf
        self.raw = bytearray()
        self._line = 0  # where the line that is being read begins
        self._scanned = 0
        # Name and parts of the value; more parts than one where it was folded.
        self.fields: list[tuple[bytes, list[bytes]]] = []

    @property
    def size(self) -> int:
        return self._line

    def next_line(self) -> bytes | None:
        """Return the next line without its end, None while that has not arrived. Raises RemoteProtocolError."""
        raw = self.raw
        match = _line_end(raw, self._scanned)
        if match is None:
            self._scanned = len(raw)
            return None
        begin, end = match.span()
        found = match[0]
        if found == b"\r" and end == len(raw):
            self._scanned = begin
            return None
        if found != b"\r\n" and not (found == b"\n" and self.bare_lf):
            raise errors.bad_byte(bytes(raw[self._line : end]))
        line = bytes(raw[self._line : begin])
        self._line = self._scanned = end
        return line

    def read_fields(self) -> bool:
        """Read the lines that have arrived; return whether one was the empty line. Raises RemoteProtocolError."""
        while (line := self.next_line()) is not None:
            if not line:
                return True
            if line[0] in _FOLDS:
                # obs-fold, RFC 9112 s.5.2: a user agent must replace it by whitespace.
                if not self.fields:
                    raise errors.fold_without_field(line)
                self.fields[-1][1].append(line.strip(_WHITESPACE))
                continue
            match = _field_name(line)
            if match is None:
                raise errors.bad_field_line(line)
            if len(self.fields) == MAX_FIELDS:
                raise errors.too_many_fields(self.title)
            # Leniency: a value may have any byte but NUL, CR and LF. Old servers send Latin-1, UTF-8 and stray
            # controls, and all browsers, curl and Go's client read them.
            self.fields.append((match[1], [line[match.end() :].strip(_WHITESPACE)]))
        return False

    def finished_fields(self) -> list[FieldLine]:
        shared = _shared_name
        return [(shared(name, name), b" ".join(filter(None, parts))) for name, parts in self.fields]


class HeadParser:
    """Read response heads of at most `max_size` bytes, one after the other."""

    __slots__ = ("_max_size", "_seen", "_section", "_status")

    def __init__(self, max_size: int = MAX_HEAD_SIZE) -> None:
        errors.check_head_size(max_size)
        self._max_size = max_size
        self.reset()

    def reset(self) -> None:
        """Discard a head that was begun."""
        self._section: _Section | None = None
        self._status: tuple[bytes, bytes, bytes | None] | None = None
        self._seen = 0

    def feed(self, data: Bytes, start: int, end: int) -> ResponseHead | None:
        """Return the head that begins at `start`, or None while bytes of it are missing.

        After None, call it again with the same bytes and more, which may have moved in memory. After a head it is
        ready for the next one, after an error it has discarded the head. Raises RemoteProtocolError, and ValueError
        when [start, end) is not in `data` or has fewer bytes than before.
        """
        view = view_of(data)
        if not 0 <= start <= end <= view.nbytes or end - start < self._seen:
            raise ValueError(f"bytes {start} to {end} of {view.nbytes} cannot be read, {self._seen} were there before")
        try:
            head = self._feed(view, start, end)
        except RemoteProtocolError:
            self.reset()
            raise
        if head is not None and head.content_length == end - start - head.size:
            head._rest = bytes(view[start + head.size : end])
        return head

    def _feed(self, view: memoryview, start: int, end: int) -> ResponseHead | None:
        if self._section is None:
            piece = bytes(view[start : min(end, start + PIECE)])
            match = _whole_head(piece)
            if match is not None and match.end() <= self._max_size:
                minor, status, reason, block = match.groups()
                count = block.count(b"\n")
                if count <= MAX_FIELDS:
                    known = _known_fields(piece, match.start(4) - 1, match.end(4))
                    return ResponseHead(minor, status, reason, match.end(), count, known, block)
            if start == end:
                return None
            self._section = _Section("head", bare_lf=True)
        return self._read_lines(self._section, view[start:end])

    def _read_lines(self, section: _Section, view: memoryview) -> ResponseHead | None:
        available = len(view)
        raw = section.raw
        last = min(available, self._max_size)
        while len(raw) < last:
            raw += view[len(raw) : min(last, len(raw) + PIECE)]
            if self._status is None and not self._read_status(section, view):
                continue
            if section.read_fields():
                return self._finish(section)
        if available >= self._max_size:
            raise errors.too_large(section.title, self._max_size)
        self._seen = available
        return None

    def _read_status(self, section: _Section, view: memoryview) -> bool:
        """Read the status line; return whether it is complete (RFC 9112 s.4).

        Other protocols are refused by their first bytes: a TLS alert, say, never ends a line.
        """
        if not section.raw.startswith(_VERSION[: len(section.raw)]):
            raise errors.not_http1(bytes(view[: errors.SHOWN_AND_ONE]))
        line = section.next_line()
        if line is None:
            return False
        match = _status_line(line)
        if match is None:
            raise errors.bad_status_line(line)
        minor, status, reason = match.groups()
        self._status = minor, status, reason
        return True

    def _finish(self, section: _Section) -> ResponseHead:
        assert self._status is not None
        fields = section.finished_fields()
        known = [field for field in fields if field[0].lower() in FIELD_FLAGS]
        head = ResponseHead(*self._status, section.size, len(fields), known, b"", fields)
        self.reset()
        return head


# Where a decoder of chunks stands. A chunk is SIZE [SPACE] [EXTENSION...] SIZE_LF DATA DATA_CR DATA_LF.
_SIZE, _SPACE, _EXTENSION, _QUOTED, _ESCAPED, _SIZE_LF, _DATA, _DATA_CR, _DATA_LF, _TRAILERS, _DONE = range(11)
_HEX = {byte: int(chr(byte), 16) for byte in b"0123456789abcdefABCDEF"}


class ChunkedDecoder:
    """Decode a chunked body (RFC 9112 s.7.1).

    All line ends have to be CRLF, also those of trailers: if a peer and an intermediary see the end of a chunk at
    different bytes, a response can be smuggled in. A trailer section has at most `max_trailers` bytes.
    """

    __slots__ = (
        "_digits",
        "_extension",
        "_left",
        "_max_trailers",
        "_section",
        "_state",
        "done",
        "salvaged",
        "trailers",
    )

    def __init__(self, max_trailers: int = MAX_HEAD_SIZE) -> None:
        errors.check_head_size(max_trailers)
        self._max_trailers = max_trailers
        self.reset()

    def reset(self) -> None:
        """Begin a new body."""
        self._state = _SIZE
        self._digits = 0
        self._left = 0  # of the chunk, in bytes
        self._extension = 0  # bytes of extensions so far
        self._section: _Section | None = None
        #: True when the last byte of the body, its trailer section included, was consumed.
        self.done = False
        #: Fields of the trailer section; filled when done.
        self.trailers: list[FieldLine] = []
        #: What was decoded in the call that raised, before the error.
        self.salvaged = b""

    def feed(self, data: Bytes, start: int, end: int) -> tuple[bytes, int]:
        """Return decoded bytes and the position after the last byte consumed, which is `end` unless done.

        The caller need not keep any bytes. Raises RemoteProtocolError, and ValueError when [start, end) is not in
        `data`.
        """
        view = view_of(data)
        if not 0 <= start <= end <= view.nbytes:
            raise ValueError(f"bytes {start} to {end} of {view.nbytes} cannot be read")
        pieces: list[memoryview] = []
        try:
            at = self._read(view, start, end, pieces)
        except RemoteProtocolError:
            self.salvaged = b"".join(pieces)
            raise
        return b"".join(pieces), at

    def _read(self, view: memoryview, at: int, end: int, pieces: list[memoryview]) -> int:
        while at < end and not self.done:
            state = self._state
            if state == _DATA:
                taken = min(self._left, end - at)
                pieces.append(view[at : at + taken])
                at += taken
                self._left -= taken
                if self._left == 0:
                    self._state = _DATA_CR
            elif state == _TRAILERS:
                at = self._read_trailers(view, at, end)
            elif (match := self._whole_line(view, at, end)) is not None:
                self._left = int(match[1], 16)
                self._state = _DATA if self._left else _TRAILERS
                at = match.end()
            else:
                self._step(view, at, end)
                at += 1
        return at

    def _whole_line(self, view: memoryview, at: int, end: int) -> re.Match[bytes] | None:
        """Match the whole framing before a chunk's data, if it has arrived and has no extension."""
        if self._state == _DATA_CR:
            return _next_chunk_line(view, at, end)
        if self._state == _SIZE and self._digits == 0:
            return _chunk_line(view, at, end)
        return None

    def _step(self, view: memoryview, at: int, end: int) -> None:
        """Read one byte of the framing."""
        byte = view[at]
        state = self._state
        if state == _SIZE:
            self._step_size(byte, view, at, end)
        elif state == _SIZE_LF:
            if byte != 0x0A:
                raise errors.chunk_size_unended(_seen(view, at, end))
            self._digits = 0
            self._state = _DATA if self._left else _TRAILERS
        elif state == _DATA_CR:
            if byte != 0x0D:
                raise errors.chunk_unended(_seen(view, at, end))
            self._state = _DATA_LF
        elif state == _DATA_LF:
            if byte != 0x0A:
                raise errors.chunk_unended(_seen(view, at, end))
            self._state = _SIZE
        else:
            self._step_extension(byte, view, at, end)

    def _step_size(self, byte: int, view: memoryview, at: int, end: int) -> None:
        digit = _HEX.get(byte)
        if digit is not None:
            if self._digits == MAX_CHUNK_SIZE_DIGITS:
                raise errors.chunk_size_too_long(_seen(view, at, end))
            self._digits += 1
            self._left = self._left * 16 + digit
        elif self._digits == 0:
            raise errors.chunk_size_expected(_seen(view, at, end))
        else:
            self._step_extension(byte, view, at, end)

    def _step_extension(self, byte: int, view: memoryview, at: int, end: int) -> None:
        """Skip `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`, RFC 9112 s.7.1.1.

        Leniency: whitespace may stand before the line end, with no extension. Servers that write the size into a
        field of fixed width send it; Go, curl and h11 take it.
        """
        state = self._state
        if byte == 0x0D and state <= _EXTENSION:
            self._state = _SIZE_LF
            return
        if state <= _SPACE:
            if byte == 0x3B:  # ;
                self._state = _EXTENSION
            elif byte in _FOLDS:
                self._state = _SPACE
            else:
                raise errors.chunk_size_unended(_seen(view, at, end))
        # CRLF cannot be quoted: one implementation would take it for the line end, another for content.
        elif byte == 0x7F or (byte < 0x20 and byte != 0x09):
            raise errors.bad_chunk_extension(_seen(view, at, end))
        elif state == _ESCAPED:
            self._state = _QUOTED
        elif byte == 0x22:  # "
            self._state = _EXTENSION if state == _QUOTED else _QUOTED
        elif byte == 0x5C and state == _QUOTED:  # \
            self._state = _ESCAPED
        self._extension += 1
        if self._extension > MAX_CHUNK_EXTENSION:
            raise errors.chunk_extension_too_long()

    def _read_trailers(self, view: memoryview, at: int, end: int) -> int:
        """Read lines of the trailer section (RFC 9112 s.7.1.2); return where reading continues."""
        section = self._section
        if section is None:
            if bytes(view[at : min(at + 2, end)]) == b"\r\n":
                self._state = _DONE
                self.done = True
                return at + 2
            section = self._section = _Section("trailer section", bare_lf=False)
        before = len(section.raw)
        section.raw += view[at : min(end, at + self._max_trailers - before)]
        if section.read_fields():
            self.trailers = section.finished_fields()
            self._state = _DONE
            self.done = True
            return at + section.size - before
        if len(section.raw) == self._max_trailers:
            raise errors.too_large(section.title, self._max_trailers)
        return end


def _seen(view: memoryview, at: int, end: int) -> bytes:
    return bytes(view[at : min(end, at + errors.SHOWN_AND_ONE)])


def request_head(method: bytes, target: bytes, fields: Sequence[FieldLine]) -> bytes:
    """Return request line and field section as bytes (RFC 9112 s.3). Raises LocalProtocolError."""
    if type(method) is not bytes or type(target) is not bytes:
        raise errors.not_bytes(method, target, "method and target")
    # Each iterator is asked once: what is checked is what is sent.
    pairs = pairs_of(fields)
    if not _is_token(method):
        raise errors.bad_method(method)
    unsendable = _unsendable_target(target)
    if unsendable is not None or not target:
        raise errors.bad_target(target, unsendable.start() if unsendable else 0)
    lines = [b"%b %b HTTP/1.1\r\n" % (method, target)]
    for name, value in pairs:
        if not _is_token(name) or not _is_value(value):
            check_field(name, value)
        lines.append(b"%b: %b\r\n" % (name, value))
    lines.append(b"\r\n")
    return b"".join(lines)


def pairs_of(fields: Iterable[FieldLine]) -> list[FieldLine]:
    """Return field lines as a new list of pairs of bytes. Raises TypeError, and ValueError for no pair.

    Subclasses of bytes are refused: they may show one value to a check and another to a join.
    """
    pairs: list[FieldLine] = []
    for name, value in list(fields):  # which an iterator of a field cannot change
        if type(name) is not bytes or type(value) is not bytes:
            raise errors.not_bytes(name, value)
        pairs.append((name, value))
    return pairs


def check_field(name: bytes, value: bytes) -> None:
    """Raise LocalProtocolError if a field cannot be sent as it is (RFC 9110 s.5.1, s.5.5)."""
    if type(name) is not bytes or type(value) is not bytes:
        raise errors.not_bytes(name, value)
    if not _is_token(name):
        raise errors.bad_name(name)
    match = _unsendable_value(value)
    if match is not None:
        raise errors.bad_value(name, value, match.start())


def chunk_head(size: int) -> bytes:
    """Return the line before a chunk of `size` bytes; 0 is the last chunk, which ends the body (RFC 9112 s.7.1)."""
    if size < 0:
        raise ValueError(f"a chunk of {size} bytes cannot be")
    return b"%x\r\n" % size
