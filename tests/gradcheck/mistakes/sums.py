"""Sums of which one term is kept."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.base import ParamOperation
from tests.gradcheck.mistakes.making import normal, with_param


def linear(jacobian: np.ndarray, grad: Any) -> ParamOperation:
    """Return an Operation that adds to its input a parameter times a matrix."""

    def output(x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return x + np.tensordot(jacobian[: len(x)], p[0], 1)

    return with_param(
        normal(1, jacobian.shape[-1], seed=5),
        output,
        lambda g, x, p: grad(g[..., np.newaxis] * jacobian[: len(x)])[np.newaxis],
        lambda g, x, p: g,
    )


def kept(shape: tuple[int, ...], axes: tuple[int, ...], which: int) -> Callable[..., Any]:
    """Return a sum over an output of which only one place along some axes is kept."""

    def grad(terms: np.ndarray) -> np.ndarray:
        for axis in axes:
            place = which % terms.shape[axis]
            terms = np.take(terms, [place], axis)
        return terms.sum(axis=tuple(range(terms.ndim - 1)))

    return grad


ONE_TERM = {
    "a row of 4": ((4,), (0,)),
    "the batch": ((3, 4), (0,)),
    "the features": ((3, 4), (1,)),
    "all": ((3, 4), (0, 1)),
    "the steps": ((2, 3, 4), (1,)),
    "the batch and the steps": ((2, 3, 4), (0, 1)),
    "the last of three axes": ((2, 3, 4), (2,)),
    "the batch of images": ((2, 3, 2, 3), (0,)),
    "the channels": ((2, 3, 2, 3), (1,)),
    "the pixels": ((2, 3, 2, 3), (2, 3)),
    "the lines": ((2, 3, 2, 3), (2,)),
    "the batch and the pixels": ((2, 3, 2, 3), (0, 2, 3)),
    "all but the columns": ((2, 3, 2, 3), (0, 1, 2)),
}
MISTAKES: dict[str, tuple[Any, ...]] = {
    f"one term of {what} is kept, {which}": (
        linear(
            normal(*(size + (axis == 0) for axis, size in enumerate(shape)), 5, seed=3),
            kept(shape, axes, {"first": 0, "last": -1}[which]),
        ),
        normal(*shape),
    )
    for what, (shape, axes) in ONE_TERM.items()
    for which in ("first", "last")
}


MISTAKES["one term of the batch is kept, in a gradient of one number"] = (
    linear(normal(4, 3, 1, seed=3), kept((3, 3), (0,), -1)),
    normal(3, 3),
)


def sparse(rows: int, features: int, axis: int) -> np.ndarray:
    """Return a matrix in which each column has zeros at other places along an axis."""
    rng = np.random.default_rng(7)
    matrix = rng.standard_normal((rows + 1, features, 5))
    holes = rng.random((rows + 1, 5) if axis == 0 else (features, 5)) < 0.5
    return matrix * (holes[:, np.newaxis] if axis == 0 else holes)


def overwritten(axis: int, which: str) -> Callable[..., Any]:
    """Return a sum along an axis of which each entry keeps its first or last term."""

    def grad(terms: np.ndarray) -> np.ndarray:
        others = tuple(other for other in range(terms.ndim - 1) if other != axis)
        parts = terms.sum(axis=others)
        found = np.zeros(parts.shape[1])
        for part in parts if which == "last" else parts[::-1]:
            found[part != 0] = part[part != 0]
        return found

    return grad


MISTAKES |= {
    f"each entry keeps its {which} term along axis {axis}": (
        linear(sparse(4, 3, axis), overwritten(axis, which)),
        normal(4, 3),
    )
    for axis in (0, 1)
    for which in ("first", "last")
}
