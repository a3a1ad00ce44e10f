"""Matrix products, and the sum of a bias: `dlfs.reference.dense` as loops."""

from dlfs_ext.plain.loops cimport aligned, real

import numpy as np

from dlfs.named_axes import check_arrays
from dlfs.reference.dense import FEATURES, PER_FEATURE


def weight_multiply(x, W):
    check_arrays("weight_multiply", W=(W, "features neurons"), x=(x, "batch features"))
    output = np.empty((x.shape[0], W.shape[1]), x.dtype)
    multiply(aligned(x), aligned(W), output)
    return output


def weight_multiply_input_grad(output_grad, W):
    owner = "weight_multiply_input_grad"
    check_arrays(owner, W=(W, "features neurons"), output_grad=(output_grad, "batch neurons"))
    return weight_multiply(output_grad, W.T)


def weight_multiply_param_grad(output_grad, x):
    owner = "weight_multiply_param_grad"
    check_arrays(owner, x=(x, "batch features"), output_grad=(output_grad, "batch neurons"))
    return weight_multiply(x.T, output_grad)


def multiply(const real[:, :] x, const real[:, :] W, real[:, :] output):
    cdef Py_ssize_t i, j, k
    cdef real total
    with nogil:
        for i in range(x.shape[0]):
            for j in range(W.shape[1]):
                total = 0
                for k in range(x.shape[1]):
                    total += x[i, k] * W[k, j]
                output[i, j] = total


def bias_add(x, b):
    check_arrays("bias_add", x=(x, FEATURES), b=(b, PER_FEATURE))
    rows = by_feature(x)
    output = np.empty(rows.shape, x.dtype)
    add_bias(rows, aligned(b).reshape(-1), output)
    return output.reshape(x.shape)


def bias_add_param_grad(output_grad):
    check_arrays("bias_add_param_grad", output_grad=(output_grad, FEATURES))
    sums = np.zeros(output_grad.shape[1], output_grad.dtype)
    sum_features(by_feature(output_grad), sums)
    return sums.reshape((1, -1, *(1,) * (output_grad.ndim - 2)))


def by_feature(array):
    """See an array as (outer, features, inner): inner is the pixels of a channel, or 1."""
    inner = np.prod(array.shape[2:], dtype=int)
    return aligned(array).reshape((*array.shape[:2], inner))


def add_bias(const real[:, :, :] x, const real[:] b, real[:, :, :] output):
    cdef Py_ssize_t row, feature, i
    with nogil:
        for row in range(x.shape[0]):
            for feature in range(x.shape[1]):
                for i in range(x.shape[2]):
                    output[row, feature, i] = x[row, feature, i] + b[feature]


def sum_features(const real[:, :, :] output_grad, real[:] sums):
    cdef Py_ssize_t row, feature, i
    with nogil:
        for row in range(output_grad.shape[0]):
            for feature in range(output_grad.shape[1]):
                for i in range(output_grad.shape[2]):
                    sums[feature] += output_grad[row, feature, i]
