"""Losses with the gradient of another loss, or of another step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from tests.gradcheck.mistakes.making import normal


def loss(output: Any, input_grad: Any, base: type[Loss] = Loss, **options: Any) -> Loss:
    """Return a loss of functions of prediction and target; None keeps the base's value."""
    methods = {"_input_grad": lambda self: input_grad(self.prediction, self.target)}
    if output is not None:
        methods["_output"] = lambda self: float(output(self.prediction, self.target))
    return type("Wrong", (base,), methods)(**options)


def log_cosh(p: np.ndarray, t: np.ndarray) -> float:
    return float(np.mean(np.log(np.cosh(p - t))))


def softmax(p: np.ndarray) -> np.ndarray:
    return np.exp(p) / np.exp(p).sum(axis=-1, keepdims=True)


def sigmoid(p: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-p))


def one_hot(t: np.ndarray) -> np.ndarray:
    return np.eye(4)[t]


P, T = normal(3, 4), np.random.default_rng(1).dirichlet(np.ones(4), 3)
LABELS = np.array([0, 3, 2])
OTHERS: dict[str, Callable[..., Any]] = {
    "softmax cross-entropy": lambda p, t: softmax(p) - t,
    "binary cross-entropy": lambda p, t: sigmoid(p) - t,
    "squared error": lambda p, t: 2 * (p - t),
    "half the squared error": lambda p, t: p - t,
    "absolute error": lambda p, t: np.sign(p - t),
    "cross-entropy of probabilities": lambda p, t: -t / p,
    "cross-entropy without the softmax's derivative": lambda p, t: -t / softmax(p),
    "squared error of a sigmoid": lambda p, t: 2 * (sigmoid(p) - t),
    "squared error of a softmax": lambda p, t: 2 * (softmax(p) - t),
}
MISTAKES: dict[str, tuple[Any, ...]] = {
    f"log cosh: the {name}{'' if mean else ', not averaged'}": (
        loss(log_cosh, lambda p, t, g=gradient, m=mean: g(p, t) / (len(p) if m else 1)),
        P,
        T,
    )
    for name, gradient in OTHERS.items()
    for mean in (True, False)
}
MISTAKES |= {
    "log cosh of a column: the squared error": (
        loss(log_cosh, lambda p, t: 2 * (p - t) / len(p)),
        P[:, :1],
        T[:, 0],
    ),
    "softmax cross-entropy of labels: the squared error": (
        loss(None, lambda p, t: 2 * (p - one_hot(t)) / len(p), SoftmaxCrossEntropy),
        P,
        LABELS,
    ),
    "softmax cross-entropy of steps: the squared error": (
        loss(None, lambda p, t: 2 * (p - one_hot(t)) / len(p), SoftmaxCrossEntropy),
        normal(2, 3, 4),
        np.array([[0, 3, 2], [1, 1, 3]]),
    ),
    "log cosh of steps: softmax cross-entropy": (
        loss(log_cosh, lambda p, t: (softmax(p) - t) / len(p)),
        normal(2, 3, 4),
        np.random.default_rng(1).dirichlet(np.ones(4), (2, 3)),
    ),
    "log cosh of targets with a 0 prediction: the cross-entropy of probabilities": (
        loss(log_cosh, lambda p, t: 2 * (p - t)),
        P * (P != P[0, 0]),
        T,
    ),
    "a loss with the wrong sign": (loss(log_cosh, lambda p, t: -np.tanh(p - t) / p.size), P, T),
    "a loss that is not averaged": (
        loss(lambda p, t: np.sum((p - t) ** 4) / len(p), lambda p, t: 4 * (p - t) ** 3),
        P,
        T,
    ),
    "a loss with a factor of 3, and 3 rows": (
        loss(lambda p, t: np.sum((p - t) ** 4), lambda p, t: 12 * (p - t) ** 3),
        P,
        T,
    ),
} | {
    f"normalized squared error: {factor} times the one of the quotient": (
        loss(
            None,
            lambda p, t, f=factor: f * (p / p.sum(-1, keepdims=True) - t) / len(p),
            MeanSquaredError,
            normalize=True,
        ),
        np.abs(P) + 0.5,
        T,
    )
    for factor in (1, 2)
}
MISTAKES["squared error that is not normalized: the one of the quotient"] = (
    loss(None, lambda p, t: 2 * (p / p.sum(-1, keepdims=True) - t) / len(p), MeanSquaredError),
    np.abs(P) + 0.5,
    T,
)
