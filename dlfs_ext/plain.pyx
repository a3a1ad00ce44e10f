"""Direct loops: every product and sum written as in the definitions.

This is the first version of the compiled backend, to read next to `dlfs.reference`. It uses only
typed memoryviews and two fused dtypes; `dlfs.use_backend("plain")` runs it. It has loops for the
layers of a small network, and takes everything else from the reference.

The loops are simple and therefore slow: the fast kernels compute the same sums in registers,
several numbers at a time. Every function checks its arguments in Python first; after that, no
bounds are checked.
"""

from libc.math cimport INFINITY, exp
from libc.math cimport tanh as c_tanh


import numpy as np

from dlfs.checks import check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference import KERNELS
from dlfs.reference.conv import IMAGES, OUTPUTS, WEIGHTS
from dlfs.reference.pooling import position_dtype
from dlfs.windows import conv2d_window, pooling_window

ctypedef fused real:
    float
    double


def _aligned(array):
    """The array, or an aligned copy."""
    return np.require(array, requirements="A")


# Dense layers


def weight_multiply(x, W):
    check_arrays("weight_multiply", W=(W, "features neurons"), x=(x, "batch features"))
    output = np.empty((x.shape[0], W.shape[1]), x.dtype)
    if x.dtype == np.float32:
        multiply[float](_aligned(x), _aligned(W), output)
    else:
        multiply[double](_aligned(x), _aligned(W), output)
    return output


def weight_multiply_input_grad(output_grad, W):
    owner = "weight_multiply_input_grad"
    check_arrays(owner, W=(W, "features neurons"), output_grad=(output_grad, "batch neurons"))
    return weight_multiply(output_grad, W.T)


def weight_multiply_param_grad(output_grad, x):
    owner = "weight_multiply_param_grad"
    check_arrays(owner, x=(x, "batch features"), output_grad=(output_grad, "batch neurons"))
    return weight_multiply(x.T, output_grad)


cdef void multiply(const real[:, :] x, const real[:, :] W, real[:, :] output) noexcept:
    cdef Py_ssize_t i, j, k
    cdef real total
    with nogil:
        for i in range(x.shape[0]):
            for j in range(W.shape[1]):
                total = 0
                for k in range(x.shape[1]):
                    total += x[i, k] * W[k, j]
                output[i, j] = total


# Activations


def sigmoid(x):
    check_arrays("sigmoid", x=(x, "..."))
    output = np.empty(x.shape, x.dtype)
    if x.dtype == np.float32:
        apply_sigmoid[float](_aligned(x).reshape(-1), output.reshape(-1))
    else:
        apply_sigmoid[double](_aligned(x).reshape(-1), output.reshape(-1))
    return output


cdef void apply_sigmoid(const real[:] x, real[:] output) noexcept:
    cdef Py_ssize_t i
    cdef double e
    for i in range(x.shape[0]):
        # exp of a large positive number overflows
        e = exp(-abs(x[i]))
        output[i] = <real>(1 / (1 + e) if x[i] >= 0 else e / (1 + e) if x[i] < 0 else x[i])


def tanh(x):
    check_arrays("tanh", x=(x, "..."))
    output = np.empty(x.shape, x.dtype)
    if x.dtype == np.float32:
        apply_tanh[float](_aligned(x).reshape(-1), output.reshape(-1))
    else:
        apply_tanh[double](_aligned(x).reshape(-1), output.reshape(-1))
    return output


cdef void apply_tanh(const real[:] x, real[:] output) noexcept:
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        output[i] = <real>c_tanh(x[i])


def relu(x):
    check_arrays("relu", x=(x, "..."))
    output = np.empty(x.shape, x.dtype)
    if x.dtype == np.float32:
        apply_relu[float](_aligned(x).reshape(-1), output.reshape(-1))
    else:
        apply_relu[double](_aligned(x).reshape(-1), output.reshape(-1))
    return output


cdef void apply_relu(const real[:] x, real[:] output) noexcept:
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        output[i] = 0 if x[i] < 0 else x[i]


def relu_grad(output_grad, x):
    check_arrays("relu_grad", x=(x, "..."), output_grad=(output_grad, "..."))
    input_grad = np.empty(x.shape, x.dtype)
    if x.dtype == np.float32:
        apply_relu_grad[float](_aligned(output_grad).reshape(-1), _aligned(x).reshape(-1),
                               input_grad.reshape(-1))
    else:
        apply_relu_grad[double](_aligned(output_grad).reshape(-1), _aligned(x).reshape(-1),
                                input_grad.reshape(-1))
    return input_grad


cdef void apply_relu_grad(const real[:] output_grad, const real[:] x,
                          real[:] input_grad) noexcept:
    cdef Py_ssize_t i
    for i in range(x.shape[0]):
        input_grad[i] = output_grad[i] * (x[i] > 0)


# Convolution. A window is (kernel, stride, padding, dilation, output), resolved to numbers; pixel
# (p, q) of the output sees pixel (p * stride + i * dilation - padding, ...) of the image through
# weight (i, j).


cdef struct Geometry:
    Py_ssize_t kernel_height, kernel_width
    Py_ssize_t stride_height, stride_width
    Py_ssize_t top, left
    Py_ssize_t dilation_height, dilation_width


cdef Geometry geometry(window) except *:
    cdef Geometry g
    g.kernel_height, g.kernel_width = window.kernel
    g.stride_height, g.stride_width = window.stride
    g.top, g.left = window.padding[0][0], window.padding[1][0]
    g.dilation_height, g.dilation_width = window.dilation
    return g


