"""Encode field sections as HPACK field blocks (RFC 7541). The pure Python twin of ext/hpack_encoder.pyx.

This module knows no frames, streams or requests. Its rules:

1. An encoder belongs to a connection, and its blocks have to be sent in the order of their creation: the peer's table
   follows them.
2. Credentials are never added to the table, nor are fields that change from request to request. So a repeated request
   has the same bytes, which are remembered with the tuple that they were made of: the tuple's identity proves that no
   field has changed, and the generation of the table that the indices are still valid.
3. Only fields that can be sent as they are get encoded: names in lower case, values without line ends.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from .._hpack_tables import EOS, HUFFMAN_CODES, STATIC_COUNT, STATIC_TABLE
from . import h2_errors
from .constants import TOKEN_BYTES, VALUE_BYTES
from .h2_constants import (
    CHANGING_FIELDS,
    DEFAULT_TABLE_SIZE,
    ENTRY_OVERHEAD,
    GUESSABLE_FIELDS,
    GUESSABLE_SIZE,
    MAX_ENCODER_TABLE,
    SECRET_FIELDS,
)
from .http1_py import pairs_of

__all__ = ["HpackEncoder"]

FieldLine: TypeAlias = tuple[bytes, bytes]

_LOWER = re.escape(bytes(byte for byte in TOKEN_BYTES if not chr(byte).isupper()))
_is_sendable_name = re.compile(b":?[" + _LOWER + b"]+").fullmatch
# A value begins and ends with field-vchar, RFC 9110 s.5.5.
_unsendable_value = re.compile(rb"\A[ \t]|[^" + re.escape(VALUE_BYTES) + rb"]|[ \t]\Z").search

# Text, since Python joins text, and reads numbers of base 2, in linear time.
_bits_of = [f"{code:0{bits}b}" for code, bits in HUFFMAN_CODES[:EOS]].__getitem__

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
    """Encode the field sections that are sent to one peer, in their order."""

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
        """Return the limit of the table in bytes: the peer's SETTINGS_HEADER_TABLE_SIZE, up to MAX_ENCODER_TABLE."""
        return self._size

    @max_table_size.setter
    def max_table_size(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"a table of {size} bytes cannot be")
        size = min(size, MAX_ENCODER_TABLE)
        if size != self._size:
            self._resize(size)

    @property
    def table_size(self) -> int:
        """Return the size of the dynamic table in bytes, as RFC 7541 s.4.1 counts them."""
        return self._used

    def _resize(self, size: int) -> None:
        self._size = size
        self._due = size if self._due is None else min(size, self._due)
        self._generation += 1
        self._make_room(0)

    def encode(self, fields: Iterable[FieldLine], sensitive: AbstractSet[bytes] | None = None) -> bytes:
        """Return the block of a field section. Names are in lower case; those in `sensitive` are never indexed.

        A tuple of tuples and a frozenset are remembered together with their block. Raises LocalProtocolError if a
        field cannot be sent; the encoder is then as if the call had not been made.
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
        # Iterators and sets may be code of the caller's, which may even use this encoder: all of it runs before
        # anything is put.
        pairs = pairs_of(fields)
        secret = None if sensitive is None else [name in sensitive for name, _ in pairs]
        changes = self._begin()
        before = self._generation
        try:
            block = b"".join(self._parts(pairs, secret))
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
        """Return the table size updates that begin the next block (RFC 7541 s.4.2)."""
        due, self._due = self._due, None
        if due is None:
            return b""
        change = _integer(self._size, 0x1F, 0x20)
        return _integer(due, 0x1F, 0x20) + change if due < self._size else change

    def _start_over(self) -> None:
        """Empty the table after a block that is not sent; the next block tells the peer to do the same."""
        size = self._size
        self._resize(0)
        self._resize(size)

    def _parts(self, pairs: list[FieldLine], marks: list[bool] | None) -> list[bytes]:
        parts: list[bytes] = []
        find = self._pairs.get
        for position, pair in enumerate(pairs):
            name, value = pair
            secret = marks is not None and marks[position]
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
        """Add a field that fits into the table and is not in it."""
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
        raise h2_errors.unsendable_name(name)
    match = _unsendable_value(value)
    if match is not None:
        raise h2_errors.unsendable_value(name, value, match.start())


def _is_constant(fields: Iterable[object], sensitive: object) -> bool:
    """Return whether both are immutable. That the fields are bytes was checked when they were encoded."""
    kind = type(fields)
    if kind is not tuple or not (sensitive is None or type(sensitive) is frozenset):
        return False
    return all(type(field) is tuple for field in fields)


def _integer(value: int, mask: int, pattern: int) -> bytes:
    """Encode an integer (RFC 7541 s.5.1); `pattern` has the bits of the first byte that do not belong to it."""
    if value < mask:
        return bytes((pattern | value,))
    data = [pattern | mask]
    value -= mask
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _string(text: bytes) -> bytes:
    """Encode a string (RFC 7541 s.5.2), with or without the Huffman code, whichever is shorter."""
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
