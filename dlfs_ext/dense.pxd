# The C interface of dense.pyx.
from dlfs_ext.arrays cimport input_t, output_t

cdef extern from "products/pointwise.h" nogil:
    ctypedef struct pointwise_job:
        ptrdiff_t batch, groups, area, channels, out_channels, row, column, group
        ptrdiff_t range, ranges, chunks
        input_t input, weights, grad, bias, values
        output_t output, sums, bias_grad
        int activation
    ptrdiff_t point_sums(const pointwise_job *job)

# The number of an activation in csrc/fused.h, or -1.
cdef int activation_code(object activation) except -2

# The number of separate sums of a weight gradient. It depends on the shapes alone, and is enough to
# occupy the threads of a large machine.
cdef inline ptrdiff_t chunks_of(ptrdiff_t parts, ptrdiff_t sums_bytes) noexcept:
    return max(1, min(parts, 16, (1 << 26) // sums_bytes))

# Convolutions with kernels of one pixel: of the images, or of the gradients, and for the weights.
cdef int pointwise(pointwise_job *job, int wide, double multiply_adds) except -1
cdef int pointwise_weights(pointwise_job *job, int wide, double multiply_adds) except -1
