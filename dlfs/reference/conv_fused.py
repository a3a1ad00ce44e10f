"""A convolution together with the bias and the activation behind it.

What the chain of the three does, in one call: a compiled backend adds the bias and takes the
activation of a few rows of pixels while they are still in the cache. Book, chapter 5.
"""

from dlfs.checks import check_choice, check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.conv import IMAGES, OUTPUTS, WEIGHTS, conv2d, conv2d_param_grad
from dlfs.reference.dense import FUSED_ACTIVATIONS, bias_activation, bias_activation_grad
from dlfs.reference.kernel import kernel
from dlfs.types import Array, Padding, Pair, Shape
from dlfs.windows import conv2d_window


@kernel
def conv2d_bias_activation(
    x: Array,
    W: Array,
    b: Array,
    activation: str = "linear",
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Convolution, bias and activation in one call: ``activation(conv2d(x, W) + b)``.

    x, W as in ``conv2d``, b (1, out_channels, 1, 1) -> (batch, out_channels, out_height, out_width)

    >>> x, W = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> conv2d_bias_activation(x, W, np.full((1, 1, 1, 1), -15.0), "relu")[0, 0]
    array([[0., 0.],
           [5., 9.]])
    """
    owner = "conv2d_bias_activation"
    check_arrays(owner, x=(x, IMAGES), W=(W, WEIGHTS), b=(b, "1 out_channels 1 1"))
    conv2d_window(x.shape, W.shape, stride, padding, dilation, groups, owner)
    check_choice(activation, FUSED_ACTIVATIONS, owner, "activation")
    return bias_activation(conv2d(x, W, stride, padding, dilation, groups), b, activation)


@kernel
def conv2d_bias_activation_param_grad(
    output_grad: Array,
    output: Array,
    x: Array,
    param_shape: Shape,
    activation: str = "linear",
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, Array]:
    """Gradients of ``conv2d_bias_activation`` with respect to W and b, but not x.

    output_grad, output (batch, out_channels, out_height, out_width), x as in ``conv2d``
    -> W_grad param_shape, b_grad (1, out_channels, 1, 1)

    They are those of ``conv2d`` and ``bias_activation``. The first layer of a network needs no
    more: its input is the data.

    >>> x, grad = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.ones((1, 1, 2, 2))
    >>> output = np.array([[[[0.0, 5.0], [0.0, 7.0]]]])
    >>> W_grad, b_grad = conv2d_bias_activation_param_grad(grad, output, x, (1, 1, 1, 1), "relu")
    >>> W_grad.item(), b_grad.item()
    (6.0, 2.0)
    """
    owner = "conv2d_bias_activation_param_grad"
    shape = check_input_shape(param_shape, owner, 4, "param_shape")
    check_arrays(owner, x=(x, IMAGES), output=(output, OUTPUTS), output_grad=(output_grad, OUTPUTS))
    _, window = conv2d_window(x.shape, shape, stride, padding, dilation, groups, owner)
    check_shape(output, (len(x), shape[1], *window.output), owner, "output")
    check_choice(activation, FUSED_ACTIVATIONS, owner, "activation")
    grad, b_grad = bias_activation_grad(output_grad, output, activation)
    return conv2d_param_grad(grad, x, shape, stride, padding, dilation, groups), b_grad
