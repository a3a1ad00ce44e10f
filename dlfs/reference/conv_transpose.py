"""The transposed convolution (also "deconvolution"): a convolution turned round.

A convolution carries images to smaller ones and its input gradient carries small ones back. The
transposed convolution uses that backward step as its forward step. So nothing new is computed: an
input gradient there is an output here, and the other way round. Zeiler et al., "Deconvolutional
networks", 2010; book, chapter 7.

Shapes and options are those of `dlfs.reference.conv`, but padding is cut off the output ("same"
makes it ``size * stride`` long), and output_padding, an integer or (height, width), adds rows and
columns at the bottom and right, to tell apart the input sizes that a strided convolution maps to
one output size. On both axes

    out = (size - 1) * stride - padding + dilation * (kernel - 1) + 1 + output_padding.
"""

from dlfs.checks import check_shape
from dlfs.reference.conv import (
    IMAGES,
    OUTPUTS,
    WEIGHTS,
    conv2d,
    conv2d_input_grad,
    conv2d_param_grad,
)
from dlfs.reference.kernel import kernel
from dlfs.types import Array, Padding, Pair, Shape
from dlfs.windows import conv_transpose2d_window


@kernel(x=IMAGES, W=WEIGHTS)
def conv_transpose2d(
    x: Array,
    W: Array,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Spread pixels: ``output[n, o, s p + d i, s q + d j] += x[n, c, p, q] * W[c, o, i, j]``.

    x (batch, in_channels, height, width), W (in_group, out_channels, kernel_height, kernel_width)
    -> (batch, out_channels, out_height, out_width)

    >>> conv_transpose2d(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 2)), stride=2)
    array([[[[1., 1., 2., 2.]]]])
    """
    options = (stride, padding, output_padding, dilation, groups)
    window = conv_transpose2d_window(x.shape, W.shape, *options, "conv_transpose2d")
    output_shape = (len(x), W.shape[1], *window.output)
    return conv2d_input_grad(x, swap_channels(W, groups), output_shape, *window.options, groups)


@kernel(W=WEIGHTS, output_grad=OUTPUTS, input_shape=4)
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
    """Gradient of ``conv_transpose2d`` with respect to x: a plain convolution of output_grad.

    output_grad (batch, out_channels, out_height, out_width), W as in ``conv_transpose2d``
    -> input_shape

    >>> grad = np.array([[[[1.0, 2.0, 3.0, 4.0]]]])
    >>> conv_transpose2d_input_grad(grad, np.ones((1, 1, 1, 2)), (1, 1, 1, 2), stride=2)
    array([[[[3., 7.]]]])
    """
    owner = "conv_transpose2d_input_grad"
    options = (stride, padding, output_padding, dilation, groups)
    window = conv_transpose2d_window(input_shape, W.shape, *options, owner)
    check_shape(output_grad, (input_shape[0], W.shape[1], *window.output), owner, "output_grad")
    return conv2d(output_grad, swap_channels(W, groups), *window.options, groups)


@kernel(x=IMAGES, output_grad=OUTPUTS, param_shape=4)
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
    """Gradient of ``conv_transpose2d`` with respect to W: pixel times output_grad, summed.

    output_grad (batch, out_channels, out_height, out_width), x as in ``conv_transpose2d``
    -> param_shape

    >>> grad, x = np.array([[[[1.0, 2.0, 3.0, 4.0]]]]), np.array([[[[1.0, 10.0]]]])
    >>> conv_transpose2d_param_grad(grad, x, (1, 1, 1, 2), stride=2)
    array([[[[31., 42.]]]])
    """
    owner = "conv_transpose2d_param_grad"
    options = (stride, padding, output_padding, dilation, groups)
    window = conv_transpose2d_window(x.shape, param_shape, *options, owner)
    check_shape(output_grad, (len(x), param_shape[1], *window.output), owner, "output_grad")
    turned_shape = (param_shape[1] // groups, x.shape[1], param_shape[2], param_shape[3])
    turned_grad = conv2d_param_grad(x, output_grad, turned_shape, *window.options, groups)
    return swap_channels(turned_grad, groups)


def swap_channels(W: Array, groups: int) -> Array:
    """Exchange the channels read and written, within each group.

    (in_channels / groups, out_channels, ...) becomes (out_channels / groups, in_channels, ...).
    """
    n_in, out_channels, *size = W.shape
    split = W.reshape(n_in, groups, out_channels // groups, *size)
    return split.transpose(2, 1, 0, 3, 4).reshape(out_channels // groups, groups * n_in, *size)
