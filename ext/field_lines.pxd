# Field lines as callers give them: an inline function that any kernel may use.

from cpython.object cimport PyObject

cdef extern from *:
    """
    /* Whether this is a tuple of two bytes objects, none of them of a subclass. */
    static inline int
    field_lines_is_pair(PyObject *field)
    {
        return PyTuple_CheckExact(field) && PyTuple_GET_SIZE(field) == 2
            && PyBytes_CheckExact(PyTuple_GET_ITEM(field, 0)) && PyBytes_CheckExact(PyTuple_GET_ITEM(field, 1));
    }
    """
    bint is_pair "field_lines_is_pair"(PyObject *) noexcept

cdef extern from "Python.h":
    bint is_exactly_tuple "PyTuple_CheckExact"(PyObject *) noexcept


cdef inline list pairs_of(fields):
    """Return field lines as a new list of tuples of two bytes objects. Raises TypeError, and ValueError for no pair.

    Asks each iterator once: it may be code of the caller's that gives other objects the next time. What is measured and
    copied afterwards is in these tuples, which nothing can change.
    """
    cdef list lines = list(fields)
    cdef bytes name
    cdef bytes value
    cdef Py_ssize_t i
    for i in range(len(lines)):
        field = lines[i]
        if not is_pair(<PyObject *> field):
            name, value = field
            if name is None or value is None:
                raise TypeError("name and value of a field have to be bytes, not None")
            lines[i] = (name, value)
    return lines
