# The number of threads for a kernel with this much work; 1 if more are never worth it.
cdef int threads_for(double multiply_adds) noexcept nogil
