# cython: language_level=3, freethreading_compatible=True
"""Encode field sections as HPACK field blocks (RFC 7541). The twin of httpx_fast/_kernel/hpack_encoder_py.py.

The twin documents the rules and the policy; C adds these:

1. Blocks are written to memory that the encoder owns and reuses; `reserve` enlarges it before anything is written.
2. A slot of remembered blocks has references to the tuple, the set and the block; `empty` releases them. Since the slot
   keeps the tuple alive, no other object can have its address.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from httpx_fast import _hpack_tables as tables
from httpx_fast._kernel import constants
from httpx_fast._kernel import h2_constants
from httpx_fast._kernel import h2_errors

cimport cython
from field_lines cimport is_exactly_tuple, pairs_of
from hpack_parts cimport (
    STATIC, Entry, Table, as_number, count_of, decref, drop_oldest, fill, first_of, free_table, get_item, incref,
    newest, bytes_ptr, data_of, push, size_of,
)
from octets cimport is_blank

cdef extern from "Python.h":
    void xdecref "Py_XDECREF"(PyObject *) noexcept

__all__ = ["HpackEncoder"]

cdef enum:
    NOTHING_DUE = -1
    SLOTS = 32

cdef int ENTRY_OVERHEAD = h2_constants.ENTRY_OVERHEAD
cdef int64_t MAX_ENCODER_TABLE = h2_constants.MAX_ENCODER_TABLE

cdef unsigned char IS_LOWER[256]  # a token without upper-case letters
cdef unsigned char IS_VALUE[256]

fill(IS_LOWER, bytes([byte for byte in constants.TOKEN_BYTES if not chr(byte).isupper()]))
fill(IS_VALUE, constants.VALUE_BYTES)


cdef struct Code:
    uint32_t code
    uint8_t bits

cdef Code CODES[256]


cdef int fill_codes() except -1:
    cdef int symbol
    for symbol in range(256):
        CODES[symbol].code, CODES[symbol].bits = tables.HUFFMAN_CODES[symbol]
    return 0


fill_codes()


cdef inline Py_ssize_t huffman_size(bytes_ptr at, Py_ssize_t size) noexcept:
    cdef Py_ssize_t bits = 7
    cdef Py_ssize_t i
    for i in range(size):
        bits += CODES[at[i]].bits
    return bits >> 3


cdef unsigned char *put_huffman(unsigned char *out, bytes_ptr at, Py_ssize_t size) noexcept:
    cdef uint64_t window = 0  # the lower `bits` bits are to be written, at most 7 before each symbol
    cdef int bits = 0
    cdef Py_ssize_t i
    for i in range(size):
        window = window << CODES[at[i]].bits | CODES[at[i]].code
        bits += CODES[at[i]].bits
        while bits >= 8:
            bits -= 8
            out[0] = <unsigned char> (window >> bits)
            out += 1
    if bits:
        out[0] = <unsigned char> (window << (8 - bits) | (0xFF >> bits))
        out += 1
    return out


cdef dict static_pairs = {}  # to the negative index, so that it cannot be taken for the number of a dynamic entry
cdef dict static_names = {}  # likewise, to the first one
for _index, _pair in enumerate(tables.STATIC_TABLE, 1):
    static_pairs[_pair] = -_index
    static_names.setdefault(_pair[0], -_index)

# What the encoder does with a field that is in no table.
cdef enum:
    INDEXED = 0
    UNINDEXED = 1
    NEVER_INDEXED = 2
    NEVER_IF_SHORT = 3

cdef dict policies = {}
policies.update({name: UNINDEXED for name in h2_constants.CHANGING_FIELDS})
policies.update({name: NEVER_INDEXED for name in h2_constants.SECRET_FIELDS})
policies.update({name: NEVER_IF_SHORT for name in h2_constants.GUESSABLE_FIELDS})
cdef Py_ssize_t GUESSABLE_SIZE = h2_constants.GUESSABLE_SIZE


cdef struct Slot:
    # A block made of a tuple; each object with a reference.
    PyObject *fields
    PyObject *sensitive
    PyObject *block
    uint64_t generation


cdef struct Output:
    unsigned char *data
    Py_ssize_t size
    Py_ssize_t room


cdef int reserve(Output *output, Py_ssize_t size) except -1:
    cdef Py_ssize_t room = max(2 * output.room, output.size + size, 512)
    cdef unsigned char *grown
    if output.room - output.size >= size:
        return 0
    grown = <unsigned char *> PyMem_Realloc(output.data, room)
    if grown == NULL:
        raise MemoryError
    output.data = grown
    output.room = room
    return 0


cdef inline unsigned char *put_integer(unsigned char *out, uint64_t value, int mask, int pattern) noexcept:
    """Write an integer (RFC 7541 s.5.1): one byte and at most ten more."""
    if value < <uint64_t> mask:
        out[0] = <unsigned char> (pattern | <int> value)
        return out + 1
    out[0] = <unsigned char> (pattern | mask)
    out += 1
    value -= mask
    while value >= 0x80:
        out[0] = <unsigned char> (value | 0x80)
        out += 1
        value >>= 7
    out[0] = <unsigned char> value
    return out + 1


cdef inline unsigned char *put_string(unsigned char *out, PyObject *text) noexcept:
    cdef bytes_ptr at = <bytes_ptr> data_of(text)
    cdef Py_ssize_t size = size_of(text)
    cdef Py_ssize_t coded = huffman_size(at, size)
    if coded < size:
        return put_huffman(put_integer(out, coded, 0x7F, 0x80), at, size)
    out = put_integer(out, size, 0x7F, 0)
    memcpy(out, at, size)
    return out + size


@cython.final
cdef class HpackEncoder:
    """Encode the field sections that are sent to one peer, in their order."""

    cdef Table table
    cdef dict pairs  # to the number of the dynamic entry, or the negative index of the static one
    cdef dict names  # likewise, to the one that the name is taken from
    cdef int64_t added  # how many entries were ever added, which is the number of the newest one
    cdef uint64_t generation  # changes when an index may mean something else
    cdef int64_t due  # the lowest size since the last block, which the peer has to be told, or NOTHING_DUE
    cdef Output output
    cdef Slot *slots

    def __cinit__(self):
        self.pairs = static_pairs.copy()
        self.names = static_names.copy()
        self.table.size = h2_constants.DEFAULT_TABLE_SIZE
        self.due = NOTHING_DUE
        self.slots = <Slot *> PyMem_Calloc(SLOTS, sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef int i
        free_table(&self.table)
        PyMem_Free(self.output.data)
        if self.slots != NULL:
            for i in range(SLOTS):
                empty(&self.slots[i])
        PyMem_Free(self.slots)

    @property
    def max_table_size(self):
        """Return the limit of the table in bytes: the peer's SETTINGS_HEADER_TABLE_SIZE, up to MAX_ENCODER_TABLE."""
        return self.table.size

    @max_table_size.setter
    def max_table_size(self, int64_t size):
        if size < 0:
            raise ValueError(f"a table of {size} bytes cannot be")
        size = min(size, MAX_ENCODER_TABLE)
        if size != self.table.size:
            self.resize(size)

    @property
    def table_size(self):
        """Return the size of the dynamic table in bytes, as RFC 7541 s.4.1 counts them."""
        return self.table.used

    cdef int resize(self, int64_t size) except -1:
        self.table.size = size
        if self.due == NOTHING_DUE or size < self.due:
            self.due = size
        self.generation += 1
        return self.make_room(0)

    def encode(self, fields, sensitive=None):
        """Return the block of a field section. Names are in lower case; those in `sensitive` are never indexed.

        A tuple of tuples and a frozenset are remembered together with their block. Raises LocalProtocolError if a
        field cannot be sent; the encoder is then as if the call had not been made.
        """
        cdef Slot *slot = &self.slots[(<size_t> <PyObject *> fields >> 4) % SLOTS]
        cdef uint64_t before
        if (
            slot.fields == <PyObject *> fields and slot.sensitive == <PyObject *> sensitive
            and slot.generation == self.generation and self.due == NOTHING_DUE
        ):
            return <object> slot.block
        # Iterators and sets may be code of the caller's, which may even use this encoder: all of it runs before
        # anything is put.
        cdef list pairs = pairs_of(fields)
        cdef list secret = None if sensitive is None else [name in sensitive for name, _ in pairs]
        cdef bytes block = self.begin()
        cdef Py_ssize_t i
        before = self.generation
        self.output.size = 0
        try:
            for i in range(len(pairs)):
                self.put(<tuple> pairs[i], secret is not None and secret[i])
        except BaseException:
            self.start_over()
            raise
        if block is not None:
            return block + PyBytes_FromStringAndSize(<char *> self.output.data, self.output.size)
        block = PyBytes_FromStringAndSize(<char *> self.output.data, self.output.size)
        if self.generation == before and is_constant(fields, sensitive):
            remember(slot, fields, sensitive, block, self.generation)
        return block

    cdef bytes begin(self):
        """Return the table size updates that begin the next block, None if there are none (RFC 7541 s.4.2)."""
        cdef unsigned char changes[24]
        cdef unsigned char *out = changes
        if self.due == NOTHING_DUE:
            return None
        if self.due < self.table.size:
            out = put_integer(out, self.due, 0x1F, 0x20)
        out = put_integer(out, self.table.size, 0x1F, 0x20)
        self.due = NOTHING_DUE
        return PyBytes_FromStringAndSize(<char *> changes, out - changes)

    cdef int start_over(self) except -1:
        """Empty the table after a block that is not sent; the next block tells the peer to do the same."""
        cdef int64_t size = self.table.size
        self.resize(0)
        return self.resize(size)

    cdef int put(self, tuple pair, bint secret) except -1:
        cdef bytes name = <bytes> first_of(<PyObject *> pair, 0)
        cdef bytes value = <bytes> first_of(<PyObject *> pair, 1)
        cdef PyObject *number
        reserve(&self.output, PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 40)
        if not secret:
            number = get_item(<PyObject *> self.pairs, <PyObject *> pair)
            if number != NULL:
                self.put_index(as_number(number), 0x7F, 0x80)
                return 0
        check(name, value)
        return self.put_literal(pair, NEVER_INDEXED if secret else policy_of(name, value))

    cdef inline void put_index(self, int64_t number, int mask, int pattern) noexcept:
        cdef uint64_t index = <uint64_t> (-number if number < 0 else STATIC + 1 + self.added - number)
        cdef unsigned char *out = put_integer(self.output.data + self.output.size, index, mask, pattern)
        self.output.size = out - self.output.data

    cdef int put_literal(self, tuple pair, int policy) except -1:
        cdef PyObject *name = first_of(<PyObject *> pair, 0)
        cdef PyObject *value = first_of(<PyObject *> pair, 1)
        cdef PyObject *number = get_item(<PyObject *> self.names, name)
        cdef Py_ssize_t size = size_of(name) + size_of(value) + ENTRY_OVERHEAD
        cdef bint adds = policy == INDEXED and 4 * size <= 3 * self.table.size
        cdef int mask = 0x3F if adds else 0x0F
        cdef int pattern = 0x40 if adds else 0x10 if policy == NEVER_INDEXED else 0
        cdef unsigned char *out
        if number != NULL:
            self.put_index(as_number(number), mask, pattern)
            out = self.output.data + self.output.size
        else:
            out = put_integer(self.output.data + self.output.size, 0, mask, pattern)
            out = put_string(out, name)
        out = put_string(out, value)
        self.output.size = out - self.output.data
        if adds:
            self.add(pair, size)
        return 0

    cdef int add(self, tuple pair, Py_ssize_t size) except -1:
        """Add a field that fits into the table and is not in it."""
        cdef Entry entry = Entry(<PyObject *> pair, size, 0, 0, 0)
        cdef PyObject *number
        self.make_room(size)
        push(&self.table, &entry)
        self.added += 1
        self.generation += 1
        self.pairs[pair] = self.added
        number = get_item(<PyObject *> self.names, first_of(entry.pair, 0))
        if number == NULL or as_number(number) > 0:
            self.names[pair[0]] = self.added
        return 0

    cdef int make_room(self, int64_t size) except -1:
        cdef PyObject *number
        cdef int64_t oldest
        cdef tuple pair
        while self.table.count and self.table.used + size > self.table.size:
            oldest = self.added - self.table.count + 1
            pair = <tuple> newest(&self.table, self.table.count - 1).pair
            decref(drop_oldest(&self.table).pair)
            del self.pairs[pair]
            number = get_item(<PyObject *> self.names, first_of(<PyObject *> pair, 0))
            if number != NULL and as_number(number) == oldest:
                del self.names[pair[0]]
        return 0


