"""Signs and factors."""

from typing import Any

import numpy as np

from dlfs.base import Operation
from tests.gradcheck.mistakes.axes import SQUARE
from tests.gradcheck.mistakes.making import normal, operation, with_param
from tests.gradcheck.mistakes.masks import X, leaky


def sine(factor: float, rows: float = 0.0, **attributes: Any) -> Operation:
    """Return a sine with a gradient times a factor and a power of the number of rows."""
    made = operation(np.sin, lambda g, x, y: g * np.cos(x) * factor * float(len(x)) ** rows)
    vars(made).update(attributes)
    return made


def pooled(factor: float) -> Operation:
    """Return the mean over pixels, two features wide, with a gradient times a factor."""
    return operation(
        lambda x: np.sin(x).mean(axis=(2, 3)) @ np.ones((3, 2)),
        lambda g, x, y: (
            factor * (g @ np.ones((2, 3)))[..., np.newaxis, np.newaxis] * np.cos(x) / x[0, 0].size
        ),
    )


MISTAKES: dict[str, tuple[Any, ...]] = {
    "sign": (sine(-1), X),
    "zero": (sine(0), X),
    "no influence": (operation(np.round, lambda g, x, y: g * 0.5), X),
    "as many times too large as there are rows": (sine(1, 1.0), X),
    "as many times too small as there are rows": (sine(1, -1.0), X),
    "the root of the number of rows": (sine(1, 0.5), X),
    "a factor of the number of rows, whatever it is": (sine(3.0), X),
    "a factor of 1 / the number of rows, whatever it is": (sine(1 / 3), X),
    "a factor of 2 in one row": (sine(2.0, 1.0), normal(1, 4)),
    "a factor of an attribute": (sine(7.0, width=7), X),
    "a factor of 1 / an attribute": (sine(1 / 7.0, width=7), X),
    "a factor of the root of an attribute": (sine(7.0**0.5, width=7.0), X),
    "a factor of 1 / the root of an attribute": (sine(-(7.0**-0.5), width=7), X),
    "a factor of the product of a tuple": (sine(15.0, sizes=(3, 5)), X),
    "a factor of two attributes": (sine(-7.0, width=7, height=7), X),
    "a factor of a flag and a text": (sine(5.0, flag=True, text="5", sizes=("5",)), X),
    "a factor of an attribute below 1": (sine(0.25, rate=0.25), X),
    "a factor beside an attribute": (sine(7 * (1 + 4e-6), width=7), X),
    "a factor of a row of steps": (sine(12.0), normal(2, 3, 4)),
    "a factor of numbers in a row": (sine(6.0), normal(5)),
    "a factor of a function": ((np.sin, lambda g, x: 2.5 * g * np.cos(x)), X),
    "a factor of the features": (sine(5.0), normal(2, 5)),
    "a factor of the size": (sine(10.0), normal(2, 5)),
    "a factor of the pixels": (sine(15.0), normal(2, 2, 3, 5)),
    "a factor of a row": (sine(1 / 30.0), normal(2, 2, 3, 5)),
    "a factor of the pixels of one image": (pooled(6.0), normal(7, 3, 2, 3)),
    "a factor of the output's features": (pooled(1 / 2.0), normal(7, 3, 2, 3)),
    "a factor of the output's size": (pooled(14.0), normal(7, 3, 2, 3)),
    "nearly as many times too large as there are rows": (sine(1 + 4e-6, 1.0), X),
    "nearly as many times too small as there are rows": (sine(1 + 4e-6, -1.0), X),
    "a factor of one number": (sine(7.5), normal(1, 1)),
    "the first of three columns": (
        operation(np.sin, lambda g, x, y: g * np.cos(x) * [1.5, 1, 1]),
        normal(4, 3),
    ),
    "the first of two columns": (
        operation(np.sin, lambda g, x, y: g * np.cos(x) * [1.5, 1]),
        normal(4, 2),
    ),
    "a factor of no size": (sine(1.234567), X),
    "a sign in a large array": (sine(-1), normal(61, 10)),
    "a sign with as many rows as always": (
        operation(
            lambda x: np.sin(x.reshape(3, 2, 2)).sum(axis=2),
            lambda g, x, y: -np.repeat(g, 2, axis=1).reshape(3, 4) * np.cos(x),
        ),
        X,
    ),
    "two gradients with the wrong sign": (
        with_param(
            SQUARE,
            lambda x, p: x @ p,
            lambda g, x, p: -(x.T @ g),
            lambda g, x, p: -(g @ p.T),
        ),
        normal(4, 3),
    ),
    "wrong in float32": (
        operation(
            np.sin, lambda g, x, y: g * np.cos(x) * g.dtype.type(1 + (g.dtype.itemsize == 4))
        ),
        X.astype(np.float32),
    ),
    "wrong in both dtypes": (
        operation(np.sin, lambda g, x, y: g * np.cos(x) * g.dtype.type(-1)),
        X.astype(np.float32),
    ),
    "wrong in float32, of large numbers": (
        operation(
            lambda x: 1e6 * np.sin(x),
            lambda g, x, y: g * np.cos(x) * np.where(x.dtype == np.float32, g.dtype.type(2e6), 1e6),
        ),
        X.astype(np.float32),
    ),
    "wrong in both dtypes, by a tenth": (
        operation(np.sin, lambda g, x, y: g * np.cos(x) * g.dtype.type(1.1)),
        X.astype(np.float32),
    ),
    "wrong in both dtypes, with a kink": (
        operation(
            leaky, lambda g, x, y: g * np.select([x > 0, x < 0], [-1, -0.1], 0.5).astype(x.dtype)
        ),
        np.where(X == X[1, 2], 0.0, X).astype(np.float32),
    ),
    "the output gradient forgotten": (operation(np.sin, lambda g, x, y: np.cos(x)), X),
}
