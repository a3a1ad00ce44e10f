"""Normalizations without a term of their gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.base import Operation
from tests.gradcheck.mistakes.making import normal, operation


def axes_of(kind: str) -> tuple[int, ...]:
    return {"rows": (-1,), "batch": (0,), "images": (0, 2, 3)}[kind]


NORMALIZED = {"rows": normal(4, 5), "batch": normal(5, 3), "images": normal(3, 2, 2, 3)}
PARTS: dict[str, Callable[..., Any]] = {
    "constant": lambda g, y, m, s, n: g / s,
    "constant variance": lambda g, y, m, s, n: (g - m(g)) / s,
    "constant mean": lambda g, y, m, s, n: (g - y * m(g * y)) / s,
    "count - 1": lambda g, y, m, s, n: (g - n / (n - 1) * (m(g) + y * m(g * y))) / s,
    "no deviation": lambda g, y, m, s, n: g - m(g) - y * m(g * y),
}


def normalized(axes: tuple[int, ...], part: Callable[..., Any], eps: float = 1e-5) -> Operation:
    def mean(a: np.ndarray) -> np.ndarray:
        return a.mean(axis=axes, keepdims=True)

    def spread(x: np.ndarray) -> np.ndarray:
        return np.sqrt(x.var(axis=axes, keepdims=True) + eps)

    def count(x: np.ndarray) -> int:
        return int(np.prod([x.shape[axis] for axis in axes]))

    return operation(
        lambda x: (x - mean(x)) / spread(x),
        lambda g, x, y: part(g, y, mean, spread(x), count(x)),
    )


MISTAKES: dict[str, tuple[Any, ...]] = {
    f"norm of {kind}: {what}": (normalized(axes_of(kind), part), x)
    for kind, x in NORMALIZED.items()
    for what, part in PARTS.items()
}
FLAT_COLUMN = NORMALIZED["batch"] * [1, 0, 1]
LENGTH = {"x": normal(4, 5), "with a row of zeros": normal(4, 5) * [[1], [0], [1], [1]]}
MISTAKES |= {
    "norm of three numbers: constant": (normalized((-1,), PARTS["constant"]), normal(4, 3)),
    "norm of two numbers: constant": (normalized((-1,), PARTS["constant"], 1e-2), normal(4, 2)),
    "norm of a constant column: constant": (
        normalized((0,), PARTS["constant variance"], 0.01),
        FLAT_COLUMN,
    ),
    "norm with a large eps: constant": (normalized((-1,), PARTS["constant"], 0.05), normal(4, 5)),
    "norm with a very large eps: constant": (
        normalized((-1,), PARTS["constant"], 2.0),
        normal(4, 5),
    ),
} | {
    f"root mean square, {what}: constant": (
        operation(
            lambda x: x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3),
            lambda g, x, y: g / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3),
        ),
        x,
    )
    for what, x in LENGTH.items()
}
MISTAKES["a hundred times a root mean square: constant"] = (
    operation(
        lambda x: 100 * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3),
        lambda g, x, y: 100 * g / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3),
    ),
    normal(4, 5),
)
