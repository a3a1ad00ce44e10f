# What the loops share: their dtypes, and the geometry of a window.

ctypedef fused real:
    float
    double


cdef inline aligned(array):
    """Return the array, or an aligned copy."""
    from numpy import require
    return require(array, requirements="A")


# A window is (kernel, stride, padding, dilation, output), resolved to numbers; pixel (p, q) of the
# output sees pixel (p * stride + i * dilation - padding, ...) of the image through position (i, j).
cdef struct Geometry:
    Py_ssize_t kernel_height, kernel_width
    Py_ssize_t stride_height, stride_width
    Py_ssize_t top, left
    Py_ssize_t dilation_height, dilation_width


cdef inline Geometry geometry(window) except *:
    cdef Geometry g
    g.kernel_height, g.kernel_width = window.kernel
    g.stride_height, g.stride_width = window.stride
    g.top, g.left = window.padding[0][0], window.padding[1][0]
    g.dilation_height, g.dilation_width = window.dilation
    return g
