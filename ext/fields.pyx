# cython: language_level=3, freethreading_compatible=True
"""Make field lines of names and values that users give: the compiled twin of httpx_fast/_kernel/fields_py.py."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp

from httpx_fast._kernel import errors

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    bint PyUnicode_CheckExact(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    void *PyUnicode_DATA(object)

__all__ = ["encode_lines", "lower_lines", "merge_lines"]

cdef bytes HOST = b"host"

#: Codecs that encode ASCII text as it is.
cdef frozenset SUPERSETS = frozenset({"ascii", "utf-8", "iso-8859-1"})


def encode_lines(pairs, str encoding not None):
    """Return field lines of names and values given as text or bytes.

    Raises TypeError for other types, and UnicodeEncodeError for text that the codec cannot encode.
    """
    return lines_of(pairs, encoding)


cdef list lines_of(pairs, str encoding):
    cdef list lines = []
    cdef bint is_superset = encoding in SUPERSETS
    for name, value in pairs:
        if not isinstance(name, bytes):
            if not isinstance(name, str):
                raise errors.name_of_wrong_type(name)
            name = encoded(name, encoding, is_superset, None)
        if not isinstance(value, bytes):
            if not isinstance(value, str):
                raise errors.value_of_wrong_type(name, value)
            value = encoded(value, encoding, is_superset, name)
        lines.append((name, value))
    return lines


cdef encoded(text, str encoding, bint is_superset, name):
    # A subclass may have an `encode()` of its own.
    if is_superset and PyUnicode_CheckExact(text) and PyUnicode_IS_ASCII(text):
        return PyBytes_FromStringAndSize(<char *> PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text))
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        errors.tell_where(error, name)
        raise


cdef bytes lower(bytes name):
    """Return the name in lower case: the same object if it is that already."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    cdef const char *at = PyBytes_AS_STRING(name)
    cdef Py_ssize_t i
    cdef bytes made
    cdef char *to
    for i in range(size):
        if <unsigned char> (at[i] - 0x41) < 26:
            break
    else:
        return name
    made = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(made)
    for i in range(size):
        to[i] = at[i] | 0x20 if <unsigned char> (at[i] - 0x41) < 26 else at[i]
    return made


cdef bint has(list names, bytes name):
    """Whether `name` is among `names`, which are all bytes."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    cdef bytes each
    for each in names:
        if each is name:
            return True
        if PyBytes_GET_SIZE(each) == size and memcmp(PyBytes_AS_STRING(each), PyBytes_AS_STRING(name), size) == 0:
            return True
    return False


def merge_lines(list lines not None, list names not None, given, frozenset refused not None):
    """Return `lines` with those of `given` appended, in place of lines with the same names; None for a refused name.

    The second list has all names in lower case, as `names` has those of `lines`. Text in `given` is ASCII; errors are
    those of `encode_lines`.
    """
    cdef list added = lines_of(given, "ascii")
    cdef list added_names = []
    cdef bint overlap = False
    cdef bytes name
    cdef Py_ssize_t i
    for i in range(len(added)):
        raw = added[i][0]
        name = lower(<bytes> raw if type(raw) is bytes else bytes(raw))
        if name in refused:
            return None
        if not overlap:
            overlap = has(names, name)
        added_names.append(name)
    if not overlap:
        return lines + added, names + added_names
    kept = []
    kept_names = []
    for i in range(len(lines)):
        if not has(added_names, names[i]):
            kept.append(lines[i])
            kept_names.append(names[i])
    return kept + added, kept_names + added_names


def lower_lines(lines, frozenset dropped not None, frozenset deciding not None, frozenset harmless not None):
    """Return `lines` with names in lower case, without those in `dropped`, and the value of the last Host.

    Returns None if a name is in `deciding` and the line, its name in lower case, not in `harmless`: the caller has to
    look at it then.
    """
    cdef list kept = []
    cdef bytes name
    host = None
    for raw, value in lines:
        name = lower(<bytes> raw if type(raw) is bytes else bytes(raw))
        if name in deciding and (name, value) not in harmless:
            return None
        if name == HOST:
            host = value
        if name not in dropped:
            kept.append((name, value))
    return kept, host
