"""The largest and the mean pixel of each window: `dlfs.reference.pooling`."""

from libc.math cimport INFINITY

from dlfs_ext.plain.loops cimport Geometry, aligned, geometry, real

import numpy as np

from dlfs.checks import check_flag, check_input_shape, check_range, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.pooling import IMAGES, position_dtype
from dlfs.windows import pooling_window


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1):
    check_arrays("max_pool2d", x=(x, IMAGES))
    window = pooling_window(x.shape, kernel_size, stride, padding, "max_pool2d", dilation)
    output = np.empty((*x.shape[:2], *window.output), x.dtype)
    positions = np.zeros(output.shape, np.int32)
    largest(aligned(x), output, positions, window)
    return output, positions.astype(position_dtype(window))


def largest(const real[:, :, :, :] x, real[:, :, :, :] output, int[:, :, :, :] positions, window):
    cdef Geometry g = geometry(window)
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


def max_pool2d_grad(output_grad, positions, input_shape, kernel_size, stride=None, padding=0,
                    dilation=1):
    owner = "max_pool2d_grad"
    shape = check_input_shape(input_shape, owner, 4)
    window = pooling_window(shape, kernel_size, stride, padding, owner, dilation)
    check_arrays(owner, output_grad=(output_grad, (*shape[:2], *window.output)))
    if not isinstance(positions, np.ndarray) or positions.dtype != position_dtype(window):
        got = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(f"{owner}: positions must be an array of "
                        f"{np.dtype(position_dtype(window))}, got {got}")
    check_shape(positions, output_grad.shape, owner, "positions")
    check_range(positions, window.kernel[0] * window.kernel[1] - 1, owner, "positions")
    input_grad = np.zeros(shape, output_grad.dtype)
    spread(aligned(output_grad), positions.astype(np.int32), input_grad, window)
    return input_grad


def spread(const real[:, :, :, :] output_grad, const int[:, :, :, :] positions,
           real[:, :, :, :] input_grad, window):
    cdef Geometry g = geometry(window)
    cdef Py_ssize_t n, c, p, q, i, j, row, column
    with nogil:
        for n in range(output_grad.shape[0]):
            for c in range(output_grad.shape[1]):
                for p in range(output_grad.shape[2]):
                    for q in range(output_grad.shape[3]):
                        i = positions[n, c, p, q] // g.kernel_width
                        j = positions[n, c, p, q] % g.kernel_width
                        row = p * g.stride_height + i * g.dilation_height - g.top
                        column = q * g.stride_width + j * g.dilation_width - g.left
                        # A window of which every pixel is padding chose none.
                        if (row < 0 or row >= input_grad.shape[2]
                                or column < 0 or column >= input_grad.shape[3]):
                            continue
                        input_grad[n, c, row, column] += output_grad[n, c, p, q]


def avg_pool2d(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    check_flag(count_include_pad, "avg_pool2d", "count_include_pad")
    check_arrays("avg_pool2d", x=(x, IMAGES))
    window = pooling_window(x.shape, kernel_size, stride, padding, "avg_pool2d")
    output = np.zeros((*x.shape[:2], *window.output), x.dtype)
    walk_means(np.require(x, requirements=["A", "W"]), output, window, count_include_pad, True)
    return output


def avg_pool2d_grad(output_grad, input_shape, kernel_size, stride=None, padding=0,
                    count_include_pad=True):
    owner = "avg_pool2d_grad"
    shape = check_input_shape(input_shape, owner, 4)
    check_flag(count_include_pad, owner, "count_include_pad")
    window = pooling_window(shape, kernel_size, stride, padding, owner)
    check_arrays(owner, output_grad=(output_grad, (*shape[:2], *window.output)))
    input_grad = np.zeros(shape, output_grad.dtype)
    output_grad = np.require(output_grad, requirements=["A", "W"])
    walk_means(input_grad, output_grad, window, count_include_pad, False)
    return input_grad


def walk_means(real[:, :, :, :] x, real[:, :, :, :] y, window, bint count_include_pad,
               bint forward):
    """Let every pixel of a window count equally: y += x / count, or x += y / count."""
    cdef Geometry g = geometry(window)
    cdef Py_ssize_t n, c, p, q, i, j, row, column, rows, columns
    cdef real count
    with nogil:
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                for p in range(y.shape[2]):
                    for q in range(y.shape[3]):
                        row = p * g.stride_height - g.top
                        column = q * g.stride_width - g.left
                        rows = min(row + g.kernel_height, x.shape[2]) - max(row, 0)
                        columns = min(column + g.kernel_width, x.shape[3]) - max(column, 0)
                        count = <real>(rows * columns)
                        if count_include_pad:
                            count = <real>(g.kernel_height * g.kernel_width)
                        for i in range(max(row, 0), max(row, 0) + rows):
                            for j in range(max(column, 0), max(column, 0) + columns):
                                if forward:
                                    y[n, c, p, q] += x[n, c, i, j]
                                else:
                                    x[n, c, i, j] += y[n, c, p, q] / count
                        if forward:
                            y[n, c, p, q] /= count
