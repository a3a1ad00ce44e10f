# Kernels with one number per feature or channel; shared by dense.pyx and normalization.pyx.
cimport numpy as cnp
from cython.parallel cimport prange

from dlfs_ext.pool cimport empty_nd
from dlfs_ext.threads cimport threads_for

# See csrc/features_tile.h.
ctypedef void (*feature_map_t)(const void *x, const void *y, const void *p, const void *q,
                               const void *r, void *out, ptrdiff_t first, ptrdiff_t last,
                               ptrdiff_t features, ptrdiff_t inner) noexcept nogil
ctypedef void (*feature_sum_t)(const void *x, const void *y, const void *p, void *out, void *sums,
                               ptrdiff_t first, ptrdiff_t last, ptrdiff_t outer,
                               ptrdiff_t features, ptrdiff_t inner) noexcept nogil


cdef inline ptrdiff_t inner_size(cnp.ndarray x) noexcept:
    """The pixels of one channel: the product of all axes after the second."""
    cdef ptrdiff_t inner = 1
    cdef int axis
    for axis in range(2, cnp.PyArray_NDIM(x)):
        inner *= cnp.PyArray_DIM(x, axis)
    return inner


cdef inline cnp.ndarray per_feature(cnp.ndarray x):
    """An array of shape (1, features, 1, ...)."""
    cdef inline cnp.npy_intp[64] shape
    cdef int axis
    for axis in range(cnp.PyArray_NDIM(x)):
        shape[axis] = 1
    shape[1] = cnp.PyArray_DIM(x, 1)
    return empty_nd(cnp.PyArray_NDIM(x), shape, cnp.PyArray_TYPE(x))


cdef inline void *data_or_null(object array) noexcept:
    return NULL if array is None else cnp.PyArray_DATA(<cnp.ndarray>array)


cdef inline int map_features(feature_map_t fn, cnp.ndarray x, object y, object p, object q,
                             object r, cnp.ndarray out, int cost) except -1:
    """out = fn(x, y, p, q, r); all C-contiguous, or None where fn does not use them."""
    cdef ptrdiff_t features = cnp.PyArray_DIM(x, 1), inner = inner_size(x)
    cdef ptrdiff_t rows = cnp.PyArray_DIM(x, 0) * (1 if inner == 1 else features), chunk
    cdef const void *xd = cnp.PyArray_DATA(x)
    cdef const void *yd = data_or_null(y)
    cdef const void *pd = data_or_null(p)
    cdef const void *qd = data_or_null(q)
    cdef const void *rd = data_or_null(r)
    cdef void *od = cnp.PyArray_DATA(out)
    cdef int threads = threads_for(<double>cnp.PyArray_SIZE(x) * cost), i
    if cnp.PyArray_SIZE(x) == 0:
        return 0
    with nogil:
        if threads == 1:
            fn(xd, yd, pd, qd, rd, od, 0, rows, features, inner)
        else:
            chunk = (rows + threads - 1) // threads
            for i in prange(threads, num_threads=threads, schedule="static"):
                fn(xd, yd, pd, qd, rd, od, min(i * chunk, rows), min((i + 1) * chunk, rows),
                   features, inner)
    return 0


cdef inline int sum_features(feature_sum_t fn, cnp.ndarray x, object y, object p, object out,
                             cnp.ndarray sums, int cost) except -1:
    """sums[f] = the sum of fn's terms over all axes but the second; out gets the terms."""
    cdef ptrdiff_t features = cnp.PyArray_DIM(x, 1), inner = inner_size(x), chunk
    cdef ptrdiff_t outer = cnp.PyArray_DIM(x, 0)
    cdef const void *xd = cnp.PyArray_DATA(x)
    cdef const void *yd = data_or_null(y)
    cdef const void *pd = data_or_null(p)
    cdef void *od = data_or_null(out)
    cdef void *sd = cnp.PyArray_DATA(sums)
    cdef int threads = threads_for(<double>cnp.PyArray_SIZE(x) * cost), i
    with nogil:
        if threads == 1:
            fn(xd, yd, pd, od, sd, 0, features, outer, features, inner)
        else:
            # Features are split, never the sums; each thread gets whole cache lines.
            chunk = (features + threads - 1) // threads
            if inner == 1:
                chunk = (chunk + 15) // 16 * 16
            for i in prange(threads, num_threads=threads, schedule="static"):
                fn(xd, yd, pd, od, sd, min(i * chunk, features), min((i + 1) * chunk, features),
                   outer, features, inner)
    return 0
