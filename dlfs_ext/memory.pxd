# The C interface of memory.pyx, for the kernels.
cimport numpy as cnp

cdef cnp.ndarray empty_nd(int ndim, const cnp.npy_intp *shape, int typenum)
cdef cnp.ndarray empty_like(cnp.ndarray a)


# Scratch memory, freed with the Block: `data` is aligned to 64 bytes.
cdef class Block:
    cdef void *raw      # the result of malloc
    cdef void *data     # the same, aligned
    cdef size_t size
    cdef int number

cdef Block new_block(size_t n)
