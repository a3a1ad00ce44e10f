"""The optimizers' updates, in one pass over memory; the formulas are in dlfs.reference.optimizers.

Unusual arguments (a strided parameter, a number that is not a float) go to the reference, which
raises an error or computes the update.
"""

cimport numpy as cnp
from libc.math cimport isfinite

import numpy as np

from dlfs.reference import optimizers as reference
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport (
    c_array, data, input_t, is_double, is_float, output_t, same_shape, same_type,
)
from dlfs_ext.threads cimport kernel, run

cnp.import_array()

cdef extern from "elementwise/optimizers.h" nogil:
    ctypedef struct update_job:
        output_t param, first, second
        input_t grad
        double constants[9]
    const kernel sgd_kernel, momentum_kernel, nesterov_kernel, adagrad_kernel, rmsprop_kernel
    const kernel adam_kernel


def sgd_update(param, grad, lr, weight_decay=0.0):
    cdef update_job job
    cdef double *c = job.constants
    if not (usual(param, grad) and number(lr, c) and number(weight_decay, c + 1)):
        return take_over(reference.sgd_update, param, grad, lr, weight_decay)
    update(&sgd_kernel, param, grad, None, None, &job)


def sgd_momentum_update(param, grad, velocity, lr, momentum=0.9, nesterov=False):
    cdef update_job job
    cdef double *c = job.constants
    if not (usual(param, grad) and apart(param, grad, velocity) and type(nesterov) is bool
            and number(lr, c) and number(momentum, c + 1)):
        return take_over(reference.sgd_momentum_update, param, grad, velocity, lr, momentum,
                         nesterov)
    update(&nesterov_kernel if nesterov else &momentum_kernel, param, grad, velocity, None, &job)


def adagrad_update(param, grad, sum_squares, lr, eps=1e-7):
    cdef update_job job
    cdef double *c = job.constants
    if not (usual(param, grad) and apart(param, grad, sum_squares) and number(lr, c)
            and number(eps, c + 1) and c[1] > 0):
        return take_over(reference.adagrad_update, param, grad, sum_squares, lr, eps)
    update(&adagrad_kernel, param, grad, sum_squares, None, &job)


def rmsprop_update(param, grad, mean_square, lr, decay=0.9, eps=1e-8):
    cdef update_job job
    cdef double *c = job.constants
    if not (usual(param, grad) and apart(param, grad, mean_square) and number(lr, c)
            and number(decay, c + 1) and number(eps, c + 3) and 0 <= c[1] < 1 and c[3] > 0):
        return take_over(reference.rmsprop_update, param, grad, mean_square, lr, decay, eps)
    c[2] = 1 - c[1]
    update(&rmsprop_kernel, param, grad, mean_square, None, &job)


def adam_update(param, grad, mean, mean_square, t, lr, beta1=0.9, beta2=0.999, eps=1e-8,
                weight_decay=0.0):
    cdef update_job job
    cdef double *c = job.constants
    if not (usual(param, grad) and apart(param, grad, mean)
            and apart(param, grad, mean_square) and disjoint(mean, mean_square)
            and type(t) is int and 1 <= t <= 1 << 53 and number(lr, c) and number(eps, c + 1)
            and number(beta1, c + 2) and number(beta2, c + 4) and number(weight_decay, c + 8)
            and 0 <= c[2] < 1 and 0 <= c[4] < 1 and c[1] > 0):
        return take_over(reference.adam_update, param, grad, mean, mean_square, t, lr, beta1,
                         beta2, eps, weight_decay)
    cdef double step = t
    c[3] = 1 - c[2]
    c[5] = 1 - c[4]
    c[6] = 1 / (1 - c[2] ** step)
    c[7] = 1 / (1 - c[4] ** step)
    update(&adam_kernel, param, grad, mean, mean_square, &job)


cdef bint number(object value, double *where) noexcept:
    """Store a finite float (or int); False for everything else."""
    if type(value) is not float and not (type(value) is int and -2**53 < value < 2**53):
        return False
    where[0] = value
    return isfinite(where[0])


cdef bint usual(object param, object grad) except -1:
    return (is_float(param) and cnp.PyArray_ISCARRAY(<cnp.ndarray>param)
            and is_float(grad) and same_type(grad, param) and same_shape(grad, param)
            and disjoint(param, grad))


cdef bint disjoint(object a, object b) except -1:
    """Whether the memory of two arrays, from first to last number, does not overlap."""
    cdef const char *x = <const char *>cnp.PyArray_DATA(a)
    cdef const char *y = <const char *>cnp.PyArray_DATA(b)
    if cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_IS_C_CONTIGUOUS(b):
        return x + cnp.PyArray_NBYTES(a) <= y or y + cnp.PyArray_NBYTES(b) <= x
    return not np.may_share_memory(a, b)


cdef bint apart(object param, object grad, object state) except -1:
    """Whether this is memory of the optimizer alone, like the parameter's and writable."""
    return (is_float(state) and same_type(state, param) and same_shape(state, param)
            and cnp.PyArray_ISCARRAY(<cnp.ndarray>state)
            and disjoint(state, param) and disjoint(state, grad))


cdef int update(const kernel *which, object param, object grad_, object first, object second,
                update_job *job) except -1:
    cdef cnp.ndarray grad = c_array(grad_)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(param)
    job.param, job.grad, job.first, job.second = data(param), data(grad), data(first), data(second)
    return run(which, is_double(param), job, n, <double>n * 16, 1024)
