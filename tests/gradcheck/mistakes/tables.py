"""Steps of a sequence, and rows of a table."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.base import ParamOperation
from tests.gradcheck.mistakes.making import normal, operation, with_param


def recurrence(x: np.ndarray) -> np.ndarray:
    """Return the states of h = tanh(x + h / 2)."""
    h = np.zeros_like(x[:, 0])
    states = []
    for step in np.moveaxis(x, 1, 0):
        h = np.tanh(step + h / 2)
        states.append(h)
    return np.stack(states, axis=1)


def looked_up(grad: Callable[..., Any]) -> ParamOperation:
    """Return a table of four rows, whose gradient is computed from the rows' gradients."""
    made = with_param(
        normal(4, 3),
        lambda x, p: p[x],
        lambda g, x, p: grad(g.reshape(-1, 3), x.ravel(), np.zeros_like(p)),
        lambda g, x, p: np.zeros(x.shape),
    )
    type(made).takes_integers = True
    return made


def mean_of_rows(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    np.add.at(grad, x, g)
    return grad / np.bincount(x, minlength=len(grad)).clip(1)[:, np.newaxis]


def last_of_rows(g: np.ndarray, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
    grad[x] = g
    return grad


MISTAKES: dict[str, tuple[Any, ...]] = {
    "no gradient through time": (
        operation(recurrence, lambda g, x, y: g * (1 - y**2)),
        normal(2, 3, 2),
    ),
    "rows: the mean of two": (looked_up(mean_of_rows), np.array([[0, 3], [3, 1]])),
    "rows: the mean of three": (looked_up(mean_of_rows), np.array([3, 0, 3, 3])),
    "rows: the last of three": (looked_up(last_of_rows), np.array([3, 0, 3, 3])),
}
