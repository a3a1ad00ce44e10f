# Kernels with one number per feature or channel; shared by dense.pyx and normalization.pyx.
cimport numpy as cnp

from dlfs_ext.arrays cimport data, input_t, is_double, output_t
from dlfs_ext.memory cimport empty_like, empty_nd
from dlfs_ext.threads cimport kernel, run

cdef extern from "jobs.h" nogil:
    ctypedef struct features_job:
        input_t x, y, p, q, r
        output_t out, sums
        ptrdiff_t outer, features, inner


cdef inline ptrdiff_t inner_size(cnp.ndarray x) noexcept:
    """The pixels of one channel: the product of all axes after the second."""
    cdef ptrdiff_t inner = 1
    cdef int axis
    for axis in range(2, cnp.PyArray_NDIM(x)):
        inner *= cnp.PyArray_DIM(x, axis)
    return inner


cdef inline cnp.ndarray per_feature(cnp.ndarray x):
    """An array of shape (1, features, 1, ...)."""
    cdef cnp.npy_intp[64] shape
    cdef int axis
    for axis in range(cnp.PyArray_NDIM(x)):
        shape[axis] = 1
    shape[1] = cnp.PyArray_DIM(x, 1)
    return empty_nd(cnp.PyArray_NDIM(x), shape, cnp.PyArray_TYPE(x))


cdef inline features_job job_of(cnp.ndarray x, object y, object p, object q, object r, object out,
                                object sums) noexcept:
    """All C-contiguous, or None where the kernel does not use them."""
    cdef features_job job
    job.x, job.y, job.p, job.q, job.r = data(x), data(y), data(p), data(q), data(r)
    job.out, job.sums = data(out), data(sums)
    job.outer, job.features, job.inner = x.shape[0], x.shape[1], inner_size(x)
    return job


cdef inline cnp.ndarray map_features(const kernel *which, cnp.ndarray x, object y, object p,
                                     object q, object r, int cost):
    """f(x, y, p, q, r)."""
    cdef cnp.ndarray out = empty_like(x)
    cdef features_job job = job_of(x, y, p, q, r, out, None)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(x)
    if n:
        run(which, is_double(x), &job, job.outer if job.inner == 1 else job.outer * job.features,
            <double>n * cost)
    return out


cdef inline cnp.ndarray sum_features(const kernel *which, cnp.ndarray x, object y, object p,
                                     object out, int cost):
    """The sums of f(x, y, p) over all axes but the second; out, unless it is None, gets f."""
    cdef cnp.ndarray sums = per_feature(x)
    cdef features_job job = job_of(x, y, p, None, None, out, sums)
    by_feature(which, x, &job, cost)
    return sums


cdef inline int by_feature(const kernel *which, cnp.ndarray x, const void *job, int cost) except -1:
    """Each feature is a task: sums are never split, and each thread gets whole cache lines."""
    return run(which, is_double(x), job, x.shape[1], <double>cnp.PyArray_SIZE(x) * cost,
               16 if inner_size(x) == 1 else 1)
