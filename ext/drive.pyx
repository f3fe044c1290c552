# cython: language_level=3, freethreading_compatible=True
"""Run a coroutine that never suspends: the compiled twin of httpx_fast/_kernel/drive_py.py.

`PyIter_Send` gives the result of a coroutine as it is, where Python code gets it as an exception.
"""

from cpython.object cimport PyObject

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

    PySendResult PyIter_Send(object, object, PyObject **) except? PYGEN_ERROR
    void Py_DECREF(PyObject *) noexcept

__all__ = ["drive"]


def drive(coroutine, /):
    """Run a coroutine to its end and return its result. RuntimeError if it suspends."""
    cdef PyObject *given = NULL
    cdef PySendResult ended = PyIter_Send(coroutine, None, &given)
    value = <object> given
    Py_DECREF(given)  # `value` holds a reference of its own
    if ended == PYGEN_RETURN:
        return value
    coroutine.close()
    raise RuntimeError(f"blocking code met an asynchronous wait: {value!r}")
