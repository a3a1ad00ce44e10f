"""Convolution, seven loops for all three directions: `dlfs.reference.conv`."""

from dlfs_ext.plain.loops cimport Geometry, geometry, real

import numpy as np

from dlfs.checks import check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.conv import IMAGES, OUTPUTS, WEIGHTS
from dlfs.windows import conv2d_window


def conv2d(x, W, stride=1, padding=0, dilation=1, groups=1):
    check_arrays("conv2d", x=(x, IMAGES), W=(W, WEIGHTS))
    groups, window = conv2d_window(x.shape, W.shape, stride, padding, dilation, groups, "conv2d")
    output = np.zeros((x.shape[0], W.shape[1], *window.output), x.dtype)
    walk(x, W, output, window, groups, FORWARD)
    return output


def conv2d_input_grad(output_grad, W, input_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_input_grad"
    check_arrays(owner, W=(W, WEIGHTS), output_grad=(output_grad, OUTPUTS))
    shape = check_input_shape(input_shape, owner, 4)
    groups, window = conv2d_window(shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], *window.output), owner, "output_grad")
    input_grad = np.zeros(shape, W.dtype)
    walk(input_grad, W, output_grad, window, groups, INPUT_GRAD)
    return input_grad


def conv2d_param_grad(output_grad, x, param_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_param_grad"
    check_arrays(owner, x=(x, IMAGES), output_grad=(output_grad, OUTPUTS))
    shape = check_input_shape(param_shape, owner, 4, "param_shape")
    groups, window = conv2d_window(x.shape, shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (x.shape[0], shape[1], *window.output), owner, "output_grad")
    param_grad = np.zeros(shape, x.dtype)
    walk(x, param_grad, output_grad, window, groups, PARAM_GRAD)
    return param_grad


cdef enum Direction:
    FORWARD
    INPUT_GRAD
    PARAM_GRAD


def walk(x, W, y, window, groups, direction):
    # A writable memoryview requires a writable array: the two that are only read are copied if
    # they are read-only (or not aligned).
    arrays = [np.require(array, requirements=["A", "W"]) for array in (x, W, y)]
    walk_positions(*arrays, window, groups, direction)


def walk_positions(real[:, :, :, :] x, real[:, :, :, :] W, real[:, :, :, :] y, window,
                   Py_ssize_t groups, Direction direction):
    """Do one multiply-add for every pixel and weight of every output.

    The three directions use the same loops: y += x W, or x += y W, or W += x y.
    """
    cdef Geometry g = geometry(window)
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
