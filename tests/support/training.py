"""Small problems to train on, and comparisons to the bit."""

from typing import Any

import numpy as np

from dlfs.activations import Tanh
from dlfs.layers import BatchNorm, Dense
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer


def regression(rows: int = 50, features: int = 3, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Return X_train, y_train, X_test, y_test of a smooth function with noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * rows, features))
    y = np.sin(X.sum(axis=1, keepdims=True)) + 0.1 * rng.normal(size=(2 * rows, 1))
    return X[:rows], y[:rows], X[rows:], y[rows:]


def classification(rows: int = 60, classes: int = 3, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Return X_train, y_train, X_test, y_test of noisy points around a centre for each class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, size=2 * rows)
    X = rng.normal(size=(classes, 4))[y] * 2 + rng.normal(size=(2 * rows, 4))
    return X[:rows], y[:rows], X[rows:], y[rows:]


def regressor(**options: Any) -> NeuralNetwork:
    """Return a network for ``regression``."""
    options = {"seed": 7} | options
    return NeuralNetwork(
        [Dense(5, activation=Tanh(), weight_init="glorot"), Dense(1, weight_init="glorot")],
        **options,
    )


def classifier(**options: Any) -> NeuralNetwork:
    """Return a network for ``classification`` with all state that resuming must restore."""
    options = {"seed": 7} | options
    layers = [Dense(8, activation=Tanh(), dropout=0.7), BatchNorm(), Dense(3)]
    return NeuralNetwork(layers, SoftmaxCrossEntropy(), **options)


def weights(net: NeuralNetwork) -> list[np.ndarray]:
    """Return copies of all parameters and running statistics."""
    states = [a for layer in net for op in layer.operations for a in op.state().values()]
    return [array.copy() for array in (*net.params(), *states)]


def memory(optim: Optimizer) -> list[np.ndarray]:
    """Return copies of an optimizer's state."""
    return [array.copy() for arrays in optim.state().values() for array in arrays]


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    """Say whether two lists hold the same arrays, to the bit."""
    return len(first) == len(second) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(first, second, strict=True)
    )


def without_seconds(history: Any) -> list[dict[str, Any]]:
    """Return a history's rows without the times, which differ between runs."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]
