# What every kernel module needs at run time; see runtime.pyx.

cdef extern from "simd.h" nogil:
    enum:
        DLFS_GENERIC
        DLFS_AVX2
        DLFS_AVX512

# Index into the tables of csrc/simd.h: which copy of a tile runs.
cdef int isa_level

# How many threads a kernel with this much work may use, 1 if it is never worth starting any.
cdef int threads_for(double multiply_adds) noexcept nogil

# The threads for one piece of work: between gather and dismiss lies what they do. `habit` is its
# place among the habits, or -1; `small` work is part of the mood, and `alone` because of it; `gap`
# is how long after the last such work it began.
cdef struct Team:
    int threads
    int habit
    bint small
    bint alone
    double started
    double gap

cdef Team gather(double multiply_adds, const void *who) noexcept nogil
cdef void dismiss(const Team *team) noexcept nogil
