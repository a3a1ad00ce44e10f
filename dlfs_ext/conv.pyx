"""Convolutions; the formulas are in dlfs.reference.conv, the algorithms in csrc/convolution/.

Seven algorithms; conv_choice.h chooses by shape and dtype alone, so that the same call always gives
the same bits:

- direct: sums of shifted copies. Forward, weight gradients, and input gradients with stride 1,
  which are a forward pass with the kernel flipped and the channels exchanged.
- channels last: the same sums with other vectors, where images are small and channels many.
- Winograd's, for 3x3 kernels with stride 1: channels last, with fewer multiplications.
- depthwise, where each group has one channel in and one out.
- pointwise, for 1x1 kernels with stride 1: products of matrices, by dense.pyx.
- by columns of the kernel, for input gradients with few input channels, where it is cheaper.
- scattering, for the input gradients of other strides.

The work is cut into tasks (an image, a group, a band of rows), and each thread takes a range of
them. The weight gradient is summed in a number of chunks that depends on the shapes alone.
"""

cimport numpy as cnp
from libc.string cimport memset

import numpy as np

from dlfs.checks import check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.conv import IMAGES, OUTPUTS, WEIGHTS
from dlfs.windows import conv2d_window

from dlfs_ext.arrays cimport (
    c_array, data, input_t, is_double, is_float_nd, output_t, same_type,
)
from dlfs_ext.dense cimport chunks_of, pointwise, pointwise_job, pointwise_weights
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.options cimport cached, is_shape
from dlfs_ext.memory cimport Block, empty_nd, new_block
from dlfs_ext.threads cimport kernel, run, threads_for

cnp.import_array()

cdef extern from "convolution/conv.h" nogil:
    enum:
        CONV_DIRECT
        CONV_CHANNELS_LAST
        CONV_WINOGRAD
        CONV_DEPTHWISE
        CONV_COLUMNS
        CONV_SCATTERING
        CONV_POINTWISE
    ctypedef struct conv_window:
        ptrdiff_t channels, height, width, out_height, out_width
        ptrdiff_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left
    ctypedef struct conv_layout:
        conv_window window
        ptrdiff_t bands, blocks, batch, rows, copy, taps
        ptrdiff_t *source
        ptrdiff_t *target
        ptrdiff_t *offset
    ctypedef struct conv_job:
        conv_layout layout
        ptrdiff_t groups, out_channels, chunks, parts, apart_h, apart_w
        ptrdiff_t in_blocks, out_blocks, kernel_size
        ptrdiff_t *tables
        int winograd, activation
        input_t input, grad, packed, bias, values
        output_t output, sums, bias_grad
    ctypedef void conv_pack_fn(const conv_job *job, const void *weights, void *packed,
                               const ptrdiff_t *step) noexcept
    ctypedef void conv_scatter_pack_fn(const conv_job *job, const void *weights,
                                       void *packed) noexcept
    ctypedef size_t conv_size_fn(const conv_job *job) noexcept
    ctypedef double peak_fn(ptrdiff_t rounds) noexcept
    conv_pack_fn *conv_pack_table[3][2]
    conv_pack_fn *last_pack_table[3][2]
    conv_scatter_pack_fn *conv_scatter_pack_table[3][2]
    conv_scatter_pack_fn *conv_columns_pack_table[3][2]
    conv_size_fn *conv_param_grad_sums_table[3][2]
    conv_size_fn *last_sums_table[3][2]
    conv_size_fn *last_packed_table[3][2]
    peak_fn *multiply_adds_table[3][2]
    kernel conv_forward_kernel, conv_param_grad_kernel, conv_param_grad_reduce_kernel
    kernel last_forward_kernel, last_outer_kernel, last_reduce_kernel
    kernel depthwise_kernel, depthwise_grad_kernel, conv_columns_kernel, conv_scatter_kernel
    void conv_plan(conv_layout *layout, ptrdiff_t itemsize, ptrdiff_t budget,
                   ptrdiff_t least_bands)
    void conv_fill(conv_layout *layout)
    void conv_plan_last(conv_job *job, ptrdiff_t points, ptrdiff_t least_tasks)
    void conv_plan_phases(conv_job *job, const conv_window *forward, ptrdiff_t points,
                          ptrdiff_t least_tasks)
    int conv_choose_correlation(const conv_window *w, ptrdiff_t channels, ptrdiff_t out_channels,
                                ptrdiff_t out_height, ptrdiff_t out_width)
    int conv_choose_forward(const conv_window *w, ptrdiff_t out_channels, ptrdiff_t groups,
                            int wide)
    int conv_choose_input_grad(const conv_window *w, ptrdiff_t out_channels, ptrdiff_t groups,
                               int wide)
    int conv_choose_param_grad(const conv_window *w, ptrdiff_t out_channels, ptrdiff_t groups,
                               int wide)

