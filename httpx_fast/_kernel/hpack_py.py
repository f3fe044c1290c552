"""HPACK: field blocks to field sections and back (RFC 7541). The pure twin of ext/hpack.pyx.

It knows no frame, no stream and no request: it reports what a block says, or raises. Its rules:

1. One decoder and one encoder belong to a connection, and see every block in its order. A fault of HPACK
   (`Http2Fault`, COMPRESSION_ERROR) ends the connection, since the tables of both sides may differ from then on.
2. A section above `max_list_size` is decoded to its end without being kept, then `SectionTooLarge` is raised: the
   tables are right, so only the stream is lost. What it costs is linear in the block, whose size the frames bound.
3. An entry of a table is a ready (name, value) pair with its facts. Fields that refer to it share the pair.
4. What is wrong with names and values is reported by `FieldSection.offences` and judged in `_wire`: it makes one
   message malformed (RFC 9113 s.8.1.1), while the block was fine.
5. The encoder never adds credentials to the table, nor fields that change from request to request. So a request that is
   repeated takes the same octets, which are remembered with the tuple that they were made of: its identity says that
   nothing in it has changed, and the generation of the table that indices mean what they meant.

A decoder is fed by `frames`: the third member of a HEADERS frame. `decode_response()` is what a client wants;
`decode()` is the bare list with all pseudo fields.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from .._hpack_tables import EOS, HUFFMAN_CODES, STATIC_COUNT, STATIC_TABLE
from . import h2_faults as faults
from .facts import (
    BAD_LENGTH,
    COMMON_NAMES,
    FIELD_FLAGS,
    HAS_CONTENT_LENGTH,
    MAX_LENGTH,
    NO_LENGTH,
    TOKEN_OCTETS,
    VALUE_OCTETS,
)
from .h2_facts import (
    BAD_NAME,
    BAD_STATUS,
    BAD_VALUE,
    BLANK_AT_END,
    CHANGING_FIELDS,
    CONNECTION_FIELDS,
    CONNECTION_SPECIFIC,
    DEFAULT_TABLE_SIZE,
    ENTRY_OVERHEAD,
    GUESSABLE_FIELDS,
    GUESSABLE_SIZE,
    MAX_ENCODER_TABLE,
    MAX_INTEGER_OCTETS,
    MAX_LIST_SIZE,
    PSEUDO_LATE,
    PSEUDO_REPEATED,
    PSEUDO_UNKNOWN,
    SECRET_FIELDS,
    UPPER_CASE_NAME,
)

__all__ = ["FieldSection", "HpackDecoder", "HpackEncoder"]

FieldLine: TypeAlias = tuple[bytes, bytes]
# The pair, its size, the flag of its name, the offences that can be seen from the field alone, and _REGULAR or the
# status of a response, 0 for what is wrong with a pseudo field.
Entry: TypeAlias = tuple[FieldLine, int, int, int, int]

_REGULAR: Final = -1
_OF_NAME: Final = UPPER_CASE_NAME | BAD_NAME | CONNECTION_SPECIFIC | PSEUDO_UNKNOWN

_LOWER = re.escape(bytes(octet for octet in TOKEN_OCTETS if not chr(octet).isupper()))
_is_lower_token = re.compile(b"[" + _LOWER + b"]+").fullmatch
_is_sendable_name = re.compile(b":?[" + _LOWER + b"]+").fullmatch
_has_no_token = re.compile(b"[^" + re.escape(TOKEN_OCTETS) + b"]").search
_has_upper_case = re.compile(rb"[A-Z]").search
_has_line_end = re.compile(rb"[\0\r\n]").search
_is_status = re.compile(rb"[1-9][0-9][0-9]").fullmatch
_is_digits = re.compile(rb"[0-9]+").fullmatch
# A value begins and ends with field-vchar, RFC 9110 s.5.5.
_unsendable_value = re.compile(rb"\A[ \t]|[^" + re.escape(VALUE_OCTETS) + rb"]|[ \t]\Z").search

# The objects of the static table win, since its entries hand them out anyway.
_shared_name = {
    name: name
    for name in (*COMMON_NAMES, *CONNECTION_FIELDS, *FIELD_FLAGS, *(name for name, _ in reversed(STATIC_TABLE)))
    if name == name.lower()
}


def _name_facts(name: bytes) -> tuple[int, int, int]:
    """Flag, offences and the status that a field of this name has before its value is known."""
    if name[:1] == b":":
        return 0, 0 if name == b":status" else PSEUDO_UNKNOWN, 0
    if name in CONNECTION_FIELDS:
        return FIELD_FLAGS.get(name, 0), CONNECTION_SPECIFIC, _REGULAR
    if _is_lower_token(name):
        return FIELD_FLAGS.get(name, 0), 0, _REGULAR
    offences = 0 if name and not _has_no_token(name) else BAD_NAME
    return 0, offences | (UPPER_CASE_NAME if _has_upper_case(name) else 0), _REGULAR


def _entry(pair: FieldLine, flag: int, offences: int, status: int) -> Entry:
    """The entry of a field whose name's facts are known."""
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

