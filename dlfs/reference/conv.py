"""Convolutions, written as they are defined: a sum over the kernel's few positions.

Images are (batch, channels, height, width); weights are (in_channels / groups, out_channels,
kernel_height, kernel_width), as in the book. As everywhere in deep learning, "convolution" means
cross-correlation: the kernel is not flipped in the forward pass, which is why it appears flipped in
the input gradient.

For output pixel (p, q), with stride s, dilation d and the padded image X:

    output[n, o, p, q] = sum over c, i, j of X[n, c, s p + d i, s q + d j] * W[c, o, i, j]

For one kernel position (i, j) that is one matrix product, over the channels, between
``W[:, :, i, j]`` and every s-th pixel of the image, shifted by (d i, d j). The two gradients walk
the same positions.
"""

from collections.abc import Iterator

import numpy as np

from dlfs.checks import check_float_array, check_input_shape, check_same_dtype, check_shape
from dlfs.types import Array, Padding, Padding1D, Pair, Shape
from dlfs.windows import Window, check_channels, check_total, window_1d, window_2d


def conv2d(
    x: Array,
    W: Array,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Convolve a batch of images with a bank of kernels.

    Parameters
    ----------
    x : ndarray, shape (batch, in_channels, height, width)
    W : ndarray, shape (in_channels / groups, out_channels, kernel_height, kernel_width)
    stride, dilation : int or (height, width)
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
    groups : int
        Channels are split into so many groups that do not see each other.

    Returns
    -------
    ndarray, shape (batch, out_channels, out_height, out_width)
        ``out = (size + padding - dilation * (kernel - 1) - 1) // stride + 1`` on both axes.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Book, chapter 5. Backward: ``conv2d_input_grad`` and ``conv2d_param_grad``.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(x, np.ones((1, 1, 2, 2)))[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    groups, window = _resolve(x, W, stride, padding, dilation, groups, "conv2d")
    batch, out_channels = x.shape[0], W.shape[1]
    height, width = window.output
    padded = _pad(x, window)
    output = np.zeros((batch, out_channels, height * width), dtype=x.dtype)
    for i, j in _positions(window):
        pixels = _seen_from(padded, i, j, window).reshape(batch, x.shape[1], height * width)
        for x_group, W_group, out_group in _groups(pixels, W, output, groups):
            out_group += W_group[:, :, i, j].T @ x_group
    return output.reshape(batch, out_channels, height, width)


def conv2d_input_grad(
    output_grad: Array,
    W: Array,
    input_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Carry a gradient back through ``conv2d`` to the images.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_channels, out_height, out_width)
    W : ndarray, shape (in_channels / groups, out_channels, kernel_height, kernel_width)
    input_shape : tuple
        The shape of the images, (batch, in_channels, height, width).
    stride, padding, dilation, groups
        As ``conv2d`` was called.

    Returns
    -------
    ndarray, shape input_shape
        Every output pixel gives its gradient to each input pixel that it saw, times the weight it
        saw it through:
        ``grad[n, c, s p + d i, s q + d j] += output_grad[n, o, p, q] * W[c, o, i, j]``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Book, chapter 5.

    Examples
    --------
    >>> W = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> conv2d_input_grad(np.ones((1, 1, 1, 1)), W, (1, 1, 2, 2))[0, 0]
    array([[1., 2.],
           [3., 4.]])
    """
    owner = "conv2d_input_grad"
    shape = check_input_shape(input_shape, owner, 4)
    check_float_array(output_grad, owner, "output_grad", 4)
    check_float_array(W, owner, "W", 4)
    check_same_dtype(owner, output_grad=output_grad, W=W)
    groups, window = _resolve_shapes(shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], *window.output), owner, "output_grad")
    batch, channels = shape[:2]
    grad = output_grad.reshape(batch, W.shape[1], window.output[0] * window.output[1])
    padded = np.zeros((batch, channels, *_padded_size(shape, window)), dtype=W.dtype)
    share = np.empty((batch, channels, grad.shape[2]), dtype=W.dtype)
    for i, j in _positions(window):
        for share_group, W_group, grad_group in _groups(share, W, grad, groups):
            np.matmul(W_group[:, :, i, j], grad_group, out=share_group)
        seen = _seen_from(padded, i, j, window)
        seen += share.reshape(seen.shape)
    return _crop(padded, shape, window)


def conv2d_param_grad(
    output_grad: Array,
    x: Array,
    param_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Carry a gradient back through ``conv2d`` to the weights.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_channels, out_height, out_width)
    x : ndarray, shape (batch, in_channels, height, width)
    param_shape : tuple
        The shape of the weights, (in_channels / groups, out_channels, kernel_height, kernel_width).
    stride, padding, dilation, groups
        As ``conv2d`` was called.

    Returns
    -------
    ndarray, shape param_shape
        Every weight collects, over batch and output pixels, the pixel it met times the gradient it
        met it with:
        ``grad[c, o, i, j] = sum of X[n, c, s p + d i, s q + d j] * output_grad[n, o, p, q]``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Book, chapter 5.

    Examples
    --------
    >>> x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> conv2d_param_grad(np.ones((1, 1, 1, 1)), x, (1, 1, 2, 2))[0, 0]
    array([[1., 2.],
           [3., 4.]])
    """
    owner = "conv2d_param_grad"
    shape = check_input_shape(param_shape, owner, 4, "param_shape")
    check_float_array(output_grad, owner, "output_grad", 4)
    check_float_array(x, owner, "x", 4)
    check_same_dtype(owner, output_grad=output_grad, x=x)
    groups, window = _resolve_shapes(x.shape, shape, stride, padding, dilation, groups, owner)
    batch, pixels_out = x.shape[0], window.output[0] * window.output[1]
    check_shape(output_grad, (batch, shape[1], *window.output), owner, "output_grad")
    padded = _pad(x, window)
    grad = output_grad.reshape(batch, shape[1], pixels_out)
    param_grad = np.zeros(shape, dtype=x.dtype)
    for i, j in _positions(window):
        pixels = _seen_from(padded, i, j, window).reshape(batch, x.shape[1], pixels_out)
        for x_group, param_group, grad_group in _groups(pixels, param_grad, grad, groups):
            param_group[:, :, i, j] = np.tensordot(x_group, grad_group, axes=([0, 2], [0, 2]))
    return param_grad


def conv1d(
    x: Array,
    W: Array,
    stride: int = 1,
    padding: Padding1D = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    """Convolve a batch of sequences: a 2d convolution of images of height 1.

    Parameters
    ----------
    x : ndarray, shape (batch, in_channels, length)
    W : ndarray, shape (in_channels / groups, out_channels, kernel_size)
    stride, dilation : int
    padding : int, (before, after), "same" or "valid"
    groups : int

    Returns
    -------
    ndarray, shape (batch, out_channels, out_length)
        ``output[n, o, p] = sum over c, i of X[n, c, s p + d i] * W[c, o, i]``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Book, chapter 5. Backward: ``conv1d_input_grad`` and ``conv1d_param_grad``.

    Examples
    --------
    >>> conv1d(np.array([[[1.0, 2.0, 3.0]]]), np.array([[[1.0, 10.0]]]))
    array([[[21., 32.]]])
    """
    check_float_array(x, "conv1d", "x", 3)
    check_float_array(W, "conv1d", "W", 3)
    check_same_dtype("conv1d", x=x, W=W)
    window = _resolve_1d(x.shape, W.shape, stride, padding, dilation, groups, "conv1d")
    return conv2d(x[:, :, np.newaxis], W[:, :, np.newaxis], *_options(window), groups)[:, :, 0]


def conv1d_input_grad(
    output_grad: Array,
    W: Array,
    input_shape: Shape,
    stride: int = 1,
    padding: Padding1D = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    """Carry a gradient back through ``conv1d`` to the sequences.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_channels, out_length)
    W : ndarray, shape (in_channels / groups, out_channels, kernel_size)
    input_shape : tuple
        The shape of the sequences, (batch, in_channels, length).
    stride, padding, dilation, groups
        As ``conv1d`` was called.

    Returns
    -------
    ndarray, shape input_shape
        ``grad[n, c, s p + d i] += output_grad[n, o, p] * W[c, o, i]``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Book, chapter 5.

    Examples
    --------
    >>> conv1d_input_grad(np.ones((1, 1, 2)), np.array([[[1.0, 10.0]]]), (1, 1, 3))
    array([[[ 1., 11., 10.]]])
    """
    owner = "conv1d_input_grad"
    shape = check_input_shape(input_shape, owner, 3)
    check_float_array(output_grad, owner, "output_grad", 3)
    check_float_array(W, owner, "W", 3)
    check_same_dtype(owner, output_grad=output_grad, W=W)
    window = _resolve_1d(shape, W.shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], window.output[1]), owner, "output_grad")
    images, grad = (shape[0], shape[1], 1, shape[2]), output_grad[:, :, np.newaxis]
    options = _options(window)
    return conv2d_input_grad(grad, W[:, :, np.newaxis], images, *options, groups)[:, :, 0]


def conv1d_param_grad(
    output_grad: Array,
    x: Array,
    param_shape: Shape,
    stride: int = 1,
    padding: Padding1D = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Array:
    """Carry a gradient back through ``conv1d`` to the weights.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_channels, out_length)
    x : ndarray, shape (batch, in_channels, length)
    param_shape : tuple
        The shape of the weights, (in_channels / groups, out_channels, kernel_size).
    stride, padding, dilation, groups
        As ``conv1d`` was called.

    Returns
    -------
    ndarray, shape param_shape
        ``grad[c, o, i] = sum over n, p of X[n, c, s p + d i] * output_grad[n, o, p]``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Book, chapter 5.

    Examples
    --------
    >>> conv1d_param_grad(np.ones((1, 1, 2)), np.array([[[1.0, 2.0, 3.0]]]), (1, 1, 2))
    array([[[3., 5.]]])
    """
    owner = "conv1d_param_grad"
    shape = check_input_shape(param_shape, owner, 3, "param_shape")
    check_float_array(output_grad, owner, "output_grad", 3)
    check_float_array(x, owner, "x", 3)
    check_same_dtype(owner, output_grad=output_grad, x=x)
    window = _resolve_1d(x.shape, shape, stride, padding, dilation, groups, owner)
    check_shape(output_grad, (x.shape[0], shape[1], window.output[1]), owner, "output_grad")
    weights, grad = (shape[0], shape[1], 1, shape[2]), output_grad[:, :, np.newaxis]
    options = _options(window)
    return conv2d_param_grad(grad, x[:, :, np.newaxis], weights, *options, groups)[:, :, 0]


def _resolve_1d(
    input_shape: Shape,
    param_shape: Shape,
    stride: int,
    padding: Padding1D,
    dilation: int,
    groups: int,
    owner: str,
) -> Window:
    """Check channels and groups, and resolve the window over images of height 1."""
    check_channels(input_shape, param_shape, groups, owner)
    window = window_1d(input_shape[2], param_shape[2], stride, padding, dilation, owner)
    planes = input_shape[0] * max(input_shape[1], param_shape[1])
    check_total(window, (1, input_shape[2]), planes, owner)
    return window


def _options(
    window: Window,
) -> tuple[tuple[int, int], tuple[tuple[int, int], tuple[int, int]], tuple[int, int]]:
    return window.stride, window.padding, window.dilation


def _resolve(
    x: Array, W: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int, owner: str
) -> tuple[int, Window]:
    check_float_array(x, owner, "x", 4)
    check_float_array(W, owner, "W", 4)
    check_same_dtype(owner, x=x, W=W)
    return _resolve_shapes(x.shape, W.shape, stride, padding, dilation, groups, owner)


def _resolve_shapes(
    input_shape: Shape,
    param_shape: Shape,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    owner: str,
) -> tuple[int, Window]:
    """Check channels and groups, and resolve the window."""
    groups = check_channels(input_shape, param_shape, groups, owner)
    size = (input_shape[2], input_shape[3])
    kernel = (param_shape[2], param_shape[3])
    window = window_2d(size, kernel, stride, padding, dilation, owner)
    check_total(window, size, input_shape[0] * max(input_shape[1], param_shape[1]), owner)
    return groups, window


def _positions(window: Window) -> Iterator[tuple[int, int]]:
    return ((i, j) for i in range(window.kernel[0]) for j in range(window.kernel[1]))


def _padded_size(input_shape: Shape, window: Window) -> tuple[int, int]:
    (top, bottom), (left, right) = window.padding
    return input_shape[2] + top + bottom, input_shape[3] + left + right


def _pad(x: Array, window: Window) -> Array:
    return np.pad(x, ((0, 0), (0, 0), *window.padding))


def _crop(padded: Array, input_shape: Shape, window: Window) -> Array:
    (top, _), (left, _) = window.padding
    return padded[:, :, top : top + input_shape[2], left : left + input_shape[3]]


def _seen_from(padded: Array, i: int, j: int, window: Window) -> Array:
    """Return a view of the pixels that kernel position (i, j) meets, one for each output pixel."""
    (stride_h, stride_w), (height, width) = window.stride, window.output
    top, left = i * window.dilation[0], j * window.dilation[1]
    return padded[
        :,
        :,
        top : top + stride_h * (height - 1) + 1 : stride_h,
        left : left + stride_w * (width - 1) + 1 : stride_w,
    ]


def _groups(
    inputs: Array, weights: Array, outputs: Array, groups: int
) -> Iterator[tuple[Array, Array, Array]]:
    """Return each group's views of the input channels, the weights and the output channels."""
    n_in, n_out = weights.shape[0], weights.shape[1] // groups
    for g in range(groups):
        channels_in = slice(g * n_in, (g + 1) * n_in)
        channels_out = slice(g * n_out, (g + 1) * n_out)
        yield inputs[:, channels_in], weights[:, channels_out], outputs[:, channels_out]
