"""Kernels that do what a chain of Operations does, in one call.

A compiled backend adds the bias and takes the activation of a few rows while they are still in the
cache. ``dlfs.layers.fusion`` calls these; a reader of the single kernels needs none of them. Those
called "affine" normalize, scale and shift: ``gamma * x_hat + beta``. They keep mean and inv_std,
but not x_hat.
"""

from dlfs.checks import POSITIVE, check_choice, check_input_shape, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.activations import sigmoid, sigmoid_grad, tanh, tanh_grad
from dlfs.reference.conv import IMAGES, OUTPUTS, WEIGHTS, conv2d, conv2d_param_grad
from dlfs.reference.dense import FEATURES, PER_FEATURE, bias_add_param_grad
from dlfs.reference.kernel import kernel
from dlfs.reference.normalization import ROWS, normalize, normalize_grad
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


@kernel(x=FEATURES, gamma=PER_FEATURE, beta=PER_FEATURE, eps=POSITIVE)
def batch_norm_affine(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5
) -> tuple[Array, Array, Array, Array]:
    """Normalize each feature, scale and shift it: ``(x - mean) * inv_std * gamma + beta``.

    x (batch, features, ...), gamma and beta (1, features, 1...)
    -> output (batch, features, ...), mean, var and inv_std (1, features, 1...)

    >>> x, one = np.array([[1.0], [3.0]]), np.ones((1, 1))
    >>> batch_norm_affine(x, 10 * one, one, eps=1e-12)[0].round(6)
    array([[-9.],
           [11.]])
    """
    axes = (0, *range(2, x.ndim))
    output, mean, var, inv_std = normalize(x, axes, eps, "batch_norm_affine")
    return output * gamma + beta, mean, var, inv_std


@kernel(x=FEATURES, gamma=PER_FEATURE, mean=PER_FEATURE, inv_std=PER_FEATURE, output_grad=FEATURES)
def batch_norm_affine_grad(
    output_grad: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """Gradients of ``batch_norm_affine`` with respect to x, gamma and beta.

    output_grad, x (batch, features, ...), gamma, mean and inv_std (1, features, 1...)
    -> x_grad (batch, features, ...), gamma_grad and beta_grad (1, features, 1...)

    With ``g = output_grad`` gamma_grad is the sum of ``g * x_hat``, beta_grad the sum of ``g``, and
    x_grad is ``batch_norm_grad`` of ``g * gamma``.

    >>> x, one = np.array([[1.0], [3.0]]), np.ones((1, 1))
    >>> x_grad, gamma_grad, beta_grad = batch_norm_affine_grad(x, x, one, 2 * one, one)
    >>> x_grad.ravel().tolist(), gamma_grad.item(), beta_grad.item()
    ([0.0, 0.0], 2.0, 4.0)
    """
    axes = (0, *range(2, x.ndim))
    x_hat = _normalized(x, mean, inv_std)
    x_grad = normalize_grad(output_grad * gamma, x_hat, inv_std, axes)
    gamma_grad = (output_grad * x_hat).sum(axis=axes, keepdims=True)
    return x_grad, gamma_grad, output_grad.sum(axis=axes, keepdims=True)


@kernel(x=ROWS, gamma="1 features", beta="1 features", eps=POSITIVE)
def layer_norm_affine(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Normalize each row, scale and shift its features: ``(x - mean) * inv_std * gamma + beta``.

    x (batch, ..., features), gamma and beta (1, features)
    -> output (batch, ..., features), mean and inv_std (batch, ..., 1)

    >>> x, gamma, beta = np.array([[1.0, 3.0]]), np.array([[10.0, 20.0]]), np.array([[0.0, 1.0]])
    >>> layer_norm_affine(x, gamma, beta, eps=1e-12)[0].round(6)
    array([[-10.,  21.]])
    """
    output, mean, _, inv_std = normalize(x, (x.ndim - 1,), eps, "layer_norm_affine")
    return output * gamma[0] + beta[0], mean, inv_std


@kernel(x=ROWS, gamma="1 features", mean="batch ... 1", inv_std="batch ... 1", output_grad=ROWS)
def layer_norm_affine_grad(
    output_grad: Array, x: Array, gamma: Array, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """Gradients of ``layer_norm_affine`` with respect to x, gamma and beta.

    output_grad, x (batch, ..., features), gamma (1, features), mean and inv_std (batch, ..., 1)
    -> x_grad (batch, ..., features), gamma_grad and beta_grad (1, features)

    With ``g = output_grad`` gamma_grad is the sum of ``g * x_hat`` over all rows, beta_grad the sum
    of ``g``, and x_grad is ``layer_norm_grad`` of ``g * gamma``.

    >>> x, gamma, one = np.array([[1.0, 3.0]]), np.array([[1.0, 2.0]]), np.ones((1, 1))
    >>> x_grad, gamma_grad, beta_grad = layer_norm_affine_grad(x, x, gamma, 2 * one, one)
    >>> x_grad.tolist(), gamma_grad.tolist(), beta_grad.tolist()
    ([[0.0, 0.0]], [[-1.0, 3.0]], [[1.0, 3.0]])
    """
    x_hat = _normalized(x, mean, inv_std)
    x_grad = normalize_grad(output_grad * gamma[0], x_hat, inv_std, (x.ndim - 1,))
    rows = (-1, x.shape[-1]) if x.size else (0, x.shape[-1])
    g = output_grad.reshape(rows)
    gamma_grad = (g * x_hat.reshape(rows)).sum(axis=0, keepdims=True)
    return x_grad, gamma_grad, g.sum(axis=0, keepdims=True)


def _activate(z: Array, activation: str) -> Array:
    if activation == "sigmoid":
        return sigmoid(z)
    if activation == "tanh":
        return tanh(z)
    if activation == "relu":
        return relu(z)
    return z


def _normalized(x: Array, mean: Array, inv_std: Array) -> Array:
    """Return ``(x - mean) * inv_std``, where the difference may overflow: with halves of both."""
    return (x / 2 - mean / 2) * (2 * inv_std)