_bits_of = [f"{code:0{bits}b}" for code, bits in HUFFMAN_CODES[:EOS]].__getitem__

# Nodes of the code's tree: two successors each, where a leaf is ~symbol. Octets move from node to node.
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

# What an octet does at a node: the symbols that it completes, and the node that it leads to. Filled when first needed,
# since most of the 65,536 never are, and all of them take a while.
_moves: dict[int, tuple[bytes, int]] = {}
_EOS_SEEN: Final = -1


def _move(key: int) -> tuple[bytes, int]:
    node, octet = key >> 8, key & 0xFF
    symbols = bytearray()
    for position in range(7, -1, -1):
        node = _TREE[node][octet >> position & 1]
        if node == ~EOS:
            return b"", _EOS_SEEN
        if node < 0:
            symbols.append(~node)
            node = 0
    move = _moves[key] = bytes(symbols), node << 8
    return move


def _unhuffman(octets: bytes, at: int) -> bytes:
    """The string that was encoded; `at` is where its field begins. Raises Http2Fault."""
    parts = []
    node = 0
    moves = _moves
    for octet in octets:
        key = node | octet
        symbols, node = moves[key] if key in moves else _move(key)
        if node == _EOS_SEEN:
            raise faults.end_of_string(octets[: faults.SHOWN_AND_ONE], at)
        parts.append(symbols)
    if node >> 8 not in _PADDING:
        raise faults.bad_padding(octets[: faults.SHOWN_AND_ONE], at)
    return b"".join(parts)


class FieldSection:
    """A response's field section, or a trailer section; to be read only."""

    __slots__ = ("_lines", "content_length", "count", "flags", "offences", "offender", "size", "status")

    #: Of "HTTP/2.minor".
    minor = 0
    #: HTTP/2 has none.
    reason = b""

    def __init__(self, entries: Iterable[Entry] = (), size: int = 0) -> None:
        #: 0 where there is no `:status`, as in trailers, or a wrong one.
        self.status = 0
        self.flags = 0
        #: What is wrong with it, 0 for nothing.
        self.offences = 0
        #: The first field that something is wrong with, or None.
        self.offender: FieldLine | None = None
        #: Octets of the section as RFC 9113 s.6.5.2 counts them, pseudo fields included.
        self.size = size
        self.content_length = NO_LENGTH
        self._lines: list[FieldLine] = []
        self._take(entries)
        #: Number of fields.
        self.count = len(self._lines)

    def _take(self, entries: Iterable[Entry]) -> None:
        lines = self._lines
        with_status = False
        for pair, _, flag, offences, status in entries:
            if status == _REGULAR:
                lines.append(pair)
                if flag == HAS_CONTENT_LENGTH:
                    self.content_length = BAD_LENGTH if self.flags & flag else _length(pair[1])
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

    def fields(self) -> list[FieldLine]:
        """Names and values as received, without the pseudo fields; the same list at every call."""
        return self._lines

    def get_all(self, lower_name: bytes) -> list[bytes]:
        """The values of all fields of that name, which is given in lower case."""
        return [value for name, value in self._lines if name == lower_name]


