"""Shapes, and what a backward pass leaves behind."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.activations import Linear
from dlfs.dense import WeightMultiply
from tests.gradcheck.mistakes.losses import P, T, log_cosh, loss
from tests.gradcheck.mistakes.making import normal, operation, with_param
from tests.gradcheck.mistakes.masks import X

GRADIENTS: dict[str, Callable[..., Any]] = {
    "transposed": lambda g, x, p: (x.T @ g).T,
    "without its axis": lambda g, x, p: (x.T @ g).ravel(),
    "not summed": lambda g, x, p: x[:, :, np.newaxis] * g[:, np.newaxis],
    "summed too far": lambda g, x, p: (x.T @ g).sum(axis=0, keepdims=True),
    "summed to a number": lambda g, x, p: np.array(1.0),
    "missing": lambda g, x, p: None,
}
MISTAKES: dict[str, tuple[Any, ...]] = {
    f"weight gradient: {what}": (
        with_param(normal(4, 2), lambda x, p: x @ p, grad, lambda g, x, p: g @ p.T),
        X,
    )
    for what, grad in GRADIENTS.items()
}


def raising(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if g.shape == x.shape:
        raise KeyError("key")
    return g


def stopping(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    assert g.shape == x.T.shape
    return g


MISTAKES |= {
    "weight gradient of two rows: not summed": (
        with_param(
            normal(4, 2), lambda x, p: x @ p, GRADIENTS["not summed"], lambda g, x, p: g @ p.T
        ),
        X[:2],
    ),
    "weight gradient of one row: of another size": (
        with_param(
            normal(4, 2),
            lambda x, p: x @ p,
            lambda g, x, p: np.ones((1, 7)),
            lambda g, x, p: g @ p.T,
        ),
        X[:1],
    ),
    "input gradient: missing": (operation(np.sin, lambda g, x, y: None), X),
    "input gradient: not summed": (
        operation(np.sin, lambda g, x, y: np.ones((3, 3, 4))),
        X,
    ),
    "two functions: one gradient missing": (
        (lambda a, b: a * b, lambda g, a, b: (g * b, None)),
        (X, normal(3, 4, seed=1)),
    ),
    "two functions: one gradient transposed": (
        (lambda a, b: a @ b, lambda g, a, b: (g @ b.T, g.T @ a)),
        (X, normal(4, 2, seed=1)),
    ),
    "a loss: transposed": (loss(log_cosh, lambda p, t: np.tanh(p - t).T / p.size), P, T),
    "an error in backward": (operation(np.sin, raising), X),
    "an error without words": (operation(np.sin, stopping), X),
}


class Remembers(Linear):
    """It keeps what the first call computed."""

    def _output(self):
        if not hasattr(self, "first"):
            self.first = np.cos(self.input_)
        return np.sin(self.input_)

    def _input_grad(self, output_grad):
        return output_grad * np.cos(self.input_) * self.first / self.first.mean()


class Adds(Linear):
    total = 0.0

    def _input_grad(self, output_grad):
        self.total = self.total + output_grad
        return self.total


class DrawsAgain(Linear):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def _input_grad(self, output_grad):
        return output_grad * self.rng.random(output_grad.shape)


class DrawsFromNowhere(Linear):
    def _input_grad(self, output_grad):
        return output_grad * np.random.default_rng().random(output_grad.shape)


class AddsOnce(Linear):
    """It gives the double only the second time."""

    calls = 0

    def forward(self, input_, inference=False):
        self.calls = 0
        return super().forward(input_)

    def _input_grad(self, output_grad):
        self.calls += 1
        return output_grad * min(self.calls, 2)


class ParamsAlone(WeightMultiply):
    def backward(self, output_grad, input_grad=True):
        if input_grad:
            return super().backward(output_grad)
        self.param_grad = 2 * self._param_grad(output_grad)
        return None


class WritesForward(Linear):
    def _output(self):
        self.input_ *= 2
        return self.input_ * 1


class WritesIntoInput(Linear):
    def _input_grad(self, output_grad):
        self.input_ *= 2
        return output_grad


class WritesIntoOutputGrad(Linear):
    def _input_grad(self, output_grad):
        output_grad *= 2
        return output_grad / 2


MISTAKES |= {
    "kept from the first call": (Remembers(), X),
    "added to the last gradient": (Adds(), X),
    "a second mask": (DrawsAgain(), X),
    "random numbers from nowhere": (DrawsFromNowhere(), X),
    "a gradient of integers": (operation(np.sin, lambda g, x, y: x > 0), X),
    "a gradient of another dtype": (
        operation(np.sin, lambda g, x, y: (g * np.cos(x)).astype(np.float64)),
        X.astype(np.float32),
    ),
    "an output of another dtype": (
        operation(
            lambda x: np.sin(x).astype(np.float64),
            lambda g, x, y: (g * np.cos(x)).astype(np.float32),
        ),
        X.astype(np.float32),
    ),
    "an output that is infinite": (operation(lambda x: x + np.inf, lambda g, x, y: g), X),
    "a gradient that is not a number": (operation(np.sin, lambda g, x, y: g * np.nan), X),
    "a random output": (
        operation(lambda x: x + np.random.default_rng().random(), lambda g, x, y: g),
        X,
    ),
    "the double, the second time": (AddsOnce(), X),
    "the parameters' gradient alone": (ParamsAlone(normal(4, 2)), X),
    "the input is changed by forward": (WritesForward(), X.copy()),
    "the input is changed": (WritesIntoInput(), X.copy()),
    "the output gradient is changed": (WritesIntoOutputGrad(), X),
}
