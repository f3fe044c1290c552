# cython: language_level=3, freethreading_compatible=True
"""Parts of plain URLs, and the encoding of forms and queries: twin of `httpx_fast/_kernel/urls_py.py`.

A plain URL is one that needs no decision: of http, https, ws or wss with a name or an IPv4 address as host, or a path
alone. All others, valid or not, are left to `_urlparse`, which knows the whole syntax and all messages of errors.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from httpx_fast._kernel import constants

cimport cython

__all__ = ["primitive_value_to_str", "split_url", "urlencode"]

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    bint PyUnicode_CheckExact(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    void *PyUnicode_DATA(object)
    object PyUnicode_New(Py_ssize_t, Py_UCS4)

ctypedef const unsigned char *bytes_ptr

cdef enum:
    IN_PATH = 1
    IN_QUERY = 2
    IN_FRAGMENT = 4
    IN_FORM = 8
    IN_NAME = 16  # what a host's name continues with

cdef Py_ssize_t MAX_URL_LENGTH = constants.MAX_URL_LENGTH
cdef int MAX_PORT = constants.MAX_PORT
cdef unsigned char SETS[256]
cdef bytes HEX_DIGITS = b"0123456789ABCDEF"
cdef const char *HEX = PyBytes_AS_STRING(HEX_DIGITS)


cdef int mark(str characters, unsigned char bit) except -1:
    for byte in characters.encode("ascii"):
        SETS[<unsigned char> byte] |= bit
    return 0


memset(SETS, 0, sizeof(SETS))
mark(constants.PATH_CHARACTERS, IN_PATH)
mark(constants.QUERY_CHARACTERS, IN_QUERY)
mark(constants.FRAGMENT_CHARACTERS, IN_FRAGMENT)
mark(constants.FORM_CHARACTERS, IN_FORM)
mark("abcdefghijklmnopqrstuvwxyz0123456789._-", IN_NAME)


cdef inline bint is_digit(unsigned char byte) noexcept:
    return <unsigned char> (byte - 0x30) < 10


cdef inline bint is_small(unsigned char byte) noexcept:
    return <unsigned char> (byte - 0x61) < 26


cdef bytes_ptr after_address(bytes_ptr at, bytes_ptr end) noexcept:
    """Return the end of an IPv4 address of four numbers without leading zeros; NULL if there is none."""
    cdef int number, digits, i
    for i in range(4):
        if i > 0:
            if at == end or at[0] != 0x2E:  # .
                return NULL
            at += 1
        number = digits = 0
        while at < end and is_digit(at[0]):
            if digits == 3 or (digits > 0 and number == 0):
                return NULL
            number = number * 10 + at[0] - 0x30
            digits += 1
            at += 1
        if digits == 0 or number > 255:
            return NULL
    return at


cdef bytes_ptr after_host(bytes_ptr at, bytes_ptr end) noexcept:
    """Return the end of a name in lower case or an IPv4 address; NULL if there is none."""
    if at == end:
        return NULL
    if not is_small(at[0]):
        return after_address(at, end)
    while at < end and SETS[at[0]] & IN_NAME:
        at += 1
    return at


cdef bytes_ptr after_part(bytes_ptr at, bytes_ptr end, unsigned char part, Py_ssize_t *escaped) noexcept:
    """Return the end of a part, counting what is to be escaped in it; NULL if a control character comes first."""
    cdef unsigned char byte
    escaped[0] = 0
    while at < end:
        byte = at[0]
        if not SETS[byte] & part:
            if byte < 0x20 or byte == 0x7F:
                return NULL
            if byte == 0x23 or (byte == 0x3F and part == IN_PATH):  # "#" and "?"
                break
            escaped[0] += 1
        at += 1
    return at


cdef bint has_dot_segment(bytes_ptr at, bytes_ptr end) noexcept:
    """Whether one of the segments of a path, each after a slash, is "." or ".."."""
    while at < end:
        at = <bytes_ptr> memchr(at, 0x2F, end - at)
        if at == NULL:
            return False
        at += 1
        if at < end and at[0] == 0x2E:
            if at + 1 == end or at[1] == 0x2F:
                return True
            if at[1] == 0x2E and (at + 2 == end or at[2] == 0x2F):
                return True
    return False


cdef inline char *escape(char *to, unsigned char byte) noexcept:
    to[0] = 0x25  # %
    to[1] = HEX[byte >> 4]
    to[2] = HEX[byte & 15]
    return to + 3


cdef str part_of(bytes_ptr at, bytes_ptr end, unsigned char part, Py_ssize_t escaped):
    """Return a part as text; `escaped` is how many bytes of it are not in its set."""
    cdef Py_ssize_t size = end - at
    if size == 0:
        return ""
    cdef str text = PyUnicode_New(size + 2 * escaped, 127)
    cdef char *to = <char *> PyUnicode_DATA(text)
    if escaped == 0:
        memcpy(to, at, size)
        return text
    # `escaped` was counted over the same bytes with the same set, so exactly the room is filled.
    while at < end:
        if SETS[at[0]] & part:
            to[0] = at[0]
            to += 1
        else:
            to = escape(to, at[0])
        at += 1
    return text


cdef bytes target_of(str path, str query):
    """Return path and query, which are ASCII, as a request target."""
    cdef Py_ssize_t path_size = PyUnicode_GET_LENGTH(path)
    cdef Py_ssize_t size = path_size if path_size else 1
    if query is not None:
        size += 1 + PyUnicode_GET_LENGTH(query)
    cdef bytes target = PyBytes_FromStringAndSize(NULL, size)
    cdef char *to = PyBytes_AS_STRING(target)
    if path_size:
        memcpy(to, PyUnicode_DATA(path), path_size)
        to += path_size
    else:
        to[0] = 0x2F
        to += 1
    if query is not None:
        to[0] = 0x3F
        memcpy(to + 1, PyUnicode_DATA(query), PyUnicode_GET_LENGTH(query))
    return target


def split_url(str text not None):
    """Return the parts of a plain URL, percent-encoded; None for any other text.

    A URL that is a path alone has an empty scheme and host. A missing query or fragment is None.
    """
    cdef bytes data
    cdef bytes_ptr start
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    if size > MAX_URL_LENGTH:
        return None
    if PyUnicode_IS_ASCII(text):
        start = <bytes_ptr> PyUnicode_DATA(text)
    else:
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:
            return None
        start = <bytes_ptr> PyBytes_AS_STRING(data)
        size = PyBytes_GET_SIZE(data)
    # `text` and `data` live until the end, and nothing can change them.
    return split(text, start, start + size)


cdef split(str text, bytes_ptr start, bytes_ptr end):
    cdef bytes_ptr at = start
    cdef bytes_ptr host_start
    cdef bytes_ptr path_start
    cdef bytes_ptr path_end
    cdef bytes_ptr query_start = NULL
    cdef bytes_ptr query_end = NULL
    cdef Py_ssize_t in_path, in_query = 0, in_fragment = 0
    cdef str scheme = scheme_of(&at, end)
    cdef str host = ""
    cdef str query = None
    cdef str fragment = None
    cdef int port = -1
    if scheme != "":
        host_start = at
        at = after_host(at, end)
        if at == NULL:
            return None
        host = part_of(host_start, at, IN_NAME, 0)
        if at < end and at[0] == 0x3A:  # :
            port = port_of(&at, end)
            if port < 0:
                return None
        if at < end and at[0] != 0x2F and at[0] != 0x3F and at[0] != 0x23:
            return None
    elif not is_path(at, end):
        return None
    path_start = at
    path_end = at = after_part(at, end, IN_PATH, &in_path)
    if at == NULL or (scheme != "" and has_dot_segment(path_start, path_end)):
        return None
    if at < end and at[0] == 0x3F:
        query_start = at + 1
        query_end = at = after_part(query_start, end, IN_QUERY, &in_query)
        if at == NULL:
            return None
    if at < end:  # at "#"
        if after_part(at + 1, end, IN_FRAGMENT, &in_fragment) == NULL:
            return None
        fragment = part_of(at + 1, end, IN_FRAGMENT, in_fragment)
    cdef str path = part_of(path_start, path_end, IN_PATH, in_path)
    if query_start != NULL:
        query = part_of(query_start, query_end, IN_QUERY, in_query)
    same = text if in_path + in_query + in_fragment == 0 else None
    return (
        scheme, host, None if port < 0 else port, path, query, fragment, same, target_of(path, query)
    )


cdef str scheme_of(bytes_ptr *at, bytes_ptr end):
    """Return the scheme and move `at` behind its "//"; "" if there is none of the four."""
    cdef Py_ssize_t size = end - at[0]
    if size >= 8 and memcmp(at[0], b"https://", 8) == 0:
        at[0] += 8
        return "https"
    if size >= 7 and memcmp(at[0], b"http://", 7) == 0:
        at[0] += 7
        return "http"
    if size >= 6 and memcmp(at[0], b"wss://", 6) == 0:
        at[0] += 6
        return "wss"
    if size >= 5 and memcmp(at[0], b"ws://", 5) == 0:
        at[0] += 5
        return "ws"
    return ""


cdef int port_of(bytes_ptr *at, bytes_ptr end) noexcept:
    """Return the number after a colon, without leading zeros, and move `at` behind it; -1 if there is none."""
    cdef bytes_ptr digit = at[0] + 1
    cdef int number = 0
    if digit == end or digit[0] == 0x30:
        return -1
    while digit < end and is_digit(digit[0]):
        number = number * 10 + digit[0] - 0x30
        if number > MAX_PORT:
            return -1
        digit += 1
    at[0] = digit
    return number if number > 0 else -1


cdef bint is_path(bytes_ptr at, bytes_ptr end) noexcept:
    """Whether text without one of the schemes can only be a path: it has no colon, or begins with one slash."""
    if at < end and at[0] == 0x2F:
        return at + 1 == end or at[1] != 0x2F
    return at == end or memchr(at, 0x3A, end - at) == NULL


cpdef primitive_value_to_str(value):
    """Return a value as text of a query or a form: booleans as in JSON, None as ""."""
    if PyUnicode_CheckExact(value):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    return "" if value is None else str(value)


@cython.final
cdef class Room:
    """Memory that grows, freed with the object."""

    cdef char *start
    cdef Py_ssize_t used
    cdef Py_ssize_t size

    def __cinit__(self):
        self.used = 0
        self.size = 256
        self.start = <char *> PyMem_Malloc(self.size)
        if self.start == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.start)

    cdef char *reserve(self, Py_ssize_t more) except NULL:
        """Return where the next `more` bytes go."""
        cdef char *moved
        cdef Py_ssize_t size
        if self.size - self.used < more:
            size = max(self.size * 2, self.used + more)
            moved = <char *> PyMem_Realloc(self.start, size)
            if moved == NULL:
                raise MemoryError
            self.start = moved
            self.size = size
        return self.start + self.used

    cdef int add(self, text) except -1:
        """Append text, encoded."""
        cdef bytes data
        cdef bytes_ptr at
        cdef Py_ssize_t size
        cdef char *to
        cdef Py_ssize_t i
        if PyUnicode_IS_ASCII(text):
            at = <bytes_ptr> PyUnicode_DATA(text)
            size = PyUnicode_GET_LENGTH(text)
        else:
            data = text.encode("utf-8")
            at = <bytes_ptr> PyBytes_AS_STRING(data)
            size = PyBytes_GET_SIZE(data)
        to = self.reserve(3 * size)
        for i in range(size):
            if SETS[at[i]] & IN_FORM:
                to[0] = at[i]
                to += 1
            elif at[i] == 0x20:
                to[0] = 0x2B  # +
                to += 1
            else:
                to = escape(to, at[i])
        self.used = to - self.start
        return 0

    cdef int add_pair(self, str name, value) except -1:
        text = primitive_value_to_str(value)  # of a subclass of str, if `__str__` returns one
        if self.used:
            self.reserve(1)[0] = 0x26  # &
            self.used += 1
        self.add(name)
        self.reserve(1)[0] = 0x3D  # =
        self.used += 1
        self.add(text)
        return 0


def urlencode(pairs):
    """Encode names and values as application/x-www-form-urlencoded (WHATWG URL s.5.2).

    A value that is a list or a tuple stands for one pair for each of its items. Returns None if a name is no str, and
    raises UnicodeEncodeError for text that UTF-8 cannot encode.
    """
    cdef Room room = Room()
    for name, value in pairs:
        if not PyUnicode_CheckExact(name):
            return None
        if isinstance(value, (list, tuple)):
            for each in value:
                room.add_pair(name, each)
        else:
            room.add_pair(name, value)
    cdef str text = PyUnicode_New(room.used, 127)
    memcpy(PyUnicode_DATA(text), room.start, room.used)
    return text
