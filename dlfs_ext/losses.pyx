"""Losses and their gradients, in one pass; the formulas are in dlfs.reference.losses.

The compiled loops return nan for an invalid target (a label out of range, a row that does not sum
to 1). They compute in the arrays' dtype, which may overflow although the loss, a double, would not.
So the reference is called whenever a loss is not finite: it raises the error or computes the value.
"""

cimport numpy as cnp
from libc.math cimport isfinite
from libc.stdint cimport int64_t

from dlfs.checks import check_real
from dlfs.reference import losses as reference
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport (
    c_array, data, input_t, is_double, is_float, is_float_nd, output_t, same_shape, same_type,
)
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.memory cimport empty_like

cnp.import_array()

cdef extern from "elementwise/losses.h" nogil:
    ctypedef double loss_fn(const void *x, const void *t, const void *weights, void *grad,
                            ptrdiff_t n, double extra, double factor) noexcept
    ctypedef double softmax_cross_entropy_fn(const void *x, const void *t, const int64_t *labels,
                                             const void *weights, void *grad, ptrdiff_t rows,
                                             ptrdiff_t n, double smoothing) noexcept
    loss_fn *squared_table[3][2]
    loss_fn *absolute_table[3][2]
    loss_fn *huber_table[3][2]
    loss_fn *binary_table[3][2]
    softmax_cross_entropy_fn *softmax_cross_entropy_table[3][2]


def mean_squared_error(prediction, target, weights=None):
    check_pair(prediction, target, "mean_squared_error", weights)
    return elementwise(squared_table[isa_level][is_double(prediction)],
                       reference.mean_squared_error, prediction, target, (), weights, 0, 2)


def mean_absolute_error(prediction, target, weights=None):
    check_pair(prediction, target, "mean_absolute_error", weights)
    return elementwise(absolute_table[isa_level][is_double(prediction)],
                       reference.mean_absolute_error, prediction, target, (), weights, 0, 1)


def huber(prediction, target, delta=1.0, weights=None):
    check_pair(prediction, target, "huber", weights)
    delta = check_real(delta, "huber", "delta", 0.0, low_open=True)
    return elementwise(huber_table[isa_level][is_double(prediction)], reference.huber,
                       prediction, target, (delta,), weights, delta, 1)


def binary_cross_entropy(prediction, target, weights=None):
    check_pair(prediction, target, "binary_cross_entropy", weights)
    return elementwise(binary_table[isa_level][is_double(prediction)],
                       reference.binary_cross_entropy, prediction, target, (), weights, 0, 1)


def softmax_cross_entropy(prediction, target, label_smoothing=0.0, weights=None):
    cdef bint labels = False, good = is_float_nd(prediction, 2) and cnp.PyArray_Check(target)
    cdef double smoothing = 0, loss
    cdef ptrdiff_t rows, classes
    if type(label_smoothing) is float and 0 <= <double>label_smoothing < 1:
        smoothing = label_smoothing
    elif good:
        # After the check of the prediction, as in the reference.
        smoothing = check_real(label_smoothing, "softmax_cross_entropy", "label_smoothing",
                               0.0, 1.0, high_open=True)
    if good:
        rows, classes = cnp.PyArray_DIM(prediction, 0), cnp.PyArray_DIM(prediction, 1)
        labels = cnp.PyArray_ISINTEGER(target)
        good = rows > 0 and classes > 0 and cnp.PyArray_NDIM(target) == (1 if labels else 2)
        good = good and cnp.PyArray_DIM(target, 0) == rows
        if good and not labels:
            good = (is_float(target) and same_type(prediction, target)
                    and same_shape(prediction, target))
        if good and weights is not None:
            good = (is_float_nd(weights, 1) and same_type(prediction, weights)
                    and cnp.PyArray_DIM(weights, 0) == rows)
    if not good:
        return take_over(reference.softmax_cross_entropy, prediction, target, label_smoothing,
                         weights)
    cdef cnp.ndarray x = c_array(prediction)
    cdef cnp.ndarray grad = empty_like(x)
    cdef softmax_cross_entropy_fn *fn = softmax_cross_entropy_table[isa_level][is_double(x)]
    cdef object probabilities = None, numbers = None
    cdef object factors = None if weights is None else c_array(weights)
    if labels:
        # A larger unsigned number becomes negative, and is refused as such.
        numbers = cnp.PyArray_FROM_OTF(target, cnp.NPY_INT64, cnp.NPY_ARRAY_IN_ARRAY
                                       | cnp.NPY_ARRAY_FORCECAST)
    else:
        probabilities = c_array(target)
    cdef input_t logits = data(x), rates = data(probabilities), shares = data(factors)
    cdef const int64_t *indices = <const int64_t *>data(numbers)
    cdef output_t out = data(grad)
    with nogil:
        loss = fn(logits, rates, indices, shares, out, rows, classes, smoothing)
    if not isfinite(loss):
        return take_over(reference.softmax_cross_entropy, prediction, target, label_smoothing,
                         weights)
    return loss / rows, grad


cdef int check_pair(object prediction, object target, str owner, object weights) except -1:
    if not (fits(prediction, target) and cnp.PyArray_NDIM(prediction) >= 1
            and cnp.PyArray_DIM(prediction, 0) >= 1
            and (weights is None or fits(prediction, weights))):
        reference.check_pair(prediction, target, owner, weights)
    return 0


cdef bint fits(object x, object y) except -1:
    return is_float(x) and is_float(y) and same_type(x, y) and same_shape(x, y)


cdef tuple elementwise(loss_fn *fn, object function, object prediction, object target,
                       tuple options, object weights, double extra, double gradient_factor):
    cdef cnp.ndarray x = c_array(prediction), t = c_array(target), grad = empty_like(x)
    cdef object w = None if weights is None else c_array(weights)
    cdef double batch = cnp.PyArray_DIM(x, 0), loss
    cdef input_t factors = data(w)
    with nogil:
        loss = fn(cnp.PyArray_DATA(x), cnp.PyArray_DATA(t), factors, cnp.PyArray_DATA(grad),
                  cnp.PyArray_SIZE(x), extra, gradient_factor / batch)
    if not isfinite(loss):
        return take_over(function, prediction, target, *options, weights)
    return loss / batch, grad
