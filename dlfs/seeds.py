"""From the one seed of a network to a stream of random numbers for each of its layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class LayerSeed(np.random.SeedSequence):
    """A seed for one layer, which also serves where a whole number is needed.

    ``numpy.random.default_rng(seed)`` uses all of it. The book's layers call
    ``numpy.random.seed(self.seed)``, which takes integers only: to that it is one, from 0 to
    2**32 - 1.

    Examples
    --------
    >>> first, second = layer_seeds(20190501, 2)
    >>> int(first) == int(second)
    False
    """

    def __index__(self) -> int:
        return int(self.generate_state(1)[0])

    def __int__(self) -> int:
        return self.__index__()


def layer_seeds(seed: int | None, count: int) -> list[LayerSeed]:
    """Return independent seeds, the same ones for the same ``seed``; None draws new ones.

    Examples
    --------
    >>> [int(seed) for seed in layer_seeds(1, 2)] == [int(seed) for seed in layer_seeds(1, 2)]
    True
    """
    root = np.random.SeedSequence(seed)
    return [LayerSeed(root.entropy, spawn_key=(number,)) for number in range(count)]


def seed_layers(layers: Sequence[Any], seed: int | None) -> None:
    """Give every layer, and every layer inside one, a seed of its own.

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