# The copies of a task should stay in the second-level cache: half of its usual size today.
cdef ptrdiff_t COPIES = 1 << 20
# The weight gradient benefits from long rows of pixels, which it sums before it adds lanes.
cdef ptrdiff_t GRADIENT_COPIES = 1 << 21
# Channels last: what a block of points reads should stay in the second-level cache, in half of it
# with Winograd's 16 elements; sums of the weight gradient and their factors, too.
cdef ptrdiff_t POINTS = 1 << 18
cdef ptrdiff_t GRADIENT_PIXELS = 256, GRADIENT_PATCHES = 64, GRADIENT_CHANNELS = 128


def conv2d(x, W, stride=1, padding=0, dilation=1, groups=1):
    if not (is_float_nd(x, 4) and is_float_nd(W, 4) and same_type(x, W)):
        check_arrays("conv2d", x=(x, IMAGES), W=(W, WEIGHTS))
    groups, resolved = resolve(x.shape, W.shape, stride, padding, dilation, groups, "conv2d")
    return convolve(x, W, groups, resolved, None, 0)


cdef cnp.ndarray convolve(object x, object W, ptrdiff_t groups, object resolved, object bias_,
                          int activation):
    """conv2d of checked arguments and a Window; with a bias, activation(conv2d(x, W) + bias)."""
    cdef cnp.ndarray images = c_array(x), weights = c_array(W)
    cdef object bias = None if bias_ is None else c_array(bias_)
    cdef int wide = is_double(images)
    cdef conv_job job = job_of(images, weights, groups, resolved)
    cdef conv_window *w = &job.layout.window
    cdef ptrdiff_t taps = w.kernel_h * w.kernel_w
    cdef cnp.ndarray out = empty_nd(
        4, [job.layout.batch, weights.shape[1], w.out_height, w.out_width],
        cnp.PyArray_TYPE(images))
    job.input, job.output = data(images), data(out)
    job.bias, job.activation = data(bias), activation
    if job.layout.batch == 0:
        return out
    if conv_choose_forward(w, job.out_channels, groups, wide) == CONV_DEPTHWISE:
        depthwise(&job, wide, weights)
    else:
        correlate(&job, wide, data(weights), [weights.shape[1] * taps, taps, w.kernel_w, 1],
                  job.out_channels * taps)
    return out


