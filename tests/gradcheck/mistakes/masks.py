"""Masks, and derivatives that are forgotten or taken at another place."""

from typing import Any

import numpy as np
from scipy import special

from tests.gradcheck.mistakes.making import normal, operation

X = normal(3, 4)


def leaky(x: np.ndarray, low: float = 0.1, high: float = 1.0) -> np.ndarray:
    return np.where(x > 0, high * x, low * x)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def product_grads(g: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inner = g * (1 - np.tanh(a @ b) ** 2)
    return inner @ b.T, -a.T @ inner


MISTAKES: dict[str, tuple[Any, ...]] = {
    "ReLU: every gradient": (operation(relu, lambda g, x, y: g * 1), X),
    "ReLU: every gradient, and one input is 0": (
        operation(relu, lambda g, x, y: g * 1),
        np.where(X == X[1, 2], 0.0, X),
    ),
    "ReLU: inverted": (operation(relu, lambda g, x, y: g * (x <= 0)), X),
    "ReLU: the mask of g": (operation(relu, lambda g, x, y: g * (g > 0)), X),
    "ReLU: the mask of g x": (operation(relu, lambda g, x, y: g * (g * x > 0)), X),
    "leaky: every gradient": (operation(leaky, lambda g, x, y: g * 1), X),
    "leaky: the lower slope everywhere": (operation(leaky, lambda g, x, y: g * 0.1), X),
    "leaky: inverted": (operation(leaky, lambda g, x, y: g * np.where(x > 0, 0.1, 1)), X),
    "leaky: the mask of g": (operation(leaky, lambda g, x, y: g * np.where(g > 0, 1, 0.1)), X),
    "leaky: the mask of g x": (
        operation(leaky, lambda g, x, y: g * np.where(g * x > 0, 1, 0.1)),
        X,
    ),
    "leaky: no slope below 0": (operation(leaky, lambda g, x, y: g * (x > 0)), X),
    "slopes of 2 and 0.5: every gradient": (
        operation(lambda x: leaky(x, 0.5, 2.0), lambda g, x, y: 2 * g),
        X,
    ),
    "slopes of 2 and 0.5: inverted": (
        operation(lambda x: leaky(x, 0.5, 2.0), lambda g, x, y: np.where(x > 0, 0.5, 2.0) * g),
        X,
    ),
    "the smaller of x and 0: every gradient": (
        operation(lambda x: np.minimum(x, 0), lambda g, x, y: g * 1),
        X,
    ),
    "a bend above 0 only: every gradient": (
        operation(lambda x: np.where(x > 0, x**2, 0), lambda g, x, y: g * 1),
        X,
    ),
    "a bend below 0 only: every gradient": (
        operation(lambda x: np.where(x > 0, x, np.expm1(x)), lambda g, x, y: g * 1),
        X,
    ),
    "a bend below 0 only: no slope there": (
        operation(lambda x: np.where(x > 0, x, np.expm1(x)), lambda g, x, y: g * (x > 0)),
        X,
    ),
    "tanh: forgotten": (operation(np.tanh, lambda g, x, y: g * 1), X),
    "tanh: times the output": (operation(np.tanh, lambda g, x, y: g * y), X),
    "tanh: times the input": (operation(np.tanh, lambda g, x, y: g * x), X),
    "tanh: at the input": (operation(np.tanh, lambda g, x, y: g * (1 - x**2)), X),
    "sigmoid: at the input": (operation(special.expit, lambda g, x, y: g * x * (1 - x)), X),
    "sigmoid: at the output": (
        operation(special.expit, lambda g, x, y: g * special.expit(y) * (1 - special.expit(y))),
        X,
    ),
    "a mean of each row: forgotten": (
        operation(lambda x: x - x.mean(1, keepdims=True), lambda g, x, y: g * 1),
        X,
    ),
    "softmax: times the output": (
        operation(lambda x: special.softmax(x, 1), lambda g, x, y: g * y),
        X,
    ),
    "softmax: the diagonal": (
        operation(lambda x: special.softmax(x, 1), lambda g, x, y: g * y * (1 - y)),
        X,
    ),
    "two functions: forgotten in the second": (
        (lambda a, b: a * np.sin(b), lambda g, a, b: (g * np.sin(b), g * 1)),
        (X, normal(3, 4, seed=1)),
    ),
    "two functions: a sign in the second": (
        (lambda a, b: np.tanh(a @ b), product_grads),
        (X, normal(4, 2, seed=1)),
    ),
}
