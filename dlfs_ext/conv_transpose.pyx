"""The transposed convolution; the formulas are in dlfs.reference.conv_transpose.

As there, the output is the input gradient of a convolution, and the input gradient is a
convolution. Only the weights' channels are exchanged, within each group.
"""

from dlfs.checks import check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.conv import IMAGES, OUTPUTS, WEIGHTS
from dlfs.reference.conv_transpose import swap_channels
from dlfs.windows import conv_transpose2d_window
from dlfs_ext.conv import conv2d, conv2d_input_grad, conv2d_param_grad


def conv_transpose2d(x, W, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    owner = "conv_transpose2d"
    check_arrays(owner, x=(x, IMAGES), W=(W, WEIGHTS))
    window = conv_transpose2d_window(
        x.shape, W.shape, stride, padding, output_padding, dilation, groups, owner)
    turned = swap_channels(W, groups)
    return conv2d_input_grad(x, turned, (x.shape[0], W.shape[1], *window.output), window.stride,
                             window.padding, window.dilation, groups)


def conv_transpose2d_input_grad(output_grad, W, input_shape, stride=1, padding=0,
                                output_padding=0, dilation=1, groups=1):
    owner = "conv_transpose2d_input_grad"
    check_arrays(owner, W=(W, WEIGHTS), output_grad=(output_grad, OUTPUTS))
    shape = check_input_shape(input_shape, owner, 4)
    window = conv_transpose2d_window(
        shape, W.shape, stride, padding, output_padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], *window.output), owner, "output_grad")
    turned = swap_channels(W, groups)
    return conv2d(output_grad, turned, window.stride, window.padding, window.dilation, groups)


def conv_transpose2d_param_grad(output_grad, x, param_shape, stride=1, padding=0,
                                output_padding=0, dilation=1, groups=1):
    owner = "conv_transpose2d_param_grad"
    check_arrays(owner, x=(x, IMAGES), output_grad=(output_grad, OUTPUTS))
    shape = check_input_shape(param_shape, owner, 4, "param_shape")
    window = conv_transpose2d_window(
        x.shape, shape, stride, padding, output_padding, dilation, groups, owner)
    check_shape(output_grad, (x.shape[0], shape[1], *window.output), owner, "output_grad")
    turned_shape = (shape[1] // groups, x.shape[1], shape[2], shape[3])
    turned_grad = conv2d_param_grad(x, output_grad, turned_shape, window.stride, window.padding,
                                    window.dilation, groups)
    return swap_channels(turned_grad, groups)
