"""Weight multiply and bias: the kernels of a dense layer (book, chapters 1 and 3).

A bias has one number for each feature (or channel); its shape is that of x, with 1 on every axis
but axis 1.
"""

from dlfs.reference.kernel import kernel
from dlfs.types import Array

FEATURES = "batch features ..."
PER_FEATURE = "1 features 1..."


@kernel(W="features neurons", x="batch features")
def weight_multiply(x: Array, W: Array) -> Array:
    """Multiply a batch by a weight matrix: ``x @ W``.

    x (batch, features), W (features, neurons) -> (batch, neurons)

    >>> weight_multiply(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    return x @ W


@kernel(W="features neurons", output_grad="batch neurons")
def weight_multiply_input_grad(output_grad: Array, W: Array) -> Array:
    """Gradient of ``x @ W`` with respect to x: ``output_grad @ W.T``.

    output_grad (batch, neurons), W (features, neurons) -> x_grad (batch, features)

    >>> weight_multiply_input_grad(np.array([[1.0]]), np.array([[3.0], [4.0]]))
    array([[3., 4.]])
    """
    return output_grad @ W.T


@kernel(x="batch features", output_grad="batch neurons")
def weight_multiply_param_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``x @ W`` with respect to W: ``x.T @ output_grad``.

    output_grad (batch, neurons), x (batch, features) -> W_grad (features, neurons)

    >>> weight_multiply_param_grad(np.array([[1.0]]), np.array([[3.0, 4.0]]))
    array([[3.],
           [4.]])
    """
    return x.T @ output_grad


@kernel(x=FEATURES, b=PER_FEATURE)
def bias_add(x: Array, b: Array) -> Array:
    """Add a bias to every feature (or channel): ``x + b``; the gradient of x is output_grad.

    x (batch, features, ...), b (1, features, 1...) -> (batch, features, ...)

    >>> bias_add(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[11., 22.]])
    """
    return x + b


@kernel(output_grad=FEATURES)
def bias_add_param_grad(output_grad: Array) -> Array:
    """Gradient of ``x + b`` with respect to b: the sum of output_grad over batch and pixels.

    output_grad (batch, features, ...) -> b_grad (1, features, 1...)

    >>> bias_add_param_grad(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[4., 6.]])
    """
    return output_grad.sum(axis=(0, *range(2, output_grad.ndim)), keepdims=True)
