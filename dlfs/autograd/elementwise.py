"""Rules of arithmetic and of elementwise functions.

A rule is a plain function of NumPy arrays. It returns its value and, for each operand, a function
from the gradient of the value to that of the operand (a vector-Jacobian product). Forward and
backward stand side by side; a new rule needs nothing else.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy import special

from dlfs.types import Array, Shape

Pull: TypeAlias = Callable[[Array], Array]
"""A function from the gradient of a value to that of an operand."""

Ruled: TypeAlias = tuple[Array, tuple[Pull, ...]]
"""A value, and for each operand the function that gives its gradient."""


def unbroadcast(grad: Array, shape: Shape) -> Array:
    """Sum a gradient over the axes along which an operand was repeated.

    Broadcasting uses one entry many times, and its gradient is the sum over its uses.

    Parameters
    ----------
    grad : ndarray
    shape : tuple
        The shape of the operand, before broadcasting.

    Examples
    --------
    >>> unbroadcast(np.ones((2, 3)), (1, 3))
    array([[2., 2., 2.]])
    """
    leading = grad.ndim - len(shape)
    repeated = [
        leading + axis
        for axis, size in enumerate(shape)
        if size == 1 and grad.shape[leading + axis] != 1
    ]
    if leading or repeated:
        grad = grad.sum(axis=(*range(leading), *repeated), keepdims=True).reshape(shape)
    return grad


# --- two operands ---


def add(x: Array, y: Array) -> Ruled:
    """Return x + y: each operand gets the gradient unchanged."""
    return x + y, (lambda g: unbroadcast(g, x.shape), lambda g: unbroadcast(g, y.shape))


def sub(x: Array, y: Array) -> Ruled:
    """Return x - y: x gets the gradient, y its negative."""
    return x - y, (lambda g: unbroadcast(g, x.shape), lambda g: unbroadcast(-g, y.shape))


def mul(x: Array, y: Array) -> Ruled:
    """Return x * y: each factor gets the gradient times the other factor."""
    return x * y, (lambda g: unbroadcast(g * y, x.shape), lambda g: unbroadcast(g * x, y.shape))


def div(x: Array, y: Array) -> Ruled:
    """Return q = x / y: x gets g / y, y gets -g q / y."""
    out = x / y
    return out, (
        lambda g: unbroadcast(g / y, x.shape),
        lambda g: unbroadcast(-g * out / y, y.shape),
    )


def pow_(x: Array, y: Array) -> Ruled:
    """Return p = x**y: x gets g y x**(y - 1), y gets g p log(x)."""
    out = x**y

    def base(g: Array) -> Array:
        # x**0 is 1 everywhere, also at 0, where x**(0 - 1) would be infinite
        slope = np.where(y == 0, 0, y * x ** np.where(y == 0, 1, y - 1))
        return unbroadcast(g * slope, x.shape)

    def exponent(g: Array) -> Array:
        # 0**y is 0 for y > 0; for x < 0, x**y is not a function of real y
        logs = np.log(np.where(x > 0, x, np.where((x == 0) & (y > 0), 1, np.nan)))
        return unbroadcast(g * out * logs, y.shape)

    return out, (base, exponent)


def maximum(x: Array, y: Array) -> Ruled:
    """Return the larger of x and y, which gets the gradient; equal entries get half each."""
    out = np.maximum(x, y)
    mine = np.where(x == y, 0.5, (x > y).astype(out.dtype)).astype(out.dtype)
    return out, (
        lambda g: unbroadcast(g * mine, x.shape),
        lambda g: unbroadcast(g * (1 - mine), y.shape),
    )


def matmul(x: Array, y: Array) -> Ruled:
    """Return x @ y: x gets g @ y.T, y gets x.T @ g; leading axes are broadcast."""
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(
            f"matmul: x and y must have at least 1 dimension, got shapes {x.shape} and {y.shape}"
        )
    if x.shape[-1] != y.shape[max(y.ndim - 2, 0)]:
        raise ValueError(
            f"matmul: the last axis of x must have the size of the second to last axis of y, "
            f"got shapes {x.shape} and {y.shape}"
        )
    # A vector is a matrix of one row on the left, and of one column on the right.
    left = x[np.newaxis] if x.ndim == 1 else x
    right = y[:, np.newaxis] if y.ndim == 1 else y

    def as_matrices(g: Array) -> Array:
        g = g[..., np.newaxis] if y.ndim == 1 else g
        return g[..., np.newaxis, :] if x.ndim == 1 else g

    return np.matmul(x, y), (
        lambda g: unbroadcast(as_matrices(g) @ right.swapaxes(-1, -2), left.shape).reshape(x.shape),
        lambda g: unbroadcast(left.swapaxes(-1, -2) @ as_matrices(g), right.shape).reshape(y.shape),
    )


# --- one operand ---


def neg(x: Array) -> Ruled:
    """Return -x: the gradient changes its sign."""
    return -x, (lambda g: -g,)


def abs_(x: Array) -> Ruled:
    """Return the absolute value: g sign(x), which is 0 at the kink."""
    return np.abs(x), (lambda g: g * np.sign(x),)


def exp(x: Array) -> Ruled:
    """Return e = exp(x): g e."""
    out = np.exp(x)
    return out, (lambda g: g * out,)


def log(x: Array) -> Ruled:
    """Return log(x): g / x."""
    return np.log(x), (lambda g: g / x,)


def tanh(x: Array) -> Ruled:
    """Return t = tanh(x): g (1 - t**2)."""
    out = np.tanh(x)
    return out, (lambda g: g * (1 - out * out),)


def sigmoid(x: Array) -> Ruled:
    """Return s = 1 / (1 + exp(-x)): g s (1 - s)."""
    out = special.expit(x)
    return out, (lambda g: g * out * (1 - out),)


def relu(x: Array) -> Ruled:
    """Return max(x, 0): g where x > 0; 0 at the kink."""
    return np.maximum(x, 0), (lambda g: g * (x > 0),)
