"""Convolutions; the formulas are in dlfs.reference.conv, the algorithms in csrc/conv*.h.

Four algorithms, chosen by shape alone, so that the same call always gives the same bits:

- direct: sums of shifted copies. Forward, and input gradients with stride 1, which are the same
  work with the kernel flipped and the channels exchanged.
- Winograd's, for 3x3 kernels with stride 1 in float32: the same work with fewer multiplications.
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
from dlfs.reference.conv import IMAGES, OUTPUTS, OUTPUTS_1D, SEQUENCES, WEIGHTS, WEIGHTS_1D
from dlfs.windows import conv1d_window, conv2d_window

from dlfs_ext.arrays cimport (
    c_array, data, input_t, is_double, is_float_nd, output_t, same_type,
)
from dlfs_ext.instructions cimport isa_level
from dlfs_ext.options cimport cached, is_shape
from dlfs_ext.memory cimport empty_nd
from dlfs_ext.threads cimport kernel, run, threads_for

cnp.import_array()

cdef extern from "convolution/conv.h" nogil:
    ctypedef struct conv_window:
        ptrdiff_t channels, height, width, out_height, out_width
        ptrdiff_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left
    ctypedef struct conv_layout:
        conv_window window
        ptrdiff_t band, bands, images, blocks, batch, rows, copy, taps, pixels
        ptrdiff_t *source
        ptrdiff_t *target
        ptrdiff_t *offset
    ctypedef struct conv_job:
        conv_layout layout
        ptrdiff_t groups, out_channels, chunks, parts, together, height, width
        int activation
        input_t input, grad, packed, bias, values
        output_t output, sums, bias_grad
    ctypedef void conv_pack_fn(const void *weights, void *packed, ptrdiff_t in_channels,
                               ptrdiff_t out_channels, ptrdiff_t kernel_h, ptrdiff_t kernel_w,
                               const ptrdiff_t *step) noexcept
    ctypedef void winograd_pack_fn(const void *weights, void *packed, ptrdiff_t in_channels,
                                   ptrdiff_t out_channels, const ptrdiff_t *step) noexcept
    ctypedef void conv_scatter_pack_fn(const conv_job *job, const void *weights,
                                       void *packed) noexcept
    ctypedef size_t conv_size_fn(const conv_job *job) noexcept
    ctypedef double peak_fn(ptrdiff_t rounds) noexcept
    conv_pack_fn *conv_pack_table[3][2]
    winograd_pack_fn *winograd_pack_table[3][2]
    conv_scatter_pack_fn *conv_scatter_pack_table[3][2]
    conv_scatter_pack_fn *conv_columns_pack_table[3][2]
    conv_size_fn *conv_forward_scratch_table[3][2]
    conv_size_fn *conv_param_grad_sums_table[3][2]
    conv_size_fn *conv_param_grad_scratch_table[3][2]
    conv_size_fn *conv_scatter_scratch_table[3][2]
    conv_size_fn *conv_columns_scratch_table[3][2]
    conv_size_fn *winograd_scratch_table[3][2]
    kernel conv_forward_kernel, winograd_kernel, conv_columns_kernel, conv_scatter_kernel
    kernel conv_param_grad_kernel, conv_param_grad_reduce_kernel
    peak_fn *multiply_adds_table[3][2]
    void conv_measure(conv_layout *layout, ptrdiff_t band, ptrdiff_t images)
    void conv_plan(conv_layout *layout, ptrdiff_t itemsize, ptrdiff_t budget,
                   ptrdiff_t least_bands, int many_images)
    void conv_fill(conv_layout *layout)

# The copies of a task should stay in the second-level cache: half of its usual size today.
cdef ptrdiff_t COPIES = 1 << 20
# The weight gradient benefits from long rows of pixels, which it sums before it adds lanes.
cdef ptrdiff_t GRADIENT_COPIES = 1 << 21
cdef ptrdiff_t PATCHES = 1 << 18
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
    if not correlating_is_cheaper(&window, weights.shape[1] // groups, is_double(grad)):
        return scattered(grad, window, groups, weights)
    # The images read are the gradients. Kernel position (i, j) reads a pixel as far before the
    # result pixel as it was after it in the forward pass.
    turned = window
    turned.channels = weights.shape[1] // groups
    turned.height, turned.out_height = window.out_height, window.height
    turned.width, turned.out_width = window.out_width, window.width
    turned.top = (window.kernel_h - 1) * window.dilation_h - window.top
    turned.left = (window.kernel_w - 1) * window.dilation_w - window.left
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
    cdef conv_job job
    memset(&job, 0, sizeof(job))
    cdef conv_layout *layout = &job.layout
    cdef int wide = is_double(images)
    cdef ptrdiff_t itemsize = cnp.PyArray_ITEMSIZE(images)
    layout.window = window_of(images.shape[2], images.shape[3], resolved)
    layout.window.channels = shape[0]
    layout.batch = images.shape[0]
    job.groups = groups
    job.out_channels = shape[1] // groups
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
    conv_plan(layout, itemsize, GRADIENT_COPIES, 1, True)
    cdef cnp.ndarray _tables = fill(layout)
    cdef size_t sums_bytes = conv_param_grad_sums_table[isa_level][wide](&job)
    job.chunks = min(layout.blocks * layout.bands, MOST_CHUNKS,
                     max(1, MOST_CHUNK_BYTES // <ptrdiff_t>sums_bytes))
    cdef cnp.ndarray sums = empty_nd(1, [job.chunks * sums_bytes], cnp.NPY_UINT8)
    job.input, job.grad, job.output, job.sums = data(images), data(grad), data(out), data(sums)
    run(&conv_param_grad_kernel, wide, &job, job.chunks * job.groups, multiply_adds(&job), 1,
        conv_param_grad_scratch_table[isa_level][wide](&job))
    run(&conv_param_grad_reduce_kernel, wide, &job, job.groups * ((job.out_channels + 3) // 4),
        <double>job.chunks * cnp.PyArray_SIZE(out) / 4)
    return out


def conv1d(x, W, stride=1, padding=0, dilation=1, groups=1):
    check_arrays("conv1d", x=(x, SEQUENCES), W=(W, WEIGHTS_1D))
    window = resolve_1d(x.shape, W.shape, stride, padding, dilation, groups, "conv1d")
    return conv2d(x[:, :, np.newaxis], W[:, :, np.newaxis], window.stride, window.padding,
                  window.dilation, groups)[:, :, 0]


def conv1d_input_grad(output_grad, W, input_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv1d_input_grad"
    check_arrays(owner, W=(W, WEIGHTS_1D), output_grad=(output_grad, OUTPUTS_1D))
    shape = check_input_shape(input_shape, owner, 3)
    window = resolve_1d(shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], window.output[1]), owner, "output_grad")
    images = (shape[0], shape[1], 1, shape[2])
    return conv2d_input_grad(output_grad[:, :, np.newaxis], W[:, :, np.newaxis], images,
                             window.stride, window.padding, window.dilation, groups)[:, :, 0]


def conv1d_param_grad(output_grad, x, param_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv1d_param_grad"
    check_arrays(owner, x=(x, SEQUENCES), output_grad=(output_grad, OUTPUTS_1D))
    shape = check_input_shape(param_shape, owner, 3, "param_shape")
    window = resolve_1d(x.shape, shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (x.shape[0], shape[1], window.output[1]), owner, "output_grad")
    weights = (shape[0], shape[1], 1, shape[2])
    return conv2d_param_grad(output_grad[:, :, np.newaxis], x[:, :, np.newaxis], weights,
                             window.stride, window.padding, window.dilation, groups)[:, :, 0]


cdef dict _memory = {}


cdef object resolve(object input_shape, object param_shape, object stride, object padding,
                    object dilation, object groups, str owner):
    """The checked number of groups and the dlfs.windows.Window."""
    return cached(_memory, conv2d_window,
                  (input_shape, param_shape, stride, padding, dilation, groups), owner)


cdef dict _memory_1d = {}


cdef object resolve_1d(object input_shape, object param_shape, object stride, object padding,
                       object dilation, object groups, str owner):
    """The same for sequences, seen as images of height 1."""
    return cached(_memory_1d, conv1d_window,
                  (input_shape, param_shape, stride, padding, dilation, groups), owner)


cdef conv_window window_of(ptrdiff_t height, ptrdiff_t width, object resolved) except *:
    """The C form of dlfs.windows.Window; without channels."""
    cdef conv_window w
    memset(&w, 0, sizeof(w))
    w.height, w.width = height, width
    w.kernel_h, w.kernel_w = resolved.kernel
    w.out_height, w.out_width = resolved.output
    (w.top, _), (w.left, _) = resolved.padding
    # With a single position the step between positions is unused, and may be so large that a
    # memory layout with it would not be possible.
    w.stride_h = resolved.stride[0] if w.out_height > 1 else 1
    w.stride_w = resolved.stride[1] if w.out_width > 1 else 1
    w.dilation_h = resolved.dilation[0] if w.kernel_h > 1 else 1
    w.dilation_w = resolved.dilation[1] if w.kernel_w > 1 else 1
    return w


cdef bint correlating_is_cheaper(const conv_window *w, ptrdiff_t out_channels, int wide) noexcept:
    """Estimate, in cycles per vector, whether shifted copies are cheaper than columns."""
    if w.stride_h != 1 or w.stride_w != 1:
        return False
    cdef double taps = w.kernel_h * w.kernel_w, channels = w.channels
    # With one result, the unaligned load for each multiply-add dominates the time.
    cdef double sums = channels + (2 if w.channels == 1 else 0)
    if winograd_pays(w, w.channels, out_channels, wide):
        sums *= 0.6
    # Measured: 7.5 cycles to copy a vector; 14 to store and add one of a column's sums, half of
    # which long sums hide.
    cdef double adding = 14 if out_channels * w.kernel_h < 150 else 7
    cdef double copies = out_channels * (taps * sums + 7.5 * w.kernel_w) * w.width
    cdef double columns = channels * (taps * out_channels + adding * w.kernel_w) * w.out_width
    return copies < columns


cdef bint winograd_pays(const conv_window *w, ptrdiff_t channels, ptrdiff_t out_channels,
                        int wide) noexcept:
    """Winograd's algorithm is used only for float32, because it loses digits."""
    return (not wide and w.kernel_h == 3 and w.kernel_w == 3 and w.stride_h == 1
            and w.stride_w == 1 and w.dilation_h == 1 and w.dilation_w == 1
            and channels >= 8 and out_channels >= 8 and w.out_height >= 4 and w.out_width >= 4)


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
    cdef conv_job job
    memset(&job, 0, sizeof(job))
    cdef conv_layout *layout = &job.layout
    layout.window = window
    layout.batch = batch
    job.groups = groups
    job.out_channels = out_channels
    cdef object bias = None if bias_ is None else c_array(bias_)
    job.input, job.output, job.bias = data(images), data(out), data(bias)
    job.activation = activation
    layout.taps = window.channels * window.kernel_h * window.kernel_w
    cdef double cost = multiply_adds(&job)
    cdef ptrdiff_t wanted = threads_for(cost)
    cdef ptrdiff_t least_bands = (wanted + batch * groups - 1) // (batch * groups)
    cdef bint winograd = winograd_pays(&window, window.channels, out_channels, wide)
    if winograd:
        plan_winograd(&job, itemsize, least_bands)
        size = 16 * window.channels * out_channels
    else:
        conv_plan(layout, itemsize, COPIES, least_bands, True)
        size = layout.taps * out_channels
    cdef cnp.ndarray _tables = fill(layout)
    cdef cnp.ndarray packed = empty_nd(1, [groups * size], typenum)
    job.packed = data(packed)
    cdef const char *source = <const char *>data(weights)
    cdef char *target = <char *>data(packed)
    with nogil:
        for group in range(groups):
            if winograd:
                winograd_pack_table[isa_level][wide](
                    source + (start + group * group_step) * itemsize,
                    target + group * size * itemsize, window.channels, out_channels, step)
            else:
                conv_pack_table[isa_level][wide](
                    source + (start + group * group_step) * itemsize,
                    target + group * size * itemsize, window.channels, out_channels,
                    window.kernel_h, window.kernel_w, step)
    if winograd:
        run(&winograd_kernel, wide, &job,
            (layout.batch + job.together - 1) // job.together * groups * layout.bands, cost, 1,
            winograd_scratch_table[isa_level][wide](&job))
    else:
        run(&conv_forward_kernel, wide, &job, layout.blocks * groups * layout.bands, cost, 1,
            conv_forward_scratch_table[isa_level][wide](&job))
    return out


