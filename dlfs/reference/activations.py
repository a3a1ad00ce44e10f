"""Sigmoid, tanh and softmax: activations whose derivative follows from their own output."""

import numpy as np
from scipy import special

from dlfs.reference.kernel import kernel
from dlfs.types import Array


@kernel(x="...")
def sigmoid(x: Array) -> Array:
    """Squash to (0, 1): ``1 / (1 + exp(-x))``, without overflow however large ``|x|`` is.

    >>> sigmoid(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[0. , 0.5, 1. ]])
    """
    return special.expit(x)


@kernel(output="...", output_grad="...")
def sigmoid_grad(output_grad: Array, output: Array) -> Array:
    """Gradient of ``sigmoid``: ``output_grad * output * (1 - output)``.

    >>> sigmoid_grad(np.array([[1.0]]), np.array([[0.5]]))
    array([[0.25]])
    """
    return output_grad * output * (1 - output)


@kernel(x="...")
def tanh(x: Array) -> Array:
    """Squash to (-1, 1): ``tanh(x)``.

    >>> tanh(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[-1.,  0.,  1.]])
    """
    return np.tanh(x)


@kernel(output="...", output_grad="...")
def tanh_grad(output_grad: Array, output: Array) -> Array:
    """Gradient of ``tanh``: ``output_grad * (1 - output**2)``.

    >>> tanh_grad(np.array([[2.0]]), np.array([[0.5]]))
    array([[1.5]])
    """
    return output_grad * (1 - output * output)


@kernel(x="...")
def softmax(x: Array) -> Array:
    """Turn the last axis into probabilities: ``exp(x - m) / sum(exp(x - m))``, m its largest.

    x (..., classes) -> (..., classes)

    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    check_classes(x, "softmax")
    exps = np.exp(x - x.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


@kernel(output="...", output_grad="...")
def softmax_grad(output_grad: Array, output: Array) -> Array:
    """Gradient of ``softmax``: ``output * (output_grad - sum(output_grad * output))``.

    output_grad (..., classes), output (..., classes) -> x_grad (..., classes)

    >>> softmax_grad(np.array([[1.0, 1.0]]), np.array([[0.5, 0.5]]))
    array([[0., 0.]])
    """
    check_classes(output, "softmax_grad")
    return output * (output_grad - (output_grad * output).sum(axis=-1, keepdims=True))


def check_classes(x: Array, owner: str) -> None:
    """Demand at least one class on the last axis."""
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(
            f"{owner}: the last axis must hold at least one class, got shape {x.shape}"
        )
