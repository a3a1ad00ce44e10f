"""How weights start.

A weight that is drawn too large or too small makes the signal grow or fade from layer to layer.
With ``fan_in`` numbers summed into each output and ``fan_out`` outputs for each input (for a
convolution, both count the kernel's positions), the standard deviations are

    standard   1                             (book, chapter 3)
    glorot     sqrt(2 / (fan_in + fan_out))  (Glorot and Bengio, 2010; for sigmoid and tanh)
    he         sqrt(2 / fan_in)              (He et al., 2015; for ReLU)

By default, ``weight_init=None``, a layer takes what suits its activation: "he" for ReLU and its
relatives (RELU_FAMILY), which pass on only a part of the signal, and "glorot" for everything else.
Where the activation stands behind the layer, as in ``[Dense(10), BatchNorm(), ReLU()]``, the
network finds it: it looks past normalization, pooling, dropout and reshaping, and stops at the next
layer with weights and at an Operation of the user's. The book's "standard" makes the outputs of a
layer sqrt(fan_in) times as large as its inputs, so it must be named.

An Embedding sums one number into each output: "standard" suits it, and is its default, as in
PyTorch. Recurrent layers have a ``weight_scale`` instead, whose default is PyTorch's, too.

The book leaves out Glorot's square root, and for convolutions the kernel's positions. Biases start
at zero.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from dlfs.activations import (
    ELU,
    GELU,
    HardSwish,
    LeakyReLU,
    Linear,
    Mish,
    ReLU,
    SiLU,
    Softplus,
)
from dlfs.base import Operation
from dlfs.checks import as_float_array, check_choice, check_finite, check_shape
from dlfs.types import Array, Shape

T = TypeVar("T")

Initializer: TypeAlias = Callable[[np.random.Generator, Shape, int, int], Array]
"""A function of (rng, shape, fan_in, fan_out) that returns the weights."""

WEIGHT_INITS = ("standard", "normal", "glorot", "he")
"""The names that weight_init takes; the book's "normal" is its "standard" for convolutions."""

RELU_FAMILY = (ReLU, LeakyReLU, ELU, GELU, SiLU, Mish, HardSwish, Softplus)
"""Activations with slope 1 for large inputs and little or none for small ones: "he" suits them."""


def check_weight_init(weight_init: T, owner: str) -> T:
    """Demand None, a known name, or something to call, and return it."""
    if weight_init is not None and not callable(weight_init):
        check_choice(weight_init, WEIGHT_INITS, owner, "weight_init (or a callable)")
    return weight_init


def choose_init(
    weight_init: str | Initializer | None,
    activation: Operation,
    following: Operation | None = None,
) -> str | Initializer:
    """Return weight_init, or, where that is None, the name of what suits the activation.

    Parameters
    ----------
    weight_init : str, callable or None
    activation : Operation
        The layer's own.
    following : Operation, optional
        The activation that stands behind the layer; it counts where the layer's own is Linear.

    Examples
    --------
    >>> choose_init(None, ReLU()), choose_init(None, Linear())
    ('he', 'glorot')
    >>> choose_init(None, Linear(), following=ReLU())
    'he'
    >>> choose_init("standard", ReLU())
    'standard'
    """
    if weight_init is not None:
        return weight_init
    decisive = following if isinstance(activation, Linear) else activation
    return "he" if isinstance(decisive, RELU_FAMILY) else "glorot"


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


class LayerSeed(np.random.SeedSequence):
    """A seed for one layer, which also serves where a whole number is needed.

    ``numpy.random.default_rng(seed)`` uses all of it. The book's layers call
    ``numpy.random.seed(self.seed)``, which takes integers only: to that it is one, from 0 to
    2**32 - 1.

    Examples
    --------
    >>> int(LayerSeed(1)) == int(LayerSeed(2))
    False
    """

    def __index__(self) -> int:
        return int(self.generate_state(1)[0])

    def __int__(self) -> int:
        return self.__index__()


def seed_layers(layers: Sequence[Any], seed: int | None) -> None:
    """Give every layer, and every layer inside one, another seed.

    Examples
    --------
    >>> from dlfs.activations import Tanh
    >>> from dlfs.layers import Dense, Residual
    >>> block = Residual([Dense(3), Dense(3)])
    >>> seed_layers([Dense(3), block], 1)
    >>> [layer.seed.spawn_key for layer in block.layers]
    [(1, 0), (1, 1)]
    """
    root = np.random.SeedSequence(seed)
    for number, layer in enumerate(layers):
        _seed_tree(layer, LayerSeed(root.entropy, spawn_key=(number,)))


def _seed_tree(layer: Any, seed: LayerSeed) -> None:
    layer.seed = seed
    for number, inner in enumerate(layer.layers):
        _seed_tree(inner, LayerSeed(seed.entropy, spawn_key=(*seed.spawn_key, number)))
