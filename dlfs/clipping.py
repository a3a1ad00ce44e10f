"""Clipping of gradients: each number by itself, or all of them by their norm."""

import math
from collections.abc import Iterable

import numpy as np

from dlfs.checks import as_number_array
from dlfs.types import Array


def clipped(grads: list[Array], most: float | None, most_norm: float | None) -> list[Array]:
    """Return gradients, cut off at plus and minus ``most``, then scaled down to ``most_norm``."""
    if most is not None:
        grads = [np.clip(grad, -most, most) for grad in grads]
    norm = 0.0 if most_norm is None else global_norm(grads)
    if most_norm is None or not norm > most_norm:
        return grads
    factor = most_norm / norm
    if factor > 1e-30:
        return [grad * factor for grad in grads]
    # float32 has hardly any digits for so small a factor.
    return [np.multiply(grad, factor, dtype=np.float64).astype(grad.dtype) for grad in grads]


def global_norm(arrays: Iterable[Array]) -> float:
    """Return the Euclidean norm of all numbers in ``arrays`` together, summed in float64.

    It neither overflows nor underflows where the result does not.

    Examples
    --------
    >>> global_norm([np.array([3.0]), np.array([[4.0]])])
    5.0
    """
    parts = [as_number_array(part, "global_norm", "arrays") for part in arrays]
    with np.errstate(over="ignore", under="ignore"):
        total = sum(float(np.sum(np.square(part, dtype=np.float64))) for part in parts)
        if 1e-280 < total < math.inf or math.isnan(total):
            return math.sqrt(total)
        # Squares may have overflowed, or vanished: once more, in units of the largest number.
        largest = max((float(np.max(np.abs(part), initial=0)) for part in parts), default=0.0)
        if largest in (0.0, math.inf):
            return largest
        units = (np.divide(part, largest, dtype=np.float64) for part in parts)
        return largest * math.sqrt(sum(float(np.sum(np.square(unit))) for unit in units))