def conv2d_input_grad(output_grad, W, input_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_input_grad"
    if not (is_float_nd(output_grad, 4) and is_float_nd(W, 4) and same_type(output_grad, W)):
        check_arrays(owner, W=(W, WEIGHTS), output_grad=(output_grad, OUTPUTS))
    shape = input_shape if is_shape(input_shape, 4) else check_input_shape(input_shape, owner, 4)
    groups, resolved = resolve(shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], *resolved.output), owner, "output_grad")
    cdef cnp.ndarray grad = c_array(output_grad), weights = c_array(W)
    cdef cnp.ndarray out = empty_nd(
        4, [shape[0], shape[1], shape[2], shape[3]], cnp.PyArray_TYPE(grad))
    cdef conv_job job = job_of(out, weights, groups, resolved)
    cdef conv_window *w = &job.layout.window
    cdef ptrdiff_t taps = w.kernel_h * w.kernel_w
    cdef int wide = is_double(grad)
    cdef int algorithm = conv_choose_input_grad(w, job.out_channels, job.groups, wide)
    # The images read are the gradients.
    job.input, job.output = data(grad), data(out)
    if job.layout.batch == 0:
        return out
    if algorithm == CONV_COLUMNS or algorithm == CONV_SCATTERING:
        scattered(&job, wide, weights)
    elif algorithm == CONV_CHANNELS_LAST and (w.stride_h > 1 or w.stride_w > 1):
        input_grad_by_phases(&job, wide, weights)
    elif algorithm == CONV_DEPTHWISE:
        turn(&job)
        depthwise(&job, wide, c_array(W[:, :, ::-1, ::-1]))
    else:
        turn(&job)
        correlate(&job, wide, <const char *>data(weights) + (taps - 1) * (8 if wide else 4),
                  [taps, weights.shape[1] * taps, -w.kernel_w, -1], w.channels * taps)
    return out


cdef void turn(conv_job *job) noexcept:
    """Turn an input gradient into a forward pass, of the gradients and with the kernel flipped.

    Kernel position (i, j) then reads a pixel as far before the result pixel as it was after it in
    the forward pass. The strides become those of the gradients, apart from each other.
    """
    cdef conv_window *w = &job.layout.window
    w.channels, job.out_channels = job.out_channels, w.channels
    w.height, w.out_height = w.out_height, w.height
    w.width, w.out_width = w.out_width, w.width
    w.top = (w.kernel_h - 1) * w.dilation_h - w.top
    w.left = (w.kernel_w - 1) * w.dilation_w - w.left
    job.apart_h, w.stride_h = w.stride_h, 1
    job.apart_w, w.stride_w = w.stride_w, 1


