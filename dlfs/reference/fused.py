"""Kernels that do what a chain of Operations does, in one call.

A compiled backend adds the bias and takes the activation of a few rows while they are still in the
cache. ``dlfs.layers.fusion`` calls these; a reader of the single kernels needs none of them.
"""

from dlfs.checks import check_choice, check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.activations import sigmoid, sigmoid_grad, tanh, tanh_grad
from dlfs.reference.conv import IMAGES, OUTPUTS, WEIGHTS, conv2d, conv2d_param_grad
from dlfs.reference.dense import FEATURES, PER_FEATURE, bias_add_param_grad
from dlfs.reference.kernel import kernel
from dlfs.reference.rectifiers import relu, relu_grad
from dlfs.types import Array, Padding, Pair, Shape
from dlfs.windows import conv2d_window

FUSED_ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu")
"""The activations whose derivative follows from their own output: these can be fused."""


@kernel(W="features neurons", x="batch features", b="1 neurons")
def dense(x: Array, W: Array, b: Array, activation: str = "linear") -> Array:
    """Weight multiply, bias and activation in one call: ``activation(x @ W + b)``.

    x (batch, features), W (features, neurons), b (1, neurons) -> (batch, neurons)

    Backward is ``bias_activation_grad``, then the two gradients of ``weight_multiply``.

    >>> dense(np.array([[1.0, 2.0]]), np.array([[3.0], [-4.0]]), np.array([[1.0]]), "relu")
    array([[0.]])
    """
    check_choice(activation, FUSED_ACTIVATIONS, "dense", "activation")
    return _activate(x @ W + b, activation)


@kernel(x=FEATURES, b=PER_FEATURE)
def bias_activation(x: Array, b: Array, activation: str = "linear") -> Array:
    """Bias and activation in one call: ``activation(x + b)``.

    x (batch, features, ...), b (1, features, 1...) -> (batch, features, ...)

    >>> bias_activation(np.array([[-1.0, 2.0]]), np.array([[0.5, 0.5]]), "relu")
    array([[0. , 2.5]])
    """
    check_choice(activation, FUSED_ACTIVATIONS, "bias_activation", "activation")
    return _activate(x + b, activation)


@kernel(output=FEATURES, output_grad=FEATURES)
def bias_activation_grad(
    output_grad: Array, output: Array, activation: str = "linear"
) -> tuple[Array, Array]:
    """Gradients of ``activation(x + b)``: ``output_grad * activation'(x + b)``, and its sum for b.

    output_grad (batch, features, ...), output (batch, features, ...)
    -> x_grad (batch, features, ...), b_grad (1, features, 1...)

    All four derivatives follow from the output y: 1, ``y (1 - y)``, ``1 - y**2`` and ``y > 0``.

    >>> x_grad, b_grad = bias_activation_grad(np.ones((2, 1)), np.array([[0.0], [2.0]]), "relu")
    >>> x_grad.tolist(), b_grad.tolist()
    ([[0.0], [1.0]], [[1.0]])
    """
    owner = "bias_activation_grad"
    check_choice(activation, FUSED_ACTIVATIONS, owner, "activation")
    if activation == "sigmoid":
        x_grad = sigmoid_grad(output_grad, output)
    elif activation == "tanh":
        x_grad = tanh_grad(output_grad, output)
    elif activation == "relu":
        # relu's output is above 0 exactly where its input is.
        x_grad = relu_grad(output_grad, output)
    else:
        x_grad = output_grad.copy()
    return x_grad, bias_add_param_grad(x_grad)


@kernel(x=IMAGES, W=WEIGHTS, b="1 out_channels 1 1")
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
    conv2d_window(x.shape, W.shape, stride, padding, dilation, groups, owner)
    check_choice(activation, FUSED_ACTIVATIONS, owner, "activation")
    return bias_activation(conv2d(x, W, stride, padding, dilation, groups), b, activation)


@kernel()
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


def _activate(z: Array, activation: str) -> Array:
    if activation == "sigmoid":
        return sigmoid(z)
    if activation == "tanh":
        return tanh(z)
    if activation == "relu":
        return relu(z)
    return z
