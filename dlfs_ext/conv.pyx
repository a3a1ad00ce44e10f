"""Convolutions; the formulas are in dlfs.reference.conv, the algorithms in csrc/convolution/.

Six algorithms; conv_choice.h chooses by shape and dtype alone, so that the same call always gives
the same bits:

- direct: sums of shifted copies. Forward, weight gradients, and input gradients with stride 1,
  which are a forward pass with the kernel flipped and the channels exchanged.
- channels last: the same sums with other vectors, where images are small and channels many.
- Winograd's, for 3x3 kernels with stride 1: channels last, with fewer multiplications.
- depthwise, where each group has one channel in and one out.
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
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.options cimport cached, is_shape
from dlfs_ext.memory cimport empty_nd
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
        int winograd, in_place, activation
        input_t input, grad, packed, bias, values
        output_t output, sums, bias_grad
    ctypedef void conv_pack_fn(const void *weights, void *packed, ptrdiff_t in_channels,
                               ptrdiff_t out_channels, ptrdiff_t kernel_h, ptrdiff_t kernel_w,
                               const ptrdiff_t *step) noexcept
    ctypedef void last_pack_fn(const conv_job *job, const void *weights, void *packed,
                               const ptrdiff_t *step) noexcept
    ctypedef void conv_scatter_pack_fn(const conv_job *job, const void *weights,
                                       void *packed) noexcept
    ctypedef size_t conv_size_fn(const conv_job *job) noexcept
    ctypedef conv_size_fn *size_table[3][2]
    ctypedef double peak_fn(ptrdiff_t rounds) noexcept
    conv_pack_fn *conv_pack_table[3][2]
    conv_scatter_pack_fn *conv_scatter_pack_table[3][2]
    conv_scatter_pack_fn *conv_columns_pack_table[3][2]
    last_pack_fn *last_pack_table[3][2]
    size_table conv_forward_scratch_table, conv_param_grad_sums_table
    size_table conv_param_grad_scratch_table, conv_scatter_scratch_table
    size_table conv_columns_scratch_table, depthwise_scratch_table, last_packed_table
    size_table last_forward_scratch_table, last_sums_table, last_outer_scratch_table
    size_table last_reduce_scratch_table
    kernel last_forward_kernel, last_outer_kernel, last_reduce_kernel
    kernel depthwise_kernel, depthwise_grad_kernel
    kernel conv_forward_kernel, conv_columns_kernel, conv_scatter_kernel
    kernel conv_param_grad_kernel, conv_param_grad_reduce_kernel
    peak_fn *multiply_adds_table[3][2]
    void conv_measure(conv_layout *layout, ptrdiff_t band, ptrdiff_t images)
    void conv_plan(conv_layout *layout, ptrdiff_t itemsize, ptrdiff_t budget,
                   ptrdiff_t least_bands, int many_images)
    void conv_fill(conv_layout *layout)
    void conv_plan_last(conv_job *job, ptrdiff_t points, ptrdiff_t least_tasks)
    void conv_plan_phases(conv_job *job, const conv_window *forward, ptrdiff_t points,
                          ptrdiff_t least_tasks)
    int conv_is_pointwise(const conv_window *w)
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
# Enough to occupy the threads of a large machine; each needs as much memory as the weights.
cdef ptrdiff_t MOST_CHUNKS = 16
cdef ptrdiff_t MOST_CHUNK_BYTES = 1 << 26


def conv2d(x, W, stride=1, padding=0, dilation=1, groups=1):
    if not (is_float_nd(x, 4) and is_float_nd(W, 4) and same_type(x, W)):
        check_arrays("conv2d", x=(x, IMAGES), W=(W, WEIGHTS))
    groups, resolved = resolve(x.shape, W.shape, stride, padding, dilation, groups, "conv2d")
    return convolve(x, W, groups, resolved, None, 0)


cdef cnp.ndarray convolve(object x, object W, ptrdiff_t groups, object resolved, object bias,
                          int activation):
    """conv2d of checked arguments and a Window; with a bias, activation(conv2d(x, W) + bias)."""
    cdef cnp.ndarray images = c_array(x), weights = c_array(W)
    cdef conv_window window = window_of(images.shape[2], images.shape[3], resolved)
    cdef ptrdiff_t taps = window.kernel_h * window.kernel_w
    cdef ptrdiff_t out_channels = weights.shape[1] // groups
    window.channels = weights.shape[0]
    if conv_choose_forward(&window, out_channels, groups, is_double(images)) == CONV_DEPTHWISE:
        return depthwise(images, window, 1, 1, groups, weights, bias, activation)
    return correlate(images, window, groups, weights,
                     [weights.shape[1] * taps, taps, window.kernel_w, 1], 0, out_channels * taps,
                     out_channels, bias, activation)


def conv2d_input_grad(output_grad, W, input_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_input_grad"
    if not (is_float_nd(output_grad, 4) and is_float_nd(W, 4) and same_type(output_grad, W)):
        check_arrays(owner, W=(W, WEIGHTS), output_grad=(output_grad, OUTPUTS))
    shape = input_shape if is_shape(input_shape, 4) else check_input_shape(input_shape, owner, 4)
    groups, resolved = resolve(shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], *resolved.output), owner, "output_grad")
    cdef cnp.ndarray grad = c_array(output_grad), weights = c_array(W)
    cdef conv_window window = window_of(shape[2], shape[3], resolved), turned
    cdef ptrdiff_t taps = window.kernel_h * window.kernel_w
    window.channels = weights.shape[0]
    cdef int algorithm = conv_choose_input_grad(
        &window, weights.shape[1] // groups, groups, is_double(grad))
    if algorithm == CONV_COLUMNS or algorithm == CONV_SCATTERING:
        return scattered(grad, window, groups, weights)
    if algorithm == CONV_CHANNELS_LAST and (window.stride_h > 1 or window.stride_w > 1):
        return input_grad_by_phases(grad, window, groups, weights)
    # The images read are the gradients. Kernel position (i, j) reads a pixel as far before the
    # result pixel as it was after it in the forward pass.
    turned = window
    turned.channels = weights.shape[1] // groups
    turned.height, turned.out_height = window.out_height, window.height
    turned.width, turned.out_width = window.out_width, window.width
    turned.top = (window.kernel_h - 1) * window.dilation_h - window.top
    turned.left = (window.kernel_w - 1) * window.dilation_w - window.left
    if algorithm == CONV_DEPTHWISE:
        # The strides are then those of the gradients, apart from each other.
        turned.stride_h = turned.stride_w = 1
        return depthwise(grad, turned, window.stride_h, window.stride_w, groups,
                         c_array(W[:, :, ::-1, ::-1]), None, 0)
    return correlate(grad, turned, groups, weights,
                     [taps, weights.shape[1] * taps, -window.kernel_w, -1], taps - 1,
                     turned.channels * taps, window.channels, None, 0)


def conv2d_param_grad(output_grad, x, param_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv2d_param_grad"
    if not (is_float_nd(output_grad, 4) and is_float_nd(x, 4) and same_type(output_grad, x)):
        check_arrays(owner, x=(x, IMAGES), output_grad=(output_grad, OUTPUTS))
    shape = param_shape
    if not is_shape(shape, 4):
        shape = check_input_shape(shape, owner, 4, "param_shape")
    groups, resolved = resolve(x.shape, shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (x.shape[0], shape[1], *resolved.output), owner, "output_grad")
    return weight_gradient(output_grad, x, shape, groups, resolved, None, None, 0)


cdef cnp.ndarray weight_gradient(object output_grad, object x, object shape, ptrdiff_t groups,
                                 object resolved, object output, object bias_grad, int activation):
    """Checked arguments; output and bias_grad (filled here) only if an activation follows."""
    cdef cnp.ndarray grad = c_array(output_grad), images = c_array(x), values
    cdef conv_window window = window_of(images.shape[2], images.shape[3], resolved)
    window.channels = shape[0]
    cdef conv_job job = job_of(window, images.shape[0], groups, shape[1] // groups)
    cdef conv_layout *layout = &job.layout
    cdef int wide = is_double(images)
    cdef cnp.ndarray out = empty_nd(
        4, [shape[0], shape[1], shape[2], shape[3]], cnp.PyArray_TYPE(images))
    if output is not None:
        values = c_array(output)
        job.values, job.bias_grad, job.activation = data(values), data(bias_grad), activation
    if layout.batch == 0:
        out.fill(0)
        if bias_grad is not None:
            bias_grad.fill(0)
        return out
    job.input, job.grad, job.output = data(images), data(grad), data(out)
    cdef double cost = multiply_adds(&job)
    cdef int algorithm = conv_choose_param_grad(&layout.window, job.out_channels, groups, wide)
    if algorithm == CONV_DEPTHWISE:
        job.apart_h = job.apart_w = 1
        run(&depthwise_grad_kernel, wide, &job, groups, cost, 1,
            depthwise_scratch_table[isa_level][wide](&job))
        return out
    if algorithm != CONV_DIRECT:
        job.winograd = algorithm == CONV_WINOGRAD
        last_weights(&job, wide, cost)
        return out
    job.in_place = conv_is_pointwise(&layout.window)
    conv_plan(layout, cnp.PyArray_ITEMSIZE(images), GRADIENT_COPIES, 1, not job.in_place)
    if job.in_place:
        layout.copy = layout.window.height * layout.window.width
    cdef cnp.ndarray _tables = fill(layout)
    cdef size_t sums_bytes = conv_param_grad_sums_table[isa_level][wide](&job)
    job.chunks = min(layout.blocks * layout.bands, MOST_CHUNKS,
                     max(1, MOST_CHUNK_BYTES // <ptrdiff_t>sums_bytes))
    cdef cnp.ndarray sums = empty_nd(1, [job.chunks * sums_bytes], cnp.NPY_UINT8)
    job.sums = data(sums)
    run(&conv_param_grad_kernel, wide, &job, job.chunks * job.groups, cost, 1,
        conv_param_grad_scratch_table[isa_level][wide](&job))
    run(&conv_param_grad_reduce_kernel, wide, &job, job.groups * ((job.out_channels + 3) // 4),
        <double>job.chunks * cnp.PyArray_SIZE(out) / 4)
    return out


cdef int last_weights(conv_job *job, int wide, double cost) except -1:
    """The weight gradient with the channels last."""
    cdef conv_layout *layout = &job.layout
    cdef ptrdiff_t channels = layout.window.channels
    conv_plan_last(job, GRADIENT_PATCHES if job.winograd else GRADIENT_PIXELS, 1)
    job.in_blocks = (channels + GRADIENT_CHANNELS - 1) // GRADIENT_CHANNELS
    job.out_blocks = (job.out_channels + GRADIENT_CHANNELS - 1) // GRADIENT_CHANNELS
    cdef size_t sums_bytes = last_sums_table[isa_level][wide](job)
    cdef ptrdiff_t points = layout.batch * layout.window.out_height * layout.window.out_width
    job.chunks = max(1, min(layout.blocks * layout.bands, MOST_CHUNKS, points // 512,
                            MOST_CHUNK_BYTES // <ptrdiff_t>sums_bytes))
    cdef cnp.ndarray sums = empty_nd(1, [job.chunks * sums_bytes], cnp.NPY_UINT8)
    job.sums = data(sums)
    cdef ptrdiff_t tasks = job.chunks * job.groups * job.out_blocks * job.in_blocks
    run(&last_outer_kernel, wide, job, tasks, cost, 1,
        last_outer_scratch_table[isa_level][wide](job))
    run(&last_reduce_kernel, wide, job, job.groups * ((channels + 15) // 16),
        <double>job.chunks * sums_bytes / 16, 1, last_reduce_scratch_table[isa_level][wide](job))
    return 0


cdef dict _memory = {}


cdef object resolve(object input_shape, object param_shape, object stride, object padding,
                    object dilation, object groups, str owner):
    """The checked number of groups and the dlfs.windows.Window."""
    return cached(_memory, conv2d_window,
                  (input_shape, param_shape, stride, padding, dilation, groups), owner)


cdef conv_window window_of(ptrdiff_t height, ptrdiff_t width, object resolved) except *:
    """The C form of dlfs.windows.Window; without channels."""
    cdef conv_window w
    memset(&w, 0, sizeof(w))
    w.height, w.width = height, width
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
    cdef conv_window w = window_of(input_shape[2], input_shape[3], resolved)
    cdef int wide = np.dtype(dtype) == np.float64
    cdef ptrdiff_t out_channels = param_shape[1] // groups
    w.channels = param_shape[0]
    names = ("direct", "channels last", "winograd", "depthwise", "columns", "scattering")
    return (names[conv_choose_forward(&w, out_channels, groups, wide)],
            names[conv_choose_input_grad(&w, out_channels, groups, wide)],
            names[conv_choose_param_grad(&w, out_channels, groups, wide)])


cdef conv_job job_of(conv_window window, ptrdiff_t batch, ptrdiff_t groups,
                     ptrdiff_t out_channels) noexcept:
    """The sizes of a call; all other fields are 0."""
    cdef conv_job job
    memset(&job, 0, sizeof(job))
    job.layout.window, job.layout.batch = window, batch
    job.layout.taps = window.channels * window.kernel_h * window.kernel_w
    job.groups, job.out_channels = groups, out_channels
    return job


cdef double multiply_adds(const conv_job *job) noexcept:
    cdef const conv_layout *layout = &job.layout
    return (<double>layout.batch * job.groups * layout.taps * job.out_channels
            * layout.window.out_height * layout.window.out_width)


cdef cnp.ndarray fill(conv_layout *layout):
    """Fill the layout's tables; the returned array owns their memory."""
    cdef cnp.ndarray tables = empty_nd(1, [2 * layout.rows + layout.taps], cnp.NPY_INTP)
    layout.source = <ptrdiff_t *>data(tables)
    layout.target = layout.source + layout.rows
    layout.offset = layout.target + layout.rows
    conv_fill(layout)
    return tables