class HpackDecoder:
    """Decodes the field blocks that one peer sends, in their order."""

    __slots__ = ("_due", "_entries", "_limit", "_list_size", "_size", "_used", "max_list_size")

    def __init__(self, max_table_size: int = DEFAULT_TABLE_SIZE, max_list_size: int = MAX_LIST_SIZE) -> None:
        self._entries: deque[Entry] = deque()  # the newest one first
        self._used = 0
        self._size = max_table_size  # octets that the table may use; the peer changes it within `_limit`
        self._limit = max_table_size
        self._due: int | None = None  # the lowest limit that the peer has to follow with its next block
        self._list_size = 0  # octets of the section so far
        #: Octets that a field section may have, as RFC 9113 s.6.5.2 counts them.
        self.max_list_size = max_list_size

    @property
    def max_table_size(self) -> int:
        """Octets that the peer may have the table use: SETTINGS_HEADER_TABLE_SIZE, once it was acknowledged."""
        return self._limit

    @max_table_size.setter
    def max_table_size(self, limit: int) -> None:
        self._limit = limit
        if limit < self._size and (self._due is None or limit < self._due):
            self._due = limit

    @property
    def table_size(self) -> int:
        """Octets that the table uses, as RFC 7541 s.4.1 counts them."""
        return self._used

    def decode(self, block: bytes | bytearray | memoryview) -> list[FieldLine]:
        """All fields of a block. Raises Http2Fault, and SectionTooLarge."""
        return [entry[0] for entry in self._read(bytes(block))]

    def decode_response(self, block: bytes | bytearray | memoryview) -> FieldSection:
        """The fields of a block, and what is to be known of them. Raises Http2Fault, and SectionTooLarge."""
        return FieldSection(self._read(bytes(block)), self._list_size)

    def _read(self, block: bytes) -> list[Entry]:
        found: list[Entry] = []
        at = self._read_changes(block)
        end = len(block)
        size = 0
        limit = self.max_list_size
        while at < end:
            octet = block[at]
            if octet > 0x80 and octet <= 0x80 | STATIC_COUNT:
                at += 1
                entry = _STATIC_ENTRIES[octet - 0x81]
            elif octet & 0x80:
                index, after = _read_integer(block, at, 0x7F, at)
                entry = self._entry_at(index, at)
                at = after
            elif octet & 0x40:
                entry, at = self._read_literal(block, at, 0x3F)
                self._add(entry)
            elif octet & 0x20:
                raise faults.table_size_late(at)
            else:
                entry, at = self._read_literal(block, at, 0x0F)
            size += entry[1]
            if size <= limit:
                found.append(entry)
        if size > limit:
            raise faults.list_too_large(size, limit)
        self._list_size = size
        return found

    def _read_changes(self, block: bytes) -> int:
        """Takes the changes of the table's size; where the fields begin."""
        at = 0
        while at < len(block) and block[at] & 0xE0 == 0x20:
            size, after = _read_integer(block, at, 0x1F, at)
            if size > self._limit:
                raise faults.table_size_too_large(size, self._limit, at)
            if self._due is not None and size > self._due:
                break
            at = after
            self._due = None
            self._size = size
            self._make_room(0)
        if self._due is not None:
            raise faults.table_size_missing(self._size, self._due)
        return at

    def _entry_at(self, index: int, at: int) -> Entry:
        entries = self._entries
        if 0 < index <= STATIC_COUNT:
            return _STATIC_ENTRIES[index - 1]
        if index == 0 or index - STATIC_COUNT > len(entries):
            raise faults.bad_index(index, STATIC_COUNT + len(entries), at)
        return entries[index - STATIC_COUNT - 1]

    def _read_literal(self, block: bytes, at: int, mask: int) -> tuple[Entry, int]:
        """Entry, and the position after it."""
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
        self._make_room(size)
        if size <= self._size:
            self._entries.appendleft(entry)
            self._used += size

    def _make_room(self, size: int) -> None:
        """RFC 7541 s.4.3, s.4.4: the oldest go until `size` octets fit, or none is left."""
        entries = self._entries
        while entries and self._used + size > self._size:
            self._used -= entries.pop()[1]


