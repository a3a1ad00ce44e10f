"""Convolutions that conv2d computes in another form: of sequences, and transposed.

Sequences are images of height 1 (dlfs.reference.conv). The output of a transposed convolution is
the input gradient of a convolution, and its input gradient is a convolution; only the weights'
channels are exchanged, within each group (dlfs.reference.conv_transpose).
"""

from dlfs.checks import check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.conv import IMAGES, OUTPUTS, OUTPUTS_1D, SEQUENCES, WEIGHTS, WEIGHTS_1D
from dlfs.reference.conv_transpose import swap_channels
from dlfs.windows import conv1d_window, conv_transpose2d_window
from dlfs_ext.conv import conv2d, conv2d_input_grad, conv2d_param_grad

from dlfs_ext.options cimport cached

cdef dict _memory = {}


def conv1d(x, W, stride=1, padding=0, dilation=1, groups=1):
    check_arrays("conv1d", x=(x, SEQUENCES), W=(W, WEIGHTS_1D))
    window = cached(
        _memory, conv1d_window, (x.shape, W.shape, stride, padding, dilation, groups), "conv1d")
    return conv2d(x[:, :, None], W[:, :, None], *window.options, groups)[:, :, 0]


def conv1d_input_grad(output_grad, W, input_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv1d_input_grad"
    check_arrays(owner, W=(W, WEIGHTS_1D), output_grad=(output_grad, OUTPUTS_1D))
    shape = check_input_shape(input_shape, owner, 3)
    window = cached(
        _memory, conv1d_window, (shape, W.shape, stride, padding, dilation, groups), owner)
    check_shape(output_grad, (shape[0], W.shape[1], window.output[1]), owner, "output_grad")
    return conv2d_input_grad(output_grad[:, :, None], W[:, :, None],
                             (*shape[:2], 1, shape[2]), *window.options, groups)[:, :, 0]


def conv1d_param_grad(output_grad, x, param_shape, stride=1, padding=0, dilation=1, groups=1):
    owner = "conv1d_param_grad"
    check_arrays(owner, x=(x, SEQUENCES), output_grad=(output_grad, OUTPUTS_1D))
    shape = check_input_shape(param_shape, owner, 3, "param_shape")
    window = cached(
        _memory, conv1d_window, (x.shape, shape, stride, padding, dilation, groups), owner)
    check_shape(output_grad, (x.shape[0], shape[1], window.output[1]), owner, "output_grad")
    return conv2d_param_grad(output_grad[:, :, None], x[:, :, None],
                             (*shape[:2], 1, shape[2]), *window.options, groups)[:, :, 0]


def conv_transpose2d(x, W, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    owner = "conv_transpose2d"
    check_arrays(owner, x=(x, IMAGES), W=(W, WEIGHTS))
    window = turned_window(x.shape, W.shape, stride, padding, output_padding, dilation, groups,
                           owner)
    shape = (x.shape[0], W.shape[1], *window.output)
    return conv2d_input_grad(x, swap_channels(W, groups), shape, *window.options, groups)


def conv_transpose2d_input_grad(output_grad, W, input_shape, stride=1, padding=0,
                                output_padding=0, dilation=1, groups=1):
    owner = "conv_transpose2d_input_grad"
    check_arrays(owner, W=(W, WEIGHTS), output_grad=(output_grad, OUTPUTS))
    shape = check_input_shape(input_shape, owner, 4)
    window = turned_window(shape, W.shape, stride, padding, output_padding, dilation, groups,
                           owner)
    check_shape(output_grad, (shape[0], W.shape[1], *window.output), owner, "output_grad")
    return conv2d(output_grad, swap_channels(W, groups), *window.options, groups)


def conv_transpose2d_param_grad(output_grad, x, param_shape, stride=1, padding=0,
                                output_padding=0, dilation=1, groups=1):
    owner = "conv_transpose2d_param_grad"
    check_arrays(owner, x=(x, IMAGES), output_grad=(output_grad, OUTPUTS))
    shape = check_input_shape(param_shape, owner, 4, "param_shape")
    window = turned_window(x.shape, shape, stride, padding, output_padding, dilation, groups,
                           owner)
    check_shape(output_grad, (x.shape[0], shape[1], *window.output), owner, "output_grad")
    turned = (shape[1] // groups, x.shape[1], shape[2], shape[3])
    return swap_channels(
        conv2d_param_grad(x, output_grad, turned, *window.options, groups), groups)


cdef object turned_window(object input_shape, object param_shape, object stride, object padding,
                          object output_padding, object dilation, object groups, str owner):
    return cached(
        _memory, conv_transpose2d_window,
        (input_shape, param_shape, stride, padding, output_padding, dilation, groups), owner)
