"""Gradients whose axes have another order."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.base import ParamOperation
from tests.gradcheck.mistakes.making import normal, operation, with_param

ORDERS: dict[str, Callable[..., Any]] = {
    "pixels before the batch": lambda f, n, c, p: (
        f.transpose(1, 2, 0).reshape(c, n, p).transpose(1, 0, 2)
    ),
    "the batch before the pixels": lambda f, n, c, p: (
        f.transpose(1, 0, 2).reshape(c, p, n).transpose(2, 0, 1)
    ),
    "channels for the batch": lambda f, n, c, p: f.reshape(c, n, p).transpose(1, 0, 2),
    "the batch for channels": lambda f, n, c, p: f.transpose(1, 0, 2),
    "pixels for channels": lambda f, n, c, p: f.reshape(n, p, c).transpose(0, 2, 1),
    "channels for pixels": lambda f, n, c, p: f.transpose(0, 2, 1),
}


def mixed(order: Callable[..., Any], on_input: bool) -> ParamOperation:
    """Return a convolution with windows of one pixel, one of whose gradients mixes axes."""

    def mix(g: np.ndarray) -> np.ndarray:
        n, c, p = len(g), g.shape[1], g[0, 0].size
        return order(g.reshape(n, c, p), n, c, p).reshape(g.shape)

    return with_param(
        normal(3, 3, seed=2),
        lambda x, p: np.einsum("nihw,ic->nchw", x, p),
        lambda g, x, p: np.einsum("nihw,nchw->ic", x, g if on_input else mix(g)),
        lambda g, x, p: np.einsum("nchw,ic->nihw", mix(g) if on_input else g, p),
    )


MISTAKES: dict[str, tuple[Any, ...]] = {
    f"{'input' if on_input else 'weight'} gradient: {name}": (
        mixed(order, on_input),
        normal(2, 3, 2, 2),
    )
    for name, order in ORDERS.items()
    for on_input in (True, False)
}
SQUARE = normal(3, 3, seed=4)
CUBE = normal(1, 2, 3, 3, seed=4)


def scaled_by(param: np.ndarray, change: Callable[..., Any]) -> ParamOperation:
    """Return an Operation that multiplies by a parameter, whose gradient is changed."""
    return with_param(
        param,
        lambda x, p: x * p,
        lambda g, x, p: change((g * x).sum(axis=0, keepdims=True).reshape(p.shape)),
        lambda g, x, p: g * p,
    )


MISTAKES |= {
    "the right numbers, transposed": (
        with_param(
            SQUARE,
            lambda x, p: x @ p,
            lambda g, x, p: g.T @ x,
            lambda g, x, p: g @ p.T,
        ),
        normal(4, 3),
    ),
    "the right numbers, with the last two of four axes swapped": (
        scaled_by(CUBE, lambda grad: grad.swapaxes(2, 3)),
        normal(3, 2, 3, 3),
    ),
    "the right numbers, flipped along both axes": (
        scaled_by(CUBE, lambda grad: grad[:, :, ::-1, ::-1]),
        normal(3, 2, 3, 3),
    ),
    "the right numbers, flipped along axis 2": (
        scaled_by(CUBE, lambda grad: grad[:, :, ::-1]),
        normal(3, 2, 3, 3),
    ),
    "the right numbers, flipped along axis 3": (
        scaled_by(CUBE, lambda grad: grad[..., ::-1]),
        normal(3, 2, 3, 3),
    ),
    "the right numbers, one place further on": (
        operation(np.sin, lambda g, x, y: np.roll(g * np.cos(x), 1, axis=1)),
        normal(3, 5),
    ),
    "three numbers, one place further on": (
        operation(np.sin, lambda g, x, y: np.roll(g * np.cos(x), 1)),
        normal(3),
    ),
}
