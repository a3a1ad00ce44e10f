# Fast checks of a kernel's arguments.
#
# The checks of dlfs.checks describe errors in words, but take a microsecond each; these only return
# a boolean, in nanoseconds. So a kernel calls these first, and on failure the reference's check,
# which raises. If that raises nothing, the array is only unusual (strided, a subclass), and
# c_array copies it.
cimport numpy as cnp

# The memory of arrays, as kernels get it.
ctypedef const void *input_t
ctypedef void *output_t


cdef inline bint is_float(object a) noexcept:
    """Whether a is a plain NumPy array of native float32 or float64; Python checks subclasses."""
    if not cnp.PyArray_CheckExact(a):
        return False
    cdef int typenum = cnp.PyArray_TYPE(<cnp.ndarray>a)
    return ((typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64)
            and cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray>a))


cdef inline bint is_float_nd(object a, int ndim) noexcept:
    return is_float(a) and cnp.PyArray_NDIM(<cnp.ndarray>a) == ndim


cdef inline bint same_type(object a, object b) noexcept:
    """Whether two arrays (known to be arrays) have the same dtype."""
    return cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.PyArray_TYPE(<cnp.ndarray>b)


cdef inline bint same_shape(object a, object b) noexcept:
    return cnp.PyArray_SAMESHAPE(<cnp.ndarray>a, <cnp.ndarray>b)


cdef inline int is_double(object a) noexcept:
    """The second index into the tables of csrc/simd/simd.h."""
    return cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.NPY_FLOAT64


cdef inline cnp.ndarray c_array(object a):
    """a itself if it is C-contiguous and aligned, otherwise such a copy."""
    if cnp.PyArray_CheckExact(a) and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>a):
        return <cnp.ndarray>a
    return cnp.PyArray_FROM_OF(a, cnp.NPY_ARRAY_IN_ARRAY | cnp.NPY_ARRAY_ENSUREARRAY
                               | cnp.NPY_ARRAY_NOTSWAPPED)


cdef inline void *data(object array) noexcept:
    """The memory of an array; NULL for None."""
    return NULL if array is None else cnp.PyArray_DATA(<cnp.ndarray>array)
