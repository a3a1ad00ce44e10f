"""What counts in a loss, and how much: ``sample_weight``, ``class_weight``, ``ignore_index``.

A kernel takes probabilities, and one weight for each row or number. The weights of classes multiply
the terms of a row each on its own, so they become other probabilities and a weight for the row:
``sum(t * w * cost)`` is ``s * sum(t * w / s * cost)`` with ``s = sum(t * w)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlfs.checks import check_range, check_real
from dlfs.dense import rows
from dlfs.types import Array, Shape


@dataclass(eq=False)
class Weighted:
    """Targets with the weights of their observations: a loss takes them for targets.

    Parameters
    ----------
    target, weights : ndarray, batch axis first

    Examples
    --------
    >>> from dlfs.losses import MeanSquaredError
    >>> targets = Weighted(np.array([[1.0], [5.0]]), np.array([1.0, 3.0]))
    >>> MeanSquaredError().forward(np.zeros((1, 1)), targets[1:])
    75.0
    """

    target: Array
    weights: Array

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: Any) -> "Weighted":
        return Weighted(self.target[rows], self.weights[rows])


def check_weights_are_used(used: bool, owner: str) -> None:
    """Refuse weights of observations for a loss that would ignore them."""
    if not used:
        raise TypeError(
            f"{owner}: sample_weight must be None for a loss that does not use it; a class whose "
            "_output and _input_grad use self.sample_weight sets takes_weights = True"
        )


def class_weights(values: Any, owner: str, name: str, **limits: Any) -> tuple[float, ...]:
    """Check one weight for each class; return them as a tuple, which files can hold."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(f"{owner}: {name} must be a list of numbers, got {values!r:.80}")
    weights = tuple(check_real(value, owner, name, **{"low": 0.0, **limits}) for value in values)
    if not any(weights):
        raise ValueError(f"{owner}: {name} must have a number above 0, got {weights}")
    return weights


def spread(weights: Array | None, shape: Shape, owner: str) -> Array | None:
    """Return the weights of the observations, repeated for each entry of a shape."""
    if weights is None:
        return None
    if weights.ndim < 1 or weights.shape != shape[: weights.ndim]:
        raise ValueError(
            f"{owner}: sample_weight must have the first axes of {shape}, or all of them, "
            f"got shape {weights.shape}"
        )
    ones = (1,) * (len(shape) - weights.ndim)
    return np.broadcast_to(weights.reshape(weights.shape + ones), shape)


def without_axis(shape: Shape, axis: int) -> Shape:
    """Return a shape without one of its axes: that of labels, without the classes."""
    return shape[:axis] + shape[axis:][1:]


def counted_rows(
    prediction: Array,
    target: Array,
    weights: Array | None,
    axis: int,
    ignore_index: int | None,
    owner: str,
) -> tuple[Array, Array, Array | None, Array | None]:
    """Return a row of classes for each label that counts, its target, and its weight.

    The classes lie along ``axis``. The last array says which labels count; it is None if all do.
    """
    labels = target.ndim < prediction.ndim
    weights = spread(weights, without_axis(prediction.shape, axis), owner)
    weights = None if weights is None else weights.reshape(-1)
    prediction = rows(np.moveaxis(prediction, axis, -1))
    target = target.reshape(-1) if labels else rows(np.moveaxis(target, axis, -1))
    if not labels or ignore_index is None:
        return prediction, target, weights, None
    kept = target != ignore_index
    return prediction[kept], target[kept], None if weights is None else weights[kept], kept


def in_place(grad: Array, kept: Array | None, shape: Shape, axis: int) -> Array:
    """Return the gradient of the rows that count in the shape of the prediction, else zeros."""
    if kept is not None:
        of_kept, grad = grad, np.zeros((len(kept), grad.shape[1]), dtype=grad.dtype)
        grad[kept] = of_kept
    return np.moveaxis(grad.reshape(*without_axis(shape, axis), shape[axis]), -1, axis)


def weighed_answers(target: Array, pos_weight: Any, owner: str) -> tuple[Array, Array]:
    """Multiply the probability t of "yes" by ``pos_weight``.

    Returned are ``w t / (w t + 1 - t)``, a probability again, and that sum, a weight for each.
    """
    check_range(target, 1, owner, "target")
    each = np.asarray(pos_weight, dtype=target.dtype)
    if each.ndim and each.shape != target.shape[-1:]:
        raise ValueError(
            f"{owner}: pos_weight must be a number, or {target.shape[-1]} numbers for predictions "
            f"of shape {target.shape}, got {len(each)} numbers"
        )
    yes = target * each
    total = yes + (1 - target)
    return np.clip(yes / total, 0, 1), total


def weighed_classes(
    target: Array, logits: Array, class_weight: Sequence[float], smoothing: float, owner: str
) -> tuple[Array, Array, float]:
    """Multiply smoothed probabilities by the weights of their classes.

    Returned are the products divided by their sum, which are probabilities again; that sum, for
    each row; and the sum of the weights of all labels, of probabilities the number of rows.
    """
    classes, total = logits.shape[1], float(len(target))
    each = np.asarray(class_weight, dtype=logits.dtype)
    if len(each) != classes or classes == 1:
        raise ValueError(
            f"{owner}: class_weight must have a number for each of the {classes} columns, of which "
            f"there must be at least 2, got {len(each)} numbers"
        )
    if target.ndim == 1:
        check_range(target, classes - 1, owner, "labels")
        total = float(each[target].sum())
        target = np.eye(classes, dtype=logits.dtype)[target]
    products = ((1 - smoothing) * target + smoothing / classes) * each
    own = products.sum(axis=1)
    # With a sum of 0 nothing counts, and any probabilities will do.
    products[own == 0, 0] = 1
    return products / np.where(own == 0, 1, own)[:, None], own, total
