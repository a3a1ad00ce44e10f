# The number of an activation in csrc/fused.h, or -1.
cdef int activation_code(object activation) except -2
