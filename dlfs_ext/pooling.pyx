"""Pooling: dlfs.reference.pooling, compiled; the algorithm is in csrc/pooling_tile.h.

Every plane (one channel of one image) is a task; each thread takes a range of planes.
"""

cimport numpy as cnp
from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset

import numpy as np

from dlfs.checks import check_flag, check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference import pooling as reference
from dlfs.reference.pooling import IMAGES, check_pixels
from dlfs.windows import pooling_window
from dlfs_ext.docstrings import share_docstrings
from dlfs_ext.fallback import take_over

from dlfs_ext.arrays cimport c_array, is_double, is_float_nd
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.options cimport is_shape, remember, remembered
from dlfs_ext.pool cimport empty_1d, empty_nd
from dlfs_ext.threads cimport threads_for

cnp.import_array()

cdef extern from "pooling.h" nogil:
    ctypedef struct pool_window:
        ptrdiff_t height, width, out_height, out_width
        ptrdiff_t kernel_h, kernel_w, stride_h, stride_w, top, left
        int wide, include_pad
    ctypedef size_t pool_size_fn(const pool_window *w) noexcept
    ctypedef void max_pool_fn(const pool_window *w, const void *x, void *out, void *positions,
                              ptrdiff_t planes, void *scratch) noexcept
    ctypedef void max_pool_grad_fn(const pool_window *w, const void *grad, const void *positions,
                                   void *out, ptrdiff_t planes, void *scratch) noexcept
    ctypedef void avg_pool_fn(const pool_window *w, const void *x, void *out, ptrdiff_t planes,
                              void *scratch) noexcept
    ctypedef void plane_fn(const void *x, void *out, ptrdiff_t area, ptrdiff_t planes) noexcept
    pool_size_fn *pool_scratch_table[3][2]
    max_pool_fn *max_pool_table[3][2]
    max_pool_grad_fn *max_pool_grad_table[3][2]
    avg_pool_fn *avg_pool_table[3][2]
    avg_pool_fn *avg_pool_grad_table[3][2]
    plane_fn *plane_mean_table[3][2]
    plane_fn *plane_spread_table[3][2]


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1):
    if type(dilation) is not int or <object>dilation != 1:
        return take_over(reference.max_pool2d, x, kernel_size, stride, padding, dilation)
    if not is_float_nd(x, 4):
        check_arrays("max_pool2d", x=(x, IMAGES))
    resolved = resolve(x.shape, kernel_size, stride, padding, "max_pool2d")
    cdef cnp.ndarray images = c_array(x)
    cdef pool_window window = window_of(images.shape[2], images.shape[3], resolved)
    cdef cnp.npy_intp[4] dims
    output_shape(images.shape[0], images.shape[1], &window, dims)
    cdef cnp.ndarray out = empty_nd(4, dims, cnp.PyArray_TYPE(images))
    cdef cnp.ndarray positions = empty_nd(
        4, dims, cnp.NPY_INT32 if window.wide else cnp.NPY_UINT8)
    cdef max_pool_fn *fn = max_pool_table[isa_level][is_double(images)]
    cdef ptrdiff_t planes = dims[0] * dims[1], area = window.height * window.width
    cdef ptrdiff_t out_area = dims[2] * dims[3], first, i
    cdef ptrdiff_t threads = max(1, min(threads_for(work_of(&window, planes)), planes))
    cdef size_t each = scratch_bytes(&window, is_double(images))
    cdef cnp.ndarray memory = empty_1d(threads * each, cnp.NPY_UINT8)
    cdef char *scratch = <char *>cnp.PyArray_DATA(memory)
    cdef const char *source = <const char *>cnp.PyArray_DATA(images)
    cdef char *target = <char *>cnp.PyArray_DATA(out)
    cdef char *places = <char *>cnp.PyArray_DATA(positions)
    cdef size_t size = cnp.PyArray_ITEMSIZE(images), place = cnp.PyArray_ITEMSIZE(positions)
    with nogil:
        if threads == 1:
            fn(&window, source, target, places, planes, scratch)
        else:
            for i in prange(threads, num_threads=threads, schedule="static"):
                first = planes * i // threads
                fn(&window, source + first * area * size, target + first * out_area * size,
                   places + first * out_area * place, planes * (i + 1) // threads - first,
                   scratch + i * each)
    return out, positions


