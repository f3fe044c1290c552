# Field lines as callers give them: an inline function that any kernel may use.

from cpython.object cimport PyObject

cdef extern from "Python.h":
    bint is_exactly_tuple "PyTuple_CheckExact"(PyObject *) noexcept


cdef inline list pairs_of(fields):
    """Field lines as a new list of tuples of two bytes objects. Raises TypeError, and ValueError for no pair.

    Asks each iterator once: it may be code of the caller's that gives other objects the next time. What is measured and
    copied afterwards is in these tuples, which nothing can change.
    """
    cdef list lines = []
    cdef bytes name
    cdef bytes value
    for field in fields:
        name, value = field
        if name is None or value is None:
            raise TypeError("name and value of a field have to be bytes, not None")
        lines.append(field if is_exactly_tuple(<PyObject *> field) else (name, value))
    return lines
