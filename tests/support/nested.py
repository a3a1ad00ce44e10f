"""Networks of layers within layers, drawn by hypothesis."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dlfs.activations import Sigmoid, Tanh
from dlfs.layers import BatchNorm, Conv2D, Dense, Layer, LayerNorm, Parallel, Residual
from dlfs.layers.blocks import LayerBlock
from dlfs.losses import MeanSquaredError
from dlfs.network import NeuralNetwork
from dlfs.reshape import Flatten

SMOOTH = st.sampled_from([Tanh, Sigmoid])
"""Activations without kinks, so that every gradient can be compared with differences."""


@st.composite
def layer_keeping_width(draw: Any, width: int, depth: int, images: bool) -> Layer:
    """Draw a layer, nested up to ``depth``, whose output has the shape of its input."""
    kinds = ["weights", "norm"] if depth == 0 else ["weights", "norm", "residual", "add", "block"]
    kind = draw(st.sampled_from(kinds))
    if kind == "norm":
        return BatchNorm() if images or draw(st.booleans()) else LayerNorm()
    if kind == "weights":
        if images:
            size = draw(st.sampled_from([1, 3, (1, 3)]))
            return Conv2D(width, size, activation=draw(SMOOTH)(), weight_init="glorot")
        return Dense(width, draw(SMOOTH)(), weight_init="glorot")
    chain = st.lists(layer_keeping_width(width, depth - 1, images), min_size=1, max_size=2)
    if kind == "add":
        branches = draw(st.lists(chain | st.just([]), min_size=1, max_size=3))
        return Parallel(branches, "add")
    return (Residual if kind == "residual" else LayerBlock)(draw(chain))


@st.composite
def nested_layers(draw: Any, width: int, images: bool = False) -> list[Layer]:
    """Draw a chain for an input with ``width`` features or channels, down to two outputs."""
    inner = draw(st.lists(layer_keeping_width(width, 2, images), min_size=1, max_size=3))
    if draw(st.booleans()):
        sides = draw(st.lists(layer_keeping_width(width, 1, images), min_size=1, max_size=2))
        inner.append(Parallel([[side] for side in sides] + [[]], "concat"))
    return [*inner, *([Flatten()] if images else []), Dense(2, weight_init="glorot")]


@st.composite
def nested_networks(draw: Any) -> tuple[NeuralNetwork, np.ndarray, np.ndarray]:
    """Draw a network, set up, with a batch of inputs and targets."""
    images = draw(st.booleans())
    width, rows = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    shape = (width, draw(st.integers(1, 3)), draw(st.integers(1, 4))) if images else (width,)
    net = NeuralNetwork(
        draw(nested_layers(width, images)), MeanSquaredError(), seed=draw(st.integers(0, 99))
    )
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    X, y = rng.normal(size=(rows, *shape)), rng.normal(size=(rows, 2))
    net.build(shape)
    return net, X, y
