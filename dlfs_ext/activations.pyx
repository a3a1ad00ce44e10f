"""The activations; the formulas are in dlfs.reference.activations and dlfs.reference.rectifiers."""

cimport numpy as cnp

from dlfs.checks import check_real
from dlfs.named_axes import check_arrays
from dlfs.reference.activations import check_classes

from dlfs_ext.arrays cimport is_float, same_shape, same_type
from dlfs_ext.elementwise cimport CHEAP, DEAR, by_rows, elementwise
from dlfs_ext.threads cimport kernel

cnp.import_array()

cdef extern from "elementwise/activations.h" nogil:
    kernel sigmoid_kernel, sigmoid_grad_kernel, tanh_kernel, tanh_grad_kernel, exp_kernel
    kernel softmax_kernel, softmax_grad_kernel, relu_kernel, relu_grad_kernel
    kernel leaky_relu_kernel, leaky_relu_grad_kernel, elu_kernel, elu_grad_kernel
    kernel gelu_kernel, gelu_grad_kernel, gelu_tanh_kernel, gelu_tanh_grad_kernel
    kernel silu_kernel, silu_grad_kernel, softplus_kernel, softplus_grad_kernel


def sigmoid(x):
    return of_input(&sigmoid_kernel, "sigmoid", x, DEAR)


def sigmoid_grad(output_grad, output):
    return of_pair(&sigmoid_grad_kernel, "sigmoid_grad", output_grad, output, "output", CHEAP)


def tanh(x):
    return of_input(&tanh_kernel, "tanh", x, DEAR)


def tanh_grad(output_grad, output):
    return of_pair(&tanh_grad_kernel, "tanh_grad", output_grad, output, "output", CHEAP)


def softmax(x):
    check(x, "softmax")
    check_classes(x, "softmax")
    return by_rows(&softmax_kernel, x, None, None, 0, DEAR)


def softmax_grad(output_grad, output):
    check_pair(output_grad, output, "softmax_grad", "output")
    check_classes(output, "softmax_grad")
    return by_rows(&softmax_grad_kernel, output_grad, output, None, 0, CHEAP)


def relu(x):
    return of_input(&relu_kernel, "relu", x, CHEAP)


def relu_grad(output_grad, x):
    return of_pair(&relu_grad_kernel, "relu_grad", output_grad, x, "x", CHEAP)


def leaky_relu(x, slope=0.01):
    check(x, "leaky_relu")
    slope = check_real(slope, "leaky_relu", "slope", 0.0, 1.0, high_open=True)
    return elementwise(&leaky_relu_kernel, x, None, slope, CHEAP)


def leaky_relu_grad(output_grad, x, slope=0.01):
    check_pair(output_grad, x, "leaky_relu_grad", "x")
    slope = check_real(slope, "leaky_relu_grad", "slope", 0.0, 1.0, high_open=True)
    return elementwise(&leaky_relu_grad_kernel, output_grad, x, slope, CHEAP)


def elu(x, alpha=1.0):
    check(x, "elu")
    alpha = check_real(alpha, "elu", "alpha", 0.0, low_open=True)
    return elementwise(&elu_kernel, x, None, alpha, DEAR)


def elu_grad(output_grad, x, alpha=1.0):
    check_pair(output_grad, x, "elu_grad", "x")
    alpha = check_real(alpha, "elu_grad", "alpha", 0.0, low_open=True)
    return elementwise(&elu_grad_kernel, output_grad, x, alpha, DEAR)


def gelu(x):
    return of_input(&gelu_kernel, "gelu", x, 3 * DEAR)


def gelu_grad(output_grad, x):
    return of_pair(&gelu_grad_kernel, "gelu_grad", output_grad, x, "x", 3 * DEAR)


def gelu_tanh(x):
    return of_input(&gelu_tanh_kernel, "gelu_tanh", x, 2 * DEAR)


def gelu_tanh_grad(output_grad, x):
    return of_pair(&gelu_tanh_grad_kernel, "gelu_tanh_grad", output_grad, x, "x", 2 * DEAR)


def silu(x):
    return of_input(&silu_kernel, "silu", x, DEAR)


def silu_grad(output_grad, x):
    return of_pair(&silu_grad_kernel, "silu_grad", output_grad, x, "x", DEAR)


def softplus(x):
    return of_input(&softplus_kernel, "softplus", x, 2 * DEAR)


def softplus_grad(output_grad, x):
    return of_pair(&softplus_grad_kernel, "softplus_grad", output_grad, x, "x", DEAR)


def _exp(x):
    """exp, elementwise; for the tests of csrc/simd/vmath.h."""
    return elementwise(&exp_kernel, x, None, 0, DEAR)


cdef cnp.ndarray of_input(const kernel *which, str owner, object x, int cost):
    check(x, owner)
    return elementwise(which, x, None, 0, cost)


cdef cnp.ndarray of_pair(const kernel *which, str owner, object output_grad, object other, str name,
                         int cost):
    check_pair(output_grad, other, owner, name)
    return elementwise(which, output_grad, other, 0, cost)


cdef int check(object x, str owner) except -1:
    if not is_float(x):
        check_arrays(owner, x=(x, "..."))
    return 0


cdef int check_pair(object output_grad, object other, str owner, str name) except -1:
    if not (is_float(output_grad) and is_float(other) and same_type(output_grad, other)
            and same_shape(output_grad, other)):
        check_arrays(owner, **{name: (other, "..."), "output_grad": (output_grad, "...")})
    return 0
