"""Sigmoid, tanh and softmax; the formulas are in dlfs.reference.activations."""

cimport numpy as cnp

from dlfs.named_axes import check_arrays
from dlfs.reference.activations import check_classes

from dlfs_ext.arrays cimport is_float, same_shape, same_type
from dlfs_ext.elementwise cimport CHEAP, DEAR, by_rows, elementwise
from dlfs_ext.threads cimport kernel

cnp.import_array()

cdef extern from "elementwise/activations.h" nogil:
    kernel sigmoid_kernel, sigmoid_grad_kernel, tanh_kernel, tanh_grad_kernel, exp_kernel
    kernel softmax_kernel, softmax_grad_kernel


def sigmoid(x):
    if not is_float(x):
        check_arrays("sigmoid", x=(x, "..."))
    return elementwise(&sigmoid_kernel, x, None, 0, DEAR)


def sigmoid_grad(output_grad, output):
    check_pair(output_grad, output, "sigmoid_grad", "output")
    return elementwise(&sigmoid_grad_kernel, output_grad, output, 0, CHEAP)


def tanh(x):
    if not is_float(x):
        check_arrays("tanh", x=(x, "..."))
    return elementwise(&tanh_kernel, x, None, 0, DEAR)


def tanh_grad(output_grad, output):
    check_pair(output_grad, output, "tanh_grad", "output")
    return elementwise(&tanh_grad_kernel, output_grad, output, 0, CHEAP)


def softmax(x):
    if not is_float(x):
        check_arrays("softmax", x=(x, "..."))
    check_classes(x, "softmax")
    return by_rows(&softmax_kernel, x, None, None, 0, DEAR)


def softmax_grad(output_grad, output):
    check_pair(output_grad, output, "softmax_grad", "output")
    check_classes(output, "softmax_grad")
    return by_rows(&softmax_grad_kernel, output_grad, output, None, 0, CHEAP)


def _exp(x):
    """exp, elementwise; for the tests of csrc/simd/vmath.h."""
    return elementwise(&exp_kernel, x, None, 0, DEAR)


cdef int check_pair(object output_grad, object other, str owner, str name) except -1:
    if not (is_float(output_grad) and is_float(other) and same_type(output_grad, other)
            and same_shape(output_grad, other)):
        check_arrays(owner, **{name: (other, "..."), "output_grad": (output_grad, "...")})
    return 0
