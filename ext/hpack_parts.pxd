# Shared by HPACK's decoder and encoder: entries and the dynamic table, and sets of bytes. Inline functions only.
#
# An entry in a table holds one reference to its pair, which is a tuple of two bytes objects.

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

cdef extern from "Python.h":
    # With plain pointers, so that no reference is counted needlessly.
    PyObject *first_of "PyTuple_GET_ITEM"(PyObject *, Py_ssize_t) noexcept
    PyObject *get_item "PyDict_GetItemWithError"(PyObject *, PyObject *) except? NULL
    char *data_of "PyBytes_AS_STRING"(PyObject *) noexcept
    Py_ssize_t size_of "PyBytes_GET_SIZE"(PyObject *) noexcept
    long long as_number "PyLong_AsLongLong"(PyObject *) except? -1
    void incref "Py_INCREF"(PyObject *) noexcept
    void decref "Py_DECREF"(PyObject *) noexcept

ctypedef const unsigned char *bytes_ptr

cdef enum:
    STATIC = 61  # entries of the static table


cdef inline int fill(unsigned char *table, bytes members) except -1:
    memset(table, 0, 256)
    for member in members:
        table[<unsigned char> member] = 1
    return 0


cdef inline Py_ssize_t count_of(const unsigned char *table, bytes_ptr at, Py_ssize_t size) noexcept:
    """Return how many bytes from `at` on are members of a table; `size` when all are."""
    cdef Py_ssize_t i = 0
    while i < size and table[at[i]]:
        i += 1
    return i


cdef struct Entry:
    PyObject *pair  # name and value
    Py_ssize_t size
    int flag  # of the name, see constants.FIELD_FLAGS
    int offences  # those that can be seen from the field alone
    int status  # REGULAR, the status of a response, or 0 for what is wrong with a pseudo field


cdef struct Table:
    # The newest entry is the last one of `count` from `first` on; `room` is a power of two.
    Entry *ring
    uint32_t room
    uint32_t first
    uint32_t count
    int64_t used  # bytes, as RFC 7541 s.4.1 counts them
    int64_t size  # bytes that it may use


cdef inline Entry *newest(Table *table, uint32_t index) noexcept:
    """Return the entry at `index`, counted from the newest; `index` is below the number of entries."""
    return &table.ring[(table.first + table.count - 1 - index) & (table.room - 1)]


cdef inline int grow_table(Table *table) except -1:
    cdef uint32_t room = 2 * table.room if table.room else 16
    cdef Entry *ring = <Entry *> PyMem_Malloc(room * sizeof(Entry))
    cdef uint32_t i
    if ring == NULL:
        raise MemoryError
    for i in range(table.count):
        ring[i] = table.ring[(table.first + i) & (table.room - 1)]
    PyMem_Free(table.ring)
    table.ring = ring
    table.room = room
    table.first = 0
    return 0


cdef inline Entry *drop_oldest(Table *table) noexcept:
    """Remove the oldest entry. The caller owns its reference; it stays in place until an entry is added."""
    cdef Entry *entry = &table.ring[table.first]
    table.first = (table.first + 1) & (table.room - 1)
    table.count -= 1
    table.used -= entry.size
    return entry


cdef inline int push(Table *table, Entry *entry) except -1:
    """Add an entry that fits, with a new reference."""
    if table.count == table.room:
        grow_table(table)
    incref(entry.pair)
    table.count += 1
    table.used += entry.size
    newest(table, 0)[0] = entry[0]
    return 0


cdef inline void free_table(Table *table) noexcept:
    while table.count:
        decref(drop_oldest(table).pair)
    PyMem_Free(table.ring)
