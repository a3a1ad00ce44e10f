"""Sigmoid, tanh and ReLU, number by number: `dlfs.reference.activations` and `rectifiers`."""

from libc.math cimport exp
from libc.math cimport tanh as c_tanh

from dlfs_ext.plain.loops cimport aligned, real

import numpy as np

from dlfs.named_axes import check_arrays


def sigmoid(x):
    check_arrays("sigmoid", x=(x, "..."))
    output = np.empty(x.shape, x.dtype)
    apply_sigmoid(flat(x), output.reshape(-1))
    return output


def apply_sigmoid(const real[:] x, real[:] output):
    cdef Py_ssize_t i
    cdef double e
    for i in range(x.shape[0]):
        # exp of a large positive number overflows
        e = exp(-abs(x[i]))
        output[i] = <real>(1 / (1 + e) if x[i] >= 0 else e / (1 + e) if x[i] < 0 else x[i])


def sigmoid_grad(output_grad, output):
    check_arrays("sigmoid_grad", output=(output, "..."), output_grad=(output_grad, "..."))
    input_grad = np.empty(output.shape, output.dtype)
    apply_sigmoid_grad(flat(output_grad), flat(output), input_grad.reshape(-1))
    return input_grad


def apply_sigmoid_grad(const real[:] output_grad, const real[:] y, real[:] input_grad):
    cdef Py_ssize_t i
    for i in range(y.shape[0]):
        input_grad[i] = output_grad[i] * y[i] * (1 - y[i])


def tanh(x):
    check_arrays("tanh", x=(x, "..."))
    output = np.empty(x.shape, x.dtype)
    apply_tanh(flat(x), output.reshape(-1))
    return output


def apply_tanh(const real[:] x, real[:] output):
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        output[i] = <real>c_tanh(x[i])


def tanh_grad(output_grad, output):
    check_arrays("tanh_grad", output=(output, "..."), output_grad=(output_grad, "..."))
    input_grad = np.empty(output.shape, output.dtype)
    apply_tanh_grad(flat(output_grad), flat(output), input_grad.reshape(-1))
    return input_grad


def apply_tanh_grad(const real[:] output_grad, const real[:] y, real[:] input_grad):
    cdef Py_ssize_t i
    for i in range(y.shape[0]):
        input_grad[i] = output_grad[i] * (1 - y[i] * y[i])


def relu(x):
    check_arrays("relu", x=(x, "..."))
    output = np.empty(x.shape, x.dtype)
    apply_relu(flat(x), output.reshape(-1))
    return output


def apply_relu(const real[:] x, real[:] output):
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        output[i] = 0 if x[i] < 0 else x[i]


def relu_grad(output_grad, x):
    check_arrays("relu_grad", x=(x, "..."), output_grad=(output_grad, "..."))
    input_grad = np.empty(x.shape, x.dtype)
    apply_relu_grad(flat(output_grad), flat(x), input_grad.reshape(-1))
    return input_grad


def apply_relu_grad(const real[:] output_grad, const real[:] x, real[:] input_grad):
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        input_grad[i] = output_grad[i] * (x[i] > 0)


def flat(array):
    return aligned(array).reshape(-1)