cdef cnp.ndarray correlate(cnp.ndarray images, conv_window window, ptrdiff_t groups,
                           cnp.ndarray weights, const ptrdiff_t *step, ptrdiff_t start,
                           ptrdiff_t group_step, ptrdiff_t out_channels, object bias_,
                           int activation):
    """Sum over each window; `start`, `step` and `group_step` locate the weights."""
    cdef int wide = is_double(images), typenum = cnp.PyArray_TYPE(images)
    cdef ptrdiff_t itemsize = cnp.PyArray_ITEMSIZE(images), group, size
    cdef ptrdiff_t batch = images.shape[0]
    cdef cnp.ndarray out = empty_nd(
        4, [batch, groups * out_channels, window.out_height, window.out_width], typenum)
    if batch == 0:
        return out
    cdef conv_job job = job_of(window, batch, groups, out_channels)
    cdef conv_layout *layout = &job.layout
    cdef object bias = None if bias_ is None else c_array(bias_)
    job.input, job.output, job.bias = data(images), data(out), data(bias)
    job.activation = activation
    cdef double cost = multiply_adds(&job)
    cdef ptrdiff_t wanted = threads_for(cost)
    cdef ptrdiff_t least_bands = (wanted + batch * groups - 1) // (batch * groups)
    cdef int algorithm = conv_choose_correlation(
        &window, window.channels, out_channels, window.out_height, window.out_width)
    if algorithm != CONV_DIRECT:
        job.winograd = algorithm == CONV_WINOGRAD
        conv_plan_last(&job, points_of(&job, itemsize), wanted)
        convolve_last(&job, wide, <const char *>data(weights) + start * itemsize,
                      group_step * itemsize, step, cost)
        return out
    job.in_place = conv_is_pointwise(&window)
    conv_plan(layout, itemsize, COPIES, least_bands, not job.in_place)
    if job.in_place:
        conv_measure(layout, (window.height + least_bands - 1) // least_bands, 1)
        layout.copy = window.height * window.width
    cdef cnp.ndarray _tables = fill(layout)
    size = layout.taps * out_channels
    cdef cnp.ndarray packed = empty_nd(1, [groups * size], typenum)
    job.packed = data(packed)
    cdef const char *source = <const char *>data(weights)
    cdef char *target = <char *>data(packed)
    with nogil:
        for group in range(groups):
            conv_pack_table[isa_level][wide](
                source + (start + group * group_step) * itemsize,
                target + group * size * itemsize, window.channels, out_channels,
                window.kernel_h, window.kernel_w, step)
    run(&conv_forward_kernel, wide, &job, layout.blocks * groups * layout.bands, cost, 1,
        conv_forward_scratch_table[isa_level][wide](&job))
    return out


cdef int convolve_last(conv_job *job, int wide, const char *weights, ptrdiff_t group_bytes,
                       const ptrdiff_t *step, double cost) except -1:
    """With the channels last, as planned; `weights` are those of the first group and position."""
    cdef cnp.ndarray tables = empty_nd(1, [job.kernel_size], cnp.NPY_INTP)
    job.tables = <ptrdiff_t *>data(tables)
    cdef size_t packed_bytes = last_packed_table[isa_level][wide](job)
    cdef cnp.ndarray packed = empty_nd(1, [job.groups * packed_bytes], cnp.NPY_UINT8)
    cdef char *target = <char *>data(packed)
    cdef ptrdiff_t group
    job.packed = target
    with nogil:
        for group in range(job.groups):
            last_pack_table[isa_level][wide](
                job, weights + group * group_bytes, target + group * packed_bytes, step)
    run(&last_forward_kernel, wide, job, job.layout.blocks * job.groups * job.layout.bands, cost,
        1, last_forward_scratch_table[isa_level][wide](job))
    return 0


cdef ptrdiff_t points_of(const conv_job *job, ptrdiff_t itemsize) noexcept:
    """Points of a block, for the forward pass and the input gradient."""
    cdef ptrdiff_t each = job.layout.window.channels * itemsize * (16 if job.winograd else 1)
    return max(64, min(512, POINTS // each))


cdef cnp.ndarray input_grad_by_phases(cnp.ndarray grad, conv_window window, ptrdiff_t groups,
                                      cnp.ndarray weights):
    """With the channels last, for strides other than 1."""
    cdef int wide = is_double(grad)
    cdef ptrdiff_t itemsize = cnp.PyArray_ITEMSIZE(grad), batch = grad.shape[0]
    cdef ptrdiff_t out_channels = weights.shape[1] // groups
    cdef ptrdiff_t taps = window.kernel_h * window.kernel_w
    cdef cnp.ndarray out = empty_nd(
        4, [batch, groups * window.channels, window.height, window.width], cnp.PyArray_TYPE(grad))
    if batch == 0:
        return out
    cdef conv_job job = job_of(window, batch, groups, out_channels)
    cdef double cost = multiply_adds(&job)
    # The images read are the gradients.
    job.input, job.output = data(grad), data(out)
    job.layout.window.channels, job.out_channels = out_channels, window.channels
    conv_plan_phases(&job, &window, points_of(&job, itemsize), threads_for(cost))
    convolve_last(&job, wide, <const char *>data(weights), out_channels * taps * itemsize,
                  [taps, weights.shape[1] * taps, window.kernel_w, 1], cost)
    return out


cdef cnp.ndarray depthwise(cnp.ndarray images, conv_window window, ptrdiff_t apart_h,
                           ptrdiff_t apart_w, ptrdiff_t groups, cnp.ndarray weights, object bias_,
                           int activation):
    """Each plane with its own kernel; its pixels are `apart` from each other, zeros between."""
    cdef int wide = is_double(images)
    cdef ptrdiff_t batch = images.shape[0]
    cdef cnp.ndarray out = empty_nd(
        4, [batch, groups, window.out_height, window.out_width], cnp.PyArray_TYPE(images))
    cdef object bias = None if bias_ is None else c_array(bias_)
    cdef conv_job job = job_of(window, batch, groups, 1)
    job.apart_h, job.apart_w = apart_h, apart_w
    job.input, job.output, job.packed = data(images), data(out), data(weights)
    job.bias, job.activation = data(bias), activation
    run(&depthwise_kernel, wide, &job, batch * groups, multiply_adds(&job), 1,
        depthwise_scratch_table[isa_level][wide](&job))
    return out


cdef cnp.ndarray scattered(cnp.ndarray grad, conv_window window, ptrdiff_t groups,
                           cnp.ndarray weights):
    """The input gradient by columns or, for strides other than 1, by scattering."""
    cdef int wide = is_double(grad), typenum = cnp.PyArray_TYPE(grad)
    cdef ptrdiff_t batch = grad.shape[0]
    cdef cnp.ndarray out = empty_nd(
        4, [batch, groups * window.channels, window.height, window.width], typenum)
    if batch == 0:
        return out
    cdef conv_job job = job_of(window, batch, groups, weights.shape[1] // groups)
    job.grad, job.output = data(grad), data(out)
    cdef double cost = multiply_adds(&job)
    cdef ptrdiff_t wanted = threads_for(cost)
    job.parts = min(window.channels, (wanted + batch * groups - 1) // (batch * groups))
    cdef cnp.ndarray packed = empty_nd(1, [cnp.PyArray_SIZE(weights)], typenum)
    job.packed = data(packed)
    cdef ptrdiff_t tasks = batch * groups * job.parts
    if window.stride_h == 1 and window.stride_w == 1:
        conv_columns_pack_table[isa_level][wide](&job, data(weights), data(packed))
        run(&conv_columns_kernel, wide, &job, tasks, cost, 1,
            conv_columns_scratch_table[isa_level][wide](&job))
    else:
        conv_scatter_pack_table[isa_level][wide](&job, data(weights), data(packed))
        run(&conv_scatter_kernel, wide, &job, tasks, cost, 1,
            conv_scatter_scratch_table[isa_level][wide](&job))
    return out


def _peak_work(dtype="float64", rounds=100_000):
    """Run multiply-adds on registers only, and return the number of floating-point operations."""
    cdef int wide = np.dtype(dtype) == np.float64
    cdef ptrdiff_t n = rounds
    cdef double operations
    with nogil:
        operations = multiply_adds_table[isa_level][wide](n)
    return operations
