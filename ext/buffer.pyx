# cython: language_level=3, freethreading_compatible=True
"""Collect a body of known length: the compiled twin of httpx_fast/_kernel/buffer_py.py.

The bytes are received into the bytes object that is returned at the end, so nothing is copied when it is complete. It
is written to only while no other code has a reference to it, which CPython allows to the code that created it. It is
not resized while its free part is exported.
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

cdef extern from *:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #include <unistd.h>
    #define GROWTH 8
    #else
    #define GROWTH 2
    #endif

    /* Ask for huge pages in memory that is about to be filled; the system may ignore it. The whole of the pages that
     * the store lies in is named: a mapping of which only a part is advised could not be moved when it grows. */
    static void use_huge_pages(char *start, Py_ssize_t size) {
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
        const uintptr_t mask = (uintptr_t) sysconf(_SC_PAGESIZE) - 1;
        uintptr_t begin = (uintptr_t) start & ~mask;
        /* 64: what malloc adds at the end */
        uintptr_t end = ((uintptr_t) start + (uintptr_t) size + 64 + mask) & ~mask;
        (void) madvise((void *) begin, end - begin, MADV_HUGEPAGE);
    #endif
    }

    /* Have blocks up to `size` bytes come from the heap, and return to it. glibc maps those above 128 KiB one by one
     * and unmaps them when they are freed, and it returns the end of the heap to the system when 128 KiB are free
     * there: then each piece of a long body faults for every 4 KB, which costs as much as receiving it. Freeing one
     * such block moves the first bound above it and the second to twice of that (mallopt(3), M_MMAP_THRESHOLD),
     * unless the program has set either itself. */
    static void serve_from_heap(size_t size) {
    #if defined(__GLIBC__)
        void *volatile block = malloc(size);  /* volatile: a compiler may leave out a pair that nobody looks at */
        free(block);
    #else
        (void) size;
    #endif
    }
    """
    Py_ssize_t GROWTH
    void use_huge_pages(char *, Py_ssize_t) noexcept
    void serve_from_heap(size_t) noexcept

__all__ = ["BodyBuffer"]

cdef Py_ssize_t FIRST_ROOM = constants.FIRST_ROOM
# A store above this is put into huge pages where Linux has them: a fault for every 4 KB costs more than receiving these
# does. As the store grows with what arrives, a hostile length gains one huge page at most.
cdef Py_ssize_t HUGE_FROM = 4 * 1024 * 1024  # bytes
# Up to ADDRESSES such a store grows by this factor: where it is moved huge pages may be split, and what nobody has
# touched is only an address range.
cdef Py_ssize_t GROWTH_IN_HUGE_PAGES = GROWTH
cdef Py_ssize_t ADDRESSES = 64 * 1024 * 1024  # bytes
# Half of it is above what is free at the end of the heap when its reader drops all pieces of a streamed body that
# were waiting (HIGH_WATER, and one that was being received). A store that has grown once is mapped: such can be moved.
cdef Py_ssize_t FROM_HEAP = 2 * FIRST_ROOM - 64 * 1024

serve_from_heap(FROM_HEAP)


@cython.final
cdef class BodyBuffer:
    """Collect a body of `expected` bytes as they arrive."""

    # A bytes object without other references until it is taken; NULL before the first view and after the end.
    # Made as late as that it is likely the one that the reader of the body has just dropped, still in the cache.
    cdef PyObject *store
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

    def __dealloc__(self):
        xdecref(self.store)

    @property
    def missing(self):
        """Return how many bytes have not arrived yet."""
        return self.expected - self.filled

    def view(self):
        """Return writable space for the next bytes, for `recv_into`; it never reaches beyond the end of the body.

        Release it before another method is called. Raises BufferError when nothing is missing, since a read of no
        bytes would be taken for the end of file.
        """
        self.make_room(1)
        return self

    def buffer_updated(self, Py_ssize_t nbytes):
        """Record that `nbytes` bytes (at least 1) were written to the view. Raises ValueError if that is too many."""
        self.check_open()
        if not 0 < nbytes <= self.room - self.filled:
            raise ValueError(f"{nbytes} bytes cannot have been written to the view")
        self.filled += nbytes

    def append(self, data):
        """Copy bytes to the end. Raises ValueError if they are more than the body still lacks."""
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
        """Return the body. Raises ValueError while bytes are missing and after the first call.

        A view may still be held (some event loops release it after they have reported the bytes), but must not be
        written to.
        """
        self.check_open()
        if self.filled != self.expected:
            raise ValueError(f"{self.missing} bytes of the body are missing")
        self.taken = True
        if self.store == NULL:
            return b""
        body = <bytes> self.store  # takes a reference of its own
        self.let_go()
        return body

    def cut(self):
        """Return the bytes that have arrived and stop collecting. Raises ValueError if the body was taken already."""
        self.check_open()
        self.taken = True
        if self.store == NULL:
            return b""
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
        """Release the store if it was taken and no view points into it any more."""
        if self.taken and not self.exports:
            xdecref(self.store)
            self.store = NULL

    cdef int check_open(self) except -1:
        if self.taken:
            raise ValueError("the body was taken already")
        return 0

    cdef int check_unexported(self) except -1:
        if self.exports:
            raise BufferError("Existing exports of data: object cannot be re-sized")
        return 0

    cdef int make_room(self, Py_ssize_t size) except -1:
        """Enlarge the store, if needed, so that `size` more bytes fit."""
        cdef Py_ssize_t room, factor
        self.check_open()
        if size > self.expected - self.filled:
            raise BufferError("the body is complete")
        if self.store == NULL:
            self.room = max(min(self.expected, FIRST_ROOM), size)
            self.store = new_bytes(NULL, self.room)
        elif size > self.room - self.filled:
            self.check_unexported()
            # Neither sum can overflow: both stay within `expected`.
            factor = GROWTH_IN_HUGE_PAGES if HUGE_FROM <= self.room <= ADDRESSES else 2
            room = self.expected if self.room > self.expected // factor else factor * self.room
            self.room = max(room, self.filled + size)
            try:
                resize_bytes(&self.store, self.room)
            except MemoryError:
                self.taken = True  # the store is gone
                raise
        else:
            return 0
        if self.room >= HUGE_FROM:
            use_huge_pages(data_of(self.store), self.room)
        return 0
