"""ReLU and its relatives; the formulas are in dlfs.reference.rectifiers."""

cimport numpy as cnp

from dlfs.checks import check_real
from dlfs.named_axes import check_arrays
from dlfs_ext.docstrings import share_docstrings

from dlfs_ext.arrays cimport is_double, is_float, same_shape, same_type
from dlfs_ext.elementwise cimport CHEAP, DEAR, binary, binary_fn, unary, unary_fn
from dlfs_ext.instructions cimport isa_level

cnp.import_array()

cdef extern from "activations.h" nogil:
    unary_fn *relu_table[3][2]
    unary_fn *leaky_relu_table[3][2]
    unary_fn *elu_table[3][2]
    unary_fn *gelu_table[3][2]
    unary_fn *gelu_tanh_table[3][2]
    unary_fn *silu_table[3][2]
    unary_fn *softplus_table[3][2]
    binary_fn *relu_grad_table[3][2]
    binary_fn *leaky_relu_grad_table[3][2]
    binary_fn *elu_grad_table[3][2]
    binary_fn *gelu_grad_table[3][2]
    binary_fn *gelu_tanh_grad_table[3][2]
    binary_fn *silu_grad_table[3][2]
    binary_fn *softplus_grad_table[3][2]


def relu(x):
    check(x, "relu")
    return unary(relu_table[isa_level][is_double(x)], x, 0, CHEAP)


def relu_grad(output_grad, x):
    check_pair(output_grad, x, "relu_grad")
    return binary(relu_grad_table[isa_level][is_double(x)], output_grad, x, 0, CHEAP)


def leaky_relu(x, slope=0.01):
    check(x, "leaky_relu")
    slope = check_real(slope, "leaky_relu", "slope", 0.0, 1.0, high_open=True)
    return unary(leaky_relu_table[isa_level][is_double(x)], x, slope, CHEAP)


def leaky_relu_grad(output_grad, x, slope=0.01):
    check_pair(output_grad, x, "leaky_relu_grad")
    slope = check_real(slope, "leaky_relu_grad", "slope", 0.0, 1.0, high_open=True)
    return binary(leaky_relu_grad_table[isa_level][is_double(x)], output_grad, x, slope, CHEAP)


def elu(x, alpha=1.0):
    check(x, "elu")
    alpha = check_real(alpha, "elu", "alpha", 0.0, low_open=True)
    return unary(elu_table[isa_level][is_double(x)], x, alpha, DEAR)


def elu_grad(output_grad, x, alpha=1.0):
    check_pair(output_grad, x, "elu_grad")
    alpha = check_real(alpha, "elu_grad", "alpha", 0.0, low_open=True)
    return binary(elu_grad_table[isa_level][is_double(x)], output_grad, x, alpha, DEAR)


def gelu(x):
    check(x, "gelu")
    return unary(gelu_table[isa_level][is_double(x)], x, 0, 3 * DEAR)


def gelu_grad(output_grad, x):
    check_pair(output_grad, x, "gelu_grad")
    return binary(gelu_grad_table[isa_level][is_double(x)], output_grad, x, 0, 3 * DEAR)


def gelu_tanh(x):
    check(x, "gelu_tanh")
    return unary(gelu_tanh_table[isa_level][is_double(x)], x, 0, 2 * DEAR)


def gelu_tanh_grad(output_grad, x):
    check_pair(output_grad, x, "gelu_tanh_grad")
    return binary(gelu_tanh_grad_table[isa_level][is_double(x)], output_grad, x, 0, 2 * DEAR)


def silu(x):
    check(x, "silu")
    return unary(silu_table[isa_level][is_double(x)], x, 0, DEAR)


def silu_grad(output_grad, x):
    check_pair(output_grad, x, "silu_grad")
    return binary(silu_grad_table[isa_level][is_double(x)], output_grad, x, 0, DEAR)


def softplus(x):
    check(x, "softplus")
    return unary(softplus_table[isa_level][is_double(x)], x, 0, 2 * DEAR)


def softplus_grad(output_grad, x):
    check_pair(output_grad, x, "softplus_grad")
    return binary(softplus_grad_table[isa_level][is_double(x)], output_grad, x, 0, DEAR)


cdef int check(object x, str owner) except -1:
    if not is_float(x):
        check_arrays(owner, x=(x, "..."))
    return 0


cdef int check_pair(object output_grad, object x, str owner) except -1:
    if not (is_float(output_grad) and is_float(x) and same_type(output_grad, x)
            and same_shape(output_grad, x)):
        check_arrays(owner, x=(x, "..."), output_grad=(output_grad, "..."))
    return 0


share_docstrings(globals())