def _read_integer(block: bytes, at: int, mask: int, start: int) -> tuple[int, int]:
    """An integer (RFC 7541 s.5.1) and the position after it; `mask` are the bits of the octet at `at` that are its."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for shift in range(0, 7 * MAX_INTEGER_OCTETS, 7):
        if at == len(block):
            raise faults.truncated_integer(start)
        octet = block[at]
        at += 1
        value += (octet & 0x7F) << shift
        if octet < 0x80:
            return value, at
    raise faults.integer_too_long(block[at - MAX_INTEGER_OCTETS - 1 : at], start)


def _read_string(block: bytes, at: int, start: int) -> tuple[bytes, int]:
    """A string (RFC 7541 s.5.2), decoded, and the position after it."""
    if at == len(block):
        raise faults.truncated_field(start)
    coded = block[at] & 0x80
    size, at = _read_integer(block, at, 0x7F, start)
    after = at + size
    if after > len(block):
        raise faults.truncated_string(size, len(block) - at, start)
    text = block[at:after]
    return _unhuffman(text, start) if coded else text, after


# What the encoder does with a field that is in no table.
_INDEXED, _UNINDEXED, _NEVER_INDEXED, _NEVER_IF_SHORT = range(4)
_policies = (
    dict.fromkeys(CHANGING_FIELDS, _UNINDEXED)
    | dict.fromkeys(SECRET_FIELDS, _NEVER_INDEXED)
    | dict.fromkeys(GUESSABLE_FIELDS, _NEVER_IF_SHORT)
)
# To the negative index, so that it cannot be taken for the number of a dynamic entry; names to their first one.
_STATIC_PAIRS = {pair: -index for index, pair in enumerate(STATIC_TABLE, 1)}
_STATIC_NAMES = {name: -index for index, (name, _) in reversed(list(enumerate(STATIC_TABLE, 1)))}

_SLOTS: Final = 32  # blocks that an encoder remembers


class HpackEncoder:
    """Encodes the field sections that are sent to one peer, in their order."""

    __slots__ = ("_added", "_due", "_generation", "_names", "_pairs", "_remembered", "_size", "_sizes", "_used")

    def __init__(self) -> None:
        # To the number of the dynamic entry, or the negative index of the static one.
        self._pairs: dict[FieldLine, int] = dict(_STATIC_PAIRS)
        self._names: dict[bytes, int] = dict(_STATIC_NAMES)
        self._sizes: deque[tuple[FieldLine, int]] = deque()  # the dynamic entries, the oldest one first
        self._added = 0  # how many entries were ever added, which is the number of the newest one
        self._used = 0
        self._size = DEFAULT_TABLE_SIZE
        self._due: int | None = None  # the lowest size since the last block, which the peer has to be told
        self._generation = 0  # changes when an index may mean something else
        self._remembered: dict[int, tuple[object, object, int, bytes]] = {}

    @property
    def max_table_size(self) -> int:
        """Octets that the table may use: the peer's SETTINGS_HEADER_TABLE_SIZE, up to MAX_ENCODER_TABLE."""
        return self._size

    @max_table_size.setter
    def max_table_size(self, size: int) -> None:
        size = min(size, MAX_ENCODER_TABLE)
        if size != self._size:
            self._resize(size)

    @property
    def table_size(self) -> int:
        """Octets that the table uses, as RFC 7541 s.4.1 counts them."""
        return self._used

    def _resize(self, size: int) -> None:
        self._size = size
        self._due = size if self._due is None else min(size, self._due)
        self._generation += 1
        self._make_room(0)

    def encode(self, fields: Iterable[FieldLine], sensitive: AbstractSet[bytes] | None = None) -> bytes:
        """The block of a field section, whose fields have names in lower case; `sensitive` names are never indexed.

        A tuple of tuples and a frozenset are remembered together with their block. Raises LocalProtocolError if a
        field cannot be sent, and the block is as if it had never been asked for.
        """
        remembered = self._remembered.get(id(fields))
        if (
            remembered is not None
            and remembered[0] is fields
            and remembered[1] is sensitive
            and remembered[2] == self._generation
            and self._due is None
        ):
            return remembered[3]
        changes = self._begin()
        before = self._generation
        try:
            block = b"".join(self._parts(fields, sensitive))
        except BaseException:
            self._start_over()
            raise
        if changes:
            return changes + block
        if self._generation == before and _is_constant(fields, sensitive):
            if len(self._remembered) >= _SLOTS:
                self._remembered.clear()
            self._remembered[id(fields)] = fields, sensitive, before, block
        return block

    def _begin(self) -> bytes:
        """The changes of the table's size that the peer has to be told first (RFC 7541 s.4.2)."""
        due, self._due = self._due, None
        if due is None:
            return b""
        change = _integer(self._size, 0x1F, 0x20)
        return _integer(due, 0x1F, 0x20) + change if due < self._size else change

    def _start_over(self) -> None:
        """After a block that is not sent: the next one has both sides forget what is in the table."""
        size = self._size
        self._resize(0)
        self._resize(size)

    def _parts(self, fields: Iterable[FieldLine], sensitive: AbstractSet[bytes] | None) -> list[bytes]:
        parts: list[bytes] = []
        find = self._pairs.get
        for name, value in fields:
            if type(name) is not bytes or type(value) is not bytes:
                raise TypeError(
                    f"name and value of a field have to be bytes, not {type(name).__name__} and {type(value).__name__}"
                )
            pair = (name, value)
            secret = sensitive is not None and name in sensitive
            number = None if secret else find(pair)
            if number is not None:
                parts.append(_INDEXED_FIELDS[-number if number < 0 else _FIRST_DYNAMIC + self._added - number])
            else:
                _check(name, value)
                self._put_literal(parts, pair, _NEVER_INDEXED if secret else _policy(name, value))
        return parts

    def _put_literal(self, parts: list[bytes], pair: FieldLine, policy: int) -> None:
        name, value = pair
        size = len(name) + len(value) + ENTRY_OVERHEAD
        adds = policy == _INDEXED and 4 * size <= 3 * self._size
        mask = 0x3F if adds else 0x0F
        pattern = 0x40 if adds else 0x10 if policy == _NEVER_INDEXED else 0
        number = self._names.get(name)
        if number is not None:
            index = -number if number < 0 else _FIRST_DYNAMIC + self._added - number
            parts.append(_integer(index, mask, pattern))
        else:
            parts.append(bytes((pattern,)))
            parts.append(_string(name))
        parts.append(_string(value))
        if adds:
            self._add(pair, size)

    def _add(self, pair: FieldLine, size: int) -> None:
        """Adds a field that fits into the table and is not in it."""
        self._make_room(size)
        self._sizes.append((pair, size))
        self._used += size
        self._added += 1
        self._generation += 1
        self._pairs[pair] = self._added
        if self._names.get(pair[0], 1) > 0:
            self._names[pair[0]] = self._added

    def _make_room(self, size: int) -> None:
        while self._sizes and self._used + size > self._size:
            oldest = self._added - len(self._sizes) + 1
            pair, freed = self._sizes.popleft()
            self._used -= freed
            del self._pairs[pair]
            if self._names.get(pair[0]) == oldest:
                del self._names[pair[0]]