def max_pool2d_grad(output_grad, positions, input_shape, kernel_size, stride=None, padding=0,
                    dilation=1):
    owner = "max_pool2d_grad"
    if type(dilation) is not int or <object>dilation != 1:
        return take_over(reference.max_pool2d_grad, output_grad, positions, input_shape,
                         kernel_size, stride, padding, dilation)
    shape = input_shape if is_shape(input_shape, 4) else check_input_shape(input_shape, owner, 4)
    resolved = resolve(shape, kernel_size, stride, padding, owner)
    check_arrays(owner, output_grad=(output_grad, (shape[0], shape[1], *resolved.output)))
    cdef pool_window window = window_of(shape[2], shape[3], resolved)
    cdef int wanted = cnp.NPY_INT32 if window.wide else cnp.NPY_UINT8
    if not (cnp.PyArray_Check(positions) and cnp.PyArray_TYPE(positions) == wanted
            and cnp.PyArray_ISNOTSWAPPED(positions)):
        got = getattr(positions, "dtype", type(positions).__name__)
        raise TypeError(f"{owner}: positions must be an array of "
                        f"{np.dtype(np.int32 if window.wide else np.uint8)}, got {got}")
    check_shape(positions, output_grad.shape, owner, "positions")
    cdef cnp.ndarray grad = c_array(output_grad), places_ = c_array(positions)
    check_positions(places_, window.wide, window.kernel_h * window.kernel_w, owner)
    cdef cnp.npy_intp[4] dims
    for axis in range(4):
        dims[axis] = shape[axis]
    cdef cnp.ndarray out = empty_nd(4, dims, cnp.PyArray_TYPE(grad))
    cdef max_pool_grad_fn *fn = max_pool_grad_table[isa_level][is_double(grad)]
    cdef ptrdiff_t planes = dims[0] * dims[1], area = window.height * window.width
    cdef ptrdiff_t out_area = window.out_height * window.out_width, first, i
    cdef ptrdiff_t threads = max(1, min(threads_for(work_of(&window, planes)), planes))
    cdef size_t each = scratch_bytes(&window, is_double(grad))
    cdef cnp.ndarray memory = empty_1d(threads * each, cnp.NPY_UINT8)
    cdef char *scratch = <char *>cnp.PyArray_DATA(memory)
    cdef const char *source = <const char *>cnp.PyArray_DATA(grad)
    cdef const char *places = <const char *>cnp.PyArray_DATA(places_)
    cdef char *target = <char *>cnp.PyArray_DATA(out)
    cdef size_t size = cnp.PyArray_ITEMSIZE(grad), place = cnp.PyArray_ITEMSIZE(places_)
    with nogil:
        if threads == 1:
            fn(&window, source, places, target, planes, scratch)
        else:
            for i in prange(threads, num_threads=threads, schedule="static"):
                first = planes * i // threads
                fn(&window, source + first * out_area * size, places + first * out_area * place,
                   target + first * area * size, planes * (i + 1) // threads - first,
                   scratch + i * each)
    return out


def avg_pool2d(x, kernel_size, stride=None, padding=0, count_include_pad=True):
    if not is_float_nd(x, 4):
        check_arrays("avg_pool2d", x=(x, IMAGES))
    check_flag(count_include_pad, "avg_pool2d", "count_include_pad")
    resolved = resolve(x.shape, kernel_size, stride, padding, "avg_pool2d")
    cdef cnp.ndarray images = c_array(x)
    cdef pool_window window = window_of(images.shape[2], images.shape[3], resolved)
    window.include_pad = bool(count_include_pad)
    cdef cnp.npy_intp[4] dims
    output_shape(images.shape[0], images.shape[1], &window, dims)
    cdef cnp.ndarray out = empty_nd(4, dims, cnp.PyArray_TYPE(images))
    run_mean(avg_pool_table[isa_level][is_double(images)], &window, images, out,
             window.height * window.width, dims[2] * dims[3], dims[0] * dims[1])
    return out


