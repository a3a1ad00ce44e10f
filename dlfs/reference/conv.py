"""Convolutions, written as they are defined: a sum over the kernel's few positions.

Images are (batch, in_channels, height, width); weights are (in_group, out_channels, kernel_height,
kernel_width), as in the book (chapter 5), where in_group is in_channels / groups: channels are
split into groups, and an output channel reads those of its own group alone. As everywhere in deep
learning, "convolution" means cross-correlation: the kernel is not flipped in the forward pass, so
it is flipped in the input gradient.

For output pixel (p, q), with stride s, dilation d and the padded image X:

    output[n, o, p, q] = sum over c, i, j of X[n, c, s p + d i, s q + d j] * W[c, o, i, j]

For one kernel position (i, j) that is one matrix product, over the channels, between
``W[:, :, i, j]`` and every s-th pixel of the image, shifted by (d i, d j). The two gradients walk
the same positions. On both axes

    out = (size + padding - dilation * (kernel - 1) - 1) // stride + 1.

Options: stride and dilation are an integer or (height, width); padding is n, (height, width),
((top, bottom), (left, right)), "same" or "valid". Gradients take them as the convolution did.
"""

import numpy as np

from dlfs.checks import check_shape
from dlfs.reference.kernel import kernel
from dlfs.reference.sliding import crop, pad, padded_shape, window_pixels
from dlfs.types import Array, Padding, Padding1D, Pair, Shape
from dlfs.windows import conv1d_window, conv2d_window

IMAGES = "batch in_channels height width"
WEIGHTS = "in_group out_channels kernel_height kernel_width"
# Compared with the whole shape that follows from the window, so no name is shared with the input.
OUTPUTS = "outputs channels out_height out_width"

SEQUENCES = "batch in_channels length"
WEIGHTS_1D = "in_group out_channels kernel_size"
OUTPUTS_1D = "outputs channels out_length"


@kernel(x=IMAGES, W=WEIGHTS)
def conv2d(
    x: Array, W: Array, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1, groups: int = 1
) -> Array:
    """Convolve: ``output[n, o, p, q] = sum of X[n, c, s p + d i, s q + d j] * W[c, o, i, j]``.

    x (batch, in_channels, height, width), W (in_group, out_channels, kernel_height, kernel_width)
    -> (batch, out_channels, out_height, out_width)

    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(x, np.ones((1, 1, 2, 2)))[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    groups, window = conv2d_window(x.shape, W.shape, stride, padding, dilation, groups, "conv2d")
    batch, n_in, n_out = len(x), W.shape[0], W.shape[1] // groups
    places = window.output[0] * window.output[1]
    weights = W.reshape(n_in, groups, n_out, *window.kernel).transpose(1, 2, 0, 3, 4)
    output = np.zeros((batch, groups, n_out, places), dtype=x.dtype)
    for i, j, met in window_pixels(pad(x, window), window):
        output += weights[..., i, j] @ met.reshape(batch, groups, n_in, places)
    return output.reshape(batch, W.shape[1], *window.output)


@kernel(W=WEIGHTS, output_grad=OUTPUTS, input_shape=4)
def conv2d_input_grad(
    output_grad: Array,
    W: Array,
    input_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Gradient of ``conv2d`` with respect to x: each pixel collects from the outputs that met it.

    output_grad (batch, out_channels, out_height, out_width), W as in ``conv2d`` -> input_shape

    ``x_grad[n, c, s p + d i, s q + d j] += output_grad[n, o, p, q] * W[c, o, i, j]``.

    >>> W = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> conv2d_input_grad(np.ones((1, 1, 1, 1)), W, (1, 1, 2, 2))[0, 0]
    array([[1., 2.],
           [3., 4.]])
    """
    owner = "conv2d_input_grad"
    groups, window = conv2d_window(input_shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (input_shape[0], W.shape[1], *window.output), owner, "output_grad")
    batch, n_in, n_out = input_shape[0], W.shape[0], W.shape[1] // groups
    places = window.output[0] * window.output[1]
    weights = W.reshape(n_in, groups, n_out, *window.kernel).transpose(1, 0, 2, 3, 4)
    grad = output_grad.reshape(batch, groups, n_out, places)
    padded = np.zeros(padded_shape(input_shape, window), dtype=W.dtype)
    share = np.empty((batch, groups, n_in, places), dtype=W.dtype)
    for i, j, pixels in window_pixels(padded, window):
        np.matmul(weights[..., i, j], grad, out=share)
        pixels += share.reshape(pixels.shape)
    return crop(padded, input_shape, window)