cdef int policy_of(bytes name, bytes value) except -1:
    cdef PyObject *found = get_item(<PyObject *> policies, <PyObject *> name)
    cdef int policy
    if found == NULL:
        return INDEXED
    policy = <int> as_number(found)
    if policy == NEVER_IF_SHORT:
        return NEVER_INDEXED if PyBytes_GET_SIZE(value) < GUESSABLE_SIZE else INDEXED
    return policy


cdef int check(bytes name, bytes value) except -1:
    cdef bytes_ptr at = <bytes_ptr> PyBytes_AS_STRING(name)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    cdef Py_ssize_t pseudo = 1 if size and at[0] == b":" else 0
    cdef Py_ssize_t sendable
    if size == pseudo or count_of(IS_LOWER, at + pseudo, size - pseudo) != size - pseudo:
        raise h2_errors.unsendable_name(name)
    at = <bytes_ptr> PyBytes_AS_STRING(value)
    size = PyBytes_GET_SIZE(value)
    if size == 0:
        return 0
    if is_blank(at[0]):
        raise h2_errors.unsendable_value(name, value, 0)
    sendable = count_of(IS_VALUE, at, size)
    if sendable != size:
        raise h2_errors.unsendable_value(name, value, sendable)
    if is_blank(at[size - 1]):
        raise h2_errors.unsendable_value(name, value, size - 1)
    return 0


cdef bint is_constant(object fields, object sensitive):
    """Return whether both are immutable. That the fields are bytes was checked when they were encoded."""
    if not is_exactly_tuple(<PyObject *> fields) or not (sensitive is None or type(sensitive) is frozenset):
        return False
    for field in <tuple> fields:
        if not is_exactly_tuple(<PyObject *> field):
            return False
    return True


cdef void empty(Slot *slot) noexcept:
    cdef Slot old = slot[0]
    # First, since a member of the set may have a finalizer that uses this encoder.
    slot.fields = slot.sensitive = slot.block = NULL
    xdecref(old.fields)
    xdecref(old.sensitive)
    xdecref(old.block)


cdef void remember(Slot *slot, object fields, object sensitive, bytes block, uint64_t generation) noexcept:
    cdef Slot old = slot[0]
    slot.fields = <PyObject *> fields
    slot.sensitive = <PyObject *> sensitive
    slot.block = <PyObject *> block
    incref(slot.fields)
    incref(slot.sensitive)
    incref(slot.block)
    slot.generation = generation
    xdecref(old.fields)
    xdecref(old.sensitive)
    xdecref(old.block)