def avg_pool2d_grad(output_grad, input_shape, kernel_size, stride=None, padding=0,
                    count_include_pad=True):
    owner = "avg_pool2d_grad"
    shape = input_shape if is_shape(input_shape, 4) else check_input_shape(input_shape, owner, 4)
    check_flag(count_include_pad, owner, "count_include_pad")
    resolved = resolve(shape, kernel_size, stride, padding, owner)
    check_arrays(owner, output_grad=(output_grad, (shape[0], shape[1], *resolved.output)))
    cdef cnp.ndarray grad = c_array(output_grad)
    cdef pool_window window = window_of(shape[2], shape[3], resolved)
    window.include_pad = bool(count_include_pad)
    cdef cnp.npy_intp[4] dims
    for axis in range(4):
        dims[axis] = shape[axis]
    cdef cnp.ndarray out = empty_nd(4, dims, cnp.PyArray_TYPE(grad))
    run_mean(avg_pool_grad_table[isa_level][is_double(grad)], &window, grad, out,
             window.out_height * window.out_width, dims[2] * dims[3], dims[0] * dims[1])
    return out


def global_avg_pool2d(x):
    if not is_float_nd(x, 4):
        check_arrays("global_avg_pool2d", x=(x, IMAGES))
    check_pixels(x.shape, "global_avg_pool2d")
    cdef cnp.ndarray images = c_array(x)
    cdef cnp.npy_intp[2] dims
    dims[0], dims[1] = images.shape[0], images.shape[1]
    cdef cnp.ndarray out = empty_nd(2, dims, cnp.PyArray_TYPE(images))
    cdef ptrdiff_t area = images.shape[2] * images.shape[3]
    run_planes(plane_mean_table[isa_level][is_double(images)], images, out, area, area, 1,
               dims[0] * dims[1])
    return out


def global_avg_pool2d_grad(output_grad, input_shape):
    owner = "global_avg_pool2d_grad"
    shape = input_shape if is_shape(input_shape, 4) else check_input_shape(input_shape, owner, 4)
    check_pixels(shape, owner)
    check_arrays(owner, output_grad=(output_grad, shape[:2]))
    cdef cnp.ndarray grad = c_array(output_grad)
    cdef cnp.npy_intp[4] dims
    for axis in range(4):
        dims[axis] = shape[axis]
    cdef cnp.ndarray out = empty_nd(4, dims, cnp.PyArray_TYPE(grad))
    cdef ptrdiff_t area = dims[2] * dims[3]
    run_planes(plane_spread_table[isa_level][is_double(grad)], grad, out, area, 1, area,
               dims[0] * dims[1])
    return out


cdef dict _memory = {}


cdef object resolve(object input_shape, object kernel_size, object stride, object padding,
                    str owner):
    """The checked dlfs.windows.Window."""
    key = (input_shape, kernel_size, stride, padding)
    found = remembered(_memory, key)
    if found is None:
        found = pooling_window(input_shape, kernel_size, stride, padding, owner)
        remember(_memory, key, found)
    return found


cdef pool_window window_of(ptrdiff_t height, ptrdiff_t width, object resolved) except *:
    """The C form of dlfs.windows.Window."""
    cdef pool_window w
    memset(&w, 0, sizeof(w))
    w.height, w.width = height, width
    w.kernel_h, w.kernel_w = resolved.kernel
    w.out_height, w.out_width = resolved.output
    (w.top, _), (w.left, _) = resolved.padding
    # With a single window the step is unused, and may be very large.
    if w.out_height > 1:
        w.stride_h = resolved.stride[0]
    else:
        w.stride_h = w.kernel_h
    if w.out_width > 1:
        w.stride_w = resolved.stride[1]
    else:
        w.stride_w = w.kernel_w
    w.wide = w.kernel_h * w.kernel_w > 256
    return w


