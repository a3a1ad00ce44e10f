"""How weights start.

A weight that is drawn too large or too small makes the signal grow or fade from layer to layer.
With ``fan_in`` numbers summed into each output and ``fan_out`` outputs for each input (for a
convolution, both count the kernel's positions), the standard deviations are

    standard   1                             (book, chapter 3)
    glorot     sqrt(2 / (fan_in + fan_out))  (Glorot and Bengio, 2010; for sigmoid and tanh)
    he         sqrt(2 / fan_in)              (He et al., 2015; for ReLU)

The book leaves out Glorot's square root, and for convolutions the kernel's positions. Biases start
at zero.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from dlfs.checks import as_float_array, check_choice, check_finite, check_shape
from dlfs.types import Array, Shape

Initializer: TypeAlias = Callable[[np.random.Generator, Shape, int, int], Array]
"""A function of (rng, shape, fan_in, fan_out) that returns the weights."""

WEIGHT_INITS = ("standard", "normal", "glorot", "he")
"""The names that weight_init takes; the book's "normal" is its "standard" for convolutions."""


def check_weight_init(weight_init: object, owner: str) -> None:
    """Demand a known name, or something to call."""
    if not callable(weight_init):
        check_choice(weight_init, WEIGHT_INITS, owner, "weight_init (or a callable)")


def draw_weights(
    weight_init: str | Initializer,
    rng: np.random.Generator,
    shape: Shape,
    fan_in: int,
    fan_out: int,
    dtype: Any,
) -> Array:
    """Draw the first weights of a layer.

    Parameters
    ----------
    weight_init : {"standard", "normal", "glorot", "he"} or callable
    rng : numpy.random.Generator
    shape : tuple
    fan_in, fan_out : int
    dtype : float32 or float64
        Both are drawn in float64, so that one seed gives the same weights but for their rounding.

    Returns
    -------
    ndarray, the shape and dtype asked for

    Raises
    ------
    TypeError, ValueError
        If a callable returns no finite floating array of that shape.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bool(draw_weights("glorot", rng, (300, 500), 300, 500, np.float64).std().round(2) == 0.05)
    True
    """
    if callable(weight_init):
        drawn = as_float_array(weight_init(rng, shape, fan_in, fan_out), "weight_init", "result")
        check_shape(drawn, shape, "weight_init", "result")
        check_finite(drawn, "weight_init", "result")
        return np.array(drawn, dtype=dtype, order="C")
    scales = {
        "glorot": math.sqrt(2 / (fan_in + fan_out)),
        "he": math.sqrt(2 / fan_in),
    }
    weights = rng.normal(0.0, scales.get(weight_init, 1.0), size=shape)
    return weights.astype(dtype, copy=False)
