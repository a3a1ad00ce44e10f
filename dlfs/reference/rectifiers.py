"""ReLU and its relatives, elementwise; their gradients take the input."""

import math

import numpy as np
from scipy import special

from dlfs.checks import FRACTION, POSITIVE
from dlfs.reference.kernel import kernel
from dlfs.types import Array

GELU_LINEAR = 2 * math.sqrt(2 / math.pi)
GELU_CUBIC = GELU_LINEAR * 0.044715
GELU_NEAR = 40.0
"""Beyond it the sigmoid of GELU with tanh is 0 or 1."""


@kernel(x="...")
def relu(x: Array) -> Array:
    """Keep what is above 0: ``max(x, 0)``; NaN stays NaN.

    >>> relu(np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]])
    """
    return np.maximum(x, 0)


@kernel(x="...", output_grad="...")
def relu_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``relu``: ``output_grad * (x > 0)``; at the kink, x = 0, it is 0.

    >>> relu_grad(np.array([[5.0, 5.0, 5.0]]), np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 5.]])
    """
    return output_grad * (x > 0)


@kernel(x="...", slope=FRACTION)
def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Keep a small slope below 0: ``x`` where ``x > 0``, else ``slope * x``; 0 <= slope < 1.

    >>> leaky_relu(np.array([[-1.0, 0.0, 2.0]]), 0.5)
    array([[-0.5,  0. ,  2. ]])
    """
    return np.where(x > 0, x, slope * x)


@kernel(x="...", output_grad="...", slope=FRACTION)
def leaky_relu_grad(output_grad: Array, x: Array, slope: float = 0.01) -> Array:
    """Gradient of ``leaky_relu``: ``output_grad`` where ``x > 0``, else ``slope * output_grad``.

    >>> leaky_relu_grad(np.array([[4.0, 4.0]]), np.array([[-1.0, 2.0]]), 0.5)
    array([[2., 4.]])
    """
    return np.where(x > 0, output_grad, slope * output_grad)


@kernel(x="...", alpha=POSITIVE)
def elu(x: Array, alpha: float = 1.0) -> Array:
    """Bend towards -alpha below 0: ``x`` where ``x > 0``, else ``alpha * (exp(x) - 1)``; alpha > 0.

    >>> elu(np.array([[-1000.0, 0.0, 2.0]]))
    array([[-1.,  0.,  2.]])
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@kernel(x="...", output_grad="...", alpha=POSITIVE)
def elu_grad(output_grad: Array, x: Array, alpha: float = 1.0) -> Array:
    """Gradient of ``elu``: ``output_grad`` where ``x > 0``, else ``output_grad * alpha * exp(x)``.

    >>> elu_grad(np.array([[3.0, 3.0]]), np.array([[0.0, 2.0]]))
    array([[3., 3.]])
    """
    return output_grad * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


@kernel(x="...")
def gelu(x: Array) -> Array:
    """Gaussian error linear unit: ``x * Phi(x)`` with ``Phi(x) = (1 + erf(x / sqrt(2))) / 2``.

    >>> gelu(np.array([[-100.0, 0.0, 100.0]]))
    array([[ -0.,   0., 100.]])
    """
    return x * special.ndtr(x)


@kernel(x="...", output_grad="...")
def gelu_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``gelu``: ``output_grad * (Phi(x) + x * exp(-x**2 / 2) / sqrt(2 pi))``.

    >>> gelu_grad(np.array([[2.0]]), np.array([[0.0]]))
    array([[1.]])
    """
    # Beyond 40 the density is 0, and the square could overflow.
    near = np.clip(x, -40, 40)
    density = np.exp(-0.5 * near * near) * (1 / math.sqrt(2 * math.pi))
    return output_grad * (special.ndtr(x) + x * density)


@kernel(x="...")
def gelu_tanh(x: Array) -> Array:
    """Approximate ``gelu`` as GPT-2 did: ``x * (1 + tanh(u)) / 2``.

    ``u = sqrt(2 / pi) * (x + 0.044715 * x**3)``. Computed is ``x * sigmoid(2 * u)``, which is the
    same number, without cancellation where x is far below 0.

    >>> gelu_tanh(np.array([[-100.0, 0.0, 100.0]]))
    array([[ -0.,   0., 100.]])
    """
    near = np.clip(x, -GELU_NEAR, GELU_NEAR)
    return x * special.expit(near * (GELU_LINEAR + GELU_CUBIC * near * near))


@kernel(x="...", output_grad="...")
def gelu_tanh_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``gelu_tanh``: ``output_grad * (s + x * s * (1 - s) * slope)``.

    ``s = sigmoid(2 * u)`` and ``slope``, the derivative of 2 u, is ``2 * sqrt(2 / pi) * (1 + 3 *
    0.044715 * x**2)``.

    >>> gelu_tanh_grad(np.array([[2.0]]), np.array([[0.0]]))
    array([[1.]])
    """
    near = np.clip(x, -GELU_NEAR, GELU_NEAR)
    squared = near * near
    z = near * (GELU_LINEAR + GELU_CUBIC * squared)
    s = special.expit(z)
    slope = GELU_LINEAR + 3 * GELU_CUBIC * squared
    return output_grad * (s + near * s * special.expit(-z) * slope)


@kernel(x="...")
def silu(x: Array) -> Array:
    """Sigmoid linear unit, also called swish: ``x * sigmoid(x)``.

    >>> silu(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[  -0.,    0., 1000.]])
    """
    return x * special.expit(x)


@kernel(x="...", output_grad="...")
def silu_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``silu``: ``output_grad * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``.

    >>> silu_grad(np.array([[2.0]]), np.array([[0.0]]))
    array([[1.]])
    """
    s = special.expit(x)
    return output_grad * s * (1 + x * (1 - s))


@kernel(x="...")
def softplus(x: Array) -> Array:
    """Smooth the ReLU: ``log(1 + exp(x))``, without overflow.

    >>> softplus(np.array([[-1000.0, 1000.0]]))
    array([[   0., 1000.]])
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@kernel(x="...", output_grad="...")
def softplus_grad(output_grad: Array, x: Array) -> Array:
    """Gradient of ``softplus``: ``output_grad * sigmoid(x)``.

    >>> softplus_grad(np.array([[4.0]]), np.array([[0.0]]))
    array([[2.]])
    """
    return output_grad * special.expit(x)
