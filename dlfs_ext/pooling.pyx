"""Pooling: dlfs.reference.pooling, compiled; the algorithm is in csrc/pooling/pooling_tile.h.

Every plane (one channel of one image) is a task; each thread takes a range of planes.
"""

cimport numpy as cnp
from libc.stdint cimport uint8_t
from libc.string cimport memset

import numpy as np

from dlfs.checks import check_flag, check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference import pooling as reference
from dlfs.reference.pooling import IMAGES, check_pixels
from dlfs.windows import pooling_window
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport c_array, data, input_t, is_double, is_float_nd, output_t
from dlfs_ext.options cimport cached, is_shape
from dlfs_ext.memory cimport empty_nd
from dlfs_ext.threads cimport kernel, run

cnp.import_array()

cdef extern from "pooling/pooling.h" nogil:
    ctypedef struct pool_window:
        ptrdiff_t height, width, out_height, out_width
        ptrdiff_t kernel_h, kernel_w, stride_h, stride_w, top, left
        int wide, include_pad
    ctypedef struct pool_job:
        pool_window window
        input_t x
        output_t out, positions
    kernel max_pool_kernel, max_pool_grad_kernel, avg_pool_kernel, avg_pool_grad_kernel
    kernel plane_mean_kernel, plane_spread_kernel


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1):
    if type(dilation) is not int or <object>dilation != 1:
        return take_over(reference.max_pool2d, x, kernel_size, stride, padding, dilation)
    if not is_float_nd(x, 4):
        check_arrays("max_pool2d", x=(x, IMAGES))
    cdef pool_window window = window_of(x.shape, kernel_size, stride, padding, "max_pool2d")
    cdef cnp.ndarray images = c_array(x)
    cdef cnp.ndarray out = like_output(images, &window, cnp.PyArray_TYPE(images))
    cdef cnp.ndarray positions = like_output(
        images, &window, cnp.NPY_INT32 if window.wide else cnp.NPY_UINT8)
    run_planes(&max_pool_kernel, &window, images, out, positions)
    return out, positions


def max_pool2d_grad(output_grad, positions, input_shape, kernel_size, stride=None, padding=0,
                    dilation=1):
    owner = "max_pool2d_grad"
    if type(dilation) is not int or <object>dilation != 1:
        return take_over(reference.max_pool2d_grad, output_grad, positions, input_shape,
                         kernel_size, stride, padding, dilation)
    shape = input_shape if is_shape(input_shape, 4) else check_input_shape(input_shape, owner, 4)
    cdef pool_window window = window_of(shape, kernel_size, stride, padding, owner)
    axes = (shape[0], shape[1], window.out_height, window.out_width)
    check_arrays(owner, output_grad=(output_grad, axes))
    cdef int wanted = cnp.NPY_INT32 if window.wide else cnp.NPY_UINT8
    if not (cnp.PyArray_Check(positions) and cnp.PyArray_TYPE(positions) == wanted
            and cnp.PyArray_ISNOTSWAPPED(positions)):
        got = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(f"{owner}: positions must be an array of "
                        f"{np.dtype(np.int32 if window.wide else np.uint8)}, got {got}")
    check_shape(positions, output_grad.shape, owner, "positions")
    cdef cnp.ndarray grad = c_array(output_grad), places = c_array(positions)
    check_positions(places, window.wide, window.kernel_h * window.kernel_w, owner)
    cdef cnp.ndarray out = like_input(shape, grad)
    run_planes(&max_pool_grad_kernel, &window, grad, out, places)
    return out


