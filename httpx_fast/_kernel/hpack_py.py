"""Decode HPACK field blocks (RFC 7541). The pure Python twin of ext/hpack.pyx.

This module knows no frames, streams or requests: it returns the fields of a block, or raises. Its rules:

1. A decoder belongs to a connection, and decodes every block in order. An HPACK error
   (`Http2Error`, COMPRESSION_ERROR) ends the connection, since the tables of both sides may differ from then on.
2. A section above `max_list_size` is decoded to its end without being kept, then `SectionTooLarge` is raised: the
   tables are in step, so only the stream is lost. The cost is linear in the block, whose size the frames bound.
3. An entry of a table is a ready (name, value) pair with flag and offences. Fields that refer to it share the pair.
4. What is wrong with names and values is reported by `FieldSection.offences`, and `_wire` decides: it makes one
   message malformed (RFC 9113 s.8.1.1), while the block was valid.

The input is the contents of a HEADERS frame as `frames` returns them. Clients call `decode_response()`; `decode()`
returns the plain list with all pseudo fields.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import Final, TypeAlias

from .._hpack_tables import EOS, HUFFMAN_CODES, STATIC_COUNT, STATIC_TABLE
from . import h2_errors
from .constants import (
    BAD_LENGTH,
    COMMON_NAMES,
    FIELD_FLAGS,
    HAS_CONTENT_LENGTH,
    MAX_LENGTH,
    NO_LENGTH,
    TOKEN_BYTES,
)
from .h2_constants import (
    BAD_NAME,
    BAD_STATUS,
    BAD_VALUE,
    BLANK_AT_END,
    CONNECTION_FIELDS,
    CONNECTION_SPECIFIC,
    DEFAULT_TABLE_SIZE,
    ENTRY_OVERHEAD,
    MAX_INTEGER_BYTES,
    MAX_LIST_SIZE,
    MAX_REMEMBERED_BLOCK,
    PSEUDO_LATE,
    PSEUDO_REPEATED,
    PSEUDO_UNKNOWN,
    UPPER_CASE_NAME,
)
from .views import view_of

__all__ = ["FieldSection", "HpackDecoder"]

FieldLine: TypeAlias = tuple[bytes, bytes]
# The pair, its size, the flag of its name, the offences that can be seen from the field alone, and _REGULAR or the
# status of a response, 0 for what is wrong with a pseudo field.
Entry: TypeAlias = tuple[FieldLine, int, int, int, int]

_REGULAR: Final = -1
_OF_NAME: Final = UPPER_CASE_NAME | BAD_NAME | CONNECTION_SPECIFIC | PSEUDO_UNKNOWN

_LOWER = re.escape(bytes(byte for byte in TOKEN_BYTES if not chr(byte).isupper()))
_is_lower_token = re.compile(b"[" + _LOWER + b"]+").fullmatch
_has_no_token = re.compile(b"[^" + re.escape(TOKEN_BYTES) + b"]").search
_has_upper_case = re.compile(rb"[A-Z]").search
_has_line_end = re.compile(rb"[\0\r\n]").search
_is_status = re.compile(rb"[1-9][0-9][0-9]").fullmatch
_is_digits = re.compile(rb"[0-9]+").fullmatch

# The objects of the static table win, since its entries hand them out anyway.
_shared_name = {
    name: name
    for name in (*COMMON_NAMES, *CONNECTION_FIELDS, *FIELD_FLAGS, *(name for name, _ in reversed(STATIC_TABLE)))
    if name == name.lower()
}


def _name_facts(name: bytes) -> tuple[int, int, int]:
    """Return flag, offences and status of a field with this name, before its value is known."""
    if name[:1] == b":":
        return 0, 0 if name == b":status" else PSEUDO_UNKNOWN, 0
    if name in CONNECTION_FIELDS:
        return FIELD_FLAGS.get(name, 0), CONNECTION_SPECIFIC, _REGULAR
    if _is_lower_token(name):
        return FIELD_FLAGS.get(name, 0), 0, _REGULAR
    offences = 0 if name and not _has_no_token(name) else BAD_NAME
    return 0, offences | (UPPER_CASE_NAME if _has_upper_case(name) else 0), _REGULAR


def _entry(pair: FieldLine, flag: int, offences: int, status: int) -> Entry:
    """Return the entry of a field; flag, offences and status of its name are given."""
    name, value = pair
    if status == _REGULAR:
        if value and (value[0] in b" \t" or value[-1] in b" \t"):
            offences |= BLANK_AT_END
        if _has_line_end(value):
            offences |= BAD_VALUE
    elif not offences:
        status = int(value) if _is_status(value) else 0
        offences = 0 if status else BAD_STATUS
    return pair, len(name) + len(value) + ENTRY_OVERHEAD, flag, offences, status


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


_STATIC_ENTRIES: Final = [_entry(pair, *_name_facts(pair[0])) for pair in STATIC_TABLE]


# Huffman's code.

# Nodes of the code's tree: two successors each, where a leaf is ~symbol. Bytes move from node to node.
_TREE: list[list[int]] = [[0, 0]]
_PADDING = {0}  # the nodes where a string may end: 0, and those that less than 8 ones lead to


def _grow_tree() -> None:
    for symbol, (code, bits) in enumerate(HUFFMAN_CODES):
        node = 0
        for position in range(bits - 1, 0, -1):
            bit = code >> position & 1
            if not _TREE[node][bit]:
                _TREE[node][bit] = len(_TREE)
                _TREE.append([0, 0])
            node = _TREE[node][bit]
        _TREE[node][code & 1] = ~symbol
    node = 0
    for _ in range(7):
        node = _TREE[node][1]
        _PADDING.add(node)


_grow_tree()

# What a byte does at a node: the symbols that it completes, and the node that it leads to. Filled when first needed:
# dates, numbers and tokens need some thousands, and a peer that means to could have all 65,536 filled, 12 MB.
_MAX_MOVES = 16384  # entries that are kept, some 3 MB
_moves: dict[int, tuple[bytes, int]] = {}
_EOS_SEEN: Final = -1


def _move(key: int) -> tuple[bytes, int]:
    node, byte = key >> 8, key & 0xFF
    symbols = bytearray()
    for position in range(7, -1, -1):
        node = _TREE[node][byte >> position & 1]
        if node == ~EOS:
            return b"", _EOS_SEEN
        if node < 0:
            symbols.append(~node)
            node = 0
    move = bytes(symbols), node << 8
    if len(_moves) < _MAX_MOVES:
        _moves[key] = move
    return move


def _unhuffman(data: bytes, at: int) -> bytes:
    """Decode a Huffman-coded string; `at` is where its field begins. Raises Http2Error."""
    parts: list[bytes] = []
    node = 0
    moves = _moves
    for byte in data:
        key = node | byte
        symbols, node = moves[key] if key in moves else _move(key)
        if node == _EOS_SEEN:
            raise h2_errors.end_of_string(data[: h2_errors.SHOWN_AND_ONE], at)
        parts.append(symbols)
    if node >> 8 not in _PADDING:
        raise h2_errors.bad_padding(data[: h2_errors.SHOWN_AND_ONE], at)
    return b"".join(parts)


class FieldSection:
    """Hold the field section of a response, or a trailer section. Read-only."""

    __slots__ = ("_lines", "content_length", "count", "flags", "offences", "offender", "size", "status")

    #: Of "HTTP/2.minor".
    minor = 0
    #: HTTP/2 has none.
    reason = b""

    def __init__(self, entries: Iterable[Entry] = (), size: int = 0) -> None:
        #: 0 where there is no `:status`, as in trailers, or a wrong one.
        self.status: int = 0
        self.flags: int = 0
        #: What is wrong with it, 0 for nothing.
        self.offences: int = 0
        #: The first field that something is wrong with, or None.
        self.offender: FieldLine | None = None
        #: Bytes of the section as RFC 9113 s.6.5.2 counts them, pseudo fields included.
        self.size: int = size
        self.content_length: int = NO_LENGTH
        self._lines: list[FieldLine] = []
        self._take(entries)
        #: Number of fields.
        self.count: int = len(self._lines)

    def _take(self, entries: Iterable[Entry]) -> None:
        lines = self._lines
        with_status = False
        for pair, _, flag, offences, status in entries:
            if status == _REGULAR:
                if offences & BLANK_AT_END:
                    offences &= ~BLANK_AT_END
                    lines.append((pair[0], pair[1].strip(b" \t")))
                else:
                    lines.append(pair)
                if flag == HAS_CONTENT_LENGTH:
                    self.content_length = BAD_LENGTH if self.flags & flag else _length(lines[-1][1])
                self.flags |= flag
            else:
                if lines:
                    offences |= PSEUDO_LATE
                if offences & PSEUDO_UNKNOWN:
                    pass
                elif with_status:
                    offences |= PSEUDO_REPEATED
                else:
                    with_status = True
                    self.status = status
            if offences:
                self.offences |= offences
                self.offender = self.offender or pair

    def _copy(self) -> FieldSection:
        """Return the same section with a list of its own; this one has no offences."""
        section = FieldSection()
        section._lines = self._lines[:]
        section.status = self.status
        section.flags = self.flags
        section.count = self.count
        section.size = self.size
        section.content_length = self.content_length
        return section

    def fields(self) -> list[FieldLine]:
        """Return names and values as received, without pseudo fields; the same list at every call."""
        return self._lines

    def get_all(self, lower_name: bytes) -> list[bytes]:
        """Return the values of all fields with this name, which is given in lower case."""
        return [value for name, value in self._lines if name == lower_name]


def _check_limit(limit: int) -> None:
    if limit < 0:
        raise ValueError(f"a table of {limit} bytes cannot be")


class HpackDecoder:
    """Decode the field blocks that one peer sends, in their order."""

    __slots__ = (
        "_added",
        "_due",
        "_entries",
        "_generation",
        "_last",
        "_last_added",
        "_last_section",
        "_limit",
        "_list_size",
        "_self_contained",
        "_size",
        "_used",
        "max_list_size",
    )

    def __init__(self, max_table_size: int = DEFAULT_TABLE_SIZE, max_list_size: int = MAX_LIST_SIZE) -> None:
        _check_limit(max_table_size)
        self._entries: deque[Entry] = deque()  # the newest one first
        self._used = 0
        self._size = max_table_size  # bytes that the table may use; the peer changes it within `_limit`
        self._limit = max_table_size
        self._due: int | None = None  # the lowest limit that the peer has to follow with its next block
        self._list_size = 0  # bytes of the section so far
        self._generation = 0  # changes of the table so far
        self._self_contained = True  # the block that is read names no entry of the table, and changes no size
        self._added: list[Entry] = []  # by the block that is read
        # The last block, for which table (None: any) and limit it holds, and once it came twice its section, and what
        # it adds to the table.
        self._last: tuple[bytes, int | None, int] | None = None
        self._last_added: list[Entry] = []
        self._last_section: FieldSection | None = None
        #: Bytes that a field section may have, as RFC 9113 s.6.5.2 counts them.
        self.max_list_size = max_list_size

    @property
    def max_table_size(self) -> int:
        """Return the limit of the table in bytes: SETTINGS_HEADER_TABLE_SIZE, once the peer acknowledged it."""
        return self._limit

    @max_table_size.setter
    def max_table_size(self, limit: int) -> None:
        _check_limit(limit)
        self._limit = limit
        if limit < self._size and (self._due is None or limit < self._due):
            self._due = limit

    @property
    def table_size(self) -> int:
        """Return the size of the dynamic table in bytes, as RFC 7541 s.4.1 counts them."""
        return self._used

    def decode(self, block: bytes | bytearray | memoryview) -> list[FieldLine]:
        """Return all fields of a block. Raises Http2Error, and SectionTooLarge."""
        return [entry[0] for entry in self._read(bytes(view_of(block)))]

    def decode_response(self, block: bytes | bytearray | memoryview) -> FieldSection:
        """Return the fields of a block with status, flags and offences. Raises Http2Error, and SectionTooLarge."""
        raw = bytes(view_of(block))
        last, limit = self._last, self.max_list_size
        known = self._due is None and last in ((raw, None, limit), (raw, self._generation, limit))
        if known and self._last_section is not None:
            for entry in self._last_added:
                self._add(entry)
            return self._last_section._copy()
        self._last = self._last_section = None
        before = self._generation
        section = FieldSection(self._read(raw), self._list_size)
        if (
            len(raw) <= MAX_REMEMBERED_BLOCK
            and not section.offences
            and (self._self_contained or before == self._generation)
        ):
            self._last = raw, None if self._self_contained else before, limit
            if known:
                self._last_section = section._copy()
                self._last_added = self._added
        self._added = []
        return section

    def _read(self, block: bytes) -> list[Entry]:
        found: list[Entry] = []
        self._added = []
        self._self_contained = True
        at = self._read_changes(block)
        end = len(block)
        size = 0
        limit = self.max_list_size
        while at < end:
            byte = block[at]
            if byte > 0x80 and byte <= 0x80 | STATIC_COUNT:
                at += 1
                entry = _STATIC_ENTRIES[byte - 0x81]
            elif byte & 0x80:
                index, after = _read_integer(block, at, 0x7F, at)
                entry = self._entry_at(index, at)
                at = after
            elif byte & 0x40:
                entry, at = self._read_literal(block, at, 0x3F)
                self._added.append(entry)
                self._add(entry)
            elif byte & 0x20:
                raise h2_errors.table_size_late(at)
            else:
                entry, at = self._read_literal(block, at, 0x0F)
            size += entry[1]
            if size <= limit:
                found.append(entry)
        if size > limit:
            raise h2_errors.list_too_large(size, limit)
        self._list_size = size
        return found

    def _read_changes(self, block: bytes) -> int:
        """Read the size updates at the beginning of a block (RFC 7541 s.6.3); return where the fields begin."""
        at = 0
        while at < len(block) and block[at] & 0xE0 == 0x20:
            size, after = _read_integer(block, at, 0x1F, at)
            if size > self._limit:
                raise h2_errors.table_size_too_large(size, self._limit, at)
            if self._due is not None and size > self._due:
                break
            at = after
            self._due = None
            self._self_contained = False
            self._generation += 1
            self._size = size
            self._make_room(0)
        if self._due is not None:
            raise h2_errors.table_size_missing(self._size, self._due)
        return at

    def _entry_at(self, index: int, at: int) -> Entry:
        entries = self._entries
        if 0 < index <= STATIC_COUNT:
            return _STATIC_ENTRIES[index - 1]
        if index == 0 or index - STATIC_COUNT > len(entries):
            raise h2_errors.bad_index(index, STATIC_COUNT + len(entries), at)
        self._self_contained = False
        return entries[index - STATIC_COUNT - 1]

    def _read_literal(self, block: bytes, at: int, mask: int) -> tuple[Entry, int]:
        """Read a literal field (RFC 7541 s.6.2); return its entry and the position after it."""
        index, after = _read_integer(block, at, mask, at)
        if index:
            pair, _, flag, offences, status = self._entry_at(index, at)
            name = pair[0]
            offences &= _OF_NAME
        else:
            text, after = _read_string(block, after, at)
            name = _shared_name.get(text, text)
            flag, offences, status = _name_facts(name)
        value, after = _read_string(block, after, at)
        return _entry((name, value), flag, offences, status), after

    def _add(self, entry: Entry) -> None:
        size = entry[1]
        self._generation += 1
        self._make_room(size)
        if size <= self._size:
            self._entries.appendleft(entry)
            self._used += size

    def _make_room(self, size: int) -> None:
        """Evict the oldest entries until `size` bytes fit or none is left (RFC 7541 s.4.3, s.4.4)."""
        entries = self._entries
        while entries and self._used + size > self._size:
            self._used -= entries.pop()[1]


def _read_integer(block: bytes, at: int, mask: int, start: int) -> tuple[int, int]:
    """Read an integer (RFC 7541 s.5.1); return it and the position after it. `mask` has its bits of the first byte."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for shift in range(0, 7 * MAX_INTEGER_BYTES, 7):
        if at == len(block):
            raise h2_errors.truncated_integer(start)
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise h2_errors.integer_too_long(block[at - MAX_INTEGER_BYTES - 1 : at], start)


def _read_string(block: bytes, at: int, start: int) -> tuple[bytes, int]:
    """Read a string (RFC 7541 s.5.2); return it decoded and the position after it."""
    if at == len(block):
        raise h2_errors.truncated_field(start)
    coded = block[at] & 0x80
    size, at = _read_integer(block, at, 0x7F, start)
    after = at + size
    if after > len(block):
        raise h2_errors.truncated_string(size, len(block) - at, start)
    text = block[at:after]
    return _unhuffman(text, start) if coded else text, after
