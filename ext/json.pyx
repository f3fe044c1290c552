# cython: language_level=3, freethreading_compatible=True
"""Parse JSON from bytes: the compiled twin of httpx_fast/_kernel/json_py.py.

The twin documents the interface; C adds these:

1. Names of members are remembered for the length of one call, in `Parser.names` on its stack: objects of one list have
   the same ones, and a name that was seen costs neither an object nor a hash.
2. A text without escapes is searched for its end eight bytes at a time, and copied once.
3. Every position is compared with `end` before it is read. The caller's bytes end with a NUL behind `end`, which
   `PyOS_string_to_double` relies on.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem
from cpython.list cimport PyList_Append
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from json.decoder import scanstring as decode_escapes

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, int largest)
    void *PyUnicode_DATA(PyObject *) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject *) noexcept
    object PyUnicode_DecodeUTF8(const char *at, Py_ssize_t size, const char *errors)
    object PyUnicode_FromKindAndData(int kind, const void *at, Py_ssize_t size)
    object PyLong_FromLongLong(long long)
    double PyOS_string_to_double(const char *at, char **end, PyObject *overflow) except? -1.0
    void Py_INCREF(PyObject *) noexcept
    void Py_XDECREF(PyObject *) noexcept

__all__ = ["parse_json"]

ctypedef const unsigned char *bytes_ptr

cdef enum:
    MAX_DEPTH = 100  # of arrays and objects in each other; json.loads parses deeper ones
    MAX_NAME = 32  # bytes of a name that is remembered
    NAMES = 64  # a power of two
    MAX_DIGITS = 18  # of an integer that fits 64 bits whatever they are
    ONE_BYTE_KIND = 1

cdef uint64_t EACH = 0x0101010101010101ULL
cdef uint64_t TOPS = 0x8080808080808080ULL


cdef struct Parser:
    bytes_ptr at
    bytes_ptr end
    int depth
    PyObject *names[NAMES]  # each with a reference


def parse_json(bytes content not None):
    """Return the value of a JSON text. Raises ValueError where that is to be found out by `json.loads`."""
    cdef Parser parser
    cdef int i
    parser.at = <bytes_ptr> PyBytes_AS_STRING(content)
    parser.end = parser.at + PyBytes_GET_SIZE(content)
    parser.depth = 0
    memset(parser.names, 0, sizeof(parser.names))
    try:
        skip_blanks(&parser)
        value = parse(&parser)
        skip_blanks(&parser)
        if parser.at != parser.end:
            raise ValueError
        return value
    finally:
        for i in range(NAMES):
            Py_XDECREF(parser.names[i])


cdef inline void skip_blanks(Parser *parser) noexcept:
    cdef bytes_ptr at = parser.at
    while at < parser.end and (at[0] == b" " or at[0] == b"\n" or at[0] == b"\r" or at[0] == b"\t"):
        at += 1
    parser.at = at


cdef inline int next_byte(Parser *parser) noexcept:
    """Return the byte after blanks without taking it; -1 at the end."""
    skip_blanks(parser)
    return parser.at[0] if parser.at < parser.end else -1


cdef object parse(Parser *parser):
    cdef int byte = parser.at[0] if parser.at < parser.end else -1
    if byte == b'"':
        parser.at += 1
        return parse_text(parser)
    if byte == b"{":
        return parse_object(parser)
    if byte == b"[":
        return parse_array(parser)
    if byte == b"t":
        return parse_word(parser, b"true", 4, True)
    if byte == b"f":
        return parse_word(parser, b"false", 5, False)
    if byte == b"n":
        return parse_word(parser, b"null", 4, None)
    return parse_number(parser)


cdef object parse_word(Parser *parser, const char *word, Py_ssize_t size, object value):
    if parser.end - parser.at < size or memcmp(parser.at, word, size):
        raise ValueError
    parser.at += size
    return value


cdef dict parse_object(Parser *parser):
    cdef dict members = {}
    cdef int byte
    enter(parser)
    if next_byte(parser) == b"}":
        parser.at += 1
        parser.depth -= 1
        return members
    while True:
        if next_byte(parser) != b'"':
            raise ValueError
        parser.at += 1
        name = parse_name(parser)
        if next_byte(parser) != b":":
            raise ValueError
        parser.at += 1
        skip_blanks(parser)
        PyDict_SetItem(members, name, parse(parser))
        byte = next_byte(parser)
        parser.at += 1
        if byte == b"}":
            parser.depth -= 1
            return members
        if byte != b",":
            raise ValueError


cdef list parse_array(Parser *parser):
    cdef list items = []
    cdef int byte
    enter(parser)
    if next_byte(parser) == b"]":
        parser.at += 1
        parser.depth -= 1
        return items
    while True:
        skip_blanks(parser)
        PyList_Append(items, parse(parser))
        byte = next_byte(parser)
        parser.at += 1
        if byte == b"]":
            parser.depth -= 1
            return items
        if byte != b",":
            raise ValueError


cdef inline int enter(Parser *parser) except -1:
    parser.at += 1
    parser.depth += 1
    if parser.depth > MAX_DEPTH:
        raise ValueError
    return 0


cdef object parse_name(Parser *parser):
    """Return the name of a member, whose quote was taken."""
    cdef bytes_ptr start = parser.at
    cdef bytes_ptr end = plain_end(start, parser.end)
    cdef Py_ssize_t size = end - start
    cdef PyObject **slot
    cdef uint32_t mixed
    if end == parser.end or end[0] != b'"' or not 0 < size <= MAX_NAME:
        return parse_text(parser)
    mixed = <uint32_t> size * 31 + start[0] * 7 + start[size >> 1] * 13 + start[size - 1]
    slot = &parser.names[(mixed ^ mixed >> 6) & (NAMES - 1)]
    if slot[0] != NULL and PyUnicode_GET_LENGTH(slot[0]) == size and not memcmp(PyUnicode_DATA(slot[0]), start, size):
        parser.at = end + 1
        return <object> slot[0]
    name = ascii_text(start, size)
    parser.at = end + 1
    Py_XDECREF(slot[0])
    slot[0] = <PyObject *> name
    Py_INCREF(slot[0])
    return name


cdef object parse_text(Parser *parser):
    """Return a text whose quote was taken."""
    cdef bytes_ptr start = parser.at
    cdef bytes_ptr at = plain_end(start, parser.end)
    cdef bint escaped = False
    if at < parser.end and at[0] == b'"':
        parser.at = at + 1
        return ascii_text(start, at - start)
    while True:
        at = text_end(at, parser.end)
        if at >= parser.end or at[0] < 0x20:
            raise ValueError
        if at[0] == b'"':
            break
        escaped = True
        at += 2
    parser.at = at + 1
    if not escaped:
        return PyUnicode_DecodeUTF8(<const char *> start, at - start, NULL)
    text, _ = decode_escapes(PyUnicode_DecodeUTF8(<const char *> start, at + 1 - start, NULL), 0)
    return text


cdef inline bytes_ptr plain_end(bytes_ptr at, bytes_ptr end) noexcept:
    """Return where printable ASCII without quotes and backslashes ends."""
    cdef uint64_t word, quotes, slashes
    while end - at >= 8:
        memcpy(&word, at, 8)
        quotes = word ^ (EACH * 0x22)
        slashes = word ^ (EACH * 0x5C)
        # A top bit is set where a byte is below 0x20, a quote, a backslash, or not ASCII. Borrows may set more.
        if ((word - EACH * 0x20) | (quotes - EACH) | (slashes - EACH) | word) & TOPS:
            break
        at += 8
    while at < end and 0x20 <= at[0] < 0x80 and at[0] != 0x22 and at[0] != 0x5C:
        at += 1
    return at


cdef inline bytes_ptr text_end(bytes_ptr at, bytes_ptr end) noexcept:
    """Return where bytes other than quotes, backslashes and control characters end."""
    cdef uint64_t word, quotes, slashes
    while end - at >= 8:
        memcpy(&word, at, 8)
        quotes = word ^ (EACH * 0x22)
        slashes = word ^ (EACH * 0x5C)
        if (((word - EACH * 0x20) & ~word) | ((quotes - EACH) & ~quotes) | ((slashes - EACH) & ~slashes)) & TOPS:
            break
        at += 8
    while at < end and at[0] >= 0x20 and at[0] != 0x22 and at[0] != 0x5C:
        at += 1
    return at


cdef inline object ascii_text(bytes_ptr at, Py_ssize_t size):
    if size < 2:
        return PyUnicode_FromKindAndData(ONE_BYTE_KIND, at, size)  # which are shared objects
    text = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(<PyObject *> text), at, size)
    return text


cdef inline bint is_digit(bytes_ptr at, bytes_ptr end) noexcept:
    return at < end and <unsigned char> (at[0] - 0x30) < 10


cdef object parse_number(Parser *parser):
    cdef bytes_ptr start = parser.at
    cdef bytes_ptr at = start
    cdef bytes_ptr end = parser.end
    cdef bytes_ptr digits
    cdef long long value = 0
    if at < end and at[0] == b"-":
        at += 1
    if not is_digit(at, end):
        raise ValueError  # NaN and Infinity, too
    digits = at
    if at[0] == b"0":
        at += 1
    else:
        while is_digit(at, end):
            if at - digits < MAX_DIGITS:
                value = value * 10 + (at[0] - 0x30)
            at += 1
    if at < end and (at[0] == b"." or at[0] == b"e" or at[0] == b"E"):
        return parse_float(parser, start, at)
    parser.at = at
    if at - digits <= MAX_DIGITS:
        return PyLong_FromLongLong(-value if start[0] == b"-" else value)
    return int((<const char *> start)[:at - start])


cdef object parse_float(Parser *parser, bytes_ptr start, bytes_ptr at):
    """Return a number whose integer part ends at `at`, where its fraction or exponent begins."""
    cdef bytes_ptr end = parser.end
    cdef char *stop
    cdef double value
    if at[0] == b".":
        at += 1
        if not is_digit(at, end):
            raise ValueError
        while is_digit(at, end):
            at += 1
    if at < end and (at[0] == b"e" or at[0] == b"E"):
        at += 1
        if at < end and (at[0] == b"+" or at[0] == b"-"):
            at += 1
        if not is_digit(at, end):
            raise ValueError
        while is_digit(at, end):
            at += 1
    value = PyOS_string_to_double(<const char *> start, &stop, NULL)
    if <bytes_ptr> stop != at:
        raise ValueError
    parser.at = at
    return value