def conv2d_param_grad(output_grad, x, param_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_param_grad"
    if not (is_float_nd(output_grad, 4) and is_float_nd(x, 4) and same_type(output_grad, x)):
        check_arrays(owner, x=(x, IMAGES), output_grad=(output_grad, OUTPUTS))
    shape = param_shape if is_shape(param_shape, 4) else check_input_shape(
        param_shape, owner, 4, "param_shape")
    groups, resolved = resolve(x.shape, shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (x.shape[0], shape[1], *resolved.output), owner, "output_grad")
    return weight_gradient(output_grad, x, shape, groups, resolved, None, None, 0)


cdef cnp.ndarray weight_gradient(object output_grad, object x, object shape, ptrdiff_t groups,
                                 object resolved, object output, object bias_grad, int activation):
    """Checked arguments; output and bias_grad (filled here) only if an activation follows."""
    cdef cnp.ndarray grad = c_array(output_grad), images = c_array(x)
    cdef object values = None if output is None else c_array(output)
    cdef cnp.ndarray out = empty_nd(
        4, [shape[0], shape[1], shape[2], shape[3]], cnp.PyArray_TYPE(images))
    cdef conv_job job = job_of(images, out, groups, resolved)
    cdef int wide = is_double(images)
    if job.layout.batch == 0:
        out.fill(0)
        if bias_grad is not None:
            bias_grad.fill(0)
        return out
    job.input, job.grad, job.output = data(images), data(grad), data(out)
    job.values, job.bias_grad, job.activation = data(values), data(bias_grad), activation
    cdef double cost = multiply_adds(&job)
    cdef int algorithm = conv_choose_param_grad(
        &job.layout.window, job.out_channels, groups, wide)
    cdef pointwise_job point
    if algorithm == CONV_DEPTHWISE:
        run(&depthwise_grad_kernel, wide, &job, groups, cost)
    elif algorithm == CONV_DIRECT:
        direct_weights(&job, wide, cost, cnp.PyArray_SIZE(out))
    elif algorithm == CONV_POINTWISE:
        point = point_job(&job)
        pointwise_weights(&point, wide, cost)
    else:
        job.winograd = algorithm == CONV_WINOGRAD
        last_weights(&job, wide, cost)
    return out


cdef int direct_weights(conv_job *job, int wide, double cost, ptrdiff_t size) except -1:
    """The weight gradient, of `size` numbers, by shifted copies."""
    cdef conv_layout *layout = &job.layout
    conv_plan(layout, 8 if wide else 4, GRADIENT_COPIES, 1)
    cdef Block _tables = fill(layout)
    cdef size_t sums_bytes = conv_param_grad_sums_table[isa_level][wide](job)
    job.chunks = chunks_of(layout.blocks * layout.bands, sums_bytes)
    cdef Block sums = new_block(job.chunks * sums_bytes)
    job.sums = sums.data
    run(&conv_param_grad_kernel, wide, job, job.chunks * job.groups, cost)
    return run(&conv_param_grad_reduce_kernel, wide, job,
               job.groups * ((job.out_channels + 3) // 4), <double>job.chunks * size / 4)


cdef int last_weights(conv_job *job, int wide, double cost) except -1:
    """The weight gradient with the channels last."""
    cdef conv_layout *layout = &job.layout
    cdef ptrdiff_t channels = layout.window.channels
    conv_plan_last(job, GRADIENT_PATCHES if job.winograd else GRADIENT_PIXELS, 1)
    job.in_blocks = (channels + GRADIENT_CHANNELS - 1) // GRADIENT_CHANNELS
    job.out_blocks = (job.out_channels + GRADIENT_CHANNELS - 1) // GRADIENT_CHANNELS
    cdef size_t sums_bytes = last_sums_table[isa_level][wide](job)
    cdef ptrdiff_t points = layout.batch * layout.window.out_height * layout.window.out_width
    job.chunks = chunks_of(min(layout.blocks * layout.bands, points // 512), sums_bytes)
    cdef Block sums = new_block(job.chunks * sums_bytes)
    job.sums = sums.data
    cdef ptrdiff_t tasks = job.chunks * job.groups * job.out_blocks * job.in_blocks
    run(&last_outer_kernel, wide, job, tasks, cost)
    return run(&last_reduce_kernel, wide, job, job.groups * ((channels + 15) // 16),
               <double>job.chunks * sums_bytes / 16)


cdef dict _memory = {}


cdef object resolve(object input_shape, object param_shape, object stride, object padding,
                    object dilation, object groups, str owner):
    """The checked number of groups and the dlfs.windows.Window."""
    return cached(_memory, conv2d_window,
                  (input_shape, param_shape, stride, padding, dilation, groups), owner)


cdef conv_window window_of(ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels,
                           object resolved) except *:
    """The C form of dlfs.windows.Window, with the images' sizes in one group."""
    cdef conv_window w
    memset(&w, 0, sizeof(w))
    w.height, w.width, w.channels = height, width, channels
    w.kernel_h, w.kernel_w = resolved.kernel
    w.out_height, w.out_width = resolved.output
    w.top, w.left = resolved.padding[0][0], resolved.padding[1][0]
    # With a single position the step between positions is unused, and may be so large that a
    # memory layout with it would not be possible.
    w.stride_h = resolved.stride[0] if w.out_height > 1 else 1
    w.stride_w = resolved.stride[1] if w.out_width > 1 else 1
    w.dilation_h = resolved.dilation[0] if w.kernel_h > 1 else 1
    w.dilation_w = resolved.dilation[1] if w.kernel_w > 1 else 1
    return w


def _algorithms(input_shape, param_shape, dtype, stride=1, padding=0, dilation=1, groups=1):
    """For tests: what computes the output, the gradient of the input, and that of the weights."""
    groups, resolved = resolve(
        input_shape, param_shape, stride, padding, dilation, groups, "algorithms")
    cdef conv_window w = window_of(input_shape[2], input_shape[3], param_shape[0], resolved)
    cdef int wide = np.dtype(dtype) == np.float64
    cdef ptrdiff_t out_channels = param_shape[1] // groups
    names = ("direct", "channels last", "winograd", "depthwise", "columns", "scattering",
             "pointwise")
    return (names[conv_choose_forward(&w, out_channels, groups, wide)],
            names[conv_choose_input_grad(&w, out_channels, groups, wide)],
            names[conv_choose_param_grad(&w, out_channels, groups, wide)])


cdef conv_job job_of(cnp.ndarray images, cnp.ndarray weights, ptrdiff_t groups,
                     object resolved) except *:
    """The window and the sizes of a call, by these arrays' shapes; all other fields are 0."""
    cdef conv_job job
    memset(&job, 0, sizeof(job))
    job.layout.window = window_of(images.shape[2], images.shape[3], weights.shape[0], resolved)
    job.layout.batch, job.groups = images.shape[0], groups
    job.out_channels = weights.shape[1] // groups
    job.apart_h = job.apart_w = 1
    return job


cdef double multiply_adds(const conv_job *job) noexcept:
    cdef const conv_window *w = &job.layout.window
    return (<double>job.layout.batch * job.groups * w.channels * job.out_channels * w.kernel_h
            * w.kernel_w * w.out_height * w.out_width)


cdef Block fill(conv_layout *layout):
    """Fill the layout's tables, which the Block owns."""
    cdef Block tables = new_block((2 * layout.rows + layout.taps) * sizeof(ptrdiff_t))
    layout.source = <ptrdiff_t *>tables.data
    layout.target = layout.source + layout.rows
    layout.offset = layout.target + layout.rows
    conv_fill(layout)
    return tables


cdef Block pack(conv_job *job, conv_pack_fn *fn, size_t packed_bytes, const char *weights,
                ptrdiff_t group_bytes, const ptrdiff_t *step):
    """Pack each group's weights, which lie `group_bytes` apart, into `packed_bytes`."""
    cdef Block packed = new_block(job.groups * packed_bytes)
    cdef char *target = <char *>packed.data
    cdef ptrdiff_t group
    with nogil:
        for group in range(job.groups):
            fn(job, weights + group * group_bytes, target + group * packed_bytes, step)
    job.packed = target
    return packed


cdef int correlate(conv_job *job, int wide, const void *weights, const ptrdiff_t *step,
                   ptrdiff_t group_step) except -1:
    """Sum over each window; `weights` are those of the first group, channels and position.

    The steps, in numbers, are those to the next channel in, channel out, row and column, and group.
    """
    cdef conv_layout *layout = &job.layout
    cdef conv_window *w = &layout.window
    cdef double cost = multiply_adds(job)
    cdef ptrdiff_t itemsize = 8 if wide else 4, wanted = threads_for(cost)
    cdef ptrdiff_t planes = layout.batch * job.groups
    cdef int algorithm = conv_choose_correlation(
        w, w.channels, job.out_channels, w.out_height, w.out_width)
    cdef ptrdiff_t least_bands = (wanted + planes - 1) // planes
    cdef pointwise_job point
    if algorithm == CONV_POINTWISE:
        point = point_job(job)
        point.weights, point.group = weights, group_step
        point.column, point.row = step[0], step[1]
        return pointwise(&point, wide, cost)
    if algorithm != CONV_DIRECT:
        job.winograd = algorithm == CONV_WINOGRAD
        conv_plan_last(job, points_of(job, itemsize), wanted)
        return convolve_last(job, wide, weights, group_step * itemsize, step, cost)
    conv_plan(layout, itemsize, COPIES, least_bands)
    cdef Block _tables = fill(layout)
    cdef Block _packed = pack(job, conv_pack_table[isa_level][wide],
                              layout.taps * job.out_channels * itemsize, <const char *>weights,
                              group_step * itemsize, step)
    return run(&conv_forward_kernel, wide, job, layout.blocks * job.groups * layout.bands, cost)


cdef pointwise_job point_job(const conv_job *job) noexcept:
    """The sizes and arrays of a call for dense.pyx; the caller adds the weights, where needed."""
    cdef pointwise_job point
    memset(&point, 0, sizeof(point))
    point.batch, point.groups = job.layout.batch, job.groups
    point.area = job.layout.window.height * job.layout.window.width
    point.channels, point.out_channels = job.layout.window.channels, job.out_channels
    point.input, point.grad, point.output = job.input, job.grad, job.output
    point.bias, point.values, point.bias_grad = job.bias, job.values, job.bias_grad
    point.activation = job.activation
    return point


cdef int convolve_last(conv_job *job, int wide, const void *weights, ptrdiff_t group_bytes,
                       const ptrdiff_t *step, double cost) except -1:
    """As correlate does, with the channels last, as planned."""
    cdef Block tables = new_block(job.kernel_size * sizeof(ptrdiff_t))
    job.tables = <ptrdiff_t *>tables.data
    cdef Block _packed = pack(job, last_pack_table[isa_level][wide],
                              last_packed_table[isa_level][wide](job), <const char *>weights,
                              group_bytes, step)
    return run(&last_forward_kernel, wide, job,
               job.layout.blocks * job.groups * job.layout.bands, cost)


cdef ptrdiff_t points_of(const conv_job *job, ptrdiff_t itemsize) noexcept:
    """Points of a block, for the forward pass and the input gradient."""
    cdef ptrdiff_t each = job.layout.window.channels * itemsize * (16 if job.winograd else 1)
    return max(64, min(512, POINTS // each))


cdef int input_grad_by_phases(conv_job *job, int wide, cnp.ndarray weights) except -1:
    """With the channels last, for strides other than 1."""
    cdef conv_window forward = job.layout.window
    cdef double cost = multiply_adds(job)
    cdef ptrdiff_t itemsize = 8 if wide else 4, out_channels = job.out_channels
    cdef ptrdiff_t taps = forward.kernel_h * forward.kernel_w
    job.layout.window.channels, job.out_channels = out_channels, forward.channels
    conv_plan_phases(job, &forward, points_of(job, itemsize), threads_for(cost))
    return convolve_last(job, wide, data(weights), out_channels * taps * itemsize,
                         [taps, weights.shape[1] * taps, forward.kernel_w, 1], cost)


cdef int depthwise(conv_job *job, int wide, cnp.ndarray weights) except -1:
    """Each plane with its own kernel; its pixels are `apart` from each other, zeros between."""
    job.packed = data(weights)
    return run(&depthwise_kernel, wide, job, job.layout.batch * job.groups, multiply_adds(job))


cdef int scattered(conv_job *job, int wide, cnp.ndarray weights) except -1:
    """The input gradient by columns or, for strides other than 1, by scattering."""
    cdef ptrdiff_t planes = job.layout.batch * job.groups
    cdef double cost = multiply_adds(job)
    job.parts = min(job.layout.window.channels, (threads_for(cost) + planes - 1) // planes)
    cdef Block packed = new_block(cnp.PyArray_NBYTES(weights))
    job.packed, job.grad = packed.data, job.input
    if job.layout.window.stride_h == 1 and job.layout.window.stride_w == 1:
        conv_columns_pack_table[isa_level][wide](job, data(weights), packed.data)
        return run(&conv_columns_kernel, wide, job, planes * job.parts, cost)
    conv_scatter_pack_table[isa_level][wide](job, data(weights), packed.data)
    return run(&conv_scatter_kernel, wide, job, planes * job.parts, cost)


def _peak_work(dtype="float64", rounds=100_000):
    """Run multiply-adds on registers only, and return the number of floating-point operations."""
    cdef int wide = np.dtype(dtype) == np.float64
    return multiply_adds_table[isa_level][wide](rounds)