def avg_pool2d(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    if not is_float_nd(x, 4):
        check_arrays("avg_pool2d", x=(x, IMAGES))
    check_flag(count_include_pad, "avg_pool2d", "count_include_pad")
    cdef pool_window window = window_of(x.shape, kernel_size, stride, padding, "avg_pool2d")
    window.include_pad = bool(count_include_pad)
    cdef cnp.ndarray images = c_array(x)
    cdef cnp.ndarray out = like_output(images, &window, cnp.PyArray_TYPE(images))
    run_planes(&avg_pool_kernel, &window, images, out, None)
    return out


def avg_pool2d_grad(output_grad, input_shape, kernel_size, stride=None, padding=0,
                    count_include_pad=True):
    owner = "avg_pool2d_grad"
    shape = input_shape if is_shape(input_shape, 4) else check_input_shape(input_shape, owner, 4)
    check_flag(count_include_pad, owner, "count_include_pad")
    cdef pool_window window = window_of(shape, kernel_size, stride, padding, owner)
    window.include_pad = bool(count_include_pad)
    axes = (shape[0], shape[1], window.out_height, window.out_width)
    check_arrays(owner, output_grad=(output_grad, axes))
    cdef cnp.ndarray grad = c_array(output_grad), out = like_input(shape, grad)
    run_planes(&avg_pool_grad_kernel, &window, grad, out, None)
    return out


def global_avg_pool2d(x):
    if not is_float_nd(x, 4):
        check_arrays("global_avg_pool2d", x=(x, IMAGES))
    check_pixels(x.shape, "global_avg_pool2d")
    cdef cnp.ndarray images = c_array(x)
    cdef cnp.ndarray out = empty_nd(2, cnp.PyArray_DIMS(images), cnp.PyArray_TYPE(images))
    cdef pool_window window = whole_plane(images)
    run_planes(&plane_mean_kernel, &window, images, out, None)
    return out


def global_avg_pool2d_grad(output_grad, input_shape):
    owner = "global_avg_pool2d_grad"
    shape = input_shape if is_shape(input_shape, 4) else check_input_shape(input_shape, owner, 4)
    check_pixels(shape, owner)
    check_arrays(owner, output_grad=(output_grad, shape[:2]))
    cdef cnp.ndarray grad = c_array(output_grad), out = like_input(shape, grad)
    cdef pool_window window = whole_plane(out)
    run_planes(&plane_spread_kernel, &window, grad, out, None)
    return out


cdef dict _memory = {}


cdef pool_window window_of(tuple input_shape, object kernel_size, object stride, object padding,
                           str owner) except *:
    """The C form of the checked dlfs.windows.Window."""
    resolved = cached(_memory, pooling_window, (input_shape, kernel_size, stride, padding), owner)
    cdef pool_window w
    memset(&w, 0, sizeof(w))
    w.height, w.width = input_shape[2], input_shape[3]
    w.kernel_h, w.kernel_w = resolved.kernel
    w.out_height, w.out_width = resolved.output
    w.top, w.left = resolved.padding[0][0], resolved.padding[1][0]
    # With a single window the step is unused, and may be very large.
    w.stride_h = resolved.stride[0] if w.out_height > 1 else w.kernel_h
    w.stride_w = resolved.stride[1] if w.out_width > 1 else w.kernel_w
    w.wide = w.kernel_h * w.kernel_w > 256
    return w


cdef pool_window whole_plane(cnp.ndarray images) noexcept:
    cdef pool_window w
    memset(&w, 0, sizeof(w))
    w.height, w.width = images.shape[2], images.shape[3]
    return w


cdef cnp.ndarray like_output(cnp.ndarray images, const pool_window *w, int typenum):
    return empty_nd(
        4, [images.shape[0], images.shape[1], w.out_height, w.out_width], typenum)


cdef cnp.ndarray like_input(object shape, cnp.ndarray grad):
    return empty_nd(4, [shape[0], shape[1], shape[2], shape[3]], cnp.PyArray_TYPE(grad))


cdef int run_planes(const kernel *which, const pool_window *w, cnp.ndarray x, cnp.ndarray out,
                    object positions) except -1:
    cdef pool_job job
    cdef ptrdiff_t planes = cnp.PyArray_DIM(x, 0) * cnp.PyArray_DIM(x, 1)
    cdef double each = w.height * w.width + w.kernel_h * w.kernel_w * w.out_height * w.out_width
    job.window, job.x, job.out, job.positions = w[0], data(x), data(out), data(positions)
    return run(which, is_double(x), &job, planes, planes * each)


cdef int check_positions(cnp.ndarray positions, bint wide, ptrdiff_t count, str owner) except -1:
    """Check that 0 <= position < count."""
    cdef const uint8_t *narrow = <const uint8_t *>cnp.PyArray_DATA(positions)
    cdef ptrdiff_t n = cnp.PyArray_SIZE(positions), i
    cdef uint8_t most = 0
    cdef bint outside
    if wide:
        outside = ((positions < 0) | (positions >= count)).any()
    else:
        with nogil:
            for i in range(n):
                most = max(most, narrow[i])
        outside = most >= count
    if outside:
        raise ValueError(f"{owner}: positions must lie in 0..{count - 1}, "
                         f"got {positions.min()}..{positions.max()}")
    return 0
