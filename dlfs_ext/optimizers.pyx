"""The optimizers' updates, in one pass over memory; the formulas are in dlfs.reference.optimizers.

Unusual arguments (a strided parameter, a number that is not a float) go to the reference, which
raises an error or computes the update.
"""

cimport numpy as cnp
from libc.math cimport isfinite

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
    kernel sgd_kernel, momentum_kernel, nesterov_kernel, adagrad_kernel, rmsprop_kernel, adam_kernel


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
    if nesterov:
        update(&nesterov_kernel, param, grad, velocity, None, &job)
    else:
        update(&momentum_kernel, param, grad, velocity, None, &job)


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


cdef bint writable(object array, object like) noexcept:
    """Whether the array has the shape and dtype of `like` and can be changed in place."""
    return (is_float(array) and same_type(array, like) and same_shape(array, like)
            and cnp.PyArray_ISCARRAY(<cnp.ndarray>array))


cdef bint usual(object param, object grad) noexcept:
    return (is_float(param) and cnp.PyArray_ISCARRAY(<cnp.ndarray>param)
            and is_float(grad) and same_type(grad, param) and same_shape(grad, param)
            and disjoint(param, grad))


cdef bint disjoint(object a, object b) noexcept:
    """Whether the memory of two arrays, from first to last number, does not overlap."""
    cdef const char *a_end
    cdef const char *b_end
    cdef const char *a_begin = extent(<cnp.ndarray>a, &a_end)
    cdef const char *b_begin = extent(<cnp.ndarray>b, &b_end)
    return a_end <= b_begin or b_end <= a_begin


cdef const char *extent(cnp.ndarray array, const char **end) noexcept:
    """The start and the end of the memory of an array's numbers."""
    cdef const char *low = <const char *>cnp.PyArray_DATA(array)
    cdef const char *high = low + cnp.PyArray_ITEMSIZE(array)
    cdef ptrdiff_t span
    cdef int axis
    for axis in range(cnp.PyArray_NDIM(array)):
        if cnp.PyArray_DIM(array, axis) == 0:
            end[0] = low
            return low
        span = (cnp.PyArray_DIM(array, axis) - 1) * cnp.PyArray_STRIDE(array, axis)
        if span < 0:
            low += span
        else:
            high += span
    end[0] = high
    return low


cdef bint apart(object param, object grad, object state) noexcept:
    """Whether this is the optimizer's own memory, and can be changed in place."""
    return writable(state, param) and disjoint(state, param) and disjoint(state, grad)


cdef int update(const kernel *which, object param, object grad_, object first, object second,
                update_job *job) except -1:
    cdef cnp.ndarray grad = c_array(grad_)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(param)
    job.param, job.grad, job.first, job.second = data(param), data(grad), data(first), data(second)
    return run(which, is_double(param), job, n, <double>n * 16, 1024)
