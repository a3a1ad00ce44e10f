# The index of the instruction set in the tables of csrc/simd/simd.h.
cdef int isa_level