cdef void output_shape(ptrdiff_t batch, ptrdiff_t channels, const pool_window *w,
                       cnp.npy_intp *dims) noexcept:
    dims[0], dims[1], dims[2], dims[3] = batch, channels, w.out_height, w.out_width


cdef double work_of(const pool_window *w, ptrdiff_t planes) noexcept:
    cdef double each = w.height * w.width + w.kernel_h * w.kernel_w * w.out_height * w.out_width
    return planes * each


cdef size_t scratch_bytes(const pool_window *w, int wide) noexcept:
    return (pool_scratch_table[isa_level][wide](w) + 127) // 64 * 64


cdef int run_mean(avg_pool_fn *fn, const pool_window *window, cnp.ndarray x, cnp.ndarray out,
                  ptrdiff_t area, ptrdiff_t out_area, ptrdiff_t planes) except -1:
    cdef ptrdiff_t threads = max(1, min(threads_for(work_of(window, planes)), planes)), i, first
    cdef size_t each = scratch_bytes(window, is_double(x)), size = cnp.PyArray_ITEMSIZE(x)
    cdef cnp.ndarray memory = empty_1d(threads * each, cnp.NPY_UINT8)
    cdef char *scratch = <char *>cnp.PyArray_DATA(memory)
    cdef const char *source = <const char *>cnp.PyArray_DATA(x)
    cdef char *target = <char *>cnp.PyArray_DATA(out)
    with nogil:
        if threads == 1:
            fn(window, source, target, planes, scratch)
        else:
            for i in prange(threads, num_threads=threads, schedule="static"):
                first = planes * i // threads
                fn(window, source + first * area * size, target + first * out_area * size,
                   planes * (i + 1) // threads - first, scratch + i * each)
    return 0


cdef int run_planes(plane_fn *fn, cnp.ndarray x, cnp.ndarray out, ptrdiff_t area,
                    ptrdiff_t step, ptrdiff_t out_step, ptrdiff_t planes) except -1:
    cdef ptrdiff_t threads = max(1, min(threads_for(<double>planes * area), planes)), i, first
    cdef size_t size = cnp.PyArray_ITEMSIZE(x)
    cdef const char *source = <const char *>cnp.PyArray_DATA(x)
    cdef char *target = <char *>cnp.PyArray_DATA(out)
    with nogil:
        if threads == 1:
            fn(source, target, area, planes)
        else:
            for i in prange(threads, num_threads=threads, schedule="static"):
                first = planes * i // threads
                fn(source + first * step * size, target + first * out_step * size, area,
                   planes * (i + 1) // threads - first)
    return 0


cdef int check_positions(cnp.ndarray positions, bint wide, ptrdiff_t count,
                         str owner) except -1:
    """Check that 0 <= position < count."""
    cdef ptrdiff_t n = cnp.PyArray_SIZE(positions), i
    cdef const uint8_t *narrow = <const uint8_t *>cnp.PyArray_DATA(positions)
    cdef const int32_t *ints = <const int32_t *>cnp.PyArray_DATA(positions)
    cdef int32_t least = 0, most = 0
    cdef uint8_t most_narrow = 0
    with nogil:
        if wide:
            for i in range(n):
                least = min(least, ints[i])
                most = max(most, ints[i])
        else:
            for i in range(n):
                most_narrow = max(most_narrow, narrow[i])
            most = most_narrow
    if least < 0 or most >= count:
        raise ValueError(f"{owner}: positions must lie in 0..{count - 1}, "
                         f"got {positions.min()}..{positions.max()}")
    return 0


share_docstrings(globals())
