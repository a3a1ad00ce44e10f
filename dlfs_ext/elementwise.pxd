# Elementwise kernels and kernels on rows, applied to whole arrays.
cimport numpy as cnp

from dlfs_ext.arrays cimport c_array, data, input_t, is_double, output_t
from dlfs_ext.memory cimport empty_like
from dlfs_ext.threads cimport kernel, run

cdef extern from "jobs.h" nogil:
    ctypedef struct elements_job:
        input_t x, y
        output_t out
        double parameter
    ctypedef struct rows_job:
        input_t x, y
        output_t out, inverse
        ptrdiff_t n
        double eps

# The measured cost of one number, in multiply-adds.
cdef enum:
    CHEAP = 3
    DEAR = 12


cdef inline cnp.ndarray elementwise(const kernel *which, object x_, object y_, double parameter,
                                    int cost):
    """y is None for kernels of one array."""
    cdef cnp.ndarray x = c_array(x_), y = x if y_ is None else c_array(y_)
    cdef cnp.ndarray out = empty_like(x)
    cdef elements_job job
    job.x, job.y, job.out, job.parameter = data(x), data(y), data(out), parameter
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x)
    run(which, is_double(x), &job, n, <double>n * cost, 1024)
    return out


cdef inline cnp.ndarray by_rows(const kernel *which, object x_, object y_, object inverse,
                                double eps, int cost):
    """y and inverse are None for kernels without them; the last axis must not be empty."""
    cdef cnp.ndarray x = c_array(x_), y = x if y_ is None else c_array(y_)
    cdef cnp.ndarray out = empty_like(x)
    cdef rows_job job
    job.x, job.y, job.out, job.inverse = data(x), data(y), data(out), data(inverse)
    job.n, job.eps = cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1), eps
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x)
    run(which, is_double(x), &job, n // job.n, <double>n * cost)
    return out