def _policy(name: bytes, value: bytes) -> int:
    policy = _policies.get(name, _INDEXED)
    if policy == _NEVER_IF_SHORT:
        return _NEVER_INDEXED if len(value) < GUESSABLE_SIZE else _INDEXED
    return policy


def _check(name: bytes, value: bytes) -> None:
    if not _is_sendable_name(name):
        raise faults.unsendable_name(name)
    match = _unsendable_value(value)
    if match is not None:
        raise faults.unsendable_value(name, value, match.start())


def _is_constant(fields: object, sensitive: object) -> bool:
    """Whether neither can change as long as it lives. That they are bytes was seen when they were encoded."""
    if type(fields) is not tuple or not (sensitive is None or type(sensitive) is frozenset):
        return False
    return all(type(field) is tuple for field in fields)


def _integer(value: int, mask: int, pattern: int) -> bytes:
    """RFC 7541 s.5.1; `pattern` are the bits of the first octet that are not the integer's."""
    if value < mask:
        return bytes((pattern | value,))
    octets = [pattern | mask]
    value -= mask
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    octets.append(value)
    return bytes(octets)


def _string(text: bytes) -> bytes:
    """RFC 7541 s.5.2, in the shorter of both ways."""
    # Text, since Python joins text, and reads numbers of base 2, in linear time.
    bits = "".join(map(_bits_of, text))
    size = len(bits) + 7 >> 3
    if size < len(text):
        return _integer(size, 0x7F, 0x80) + int(bits.ljust(8 * size, "1"), 2).to_bytes(size, "big")
    return _integer(len(text), 0x7F, 0) + text


# By index; a table of entries that are nothing but overhead has the largest one.
_FIRST_DYNAMIC: Final = STATIC_COUNT + 1
_INDEXED_FIELDS: Final = [
    _integer(index, 0x7F, 0x80) for index in range(_FIRST_DYNAMIC + MAX_ENCODER_TABLE // ENTRY_OVERHEAD)
]
