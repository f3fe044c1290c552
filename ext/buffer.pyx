# cython: language_level=3, freethreading_compatible=True
"""Collects a body of known length: the compiled twin of httpx_fast/_kernel/buffer_py.py.

The bytes are received into the bytes object that the caller is given at the end, so nothing is copied when it is
complete. That object is written to while nobody else knows it, which CPython allows to who made it. It is not resized
while its rest is exported.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.string cimport memmove

from httpx_fast._kernel import constants

cimport cython

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    int resize_bytes "_PyBytes_Resize"(PyObject **, Py_ssize_t) except -1
    char *data_of "PyBytes_AS_STRING"(PyObject *) noexcept
    void xdecref "Py_XDECREF"(PyObject *) noexcept

__all__ = ["BodyBuffer"]

cdef Py_ssize_t FIRST_ROOM = constants.FIRST_ROOM


@cython.final
cdef class BodyBuffer:
    """A body of `expected` bytes, as far as it has come."""

    cdef PyObject *store  # a bytes object that nobody else refers to before it is taken; NULL some time after
    cdef Py_ssize_t expected
    cdef Py_ssize_t room  # size of the store
    cdef Py_ssize_t exports
    cdef bint taken
    #: Bytes that are there.
    cdef readonly Py_ssize_t filled

    def __cinit__(self, Py_ssize_t expected):
        if expected < 0:
            raise ValueError(f"a body of {expected} bytes cannot be")
        self.expected = expected
        self.room = min(expected, FIRST_ROOM)
        self.store = new_bytes(NULL, self.room)

    def __dealloc__(self):
        xdecref(self.store)

    @property
    def missing(self):
        """Bytes that are still to come."""
        return self.expected - self.filled

    def view(self):
        """What to pass to `recv_into`: writable room for the next bytes, never beyond the body's end.

        Let go of it before anything else is called. Raises BufferError when nothing is missing, since a read of no
        bytes would be taken for the end of file.
        """
        self.make_room(1)
        return self

    def buffer_updated(self, Py_ssize_t nbytes):
        """Says that `nbytes` bytes (at least 1) were written to the view. Raises ValueError if that is too many."""
        self.check_open()
        if not 0 < nbytes <= self.room - self.filled:
            raise ValueError(f"{nbytes} bytes cannot have been written to the view")
        self.filled += nbytes

    def append(self, data):
        """Copies bytes to the end. Raises ValueError if the body has no room for them."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            if view.len == 0:
                return
            if view.len > self.expected - self.filled:
                raise ValueError(f"{view.len} bytes are more than the {self.missing} that are missing")
            self.make_room(view.len)
            # `data` may be a view of this very buffer: the two may overlap.
            memmove(data_of(self.store) + self.filled, view.buf, view.len)
            self.filled += view.len
        finally:
            PyBuffer_Release(&view)

    def finish(self):
        """The body, once. Raises ValueError while bytes are missing and after the first call.

        A view may still be held (some loops let go of it after they have told of the bytes), but not be written to.
        """
        self.check_open()
        if self.filled != self.expected:
            raise ValueError(f"{self.missing} bytes of the body are missing")
        self.taken = True
        body = <bytes> self.store  # takes a reference of its own
        self.let_go()
        return body

    def cut(self):
        """What has come so far, as if nothing more were expected; once. Raises ValueError after it was taken."""
        self.check_open()
        self.taken = True
        if self.exports:
            body = PyBytes_FromStringAndSize(data_of(self.store), self.filled)
        else:
            resize_bytes(&self.store, self.filled)
            body = <bytes> self.store
        self.let_go()
        return body

    def __getbuffer__(self, Py_buffer *view, int flags):
        self.make_room(1)
        PyBuffer_FillInfo(view, self, data_of(self.store) + self.filled, self.room - self.filled, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1
        self.let_go()

    cdef void let_go(self) noexcept:
        """Drops the store once it was taken and no view is left that points into it."""
        if self.taken and not self.exports:
            xdecref(self.store)
            self.store = NULL

    cdef int check_open(self) except -1:
        if self.taken or self.store == NULL:
            raise ValueError("the body was taken already")
        return 0

    cdef int check_unexported(self) except -1:
        if self.exports:
            raise BufferError("Existing exports of data: object cannot be re-sized")
        return 0

    cdef int make_room(self, Py_ssize_t size) except -1:
        """Sees to it that the store has room for `size` more bytes."""
        cdef Py_ssize_t room
        self.check_open()
        if size > self.expected - self.filled:
            raise BufferError("the body is complete")
        if size > self.room - self.filled:
            self.check_unexported()
            # Neither sum can overflow: both stay within `expected`.
            room = self.expected if self.room > self.expected // 2 else 2 * self.room
            self.room = max(room, self.filled + size)
            resize_bytes(&self.store, self.room)  # on failure the store is gone, and check_open says so
        return 0