cdef void plan_winograd(conv_job *job, ptrdiff_t itemsize, ptrdiff_t least_bands) noexcept:
    """Lay out the patches: windows of 4x4 pixels, 2 apart, each of which gives 2x2 outputs."""
    cdef conv_window *w = &job.layout.window
    job.height, job.width = w.out_height, w.out_width
    w.kernel_h = w.kernel_w = 4
    w.stride_h = w.stride_w = 2
    w.out_height, w.out_width = (job.height + 1) // 2, (job.width + 1) // 2
    cdef ptrdiff_t patches = max(64, PATCHES // (16 * w.channels * itemsize))
    cdef ptrdiff_t area = w.out_height * w.out_width
    cdef ptrdiff_t bands = min(w.out_height, max(least_bands, (area + patches - 1) // patches))
    conv_measure(&job.layout, (w.out_height + bands - 1) // bands, 1)
    job.together = 1
    if job.layout.bands == 1:
        job.together = max(1, min(job.layout.batch, patches // area))
        # Blocks of equal size, at least one for each thread.
        blocks = (job.layout.batch + job.together - 1) // job.together
        job.together = (job.layout.batch + blocks - 1) // blocks


cdef cnp.ndarray scattered(cnp.ndarray grad, conv_window window, ptrdiff_t groups,
                           cnp.ndarray weights):
    """The input gradient by columns or, for strides other than 1, by scattering."""
    cdef int wide = is_double(grad), typenum = cnp.PyArray_TYPE(grad)
    cdef ptrdiff_t batch = grad.shape[0]
    cdef cnp.ndarray out = empty_nd(
        4, [batch, groups * window.channels, window.height, window.width], typenum)
    if batch == 0:
        return out
    cdef conv_job job
    memset(&job, 0, sizeof(job))
    job.layout.window = window
    job.layout.batch = batch
    job.layout.taps = window.channels * window.kernel_h * window.kernel_w
    job.groups = groups
    job.out_channels = weights.shape[1] // groups
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
