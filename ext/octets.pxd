# Inline functions that search and compare bytes, for all kernels. They keep no pointer after the call and never raise.

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* The first byte below 0x20 in [at, end), or end. Eight at a time: subtracting 0x20 from each borrows into the top
       bit of those below it, and `& ~word` drops those that had it set before. A borrow can reach an byte beside one
       that is below 0x20 and accuse it wrongly, so a hit says only that there is one among the eight. */
    static inline const unsigned char *
    octets_find_control(const unsigned char *at, const unsigned char *end)
    {
        while (end - at >= 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            if ((word - 0x2020202020202020ULL) & ~word & 0x8080808080808080ULL) break;
            at += 8;
        }
        while (at < end && *at >= 0x20) at++;
        return at;
    }

    /* Whether `size` bytes are `lower`, which is in lower case, whatever the case of their letters. */
    static inline int
    octets_equal_lower(const unsigned char *at, const unsigned char *lower, Py_ssize_t size)
    {
        Py_ssize_t i;
        for (i = 0; i < size; i++) {
            unsigned char byte = at[i];
            if ((unsigned char)(byte - 'A') < 26) byte |= 0x20;
            if (byte != lower[i]) return 0;
        }
        return 1;
    }
    """
    const unsigned char *find_control "octets_find_control"(
        const unsigned char *at, const unsigned char *end) noexcept nogil
    bint equal_lower "octets_equal_lower"(
        const unsigned char *at, const unsigned char *lower, Py_ssize_t size) noexcept nogil


cdef inline bint is_blank(unsigned char byte) noexcept nogil:
    return byte == 0x20 or byte == 0x09


cdef inline const unsigned char *skip_blanks(const unsigned char *at, const unsigned char *end) noexcept nogil:
    while at < end and is_blank(at[0]):
        at += 1
    return at


cdef inline const unsigned char *drop_blanks(const unsigned char *start, const unsigned char *end) noexcept nogil:
    """Return the end of [start, end) without the blanks before it."""
    while end > start and is_blank(end[-1]):
        end -= 1
    return end
