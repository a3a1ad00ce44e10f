"""Rules that reduce axes, select entries or rearrange them."""

import copy
import math
from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from dlfs.autograd.elementwise import Pull, Ruled
from dlfs.checks import check_flag
from dlfs.types import Array, Shape

# --- over axes ---


def sum_(x: Array, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Ruled:
    """Return the sum: each entry gets the gradient of its sum."""
    axes = _axes(axis, x, "sum", keepdims)
    return x.sum(axis=axes, keepdims=keepdims), (
        lambda g: np.broadcast_to(g.reshape(_kept(x, axes)), x.shape),
    )


def mean(x: Array, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Ruled:
    """Return the mean of n entries: each gets 1 / n of the gradient."""
    axes = _axes(axis, x, "mean", keepdims)
    count = math.prod(x.shape[a] for a in axes)
    if count == 0:
        raise ValueError(f"mean: the axes averaged over must not be empty, got shape {x.shape}")
    return x.mean(axis=axes, keepdims=keepdims), (
        lambda g: np.broadcast_to(g.reshape(_kept(x, axes)) / count, x.shape),
    )


def max_(x: Array, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Ruled:
    """Return the largest entry, which gets the gradient; equal entries share it equally."""
    axes = _axes(axis, x, "max", keepdims)
    if math.prod(x.shape[a] for a in axes) == 0:
        raise ValueError(f"max: the axes searched must not be empty, got shape {x.shape}")
    out = x.max(axis=axes, keepdims=keepdims)
    chosen = (x == out.reshape(_kept(x, axes))).astype(x.dtype)

    def pull(g: Array) -> Array:
        share = g.reshape(_kept(x, axes)) / np.maximum(chosen.sum(axis=axes, keepdims=True), 1)
        return share * chosen

    return out, (pull,)


def _axes(axis: Any, x: Array, owner: str, keepdims: object) -> tuple[int, ...]:
    check_flag(keepdims, owner, "keepdims")
    if axis is None:
        return tuple(range(x.ndim))
    try:
        return tuple(normalize_axis_tuple(axis, x.ndim, f"{owner}: axis"))
    except TypeError:
        raise TypeError(
            f"{owner}: axis must be an integer, several of them or None, got {axis!r}"
        ) from None


def _kept(x: Array, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))


# --- choosing and moving ---


def index(x: Array, key: Any) -> Ruled:
    """Return x[key]: each entry gets the sum of the gradients of its copies."""
    # Copies: a later change of x or key must not change this result.
    key = copy.deepcopy(key)
    out = np.array(x[key])
    parts = key if isinstance(key, tuple) else (key,)
    simple = all(
        part is None or isinstance(part, int | np.integer | slice | EllipsisType) for part in parts
    )

    def pull(g: Array) -> Array:
        grad = np.zeros(x.shape, dtype=g.dtype)
        if simple:
            grad[key] = g
        else:  # an index may occur twice in an array, and `grad[key] += g` would add once
            np.add.at(grad, key, g)
        return grad

    return out, (pull,)


def reshape(x: Array, shape: Shape) -> Ruled:
    """Return the same entries in another shape; the gradient gets the original shape."""
    try:
        out = x.reshape(shape)
    except (TypeError, ValueError):
        kind = ValueError if all(isinstance(n, int | np.integer) for n in shape) else TypeError
        raise kind(
            f"reshape: {x.size} entries of shape {x.shape} do not fit into shape {shape!r}"
        ) from None
    return out, (lambda g: g.reshape(x.shape),)


def transpose(x: Array, axes: Sequence[int] | None = None) -> Ruled:
    """Return x with its axes in another order; the gradient gets the inverse order."""
    if axes is None:
        order = tuple(range(x.ndim))[::-1]
    else:
        order = _axes(axes, x, "transpose", False)
        if len(order) != x.ndim:
            raise ValueError(
                f"transpose: axes must name each of the {x.ndim} axes once, got {axes!r}"
            )
    return x.transpose(order), (lambda g: g.transpose(np.argsort(order)),)


def concatenate(*arrays: Array, axis: int = 0) -> Ruled:
    """Return arrays joined along an axis: each gets its part of the gradient."""
    shapes = [array.shape for array in arrays]
    ndim = len(shapes[0])
    if ndim == 0 or any(len(shape) != ndim for shape in shapes):
        raise ValueError(
            f"concatenate: arrays must have the same number of dimensions, at least 1, got {shapes}"
        )
    try:
        along = normalize_axis_index(axis, ndim, "concatenate: axis")
    except TypeError:
        raise TypeError(f"concatenate: axis must be an integer, got {axis!r}") from None
    if len({(*shape[:along], *shape[along + 1 :]) for shape in shapes}) > 1:
        raise ValueError(f"concatenate: shapes may differ along axis {along} only, got {shapes}")
    ends = np.cumsum([shape[along] for shape in shapes])

    def part(number: int) -> Pull:
        start = ends[number] - shapes[number][along]
        place = (*(slice(None),) * along, slice(start, ends[number]))
        return lambda g: g[place]

    return np.concatenate(arrays, axis=along), tuple(part(i) for i in range(len(arrays)))