def conv2d(x, W, stride=1, padding=0, dilation=1, groups=1):
    check_arrays("conv2d", x=(x, IMAGES), W=(W, WEIGHTS))
    groups, window = conv2d_window(x.shape, W.shape, stride, padding, dilation, groups, "conv2d")
    output = np.zeros((x.shape[0], W.shape[1], *window.output), x.dtype)
    walk(x, W, output, geometry(window), groups, FORWARD)
    return output


def conv2d_input_grad(output_grad, W, input_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_input_grad"
    check_arrays(owner, W=(W, WEIGHTS), output_grad=(output_grad, OUTPUTS))
    shape = check_input_shape(input_shape, owner, 4)
    groups, window = conv2d_window(shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], *window.output), owner, "output_grad")
    input_grad = np.zeros(shape, W.dtype)
    walk(input_grad, W, output_grad, geometry(window), groups, INPUT_GRAD)
    return input_grad


def conv2d_param_grad(output_grad, x, param_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_param_grad"
    check_arrays(owner, x=(x, IMAGES), output_grad=(output_grad, OUTPUTS))
    shape = check_input_shape(param_shape, owner, 4, "param_shape")
    groups, window = conv2d_window(x.shape, shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (x.shape[0], shape[1], *window.output), owner, "output_grad")
    param_grad = np.zeros(shape, x.dtype)
    walk(x, param_grad, output_grad, geometry(window), groups, PARAM_GRAD)
    return param_grad


cdef enum Direction:
    FORWARD
    INPUT_GRAD
    PARAM_GRAD


cdef int walk(x, W, y, Geometry g, Py_ssize_t groups, Direction direction) except -1:
    # A writable memoryview requires a writable array: the two that are only read are copied if
    # they are read-only (or not aligned).
    arrays = [np.require(array, requirements=["A", "W"]) for array in (x, W, y)]
    if x.dtype == np.float32:
        walk_positions[float](arrays[0], arrays[1], arrays[2], g, groups, direction)
    else:
        walk_positions[double](arrays[0], arrays[1], arrays[2], g, groups, direction)
    return 0


cdef void walk_positions(real[:, :, :, :] x, real[:, :, :, :] W, real[:, :, :, :] y, Geometry g,
                         Py_ssize_t groups, Direction direction) noexcept:
    """Do one multiply-add for every pixel and weight of every output.

    The three directions use the same loops: y += x W, or x += y W, or W += x y.
    """
    cdef Py_ssize_t n, o, p, q, c, i, j, row, column, channel
    cdef Py_ssize_t in_group = W.shape[0], out_group = W.shape[1] // groups
    with nogil:
        for n in range(x.shape[0]):
            for o in range(W.shape[1]):
                for c in range(in_group):
                    channel = o // out_group * in_group + c
                    for p in range(y.shape[2]):
                        for i in range(g.kernel_height):
                            row = p * g.stride_height + i * g.dilation_height - g.top
                            if row < 0 or row >= x.shape[2]:
                                continue
                            for q in range(y.shape[3]):
                                for j in range(g.kernel_width):
                                    column = q * g.stride_width + j * g.dilation_width - g.left
                                    if column < 0 or column >= x.shape[3]:
                                        continue
                                    if direction == FORWARD:
                                        y[n, o, p, q] += x[n, channel, row, column] * W[c, o, i, j]
                                    elif direction == INPUT_GRAD:
                                        x[n, channel, row, column] += y[n, o, p, q] * W[c, o, i, j]
                                    else:
                                        W[c, o, i, j] += x[n, channel, row, column] * y[n, o, p, q]


# Pooling


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1):
    check_arrays("max_pool2d", x=(x, "batch channels height width"))
    window = pooling_window(x.shape, kernel_size, stride, padding, "max_pool2d", dilation)
    output = np.empty((*x.shape[:2], *window.output), x.dtype)
    positions = np.zeros(output.shape, np.int32)
    if x.dtype == np.float32:
        largest[float](_aligned(x), output, positions, geometry(window))
    else:
        largest[double](_aligned(x), output, positions, geometry(window))
    return output, positions.astype(position_dtype(window))


cdef void largest(const real[:, :, :, :] x, real[:, :, :, :] output, int[:, :, :, :] positions,
                  Geometry g) noexcept:
    cdef Py_ssize_t n, c, p, q, i, j, row, column
    cdef real best, pixel
    cdef int where
    with nogil:
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                for p in range(output.shape[2]):
                    for q in range(output.shape[3]):
                        best = -<real>INFINITY
                        where = 0
                        for i in range(g.kernel_height):
                            for j in range(g.kernel_width):
                                row = p * g.stride_height + i * g.dilation_height - g.top
                                column = q * g.stride_width + j * g.dilation_width - g.left
                                if (row < 0 or row >= x.shape[2]
                                        or column < 0 or column >= x.shape[3]):
                                    continue
                                pixel = x[n, c, row, column]
                                # nan counts as larger than any number
                                if pixel > best or (pixel != pixel and best == best):
                                    best = pixel
                                    where = <int>(i * g.kernel_width + j)
                        output[n, c, p, q] = best
                        positions[n, c, p, q] = where


# Everything without a loop here comes from the reference.
for _name, _kernel in KERNELS.items():
    globals().setdefault(_name, _kernel).__doc__ = _kernel.__doc__
