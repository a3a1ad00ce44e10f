"""Direct loops: every product and sum written as in the definitions.

This is the first version of the compiled backend, to read next to `dlfs.reference`. It uses only
typed memoryviews and two fused dtypes; `dlfs.use_backend("plain")` runs it. It has loops for the
layers of a small network, and takes everything else from the reference.

The loops are simple and therefore slow: the fast kernels compute the same sums in registers,
several numbers at a time. Every function checks its arguments in Python first; after that, no
bounds are checked.
"""

from libc.math cimport INFINITY, exp, log1p
from libc.math cimport tanh as c_tanh

import numpy as np

from dlfs.checks import check_input_shape, check_range, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference import KERNELS
from dlfs.reference.conv import IMAGES, OUTPUTS, WEIGHTS
from dlfs.reference.dense import FEATURES, PER_FEATURE
from dlfs.reference.pooling import position_dtype
from dlfs.reference.recurrent import SEQUENCE, STATE
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


def bias_add(x, b):
    check_arrays("bias_add", x=(x, FEATURES), b=(b, PER_FEATURE))
    # Seen as (outer, features, inner): inner is the number of pixels of a channel, or 1.
    cdef Py_ssize_t inner = np.prod(x.shape[2:], dtype=int)
    rows = _aligned(x).reshape((*x.shape[:2], inner))
    output = np.empty(rows.shape, x.dtype)
    if x.dtype == np.float32:
        add_bias[float](rows, _aligned(b).reshape(-1), output)
    else:
        add_bias[double](rows, _aligned(b).reshape(-1), output)
    return output.reshape(x.shape)


cdef void add_bias(const real[:, :, :] x, const real[:] b, real[:, :, :] output) noexcept:
    cdef Py_ssize_t row, feature, i
    with nogil:
        for row in range(x.shape[0]):
            for feature in range(x.shape[1]):
                for i in range(x.shape[2]):
                    output[row, feature, i] = x[row, feature, i] + b[feature]


def bias_add_param_grad(output_grad):
    check_arrays("bias_add_param_grad", output_grad=(output_grad, FEATURES))
    cdef Py_ssize_t inner = np.prod(output_grad.shape[2:], dtype=int)
    rows = _aligned(output_grad).reshape((*output_grad.shape[:2], inner))
    sums = np.zeros(output_grad.shape[1], output_grad.dtype)
    if output_grad.dtype == np.float32:
        sum_features[float](rows, sums)
    else:
        sum_features[double](rows, sums)
    return sums.reshape((1, -1, *(1,) * (output_grad.ndim - 2)))


cdef void sum_features(const real[:, :, :] output_grad, real[:] sums) noexcept:
    cdef Py_ssize_t row, feature, i
    with nogil:
        for row in range(output_grad.shape[0]):
            for feature in range(output_grad.shape[1]):
                for i in range(output_grad.shape[2]):
                    sums[feature] += output_grad[row, feature, i]


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


def sigmoid_grad(output_grad, output):
    return _from_output(output_grad, output, "sigmoid_grad", True)


def tanh_grad(output_grad, output):
    return _from_output(output_grad, output, "tanh_grad", False)


def _from_output(output_grad, output, owner, is_sigmoid):
    """The gradient of an activation whose derivative is a formula of its output."""
    check_arrays(owner, output=(output, "..."), output_grad=(output_grad, "..."))
    input_grad = np.empty(output.shape, output.dtype)
    arrays = (_aligned(output_grad).reshape(-1), _aligned(output).reshape(-1))
    if output.dtype == np.float32:
        apply_from_output[float](arrays[0], arrays[1], input_grad.reshape(-1), is_sigmoid)
    else:
        apply_from_output[double](arrays[0], arrays[1], input_grad.reshape(-1), is_sigmoid)
    return input_grad


cdef void apply_from_output(const real[:] output_grad, const real[:] y, real[:] input_grad,
                            bint is_sigmoid) noexcept:
    cdef Py_ssize_t i
    for i in range(y.shape[0]):
        if is_sigmoid:
            input_grad[i] = output_grad[i] * y[i] * (1 - y[i])
        else:
            input_grad[i] = output_grad[i] * (1 - y[i] * y[i])


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
    places = positions.astype(np.int32)
    if output_grad.dtype == np.float32:
        spread[float](_aligned(output_grad), places, input_grad, geometry(window))
    else:
        spread[double](_aligned(output_grad), places, input_grad, geometry(window))
    return input_grad


cdef void spread(const real[:, :, :, :] output_grad, const int[:, :, :, :] positions,
                 real[:, :, :, :] input_grad, Geometry g) noexcept:
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


# A loss: class labels without smoothing and weights; the rest comes from the reference.


def softmax_cross_entropy(prediction, target, label_smoothing=0.0, weights=None):
    result = KERNELS["softmax_cross_entropy"](prediction, target, label_smoothing, weights)
    if target.ndim != 1 or label_smoothing or weights is not None:
        return result
    grad = np.empty(prediction.shape, prediction.dtype)
    labels = target.astype(np.int64)
    if prediction.dtype == np.float32:
        loss = cross_entropy[float](_aligned(prediction), labels, grad)
    else:
        loss = cross_entropy[double](_aligned(prediction), labels, grad)
    return loss / len(target), grad


cdef double cross_entropy(const real[:, :] prediction, const long long[:] labels,
                          real[:, :] grad) noexcept:
    """Sum of -log(softmax(prediction)[label]) over the rows."""
    cdef Py_ssize_t row, i, largest, batch = prediction.shape[0], classes = prediction.shape[1]
    cdef double total = 0, rest
    with nogil:
        for row in range(batch):
            largest = 0
            for i in range(1, classes):
                if prediction[row, i] > prediction[row, largest]:
                    largest = i
            # The sum of exp(p - largest p), without the largest's own 1.
            rest = 0
            for i in range(classes):
                if i != largest:
                    rest += exp(<double>prediction[row, i] - prediction[row, largest])
            total += (log1p(rest) + prediction[row, largest]
                      - <double>prediction[row, labels[row]])
            for i in range(classes):
                grad[row, i] = <real>((exp(<double>prediction[row, i] - prediction[row, largest])
                                       / (1 + rest) - (i == labels[row])) / batch)
    return total


# A recurrent layer


def rnn(z, h0, W_h):
    check_arrays("rnn", W_h=(W_h, "hidden hidden"), z=(z, SEQUENCE), h0=(h0, STATE))
    h = np.empty(z.shape, z.dtype)
    if z.dtype == np.float32:
        steps[float](_aligned(z), _aligned(h0), _aligned(W_h), h)
    else:
        steps[double](_aligned(z), _aligned(h0), _aligned(W_h), h)
    return h


cdef void steps(const real[:, :, :] z, const real[:, :] h0, const real[:, :] W_h,
                real[:, :, :] h) noexcept:
    """h_t = tanh(z_t + h_(t-1) W_h)."""
    cdef Py_ssize_t row, t, i, j
    cdef real total
    with nogil:
        for row in range(z.shape[0]):
            for t in range(z.shape[1]):
                for j in range(z.shape[2]):
                    total = z[row, t, j]
                    for i in range(z.shape[2]):
                        total += (h[row, t - 1, i] if t > 0 else h0[row, i]) * W_h[i, j]
                    h[row, t, j] = <real>c_tanh(total)


# Everything without a loop here comes from the reference.
for _name, _kernel in KERNELS.items():
    globals().setdefault(_name, _kernel).__doc__ = _kernel.__doc__