@kernel(x=IMAGES, output_grad=OUTPUTS, param_shape=4)
def conv2d_param_grad(
    output_grad: Array,
    x: Array,
    param_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Gradient of ``conv2d`` with respect to W: each weight collects from the pixels that it met.

    output_grad (batch, out_channels, out_height, out_width), x as in ``conv2d`` -> param_shape

    ``W_grad[c, o, i, j] = sum of X[n, c, s p + d i, s q + d j] * output_grad[n, o, p, q]``.

    >>> x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> conv2d_param_grad(np.ones((1, 1, 1, 1)), x, (1, 1, 2, 2))[0, 0]
    array([[1., 2.],
           [3., 4.]])
    """
    owner = "conv2d_param_grad"
    groups, window = conv2d_window(x.shape, param_shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (len(x), param_shape[1], *window.output), owner, "output_grad")
    batch, n_in, n_out = len(x), param_shape[0], param_shape[1] // groups
    places = window.output[0] * window.output[1]
    grad = output_grad.reshape(batch, groups, n_out, places)
    param_grad = np.zeros((n_in, groups, n_out, *window.kernel), dtype=x.dtype)
    for i, j, met in window_pixels(pad(x, window), window):
        products = met.reshape(batch, groups, n_in, places) @ grad.swapaxes(2, 3)
        param_grad[..., i, j] = products.sum(axis=0).swapaxes(0, 1)
    return param_grad.reshape(param_shape)


@kernel(x=SEQUENCES, W=WEIGHTS_1D)
def conv1d(
    x: Array, W: Array, stride: int = 1, padding: Padding1D = 0, dilation: int = 1, groups: int = 1
) -> Array:
    """Convolve sequences, as images of height 1: ``sum of X[n, c, s p + d i] * W[c, o, i]``.

    x (batch, in_channels, length), W (in_group, out_channels, kernel_size)
    -> (batch, out_channels, out_length)

    >>> conv1d(np.array([[[1.0, 2.0, 3.0]]]), np.array([[[1.0, 10.0]]]))
    array([[[21., 32.]]])
    """
    window = conv1d_window(x.shape, W.shape, stride, padding, dilation, groups, "conv1d")
    images, weights = x[:, :, np.newaxis], W[:, :, np.newaxis]
    return conv2d(images, weights, *window.options, groups)[:, :, 0]


@kernel(W=WEIGHTS_1D, output_grad=OUTPUTS_1D, input_shape=3)
def conv1d_input_grad(
    output_grad: Array,
    W: Array,
    input_shape: Shape,
    stride: int = 1,
    padding: Padding1D = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    """Gradient of ``conv1d`` with respect to x, sums of ``output_grad[n, o, p] * W[c, o, i]``.

    output_grad (batch, out_channels, out_length), W as in ``conv1d`` -> input_shape

    >>> conv1d_input_grad(np.ones((1, 1, 2)), np.array([[[1.0, 10.0]]]), (1, 1, 3))
    array([[[ 1., 11., 10.]]])
    """
    owner = "conv1d_input_grad"
    window = conv1d_window(input_shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (input_shape[0], W.shape[1], window.output[1]), owner, "output_grad")
    image_shape = (*input_shape[:2], 1, input_shape[2])
    grad, weights = output_grad[:, :, np.newaxis], W[:, :, np.newaxis]
    return conv2d_input_grad(grad, weights, image_shape, *window.options, groups)[:, :, 0]


@kernel(x=SEQUENCES, output_grad=OUTPUTS_1D, param_shape=3)
def conv1d_param_grad(
    output_grad: Array,
    x: Array,
    param_shape: Shape,
    stride: int = 1,
    padding: Padding1D = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    """Gradient of ``conv1d`` with respect to W, sums of ``X[n, c, s p + d i] * grad[n, o, p]``.

    output_grad (batch, out_channels, out_length), x as in ``conv1d`` -> param_shape

    >>> conv1d_param_grad(np.ones((1, 1, 2)), np.array([[[1.0, 2.0, 3.0]]]), (1, 1, 2))
    array([[[3., 5.]]])
    """
    owner = "conv1d_param_grad"
    window = conv1d_window(x.shape, param_shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (len(x), param_shape[1], window.output[1]), owner, "output_grad")
    weight_shape = (*param_shape[:2], 1, param_shape[2])
    grad, images = output_grad[:, :, np.newaxis], x[:, :, np.newaxis]
    return conv2d_param_grad(grad, images, weight_shape, *window.options, groups)[:, :, 0]
