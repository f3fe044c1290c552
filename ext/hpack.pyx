# cython: language_level=3, freethreading_compatible=True
"""Decode HPACK field blocks (RFC 7541). The twin of httpx_fast/_kernel/hpack_py.py.

The twin documents the rules and the policy; C adds these:

1. A pointer into the caller's bytes lives as long as the Py_buffer that it came with, which is one call.
2. References of the table, and of the fields found in a call, are released in one place each: `drop_oldest`, `forget`.
3. Huffman codes are read two at a time: the next 12 bits give the next symbol, and the one after it if both fit.
   Codes of more than 12 bits are found by their length, which comparisons tell since the code is canonical.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from httpx_fast import _hpack_tables as tables
from httpx_fast._kernel import constants
from httpx_fast._kernel import h2_constants
from httpx_fast._kernel import h2_errors

cimport cython
from hpack_parts cimport (
    STATIC, Entry, Table, as_number, count_of, decref, drop_oldest, fill, first_of, free_table, get_item, incref,
    newest, bytes_ptr, data_of, push, size_of,
)
from octets cimport drop_blanks, find_control, is_blank, skip_blanks

cdef extern from *:
    """
    /* Eight bytes as a number, the first one at its top. Compilers make one load of it. */
    static inline uint64_t
    hpack_load(const unsigned char *at)
    {
        return (uint64_t)at[0] << 56 | (uint64_t)at[1] << 48 | (uint64_t)at[2] << 40 | (uint64_t)at[3] << 32
             | (uint64_t)at[4] << 24 | (uint64_t)at[5] << 16 | (uint64_t)at[6] << 8 | (uint64_t)at[7];
    }
    """
    uint64_t load "hpack_load"(const unsigned char *at) noexcept nogil

cdef extern from "Python.h":
    void set_item "PyList_SET_ITEM"(PyObject *, Py_ssize_t, PyObject *) noexcept

__all__ = ["FieldSection", "HpackDecoder"]

cdef enum:
    SHORT_BITS = 12
    REGULAR = -1  # the status of a field that is no pseudo field
    NOTHING_DUE = -1
    SMALL_SCRATCH = 4096  # bytes; more is released after the block that needed it
    SMALL_FOUND = 128  # entries, likewise

cdef int MAX_INTEGER_BYTES = h2_constants.MAX_INTEGER_BYTES
cdef int ENTRY_OVERHEAD = h2_constants.ENTRY_OVERHEAD
cdef int UPPER_CASE_NAME = h2_constants.UPPER_CASE_NAME
cdef int BAD_NAME = h2_constants.BAD_NAME
cdef int BAD_VALUE = h2_constants.BAD_VALUE
cdef int BLANK_AT_END = h2_constants.BLANK_AT_END
cdef int CONNECTION_SPECIFIC = h2_constants.CONNECTION_SPECIFIC
cdef int PSEUDO_LATE = h2_constants.PSEUDO_LATE
cdef int PSEUDO_UNKNOWN = h2_constants.PSEUDO_UNKNOWN
cdef int PSEUDO_REPEATED = h2_constants.PSEUDO_REPEATED
cdef int BAD_STATUS = h2_constants.BAD_STATUS
cdef int OF_NAME = UPPER_CASE_NAME | BAD_NAME | CONNECTION_SPECIFIC | PSEUDO_UNKNOWN
cdef long long NO_LENGTH = constants.NO_LENGTH
cdef long long BAD_LENGTH = constants.BAD_LENGTH
cdef uint64_t MAX_LENGTH = constants.MAX_LENGTH
cdef int HAS_CONTENT_LENGTH = constants.HAS_CONTENT_LENGTH
cdef Py_ssize_t MAX_REMEMBERED_BLOCK = h2_constants.MAX_REMEMBERED_BLOCK
cdef Py_ssize_t SHOWN_AND_ONE = h2_errors.SHOWN_AND_ONE

cdef unsigned char IS_TOKEN[256]
cdef unsigned char IS_LOWER[256]  # a token without upper-case letters


fill(IS_TOKEN, constants.TOKEN_BYTES)
fill(IS_LOWER, bytes([byte for byte in constants.TOKEN_BYTES if not chr(byte).isupper()]))


cdef inline bytes seen(bytes_ptr at, bytes_ptr end):
    """Return the first bytes of [at, end), for an error message."""
    return PyBytes_FromStringAndSize(<const char *> at, min(end - at, SHOWN_AND_ONE))


# Huffman's code.

cdef struct Step:
    # What the next 12 bits say. `bits` are those of both symbols where two fit, `first_bits` is 0 where none does.
    uint8_t first
    uint8_t second
    uint8_t first_bits
    uint8_t bits

cdef Step STEPS[1 << SHORT_BITS]
# Of codes with more than 12 bits, by length: the first number that is above all of them when 32 bits are looked at, the
# first one of them, and where their symbols begin in SYMBOLS.
cdef uint64_t ABOVE[32]
cdef uint32_t FIRST[32]
cdef int FROM[32]
cdef int SYMBOLS[257]
cdef int LONGEST = tables.LONGEST_CODE


cdef int fill_codes() except -1:
    cdef int symbol, code, bits, at, position
    order = sorted(range(257), key=lambda symbol: (tables.HUFFMAN_CODES[symbol][1], symbol))
    memset(STEPS, 0, sizeof(STEPS))
    memset(ABOVE, 0, sizeof(ABOVE))
    for position in range(257):
        symbol = order[position]
        code, bits = tables.HUFFMAN_CODES[symbol]
        SYMBOLS[position] = symbol
        if bits <= SHORT_BITS:
            for at in range(code << (SHORT_BITS - bits), (code + 1) << (SHORT_BITS - bits)):
                STEPS[at].first = symbol
                STEPS[at].first_bits = STEPS[at].bits = bits
        else:
            if ABOVE[bits] == 0:
                FIRST[bits] = code
                FROM[bits] = position
            ABOVE[bits] = <uint64_t> (code + 1) << (32 - bits)
    return fill_seconds()


cdef int fill_seconds() except -1:
    cdef int at, rest
    for at in range(1 << SHORT_BITS):
        if STEPS[at].first_bits == 0:
            continue
        rest = (at << STEPS[at].first_bits) & ((1 << SHORT_BITS) - 1)
        if 0 < STEPS[rest].first_bits <= SHORT_BITS - STEPS[at].first_bits:
            STEPS[at].second = STEPS[rest].first
            STEPS[at].bits = STEPS[at].first_bits + STEPS[rest].first_bits
    return 0


fill_codes()


cdef enum:
    PADDED_BADLY = -1
    ENDED = -2  # by the code of EOS


cdef Py_ssize_t unhuffman(bytes_ptr at, bytes_ptr end, unsigned char *out) noexcept:
    """Decode [at, end) to `out`, which has space for 8/5 as many bytes and one; return their number, or an error.

    `bits` of `window` are valid; those below them are what follows, or nothing.
    """
    cdef unsigned char *begin = out
    cdef uint64_t window = 0
    cdef Step *step
    cdef int bits = 0
    cdef int taken
    while True:
        if end - at >= 8:
            window |= load(at) >> bits
            taken = (63 - bits) >> 3
            at += taken
            bits += taken << 3
        else:
            while bits <= 56 and at < end:
                window |= <uint64_t> at[0] << (56 - bits)
                at += 1
                bits += 8
        while bits >= LONGEST or (at == end and bits > 0):
            step = &STEPS[window >> (64 - SHORT_BITS)]
            if step.first_bits != 0 and step.bits <= bits:
                out[0] = step.first
                out[1] = step.second
                out += 1 + (step.bits != step.first_bits)
                window <<= step.bits
                bits -= step.bits
            elif step.first_bits != 0 and step.first_bits <= bits:
                out[0] = step.first
                out += 1
                window <<= step.first_bits
                bits -= step.first_bits
            else:
                taken = long_code(window)
                if step.first_bits != 0 or taken > bits:
                    return out - begin if is_padding(window, bits) else PADDED_BADLY
                if SYMBOLS[FROM[taken] + <int> ((window >> (64 - taken)) - FIRST[taken])] == 256:
                    return ENDED
                out[0] = SYMBOLS[FROM[taken] + <int> ((window >> (64 - taken)) - FIRST[taken])]
                out += 1
                window <<= taken
                bits -= taken
        if at == end and bits == 0:
            return out - begin


cdef inline int long_code(uint64_t window) noexcept:
    """Return the length in bits of the code that `window` begins with, provided that it has more than 12."""
    cdef uint64_t next_bits = window >> 32
    cdef int bits = SHORT_BITS + 1
    while bits < LONGEST and next_bits >= ABOVE[bits]:
        bits += 1
    return bits


cdef inline bint is_padding(uint64_t window, int bits) noexcept:
    """Return whether the first `bits` bits (at least one) are padding: fewer than 8, all ones (RFC 7541 s.5.2)."""
    return bits < 8 and window >> (64 - bits) == <uint64_t> ((1 << bits) - 1)


# Entries and tables.

cdef struct Known:
    PyObject *name
    int flag
    int offences
    int status

cdef enum:
    MOST_KNOWN = 256

cdef Known KNOWN[MOST_KNOWN]
cdef dict known = {}  # name to position in KNOWN


cdef int offences_of_name(bytes_ptr at, Py_ssize_t size) noexcept:
    cdef int offences = 0
    cdef Py_ssize_t i
    if size == 0:
        return BAD_NAME
    if count_of(IS_LOWER, at, size) == size:
        return 0
    for i in range(size):
        if not IS_TOKEN[at[i]]:
            offences |= BAD_NAME
        elif not IS_LOWER[at[i]]:
            offences |= UPPER_CASE_NAME
    return offences


cdef int offences_of_value(bytes_ptr at, Py_ssize_t size) noexcept:
    cdef bytes_ptr end = at + size
    if size == 0:
        return 0
    cdef int offences = BLANK_AT_END if is_blank(at[0]) or is_blank(end[-1]) else 0
    while True:
        at = find_control(at, end)
        if at == end:
            return offences
        if at[0] == 0x00 or at[0] == 0x0A or at[0] == 0x0D:
            return offences | BAD_VALUE
        at += 1


cdef int status_of(bytes_ptr at, Py_ssize_t size) noexcept:
    """Return the status that 3DIGIT stands for; 0 if it is below 100 or other text (RFC 9113 s.8.3.2)."""
    cdef unsigned int digit
    cdef int status = 0
    cdef int i
    if size != 3 or at[0] == b"0":
        return 0
    for i in range(3):
        digit = at[i] - <unsigned int> b"0"
        if digit > 9:
            return 0
        status = status * 10 + <int> digit
    return status


cdef long long length_of(bytes_ptr at, Py_ssize_t size) noexcept:
    """Return the number that 1*DIGIT stands for (Content-Length, RFC 9110 s.8.6), BAD_LENGTH for other text."""
    cdef uint64_t length = 0
    cdef unsigned int digit
    cdef Py_ssize_t i
    if size == 0:
        return BAD_LENGTH
    for i in range(size):
        digit = at[i] - <unsigned int> b"0"
        if digit > 9 or length > (MAX_LENGTH - digit) // 10:
            return BAD_LENGTH
        length = length * 10 + digit
    return <long long> length


cdef int know(bytes name) except -1:
    cdef int i = len(known)
    if name in known:
        return 0
    if i == MOST_KNOWN:
        raise SystemError("the table of known names is too small")
    known[name] = i
    KNOWN[i].name = <PyObject *> name  # owned by `known`
    KNOWN[i].flag = constants.FIELD_FLAGS.get(name, 0)
    KNOWN[i].status = REGULAR
    if name[0] == b":":
        KNOWN[i].status = 0
        KNOWN[i].offences = 0 if name == b":status" else PSEUDO_UNKNOWN
    elif name in h2_constants.CONNECTION_FIELDS:
        KNOWN[i].offences = CONNECTION_SPECIFIC
    return 0


for _name in [_name for _name, _ in tables.STATIC_TABLE]:
    know(_name)
for _name in (*constants.FIELD_FLAGS, *h2_constants.CONNECTION_FIELDS, *constants.COMMON_NAMES):
    if _name == _name.lower():
        know(_name)


cdef inline int describe_value(Entry *entry, bytes_ptr value, Py_ssize_t size) noexcept:
    """Fill in what the value says; the fields of `entry` that depend on the name are set."""
    if entry.status == REGULAR:
        entry.offences |= offences_of_value(value, size)
    elif entry.offences == 0:
        entry.status = status_of(value, size)
        if entry.status == 0:
            entry.offences = BAD_STATUS
    return 0


cdef int make_entry(Entry *entry, bytes name, bytes_ptr value, Py_ssize_t size) except -1:
    """Complete an entry whose name has been looked up; its pair is a new reference."""
    pair = (name, PyBytes_FromStringAndSize(<const char *> value, size))
    entry.size = PyBytes_GET_SIZE(name) + size + ENTRY_OVERHEAD
    describe_value(entry, value, size)
    entry.pair = <PyObject *> pair
    incref(entry.pair)
    return 0


cdef Entry STATIC_ENTRIES[STATIC + 1]


cdef int fill_static() except -1:
    cdef int index = 0
    cdef Known *facts_of
    for pair in tables.STATIC_TABLE:
        index += 1
        facts_of = &KNOWN[<int> known[pair[0]]]
        STATIC_ENTRIES[index].flag = facts_of.flag
        STATIC_ENTRIES[index].offences = facts_of.offences
        STATIC_ENTRIES[index].status = facts_of.status
        STATIC_ENTRIES[index].size = len(pair[0]) + len(pair[1]) + ENTRY_OVERHEAD
        describe_value(&STATIC_ENTRIES[index], <bytes_ptr> PyBytes_AS_STRING(pair[1]), len(pair[1]))
        STATIC_ENTRIES[index].pair = <PyObject *> pair  # owned by the tables
    return 0


fill_static()


cdef inline void find_value(PyObject *pair, bytes_ptr *start, bytes_ptr *end) noexcept:
    """Set where the value of a pair begins and ends, without the blanks around it."""
    cdef PyObject *value = first_of(pair, 1)
    cdef bytes_ptr at = <bytes_ptr> data_of(value)
    end[0] = at + size_of(value)
    start[0] = skip_blanks(at, end[0])
    end[0] = drop_blanks(start[0], end[0])


cdef tuple trimmed(PyObject *pair):
    """Return the pair without the blanks around its value."""
    cdef bytes_ptr at
    cdef bytes_ptr end
    find_value(pair, &at, &end)
    return <bytes> first_of(pair, 0), PyBytes_FromStringAndSize(<const char *> at, end - at)


@cython.final
@cython.freelist(16)
@cython.no_gc  # it refers to lists and tuples of bytes
cdef class FieldSection:
    """Hold the field section of a response, or a trailer section. Read-only."""

    cdef list lines
    #: 0 where there is no `:status`, as in trailers, or a wrong one.
    cdef readonly int status
    cdef readonly int flags
    #: What is wrong with it, 0 for nothing.
    cdef readonly int offences
    #: The first field that something is wrong with, or None.
    cdef readonly tuple offender
    #: Number of fields.
    cdef readonly int count
    #: Bytes of the section as RFC 9113 s.6.5.2 counts them, pseudo fields included.
    cdef readonly Py_ssize_t size
    cdef readonly long long content_length

    def __cinit__(self):
        self.content_length = NO_LENGTH

    @property
    def minor(self):
        """Return the minor version of HTTP/2."""
        return 0

    @property
    def reason(self):
        """Return an empty reason phrase: HTTP/2 has none (RFC 9113 s.8.3.2)."""
        return b""

    def fields(self):
        """Return names and values as received, without pseudo fields; the same list at every call."""
        if self.lines is None:
            self.lines = []
        return self.lines

    def get_all(self, bytes lower_name not None):
        """Return the values of all fields with this name, which is given in lower case."""
        return [value for name, value in self.fields() if name == lower_name]

    cdef FieldSection copy(self):
        """Return the same section with a list of its own; this one has no offences."""
        cdef FieldSection section = FieldSection.__new__(FieldSection)
        section.lines = self.lines[:]
        section.status = self.status
        section.flags = self.flags
        section.count = self.count
        section.size = self.size
        section.content_length = self.content_length
        return section

    cdef inline void accuse(self, Entry *entry, int offences) noexcept:
        if offences:
            self.offences |= offences
            if self.offender is None:
                self.offender = <tuple> entry.pair

    cdef inline void take_facts(self, Entry *entry) noexcept:
        """Count a regular field and record its flag, length and offences."""
        cdef bytes_ptr at
        cdef bytes_ptr end
        self.count += 1
        self.accuse(entry, entry.offences & ~BLANK_AT_END)
        if entry.flag == HAS_CONTENT_LENGTH:
            if self.flags & HAS_CONTENT_LENGTH:
                self.content_length = BAD_LENGTH
            else:
                find_value(entry.pair, &at, &end)
                self.content_length = length_of(at, end - at)
        self.flags |= entry.flag

    cdef inline void take_pseudo(self, Entry *entry, bint repeated) noexcept:
        cdef int offences = entry.offences
        if self.count:
            offences |= PSEUDO_LATE
        if not entry.offences & PSEUDO_UNKNOWN:
            if repeated:
                offences |= PSEUDO_REPEATED
            else:
                self.status = entry.status
        self.accuse(entry, offences)


cdef int check_limit(int64_t limit) except -1:
    if limit < 0:
        raise ValueError(f"a table of {limit} bytes cannot be")
    return 0


@cython.final
cdef class HpackDecoder:
    """Decode the field blocks that one peer sends, in their order."""

    cdef Table table
    cdef Py_ssize_t list_size  # bytes of the section so far
    cdef int64_t limit  # what we have granted the table
    cdef int64_t due  # the lowest limit that the peer has to follow with its next block, or NOTHING_DUE
    cdef Entry *found  # each with a reference
    cdef uint32_t found_count
    cdef uint32_t found_room
    cdef unsigned char *scratch
    cdef Py_ssize_t scratch_room
    # The last block and, once it came twice, its section, and what it adds to the table; they hold for this limit, and
    # for this table, unless the block is `self_contained`.
    cdef bytes last_block
    cdef FieldSection last_section
    cdef Entry *last_added  # each with a reference
    cdef uint32_t last_added_count
    cdef bint last_self_contained
    cdef uint64_t last_generation
    cdef Py_ssize_t last_limit
    cdef uint64_t generation  # changes of the table so far
    cdef bint self_contained  # the block that is read names no entry of the table, and changes no size
    cdef uint64_t added  # which of the fields that were found, of the first 64, were added to the table
    #: Bytes that a field section may have, as RFC 9113 s.6.5.2 counts them.
    cdef public Py_ssize_t max_list_size

    def __cinit__(self, *arguments, **named):
        self.due = NOTHING_DUE

    def __init__(
        self,
        int64_t max_table_size=h2_constants.DEFAULT_TABLE_SIZE,
        Py_ssize_t max_list_size=h2_constants.MAX_LIST_SIZE,
    ):
        check_limit(max_table_size)
        self.limit = self.table.size = max_table_size
        self.max_list_size = max_list_size

    def __dealloc__(self):
        self.forget()
        self.forget_added()
        free_table(&self.table)
        PyMem_Free(self.found)
        PyMem_Free(self.scratch)

    @property
    def max_table_size(self):
        """Return the limit of the table in bytes: SETTINGS_HEADER_TABLE_SIZE, once the peer acknowledged it."""
        return self.limit

    @max_table_size.setter
    def max_table_size(self, int64_t limit):
        check_limit(limit)
        self.limit = limit
        if limit < self.table.size and (self.due == NOTHING_DUE or limit < self.due):
            self.due = limit

    @property
    def table_size(self):
        """Return the size of the dynamic table in bytes, as RFC 7541 s.4.1 counts them."""
        return self.table.used

    def decode(self, block):
        """Return all fields of a block. Raises Http2Error, and SectionTooLarge."""
        cdef Py_buffer view
        cdef list fields
        cdef uint32_t i
        PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)
        try:
            self.read(<bytes_ptr> view.buf, <bytes_ptr> view.buf + view.len)
            fields = PyList_New(self.found_count)
            for i in range(self.found_count):
                set_item(<PyObject *> fields, i, self.found[i].pair)
            self.found_count = 0  # the list has the references
            return fields
        finally:
            self.forget()
            PyBuffer_Release(&view)

    def decode_response(self, block):
        """Return the fields of a block with status, flags and offences. Raises Http2Error, and SectionTooLarge."""
        cdef Py_buffer view
        cdef FieldSection section
        cdef bint again = False
        cdef uint32_t i
        if type(block) is bytes and self.last_block is not None and self.is_last(<bytes> block):
            if self.last_section is not None:
                for i in range(self.last_added_count):
                    self.add(&self.last_added[i])
                return self.last_section.copy()
            again = True
        self.last_block = self.last_section = None
        self.forget_added()
        self.last_generation = self.generation
        PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)
        try:
            self.read(<bytes_ptr> view.buf, <bytes_ptr> view.buf + view.len)
            section = self.section()
            if (
                type(block) is bytes and view.len <= MAX_REMEMBERED_BLOCK and section.offences == 0
                and (self.self_contained or self.last_generation == self.generation)
            ):
                if again:
                    self.remember_added()
                    self.last_section = section.copy()
                self.last_self_contained = self.self_contained
                self.last_limit = self.max_list_size
                self.last_block = block
            return section
        finally:
            self.forget()
            PyBuffer_Release(&view)

    cdef bint is_last(self, bytes block) except -1:
        """Return whether a block is the last one, and means the same."""
        return (
            (self.last_self_contained or self.last_generation == self.generation)
            and self.last_limit == self.max_list_size and self.due == NOTHING_DUE and self.last_block == block
        )

    cdef int remember_added(self) except -1:
        """Keep what the block that was just read has added to the table."""
        cdef uint32_t i
        if self.added == 0:
            return 0
        self.last_added = <Entry *> PyMem_Malloc(self.found_count * sizeof(Entry))
        if self.last_added == NULL:
            raise MemoryError
        for i in range(self.found_count):  # at most 64: else the block is not self-contained
            if self.added >> i & 1:
                incref(self.found[i].pair)
                self.last_added[self.last_added_count] = self.found[i]
                self.last_added_count += 1
        return 0

    cdef void forget_added(self) noexcept:
        while self.last_added_count:
            self.last_added_count -= 1
            decref(self.last_added[self.last_added_count].pair)
        PyMem_Free(self.last_added)
        self.last_added = NULL

    cdef FieldSection section(self):
        cdef FieldSection section = FieldSection.__new__(FieldSection)
        cdef Entry *entry
        cdef bint with_status = False
        cdef uint32_t i
        for i in range(self.found_count):
            entry = &self.found[i]
            if entry.status == REGULAR:
                section.take_facts(entry)
            else:
                section.take_pseudo(entry, with_status)
                with_status |= not entry.offences & PSEUDO_UNKNOWN
        section.size = self.list_size
        section.lines = self.regular_lines(section.count)
        return section

    cdef list regular_lines(self, int count):
        cdef list lines = PyList_New(count)
        cdef Py_ssize_t at = 0
        cdef uint32_t i
        for i in range(self.found_count):
            if self.found[i].status == REGULAR:
                # `lines` takes over one reference to each pair.
                if self.found[i].offences & BLANK_AT_END:
                    pair = trimmed(self.found[i].pair)
                    incref(<PyObject *> pair)
                    set_item(<PyObject *> lines, at, <PyObject *> pair)
                else:
                    incref(self.found[i].pair)
                    set_item(<PyObject *> lines, at, self.found[i].pair)
                at += 1
        return lines

    cdef void forget(self) noexcept:
        """Release the fields found in this call, and memory that few blocks need."""
        while self.found_count:
            self.found_count -= 1
            decref(self.found[self.found_count].pair)
        if self.found_room > SMALL_FOUND:
            PyMem_Free(self.found)
            self.found = NULL
            self.found_room = 0
        if self.scratch_room > SMALL_SCRATCH:
            PyMem_Free(self.scratch)
            self.scratch = NULL
            self.scratch_room = 0

    cdef int read(self, bytes_ptr base, bytes_ptr end) except -1:
        self.self_contained = True
        self.added = 0
        cdef bytes_ptr at = self.read_changes(base, end)
        cdef bytes_ptr start
        cdef uint64_t index
        self.list_size = 0
        while at < end:
            start = at
            if at[0] & 0x80:
                index = read_integer(&at, end, 0x7F, start - base)
                self.find(self.entry_at(index, start - base))
            elif at[0] & 0x40:
                at = self.read_literal(at, end, 0x3F, start - base)
            elif at[0] & 0x20:
                raise h2_errors.table_size_late(start - base)
            else:
                at = self.read_literal(at, end, 0x0F, start - base)
        if self.list_size > self.max_list_size:
            raise h2_errors.list_too_large(self.list_size, self.max_list_size)
        return 0

    cdef bytes_ptr read_changes(self, bytes_ptr base, bytes_ptr end) except NULL:
        """Read the size updates at the beginning of a block (RFC 7541 s.6.3); return where the fields begin."""
        cdef bytes_ptr at = base
        cdef bytes_ptr start
        cdef int64_t size
        while at < end and at[0] & 0xE0 == 0x20:
            start = at
            size = <int64_t> read_integer(&at, end, 0x1F, start - base)
            if size > self.limit:
                raise h2_errors.table_size_too_large(size, self.limit, start - base)
            if self.due != NOTHING_DUE and size > self.due:
                break
            self.due = NOTHING_DUE
            self.self_contained = False
            self.generation += 1
            self.table.size = size
            self.make_room(0)
        if self.due != NOTHING_DUE:
            raise h2_errors.table_size_missing(self.table.size, self.due)
        return at

    cdef Entry *entry_at(self, uint64_t index, Py_ssize_t at) except NULL:
        if index - 1 < STATIC:
            return &STATIC_ENTRIES[index]
        if index == 0 or index - STATIC > self.table.count:
            raise h2_errors.bad_index(index, STATIC + self.table.count, at)
        self.self_contained = False
        return newest(&self.table, <uint32_t> (index - STATIC - 1))

    cdef bytes_ptr read_literal(self, bytes_ptr at, bytes_ptr end, int mask, Py_ssize_t start) except NULL:
        """Read name and value; `mask` tells the representations apart: with 6 bits the field is added to the table."""
        cdef uint64_t index = read_integer(&at, end, mask, start)
        cdef Entry entry
        cdef Entry *named
        cdef bytes name
        cdef bytes_ptr text = NULL
        cdef Py_ssize_t size
        if index:
            named = self.entry_at(index, start)
            entry.flag = named.flag
            entry.offences = named.offences & OF_NAME
            entry.status = named.status
            name = <bytes> first_of(named.pair, 0)
        else:
            size = self.read_string(&at, end, &text, start)
            name = name_of(&entry, text, size)
        size = self.read_string(&at, end, &text, start)
        make_entry(&entry, name, text, size)
        try:
            self.find(&entry)
            if mask == 0x3F:
                if 0 < self.found_count <= 64:
                    self.added |= <uint64_t> 1 << (self.found_count - 1)
                else:
                    self.self_contained = False
                self.add(&entry)
        finally:
            decref(entry.pair)
        return at

    cdef Py_ssize_t read_string(self, bytes_ptr *position, bytes_ptr end, bytes_ptr *text, Py_ssize_t start) except -1:
        """Set `text` to the decoded bytes of a string, valid until the next one is read; return their number."""
        cdef bint coded
        cdef uint64_t size
        cdef Py_ssize_t decoded
        cdef bytes_ptr at
        if position[0] == end:
            raise h2_errors.truncated_field(start)
        coded = position[0][0] & 0x80
        size = read_integer(position, end, 0x7F, start)
        at = position[0]
        if size > <uint64_t> (end - at):
            raise h2_errors.truncated_string(size, end - at, start)
        position[0] = at + size
        if not coded:
            text[0] = at
            return size
        if self.scratch_room < <Py_ssize_t> (size * 8 // 5 + 2):
            self.grow_scratch(size * 8 // 5 + 2)
        decoded = unhuffman(at, at + size, self.scratch)
        if decoded == PADDED_BADLY:
            raise h2_errors.bad_padding(seen(at, at + size), start)
        if decoded == ENDED:
            raise h2_errors.end_of_string(seen(at, at + size), start)
        text[0] = self.scratch
        return decoded

    cdef int grow_scratch(self, Py_ssize_t room) except -1:
        cdef unsigned char *scratch
        room = max(room, 256)
        scratch = <unsigned char *> PyMem_Realloc(self.scratch, room)
        if scratch == NULL:
            raise MemoryError
        self.scratch = scratch
        self.scratch_room = room
        return 0

    cdef inline int find(self, Entry *entry) except -1:
        """Count a field, and keep it as long as the section is within its limit."""
        self.list_size += entry.size
        if self.list_size > self.max_list_size:
            return 0
        if self.found_count == self.found_room:
            self.grow_found()
        incref(entry.pair)
        self.found[self.found_count] = entry[0]
        self.found_count += 1
        return 0

    cdef int grow_found(self) except -1:
        cdef uint32_t room = 2 * self.found_room if self.found_room else 32
        cdef Entry *found = <Entry *> PyMem_Realloc(self.found, room * sizeof(Entry))
        if found == NULL:
            raise MemoryError
        self.found = found
        self.found_room = room
        return 0

    cdef int add(self, Entry *entry) except -1:
        self.generation += 1
        self.make_room(entry.size)
        if entry.size <= self.table.size:
            push(&self.table, entry)
        return 0

    cdef inline void make_room(self, int64_t size) noexcept:
        """Evict the oldest entries until `size` bytes fit or none is left (RFC 7541 s.4.3, s.4.4)."""
        while self.table.count and self.table.used + size > self.table.size:
            decref(drop_oldest(&self.table).pair)


cdef inline uint64_t read_integer(bytes_ptr *position, bytes_ptr end, int mask, Py_ssize_t start) except? 0xFFFFFFFF:
    """Read an integer (RFC 7541 s.5.1); `mask` has the bits of the first byte, which has arrived, that belong to it."""
    cdef bytes_ptr at = position[0]
    cdef uint64_t value = at[0] & mask
    at += 1
    if value == <uint64_t> mask:
        value = read_rest(&at, end, value, start)
    position[0] = at
    return value


cdef uint64_t read_rest(bytes_ptr *position, bytes_ptr end, uint64_t value, Py_ssize_t start) except? 0xFFFFFFFF:
    cdef bytes_ptr at = position[0]
    cdef int i
    for i in range(MAX_INTEGER_BYTES):
        if at == end:
            raise h2_errors.truncated_integer(start)
        value += <uint64_t> (at[0] & 0x7F) << (7 * i)
        at += 1
        if not at[-1] & 0x80:
            position[0] = at
            return value
    raise h2_errors.integer_too_long(seen(at - MAX_INTEGER_BYTES - 1, at), start)


cdef bytes name_of(Entry *entry, bytes_ptr at, Py_ssize_t size):
    """Set name, flag, offences and status of `entry` from a name that was received as text."""
    cdef bytes name = PyBytes_FromStringAndSize(<const char *> at, size)
    cdef PyObject *position = get_item(<PyObject *> known, <PyObject *> name)
    cdef Known *facts_of
    if position != NULL:
        facts_of = &KNOWN[as_number(position)]
        entry.flag = facts_of.flag
        entry.offences = facts_of.offences
        entry.status = facts_of.status
        return <bytes> facts_of.name
    entry.flag = 0
    if size and at[0] == b":":
        entry.status = 0
        entry.offences = PSEUDO_UNKNOWN
    else:
        entry.status = REGULAR
        entry.offences = offences_of_name(at, size)
    return name
