# Elementwise kernels, applied to whole arrays; shared by activations.pyx and rectifiers.pyx.
cimport numpy as cnp
from cython.parallel cimport prange

from dlfs_ext.arrays cimport c_array
from dlfs_ext.pool cimport empty_like
from dlfs_ext.threads cimport threads_for

cdef extern from "activations.h" nogil:
    ctypedef void unary_fn(const void *x, void *out, ptrdiff_t n, double parameter) noexcept
    ctypedef void binary_fn(const void *g, const void *y, void *out, ptrdiff_t n,
                            double parameter) noexcept

# The measured cost of one number, in multiply-adds.
cdef enum:
    CHEAP = 3
    DEAR = 12


cdef inline cnp.ndarray unary(unary_fn *fn, object x_, double parameter, int cost):
    cdef cnp.ndarray x = c_array(x_)
    cdef cnp.ndarray out = empty_like(x)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x), size = cnp.PyArray_ITEMSIZE(x), start, chunk
    cdef const char *source = <const char *>cnp.PyArray_DATA(x)
    cdef char *target = <char *>cnp.PyArray_DATA(out)
    cdef int threads = threads_for(<double>n * cost), i
    with nogil:
        if threads == 1:
            fn(source, target, n, parameter)
        else:
            chunk = (n + threads - 1) // threads
            chunk = (chunk + 1023) // 1024 * 1024
            for i in prange(threads, num_threads=threads, schedule="static"):
                start = i * chunk
                if start < n:
                    fn(source + start * size, target + start * size,
                       min(chunk, n - start), parameter)
    return out


cdef inline cnp.ndarray binary(binary_fn *fn, object g_, object y_, double parameter, int cost):
    cdef cnp.ndarray g = c_array(g_), y = c_array(y_)
    cdef cnp.ndarray out = empty_like(y)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(y), size = cnp.PyArray_ITEMSIZE(y), start, chunk
    cdef const char *first = <const char *>cnp.PyArray_DATA(g)
    cdef const char *second = <const char *>cnp.PyArray_DATA(y)
    cdef char *target = <char *>cnp.PyArray_DATA(out)
    cdef int threads = threads_for(<double>n * cost), i
    with nogil:
        if threads == 1:
            fn(first, second, target, n, parameter)
        else:
            chunk = (n + threads - 1) // threads
            chunk = (chunk + 1023) // 1024 * 1024
            for i in prange(threads, num_threads=threads, schedule="static"):
                start = i * chunk
                if start < n:
                    fn(first + start * size, second + start * size, target + start * size,
                       min(chunk, n - start), parameter)
    return out
