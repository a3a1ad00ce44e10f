# The interface of runtime.pyx, for every kernel module.

cdef extern from "simd.h" nogil:
    enum:
        DLFS_GENERIC
        DLFS_AVX2
        DLFS_AVX512

# The index of the instruction set in the tables of csrc/simd.h.
cdef int isa_level

# The number of threads for a kernel with this much work; 1 if more are never worth it.
cdef int threads_for(double multiply_adds) noexcept nogil

# The threads for one piece of work, done between gather and dismiss. `habit` is its index among the
# habits, or -1; `small` work counts for the mood, and is `alone` if the mood says so; `gap` is
# the # time since the last such work.
cdef struct Team:
    int threads
    int habit
    bint small
    bint alone
    double started
    double gap

cdef Team gather(double multiply_adds, const void *who) noexcept nogil
cdef void dismiss(const Team *team) noexcept nogil
