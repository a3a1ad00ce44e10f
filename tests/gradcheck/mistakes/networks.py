"""Layers and networks."""

from typing import Any

import numpy as np

from dlfs.activations import Tanh
from dlfs.layers import Dense, Layer, LayerBlock
from dlfs.losses import MeanSquaredError
from dlfs.network import NeuralNetwork
from tests.gradcheck.mistakes.leftovers import Adds, WritesIntoInput
from tests.gradcheck.mistakes.making import normal
from tests.gradcheck.mistakes.masks import X


class Slope(Tanh):
    """A wrong gradient that no hint explains."""

    def _input_grad(self, output_grad):
        return output_grad * np.cos(7 * self.input_) * (1 - self.output**2)


class Negative(Tanh):
    def _input_grad(self, output_grad):
        return -super()._input_grad(output_grad)


class Forgotten(Tanh):
    def _input_grad(self, output_grad):
        return output_grad * 1


class Backwards(LayerBlock):
    def backward(self, output_grad, input_grad=True):
        super().backward(output_grad)
        return 2 * output_grad


class Own(Layer):
    """A layer without Operations."""

    def forward(self, input_, inference=False):
        return np.sin(input_)

    def backward(self, output_grad, input_grad=True):
        return output_grad * 1


MISTAKES: dict[str, tuple[Any, ...]] = {
    "a layer with one wrong Operation": (LayerBlock([Dense(3), Negative(), Dense(2)]), X),
    "a layer with an Operation that no hint explains": (LayerBlock([Dense(3), Slope()]), X),
    "a layer with four wrong Operations": (
        LayerBlock([Negative(), Slope(), Forgotten(), Slope(), Negative()]),
        X,
    ),
    "a layer with an Operation that adds up": (LayerBlock([Tanh(), Adds(), WritesIntoInput()]), X),
    "a layer of right Operations": (Backwards([Tanh(), Tanh()]), X),
    "a layer without Operations": (Own(), X),
    "a network with a wrong Operation": (
        NeuralNetwork([Dense(3, activation=Forgotten()), Dense(2)], MeanSquaredError(), seed=0),
        X,
        normal(3, 2, seed=1),
    ),
}
