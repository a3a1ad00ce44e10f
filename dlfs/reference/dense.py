"""Weight multiply, bias and scale: the kernels of a dense layer, and the chain of them fused.

Book, chapters 1 and 3. A bias and a scale have one number for each feature (or channel); the array
has as many axes as x, of length 1 where it is the same for all. The scale is that of a
normalization layer (Ioffe and Szegedy, 2015).
"""

from dlfs.checks import check_choice
from dlfs.named_axes import check_arrays
from dlfs.reference.activations import sigmoid, sigmoid_grad, tanh, tanh_grad
from dlfs.reference.kernel import kernel
from dlfs.reference.rectifiers import relu, relu_grad
from dlfs.types import Array

FUSED_ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu")
"""The activations whose derivative follows from their own output: these can be fused."""

FEATURES = "batch features ..."
PER_FEATURE = "1 features 1..."


@kernel
def weight_multiply(x: Array, W: Array) -> Array:
    """Multiply a batch by a weight matrix: ``x @ W``.

    x (batch, features), W (features, neurons) -> (batch, neurons)

    >>> weight_multiply(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    check_arrays("weight_multiply", W=(W, "features neurons"), x=(x, "batch features"))
    return x @ W


@kernel
def weight_multiply_input_grad(output_grad: Array, W: Array) -> Array:
    """Gradient of ``x @ W`` with respect to x: ``output_grad @ W.T``.

    output_grad (batch, neurons), W (features, neurons) -> x_grad (batch, features)

    >>> weight_multiply_input_grad(np.array([[1.0]]), np.array([[3.0], [4.0]]))
    array([[3., 4.]])
    """
    owner = "weight_multiply_input_grad"
    check_arrays(owner, W=(W, "features neurons"), output_grad=(output_grad, "batch neurons"))
    return output_grad @ W.T


@kernel
def weight_multiply_param_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``x @ W`` with respect to W: ``x.T @ output_grad``.

    output_grad (batch, neurons), x (batch, features) -> W_grad (features, neurons)

    >>> weight_multiply_param_grad(np.array([[1.0]]), np.array([[3.0, 4.0]]))
    array([[3.],
           [4.]])
    """
    owner = "weight_multiply_param_grad"
    check_arrays(owner, x=(x, "batch features"), output_grad=(output_grad, "batch neurons"))
    return x.T @ output_grad


@kernel
def bias_add(x: Array, b: Array) -> Array:
    """Add a bias to every feature (or channel): ``x + b``; the gradient of x is output_grad.

    x (batch, features, ...), b (1, features, 1...) -> (batch, features, ...)

    >>> bias_add(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[11., 22.]])
    """
    check_arrays("bias_add", x=(x, FEATURES), b=(b, PER_FEATURE))
    return x + b


@kernel
def bias_add_param_grad(output_grad: Array) -> Array:
    """Gradient of ``x + b`` with respect to b: the sum of output_grad over batch and pixels.

    output_grad (batch, features, ...) -> b_grad (1, features, 1...)

    >>> bias_add_param_grad(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[4., 6.]])
    """
    check_arrays("bias_add_param_grad", output_grad=(output_grad, FEATURES))
    param_grad: Array = output_grad.sum(axis=(0, *range(2, output_grad.ndim)), keepdims=True)
    return param_grad


@kernel
def scale_multiply(x: Array, gamma: Array) -> Array:
    """Scale every feature (or channel): ``x * gamma``; the gradient of x is output_grad * gamma.

    x (batch, features, ...), gamma (1, features, 1...) -> (batch, features, ...)

    >>> scale_multiply(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[10., 40.]])
    """
    check_arrays("scale_multiply", x=(x, FEATURES), gamma=(gamma, PER_FEATURE))
    return x * gamma


@kernel
def scale_multiply_param_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``x * gamma`` with respect to gamma: the sum of ``output_grad * x``.

    output_grad (batch, features, ...), x (batch, features, ...) -> gamma_grad (1, features, 1...)

    >>> scale_multiply_param_grad(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    owner = "scale_multiply_param_grad"
    check_arrays(owner, x=(x, FEATURES), output_grad=(output_grad, FEATURES))
    param_grad: Array = (output_grad * x).sum(axis=(0, *range(2, x.ndim)), keepdims=True)
    return param_grad


@kernel
def dense(x: Array, W: Array, b: Array, activation: str = "linear") -> Array:
    """Weight multiply, bias and activation in one call: ``activation(x @ W + b)``.

    x (batch, features), W (features, neurons), b (1, neurons) -> (batch, neurons)

    Backward is ``bias_activation_grad``, then the two gradients of ``weight_multiply``.

    >>> dense(np.array([[1.0, 2.0]]), np.array([[3.0], [-4.0]]), np.array([[1.0]]), "relu")
    array([[0.]])
    """
    axes = "features neurons", "batch features", "1 neurons"
    check_arrays("dense", W=(W, axes[0]), x=(x, axes[1]), b=(b, axes[2]))
    check_choice(activation, FUSED_ACTIVATIONS, "dense", "activation")
    return _activate(x @ W + b, activation)


@kernel
def bias_activation(x: Array, b: Array, activation: str = "linear") -> Array:
    """Bias and activation in one call: ``activation(x + b)``.

    x (batch, features, ...), b (1, features, 1...) -> (batch, features, ...)

    >>> bias_activation(np.array([[-1.0, 2.0]]), np.array([[0.5, 0.5]]), "relu")
    array([[0. , 2.5]])
    """
    check_arrays("bias_activation", x=(x, FEATURES), b=(b, PER_FEATURE))
    check_choice(activation, FUSED_ACTIVATIONS, "bias_activation", "activation")
    return _activate(x + b, activation)


@kernel
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
    check_arrays(owner, output=(output, FEATURES), output_grad=(output_grad, FEATURES))
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


def _activate(z: Array, activation: str) -> Array:
    if activation == "sigmoid":
        return sigmoid(z)
    if activation == "tanh":
        return tanh(z)
    if activation == "relu":
        return relu(z)
    return z
