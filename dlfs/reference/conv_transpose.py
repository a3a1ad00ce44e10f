"""The transposed convolution: a convolution turned round.

A convolution carries images to smaller ones and its input gradient carries small ones back. The
transposed convolution (also "deconvolution") uses that backward step as its forward step. So
nothing new has to be computed: what is an input gradient there is an output here, and the other way
round.
"""

from dlfs.checks import check_float_array, check_input_shape, check_same_dtype, check_shape
from dlfs.reference.conv import conv2d, conv2d_input_grad, conv2d_param_grad
from dlfs.types import Array, Padding, Pair, Shape
from dlfs.windows import Window, check_channels, check_total, transposed_window_2d


def conv_transpose2d(
    x: Array,
    W: Array,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Spread every pixel over the output through the kernel.

    Parameters
    ----------
    x : ndarray, shape (batch, in_channels, height, width)
    W : ndarray, shape (in_channels / groups, out_channels, kernel_height, kernel_width)
    stride, dilation : int or (height, width)
    padding : int, (height, width), ((top, bottom), (left, right)), "same" or "valid"
        So many pixels are cut off the output; "same" makes it ``size * stride`` long.
    output_padding : int or (height, width)
        So many rows and columns more at the bottom and right of the output, to tell apart the
        input sizes that a strided convolution maps to one output size.
    groups : int

    Returns
    -------
    ndarray, shape (batch, out_channels, out_height, out_width)
        ``output[n, o, s p + d i, s q + d j] += x[n, c, p, q] * W[c, o, i, j]``, then the padding is
        cut off: ``out = (size - 1) * stride - padding + dilation * (kernel - 1) + 1 +
        output_padding``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Zeiler et al., "Deconvolutional networks", 2010; book, chapter 7. Backward:
    ``conv_transpose2d_input_grad`` and ``conv_transpose2d_param_grad``.

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose2d(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 2)), stride=2)
    array([[[[1., 1., 2., 2.]]]])
    """
    owner = "conv_transpose2d"
    check_float_array(x, owner, "x", 4)
    check_float_array(W, owner, "W", 4)
    check_same_dtype(owner, x=x, W=W)
    window = _resolve(x.shape, W.shape, stride, padding, output_padding, dilation, groups, owner)
    output_shape = (x.shape[0], W.shape[1], *window.output)
    turned = _swap_channels(W, groups)
    return conv2d_input_grad(
        x, turned, output_shape, window.stride, window.padding, window.dilation, groups
    )


def conv_transpose2d_input_grad(
    output_grad: Array,
    W: Array,
    input_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Carry a gradient back through ``conv_transpose2d`` to the images: a plain convolution.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_channels, out_height, out_width)
    W : ndarray, shape (in_channels / groups, out_channels, kernel_height, kernel_width)
    input_shape : tuple
        The shape of the images, (batch, in_channels, height, width).
    stride, padding, output_padding, dilation, groups
        As ``conv_transpose2d`` was called.

    Returns
    -------
    ndarray, shape input_shape
        ``grad[n, c, p, q] = sum over o, i, j of G[n, o, s p + d i, s q + d j] * W[c, o, i, j]``
        with the padded ``output_grad`` G.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Zeiler et al., 2010; book, chapter 7.

    Examples
    --------
    >>> import numpy as np
    >>> grad = np.array([[[[1.0, 2.0, 3.0, 4.0]]]])
    >>> conv_transpose2d_input_grad(grad, np.ones((1, 1, 1, 2)), (1, 1, 1, 2), stride=2)
    array([[[[3., 7.]]]])
    """
    owner = "conv_transpose2d_input_grad"
    shape = check_input_shape(input_shape, owner, 4)
    check_float_array(output_grad, owner, "output_grad", 4)
    check_float_array(W, owner, "W", 4)
    check_same_dtype(owner, output_grad=output_grad, W=W)
    window = _resolve(shape, W.shape, stride, padding, output_padding, dilation, groups, owner)
    check_shape(output_grad, (shape[0], W.shape[1], *window.output), owner, "output_grad")
    turned = _swap_channels(W, groups)
    return conv2d(output_grad, turned, window.stride, window.padding, window.dilation, groups)


def conv_transpose2d_param_grad(
    output_grad: Array,
    x: Array,
    param_shape: Shape,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Carry a gradient back through ``conv_transpose2d`` to the weights.

    Parameters
    ----------
    output_grad : ndarray, shape (batch, out_channels, out_height, out_width)
    x : ndarray, shape (batch, in_channels, height, width)
    param_shape : tuple
        The shape of the weights, (in_channels / groups, out_channels, kernel_height, kernel_width).
    stride, padding, output_padding, dilation, groups
        As ``conv_transpose2d`` was called.

    Returns
    -------
    ndarray, shape param_shape
        ``grad[c, o, i, j] = sum over n, p, q of x[n, c, p, q] * G[n, o, s p + d i, s q + d j]``
        with the padded ``output_grad`` G.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, they differ, or an option is no integer.
    ValueError
        If a shape or an option does not fit.

    Notes
    -----
    Zeiler et al., 2010; book, chapter 7.

    Examples
    --------
    >>> import numpy as np
    >>> grad = np.array([[[[1.0, 2.0, 3.0, 4.0]]]])
    >>> x = np.array([[[[1.0, 10.0]]]])
    >>> conv_transpose2d_param_grad(grad, x, (1, 1, 1, 2), stride=2)
    array([[[[31., 42.]]]])
    """
    owner = "conv_transpose2d_param_grad"
    shape = check_input_shape(param_shape, owner, 4, "param_shape")
    check_float_array(output_grad, owner, "output_grad", 4)
    check_float_array(x, owner, "x", 4)
    check_same_dtype(owner, output_grad=output_grad, x=x)
    window = _resolve(x.shape, shape, stride, padding, output_padding, dilation, groups, owner)
    check_shape(output_grad, (x.shape[0], shape[1], *window.output), owner, "output_grad")
    turned_shape = (shape[1] // groups, x.shape[1], shape[2], shape[3])
    turned_grad = conv2d_param_grad(
        x, output_grad, turned_shape, window.stride, window.padding, window.dilation, groups
    )
    return _swap_channels(turned_grad, groups)


def _resolve(
    input_shape: Shape,
    param_shape: Shape,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    owner: str,
) -> Window:
    """Check channels and groups, and resolve the window."""
    check_channels(input_shape, param_shape, groups, owner)
    size = (input_shape[2], input_shape[3])
    kernel = (param_shape[2], param_shape[3])
    window = transposed_window_2d(size, kernel, stride, padding, output_padding, dilation, owner)
    # Turned round: the images are what is written here, and the outputs what is read.
    turned = window._replace(output=size)
    planes = input_shape[0] * max(input_shape[1], param_shape[1])
    check_total(turned, window.output, planes, owner)
    return window


def _swap_channels(W: Array, groups: int) -> Array:
    """Exchange the channels read and written, within each group.

    (in_channels / groups, out_channels, ...) becomes (out_channels / groups, in_channels, ...).
    """
    n_in, out_channels, *kernel = W.shape
    split = W.reshape(n_in, groups, out_channels // groups, *kernel)
    return split.transpose(2, 1, 0, 3, 4).reshape(out_channels // groups, groups * n_in, *kernel)
