# How a kernel runs: on one thread, or on several that share its tasks.

cdef extern from "simd/simd.h" nogil:
    ctypedef void range_fn(const void *job, ptrdiff_t begin, ptrdiff_t end,
                           void *scratch) noexcept
    ctypedef size_t bytes_fn(const void *job) noexcept
    ctypedef struct kernel:
        range_fn *copies[3][2]
        bytes_fn *scratch[3][2]

# The number of threads for a kernel with this much work; 1 if more are never worth it.
cdef int threads_for(double multiply_adds) noexcept nogil

# Do the tasks of a job. A thread's range begins at a multiple of `grain`.
cdef int run(const kernel *which, int wide, const void *job, ptrdiff_t tasks,
             double multiply_adds, ptrdiff_t grain=*) except -1
