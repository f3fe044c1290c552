# cython: language_level=3, freethreading_compatible=True
"""Parse HTTP/1.1 response heads and chunked bodies, write request heads. The twin of httpx_fast/_kernel/http1_py.py.

The twin documents the rules, the grammar and its leniencies; C adds these:

1. A pointer into the caller's bytes lives as long as the Py_buffer that it came with, which is one call.
2. Positions that are kept from call to call are offsets from the start of the head, never pointers.
3. A caller that passes other bytes after "need more" gets a wrong head, but never a read outside of these bytes: every
   offset is at most the number of bytes, which is checked to have grown.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from httpx_fast._exceptions import RemoteProtocolError
from httpx_fast._kernel import constants
from httpx_fast._kernel import errors

cimport cython
from field_lines cimport pairs_of
from octets cimport drop_blanks, equal_lower, find_control, is_blank, skip_blanks

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    int resize_bytes "_PyBytes_Resize"(PyObject **, Py_ssize_t) except -1
    char *data_of "PyBytes_AS_STRING"(PyObject *) noexcept
    void decref "Py_DECREF"(PyObject *) noexcept

__all__ = ["ChunkedDecoder", "HeadParser", "ResponseHead", "check_field", "chunk_head", "request_head"]

ctypedef const unsigned char *bytes_ptr

cdef enum:
    NUL = 0x00
    LF = 0x0A
    CR = 0x0D
    QUOTE = 0x22
    COMMA = 0x2C
    COLON = 0x3A
    SEMICOLON = 0x3B
    BACKSLASH = 0x5C
    DEL = 0x7F

cdef Py_ssize_t MAX_HEAD_SIZE = constants.MAX_HEAD_SIZE
cdef uint32_t MAX_FIELDS = constants.MAX_FIELDS
# Room that a parser begins with, of 24 bytes each: most heads have no more, and idle connections keep it.
cdef uint32_t FEW_FIELDS = 16
cdef int MAX_CHUNK_SIZE_DIGITS = constants.MAX_CHUNK_SIZE_DIGITS
cdef Py_ssize_t MAX_CHUNK_EXTENSION = constants.MAX_CHUNK_EXTENSION
cdef Py_ssize_t SHOWN_AND_ONE = errors.SHOWN_AND_ONE
cdef long long NO_LENGTH = constants.NO_LENGTH
cdef long long BAD_LENGTH = constants.BAD_LENGTH
cdef uint64_t MAX_LENGTH = constants.MAX_LENGTH
cdef int CHUNKED_ONLY = constants.CHUNKED_ONLY
cdef int HAS_CONNECTION = constants.HAS_CONNECTION
cdef int HAS_CONTENT_LENGTH = constants.HAS_CONTENT_LENGTH
cdef int HAS_TRANSFER_ENCODING = constants.HAS_TRANSFER_ENCODING


cdef unsigned char IS_TOKEN[256]
cdef unsigned char IS_TARGET[256]
cdef unsigned char IS_VALUE[256]
cdef unsigned char HEX[256]  # the value of a hexadecimal digit, 255 of any other byte


cdef int fill(unsigned char *table, bytes members) except -1:
    memset(table, 0, 256)
    for member in members:
        table[<unsigned char> member] = 1
    return 0


fill(IS_TOKEN, constants.TOKEN_BYTES)
fill(IS_TARGET, constants.TARGET_BYTES)
fill(IS_VALUE, constants.VALUE_BYTES)
memset(HEX, 255, 256)
for _value in range(16):
    HEX[<int> ord(f"{_value:x}")] = HEX[<int> ord(f"{_value:X}")] = _value


cdef struct Word:
    bytes_ptr text  # in lower case
    Py_ssize_t size
    int flag


cdef enum:
    MOST_WORDS = 32
    LONGEST_WORD = 32

# Ordered by size, so that those of one size lie side by side.
cdef Word KNOWN[MOST_WORDS]
cdef uint8_t KNOWN_FROM[LONGEST_WORD + 1]  # where those of a size begin; those of the next size begin where they end
cdef Word MEMBERS[MOST_WORDS]
cdef int MEMBER_COUNT = len(constants.CONNECTION_FLAGS)
cdef list _words = []  # owns the texts


cdef int fill_words(Word *table, dict flags) except -1:
    cdef int i = 0
    if len(flags) > MOST_WORDS:
        raise SystemError("the table of words is too small")
    for text in sorted(flags, key=len):
        _words.append(text)
        table[i].text = <bytes_ptr> PyBytes_AS_STRING(text)
        table[i].size = PyBytes_GET_SIZE(text)
        table[i].flag = flags[text]
        i += 1
    return 0


fill_words(KNOWN, constants.FIELD_FLAGS)
fill_words(MEMBERS, constants.CONNECTION_FLAGS)
for _size in range(LONGEST_WORD + 1):
    KNOWN_FROM[_size] = sum(len(_text) < _size for _text in constants.FIELD_FLAGS)


cdef inline int known_flag(bytes_ptr name, Py_ssize_t size) noexcept:
    """Return the flag of a field name, 0 for names without one."""
    cdef int i
    if size >= LONGEST_WORD:
        return 0
    for i in range(KNOWN_FROM[size], KNOWN_FROM[size + 1]):
        if equal_lower(name, KNOWN[i].text, size):
            return KNOWN[i].flag
    return 0


cdef enum:
    SHARED_SLOTS = 1024

# One object per common spelling of a name, at its slot or the one after it; a name that finds both taken has none.
cdef PyObject *SHARED[SHARED_SLOTS]
cdef list _shared = []  # owns them
memset(SHARED, 0, sizeof(SHARED))


cdef inline unsigned int slot_of(bytes_ptr name, Py_ssize_t size) noexcept:
    # Size, first, middle and last byte tell nearly all common names apart.
    return <unsigned int> (size * 37 + name[0] * 5 + name[size >> 1] * 131 + name[size - 1] * 17) % (SHARED_SLOTS - 1)


cdef inline bytes shared_name(bytes_ptr name, Py_ssize_t size):
    """Return the bytes object of a name that has at least one byte."""
    cdef unsigned int slot = slot_of(name, size)
    cdef PyObject *candidate
    cdef int i
    for i in range(2):
        candidate = SHARED[slot + i]
        if candidate == NULL:
            break
        if PyBytes_GET_SIZE(<object> candidate) == size and memcmp(data_of(candidate), name, size) == 0:
            return <bytes> candidate
    return PyBytes_FromStringAndSize(<const char *> name, size)


cdef int share(bytes name) except -1:
    cdef unsigned int slot = slot_of(<bytes_ptr> PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
    if SHARED[slot] != NULL:
        slot += 1
    if SHARED[slot] == NULL:
        _shared.append(name)
        SHARED[slot] = <PyObject *> name
    return 0


for _name in constants.COMMON_NAMES:
    share(_name)

cdef bytes OK = b"OK"


cdef struct Field:
    # Offsets from the start of the section. A folded value still has its line ends in it.
    uint32_t name
    uint32_t name_end
    uint32_t value
    uint32_t value_end
    int flag
    bint folded


cdef struct Section:
    # A head or a trailer section, as far as its lines have come.
    Py_ssize_t scanned
    Py_ssize_t line  # where the line begins that is being read
    Py_ssize_t line_end  # of the line that was read last
    Field *fields
    uint32_t count
    uint32_t room  # of `fields`
    uint32_t wanted  # room that the section before needed
    bint bare_lf  # whether LF alone ends a line
    bint trailers


cdef inline void clear(Section *section) noexcept:
    section.scanned = section.line = section.line_end = 0
    section.count = 0


cdef inline bytes piece(bytes_ptr start, bytes_ptr end):
    return PyBytes_FromStringAndSize(<const char *> start, end - start)


cdef inline bytes seen(bytes_ptr at, bytes_ptr end):
    """Return the first bytes of [at, end), for an error message."""
    return PyBytes_FromStringAndSize(<const char *> at, min(end - at, SHOWN_AND_ONE))


cdef str title(Section *section):
    return "trailer section" if section.trailers else "head"


cdef int next_line(Section *section, bytes_ptr base, Py_ssize_t size) except -1:
    """Search the end of the line; return 1 if it is there (from the old `line` to `line_end`), 0 if not.

    After 1, `line` is where the next line begins.
    """
    cdef bytes_ptr at = base + section.scanned
    cdef bytes_ptr end = base + size
    while True:
        at = find_control(at, end)
        if at == end:
            section.scanned = size
            return 0
        if at[0] == CR:
            if at + 1 == end:
                section.scanned = at - base
                return 0
            if at[1] == LF:
                section.line_end = at - base
                section.line = section.scanned = at + 2 - base
                return 1
            raise errors.bad_byte(piece(base + section.line, at + 1))
        if at[0] == LF and section.bare_lf:
            section.line_end = at - base
            section.line = section.scanned = at + 1 - base
            return 1
        if at[0] == NUL or at[0] == LF:
            raise errors.bad_byte(piece(base + section.line, at + 1))
        at += 1


cdef int read_fields(Section *section, bytes_ptr base, Py_ssize_t size) except -1:
    """Read the lines that have arrived; return 1 if the empty line was among them."""
    cdef bytes_ptr line
    cdef bytes_ptr end
    cdef Py_ssize_t start
    while True:
        start = section.line
        if next_line(section, base, size) == 0:
            return 0
        line = base + start
        end = base + section.line_end
        if line == end:
            return 1
        if is_blank(line[0]):
            if section.count == 0:
                raise errors.fold_without_field(piece(line, end))
            section.fields[section.count - 1].value_end = drop_blanks(line, end) - base
            section.fields[section.count - 1].folded = True
        else:
            add_field(section, base, line, end)


cdef int add_field(Section *section, bytes_ptr base, bytes_ptr line, bytes_ptr end) except -1:
    cdef bytes_ptr at = line
    cdef Field *field
    # This cannot run away: `end` points at the CR or LF that was found in this call, and neither is in a token.
    while IS_TOKEN[at[0]]:
        at += 1
    if at[0] != COLON or at == line:
        raise errors.bad_field_line(piece(line, end))
    if section.count == section.room:
        grow(section)
    field = &section.fields[section.count]
    field.name = line - base
    field.name_end = at - base
    field.flag = known_flag(line, at - line)
    field.folded = False
    at = skip_blanks(at + 1, end)
    field.value = at - base
    field.value_end = drop_blanks(at, end) - base
    section.count += 1
    return 0


cdef int grow(Section *section) except -1:
    """Allocate space for more fields, up to the limit."""
    cdef uint32_t room = min(MAX_FIELDS, 2 * section.room if section.room else section.wanted or FEW_FIELDS)
    cdef Field *fields
    if section.count == MAX_FIELDS:
        raise errors.too_many_fields(title(section))
    fields = <Field *> PyMem_Realloc(section.fields, room * sizeof(Field))
    if fields == NULL:
        raise MemoryError
    section.fields = fields
    section.room = room
    return 0


cdef bytes unfold(bytes_ptr at, bytes_ptr end):
    """Return a folded value: the parts of its lines, joined by one SP (RFC 9112 s.5.2)."""
    parts = (part.strip(b" \t\r") for part in piece(at, end).split(b"\n"))
    return b" ".join([part for part in parts if part])


cdef inline bytes value_of(bytes_ptr base, Field *field):
    if field.folded:
        return unfold(base + field.value, base + field.value_end)
    return piece(base + field.value, base + field.value_end)


cdef list lines_of(bytes_ptr base, Field *fields, uint32_t count):
    cdef list result = PyList_New(count)
    cdef uint32_t i
    for i in range(count):
        line = (shared_name(base + fields[i].name, fields[i].name_end - fields[i].name), value_of(base, &fields[i]))
        Py_INCREF(line)
        PyList_SET_ITEM(result, i, line)
    return result


@cython.final
@cython.freelist(16)
@cython.no_gc  # it refers to bytes, and to a list of pairs of bytes
cdef class ResponseHead:
    """Hold the status line and the field section of a response. Read-only."""

    cdef bytes head  # its bytes; the fields are offsets in it
    cdef Field *table
    cdef list lines
    cdef bytes rest
    cdef uint32_t reason_end
    cdef readonly int status
    #: Of "HTTP/1.minor".
    cdef readonly int minor
    cdef readonly int flags
    #: Number of fields.
    cdef readonly int count
    cdef readonly long long content_length

    def __cinit__(self):
        self.head = b""  # for a head that is created without a parser
        self.content_length = NO_LENGTH

    def __dealloc__(self):
        PyMem_Free(self.table)

    @property
    def size(self):
        """Return the size of the head in bytes, with its last line end."""
        return PyBytes_GET_SIZE(self.head)

    @property
    def reason(self):
        cdef bytes_ptr base = <bytes_ptr> PyBytes_AS_STRING(self.head)
        if self.reason_end == 15 and base[13] == b"O" and base[14] == b"K":
            return OK
        return piece(base + 13, base + self.reason_end) if self.reason_end > 13 else b""

    def fields(self):
        """Return names as received and values without whitespace around them; the same list at every call."""
        if self.lines is None:
            self.lines = lines_of(<bytes_ptr> PyBytes_AS_STRING(self.head), self.table, self.count)
        return self.lines

    def get_all(self, bytes lower_name not None):
        """Return the values of all fields with this name, which is given in lower case."""
        cdef bytes_ptr base = <bytes_ptr> PyBytes_AS_STRING(self.head)
        cdef bytes_ptr wanted = <bytes_ptr> PyBytes_AS_STRING(lower_name)
        cdef uint32_t size = PyBytes_GET_SIZE(lower_name)
        cdef Field *field
        cdef list values = []
        cdef int i
        for i in range(self.count):
            field = &self.table[i]
            if field.name_end - field.name == size and equal_lower(base + field.name, wanted, size):
                values.append(value_of(base, field))
        return values

    def take_rest(self):
        """Return the bytes after the head, once, if they are as many as one valid Content-Length says; else None."""
        cdef bytes rest = self.rest
        self.rest = None
        return rest

    cdef int take(self, Section *section, bytes_ptr base) except -1:
        """Take the results out of the section that was read: the parser of an idle connection holds no table."""
        self.head = PyBytes_FromStringAndSize(<const char *> base, section.line)
        self.count = section.count
        self.table = section.fields
        section.fields = NULL
        section.room = 0
        section.wanted = section.count
        return self.find_facts(base)

    cdef int find_facts(self, bytes_ptr base) except -1:
        cdef Field *field
        cdef bytes_ptr at
        cdef bytes_ptr end
        cdef bytes unfolded
        cdef int i
        for i in range(self.count):
            field = &self.table[i]
            if field.flag == 0:
                continue
            if field.folded:
                unfolded = value_of(base, field)
                at = <bytes_ptr> PyBytes_AS_STRING(unfolded)
                end = at + PyBytes_GET_SIZE(unfolded)
            else:
                at = base + field.value
                end = base + field.value_end
            if field.flag == HAS_CONTENT_LENGTH:
                self.content_length = BAD_LENGTH if self.flags & HAS_CONTENT_LENGTH else length_of(at, end)
            elif field.flag == HAS_CONNECTION:
                self.flags |= members_of(at, end)
            elif field.flag == HAS_TRANSFER_ENCODING:
                if self.flags & HAS_TRANSFER_ENCODING:
                    self.flags &= ~CHUNKED_ONLY
                elif end - at == 7 and equal_lower(at, b"chunked", 7):
                    self.flags |= CHUNKED_ONLY
            self.flags |= field.flag
        return 0


cdef long long length_of(bytes_ptr at, bytes_ptr end) noexcept:
    """Return the number that 1*DIGIT stands for (Content-Length, RFC 9110 s.8.6), BAD_LENGTH for other text."""
    cdef uint64_t length = 0
    cdef unsigned int digit
    if at == end:
        return BAD_LENGTH
    while at < end:
        digit = at[0] - <unsigned int> b"0"
        if digit > 9 or length > (MAX_LENGTH - digit) // 10:
            return BAD_LENGTH
        length = length * 10 + digit
        at += 1
    return <long long> length


cdef int members_of(bytes_ptr at, bytes_ptr end) noexcept:
    """Return the flags of the members of a Connection field (RFC 9110 s.7.6.1)."""
    cdef bytes_ptr comma
    cdef bytes_ptr member
    cdef bytes_ptr member_end
    cdef int flags = 0
    cdef int i
    while True:
        comma = <bytes_ptr> memchr(at, COMMA, end - at)
        if comma == NULL:
            comma = end
        member = skip_blanks(at, comma)
        member_end = drop_blanks(member, comma)
        for i in range(MEMBER_COUNT):
            if member_end - member == MEMBERS[i].size and equal_lower(member, MEMBERS[i].text, MEMBERS[i].size):
                flags |= MEMBERS[i].flag
        if comma == end:
            return flags
        at = comma + 1


@cython.final
cdef class HeadParser:
    """Read response heads of at most `max_size` bytes, one after the other."""

    cdef Section section
    cdef Py_ssize_t max_size
    cdef Py_ssize_t available  # bytes that were there at the last call
    cdef bint reading  # left true by an error
    cdef int status  # 0 while the status line has not come
    cdef int minor
    cdef uint32_t reason_end

    def __cinit__(self, Py_ssize_t max_size=MAX_HEAD_SIZE):
        errors.check_head_size(max_size)
        self.max_size = max_size
        self.section.bare_lf = True

    def __dealloc__(self):
        PyMem_Free(self.section.fields)

    def reset(self):
        """Discard a head that was begun."""
        self.forget()

    cdef inline void forget(self) noexcept:
        clear(&self.section)
        self.available = 0
        self.status = 0

    def feed(self, data, Py_ssize_t start, Py_ssize_t end):
        """Return the head that begins at `start`, or None while bytes of it are missing.

        After None, call it again with the same bytes and more, which may have moved in memory. After a head it is
        ready for the next one, after an error it has discarded the head. Raises RemoteProtocolError, and ValueError
        when [start, end) is not in `data` or has fewer bytes than before.
        """
        cdef Py_buffer view
        cdef ResponseHead head
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if not 0 <= start <= end <= view.len or end - start < self.available:
                raise ValueError(
                    f"bytes {start} to {end} of {view.len} cannot be read, {self.available} were there before"
                )
            self.reading = True
            head = self.read(<bytes_ptr> view.buf + start, end - start)
            self.reading = False
            if head is not None:
                start += PyBytes_GET_SIZE(head.head)
                if head.content_length == end - start:
                    head.rest = PyBytes_FromStringAndSize(<const char *> view.buf + start, end - start)
            return head
        finally:
            if self.reading:
                # Offsets of a head that is not read on mean nothing in the bytes of the next call.
                self.reading = False
                self.forget()
            PyBuffer_Release(&view)

    cdef ResponseHead read(self, bytes_ptr base, Py_ssize_t available):
        cdef Py_ssize_t size = min(available, self.max_size)
        cdef ResponseHead head
        if (self.status or self.read_status(base, size, available)) and read_fields(&self.section, base, size):
            head = ResponseHead.__new__(ResponseHead)
            head.status = self.status
            head.minor = self.minor
            head.reason_end = self.reason_end
            head.take(&self.section, base)
            self.forget()
            return head
        if available >= self.max_size:
            raise errors.too_large(title(&self.section), self.max_size)
        self.available = available
        return None

    cdef bint read_status(self, bytes_ptr base, Py_ssize_t size, Py_ssize_t available) except -1:
        """Read the status line; return whether it is complete (RFC 9112 s.4).

        Other protocols are refused by their first bytes: a TLS alert, say, never ends a line.
        """
        cdef bytes_ptr end
        if memcmp(base, b"HTTP/1.", min(size, 7)) != 0:
            raise errors.not_http1(seen(base, base + available))
        if next_line(&self.section, base, size) == 0:
            return False
        end = base + self.section.line_end
        if not is_status_line(base, end):
            raise errors.bad_status_line(piece(base, end))
        self.minor = base[7] - <int> b"0"
        self.status = (base[9] - <int> b"0") * 100 + (base[10] - <int> b"0") * 10 + (base[11] - <int> b"0")
        self.reason_end = self.section.line_end
        return True


cdef inline bint is_digit(unsigned char byte) noexcept:
    return b"0" <= byte <= b"9"


cdef bint is_status_line(bytes_ptr line, bytes_ptr end) noexcept:
    """Return whether "HTTP/1." is followed by `DIGIT SP 3DIGIT [SP reason]` with a status of at least 100."""
    if end - line < 12 or (end - line > 12 and line[12] != b" "):
        return False
    return (
        is_digit(line[7]) and line[8] == b" " and is_digit(line[9]) and line[9] != b"0" and is_digit(line[10])
        and is_digit(line[11])
    )


cdef enum State:
    # A chunk is SIZE [SPACE] [EXTENSION...] SIZE_LF DATA DATA_CR DATA_LF.
    SIZE, SPACE, EXTENSION, QUOTED, ESCAPED, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILERS, DONE


cdef struct Decoded:
    PyObject *data  # a bytes object without other references, NULL while nothing was decoded
    Py_ssize_t size
    Py_ssize_t room


cdef int put(Decoded *decoded, bytes_ptr at, Py_ssize_t size, bytes_ptr end) except -1:
    """Append [at, at + size). `end` is where the bytes of this call end, which bounds the space to allocate."""
    if decoded.data == NULL:
        if at + size == end:
            decoded.data = new_bytes(<const char *> at, size)
            decoded.size = decoded.room = size
            return 0
        decoded.room = end - at
        decoded.data = new_bytes(NULL, decoded.room)
    memcpy(data_of(decoded.data) + decoded.size, at, size)
    decoded.size += size
    return 0


cdef bytes finished(Decoded *decoded):
    """Return the decoded bytes; the owner of `decoded` still has to release its reference."""
    if decoded.data == NULL:
        return b""
    if decoded.size != decoded.room:
        resize_bytes(&decoded.data, decoded.size)
    return <bytes> decoded.data


@cython.final
cdef class ChunkedDecoder:
    """Decode a chunked body (RFC 9112 s.7.1).

    All line ends have to be CRLF, also those of trailers: if a peer and an intermediary see the end of a chunk at
    different bytes, a response can be smuggled in. A trailer section has at most `max_trailers` bytes.
    """

    cdef State state
    cdef Py_ssize_t max_trailers
    cdef int digits
    cdef uint64_t left  # of the chunk, in bytes
    cdef Py_ssize_t extension  # bytes of extensions so far
    cdef Section section
    cdef bytearray trailer_data
    #: True when the last byte of the body, its trailer section included, was consumed.
    cdef readonly bint done
    #: Fields of the trailer section; filled when done.
    cdef readonly list trailers
    #: What was decoded in the call that raised, before the error.
    cdef readonly bytes salvaged

    def __cinit__(self, Py_ssize_t max_trailers=MAX_HEAD_SIZE):
        errors.check_head_size(max_trailers)
        self.max_trailers = max_trailers
        self.section.trailers = True
        self.trailers = []
        self.salvaged = b""

    def __dealloc__(self):
        PyMem_Free(self.section.fields)

    def reset(self):
        """Begin a new body."""
        self.state = SIZE
        self.digits = 0
        self.left = 0
        self.extension = 0
        clear(&self.section)
        self.trailer_data = None
        self.done = False
        self.trailers = []
        self.salvaged = b""

    def feed(self, data, Py_ssize_t start, Py_ssize_t end):
        """Return decoded bytes and the position after the last byte consumed, which is `end` unless done.

        The caller need not keep any bytes. Raises RemoteProtocolError, and ValueError when [start, end) is not in
        `data`.
        """
        cdef Py_buffer view
        cdef Decoded decoded = Decoded(NULL, 0, 0)
        cdef bytes_ptr base
        cdef bytes_ptr at
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if not 0 <= start <= end <= view.len:
                raise ValueError(f"bytes {start} to {end} of {view.len} cannot be read")
            base = <bytes_ptr> view.buf
            try:
                at = self.read(base + start, base + end, &decoded)
            except RemoteProtocolError:
                self.salvaged = finished(&decoded)
                raise
            return finished(&decoded), at - base
        finally:
            if decoded.data != NULL:
                decref(decoded.data)
            PyBuffer_Release(&view)

    cdef bytes_ptr read(self, bytes_ptr at, bytes_ptr end, Decoded *decoded) except NULL:
        cdef Py_ssize_t size
        while at < end and self.state != DONE:
            if self.state == DATA:
                size = end - at
                if self.left < <uint64_t> size:
                    size = <Py_ssize_t> self.left
                put(decoded, at, size, end)
                at += size
                self.left -= size
                if self.left == 0:
                    self.state = DATA_CR
            elif self.state == TRAILERS:
                at = self.read_trailers(at, end)
            else:
                self.step(at, end)
                at += 1
        return at

    cdef int step(self, bytes_ptr at, bytes_ptr end) except -1:
        """Read one byte of the framing."""
        if self.state == SIZE:
            self.step_size(at, end)
        elif self.state == SIZE_LF:
            if at[0] != LF:
                raise errors.chunk_size_unended(seen(at, end))
            self.digits = 0
            self.state = DATA if self.left else TRAILERS
        elif self.state == DATA_CR:
            if at[0] != CR:
                raise errors.chunk_unended(seen(at, end))
            self.state = DATA_LF
        elif self.state == DATA_LF:
            if at[0] != LF:
                raise errors.chunk_unended(seen(at, end))
            self.state = SIZE
        else:
            self.step_extension(at, end)
        return 0

    cdef int step_size(self, bytes_ptr at, bytes_ptr end) except -1:
        cdef unsigned char digit = HEX[at[0]]
        if digit != 255:
            if self.digits == MAX_CHUNK_SIZE_DIGITS:
                raise errors.chunk_size_too_long(seen(at, end))
            self.digits += 1
            self.left = self.left << 4 | digit
        elif self.digits == 0:
            raise errors.chunk_size_expected(seen(at, end))
        else:
            self.step_extension(at, end)
        return 0

    cdef int step_extension(self, bytes_ptr at, bytes_ptr end) except -1:
        """Skip `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`, RFC 9112 s.7.1.1."""
        cdef unsigned char byte = at[0]
        if byte == CR and self.state <= EXTENSION:
            self.state = SIZE_LF
            return 0
        if self.state <= SPACE:
            if byte == SEMICOLON:
                self.state = EXTENSION
            elif is_blank(byte):
                self.state = SPACE
            else:
                raise errors.chunk_size_unended(seen(at, end))
        elif byte == DEL or (byte < 0x20 and byte != 0x09):
            raise errors.bad_chunk_extension(seen(at, end))
        elif self.state == ESCAPED:
            self.state = QUOTED
        elif byte == QUOTE:
            self.state = EXTENSION if self.state == QUOTED else QUOTED
        elif byte == BACKSLASH and self.state == QUOTED:
            self.state = ESCAPED
        self.extension += 1
        if self.extension > MAX_CHUNK_EXTENSION:
            raise errors.chunk_extension_too_long()
        return 0

    cdef bytes_ptr read_trailers(self, bytes_ptr at, bytes_ptr end) except NULL:
        """Read lines of the trailer section (RFC 9112 s.7.1.2); return where reading continues."""
        cdef Py_ssize_t before
        cdef bytes_ptr base
        if self.trailer_data is None:
            if end - at >= 2 and at[0] == CR and at[1] == LF:
                self.finish()
                return at + 2
            self.trailer_data = bytearray()
        before = PyByteArray_GET_SIZE(self.trailer_data)
        self.trailer_data += piece(at, at + min(end - at, self.max_trailers - before))
        base = <bytes_ptr> PyByteArray_AS_STRING(self.trailer_data)
        if read_fields(&self.section, base, PyByteArray_GET_SIZE(self.trailer_data)):
            self.trailers = lines_of(base, self.section.fields, self.section.count)
            self.finish()
            return at + (self.section.line - before)
        if PyByteArray_GET_SIZE(self.trailer_data) == self.max_trailers:
            raise errors.too_large(title(&self.section), self.max_trailers)
        return end

    cdef void finish(self) noexcept:
        self.state = DONE
        self.done = True


cdef inline Py_ssize_t count_of(const unsigned char *table, bytes_ptr at, Py_ssize_t size) noexcept:
    """Return how many bytes from `at` on are members of a table; `size` when all are."""
    cdef Py_ssize_t i = 0
    while i < size and table[at[i]]:
        i += 1
    return i


cdef int check(bytes name, bytes value) except -1:
    cdef bytes_ptr at
    cdef Py_ssize_t size
    cdef Py_ssize_t sendable
    if name is None or value is None:
        raise TypeError("name and value of a field have to be bytes, not None")
    at = <bytes_ptr> PyBytes_AS_STRING(name)
    size = PyBytes_GET_SIZE(name)
    if size == 0 or count_of(IS_TOKEN, at, size) != size:
        raise errors.bad_name(name)
    at = <bytes_ptr> PyBytes_AS_STRING(value)
    size = PyBytes_GET_SIZE(value)
    if size == 0:
        return 0
    if is_blank(at[0]):
        raise errors.bad_value(name, value, 0)
    sendable = count_of(IS_VALUE, at, size)
    if sendable != size:
        raise errors.bad_value(name, value, sendable)
    if is_blank(at[size - 1]):
        raise errors.bad_value(name, value, size - 1)
    return 0


def check_field(bytes name, bytes value):
    """Raise LocalProtocolError if a field cannot be sent as it is (RFC 9110 s.5.1, s.5.5)."""
    check(name, value)


cdef int check_request_line(bytes method, bytes target) except -1:
    cdef bytes_ptr at = <bytes_ptr> PyBytes_AS_STRING(method)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(method)
    cdef Py_ssize_t sendable
    if size == 0 or count_of(IS_TOKEN, at, size) != size:
        raise errors.bad_method(method)
    size = PyBytes_GET_SIZE(target)
    sendable = count_of(IS_TARGET, <bytes_ptr> PyBytes_AS_STRING(target), size)
    if size == 0 or sendable != size:
        raise errors.bad_target(target, sendable)
    return 0


cdef inline char *copy(char *to, bytes source) noexcept:
    memcpy(to, PyBytes_AS_STRING(source), PyBytes_GET_SIZE(source))
    return to + PyBytes_GET_SIZE(source)


def request_head(bytes method not None, bytes target not None, fields):
    """Return request line and field section as bytes (RFC 9112 s.3). Raises LocalProtocolError."""
    cdef bytes name
    cdef bytes value
    cdef bytes head
    cdef char *to
    cdef Py_ssize_t size
    # No code of the caller's runs after this line, so what is measured below is what is copied.
    cdef list lines = pairs_of(fields)
    check_request_line(method, target)
    size = PyBytes_GET_SIZE(method) + PyBytes_GET_SIZE(target) + 14
    for name, value in lines:
        check(name, value)
        size += PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 4
    head = PyBytes_FromStringAndSize(NULL, size)
    to = copy(PyBytes_AS_STRING(head), method)
    to[0] = b" "
    to = copy(to + 1, target)
    to = copy(to, b" HTTP/1.1\r\n")
    for name, value in lines:
        to = copy(copy(copy(copy(to, name), b": "), value), b"\r\n")
    copy(to, b"\r\n")
    return head


def chunk_head(size):
    """Return the line before a chunk of `size` bytes; 0 is the last chunk, which ends the body (RFC 9112 s.7.1)."""
    if size < 0:
        raise ValueError(f"a chunk of {size} bytes cannot be")
    return b"%x\r\n" % size
