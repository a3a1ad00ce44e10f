"""The benchmarks' counts of multiply-adds and bytes, which give the machine's limit."""

import copy
import math

import numpy as np
import pytest

from dlfs import (
    AdaGrad,
    Conv2D,
    ConvTranspose2D,
    Dense,
    LSTMLayer,
    NeuralNetwork,
    ReLU,
    SelfAttention,
    SGDMomentum,
    backend,
)
from dlfs.base import Operation
from dlfs.layers import Layer
from dlfs.reshape import Flatten

pytestmark = pytest.mark.source_tree

BATCH = 3


@pytest.mark.parametrize("name", [n for n in backend.available_backends() if n != "plain"])
@pytest.mark.parametrize(
    ("layers", "shape", "count"),
    [
        # forward and weight gradient; the second layer's input gradient, too
        ([Dense(5, activation=ReLU()), Dense(2)], (7,), 2 * 7 * 5 + 3 * 5 * 2),
        # 6x6 pixels, then 3x3
        (
            [Conv2D(4, 3), Conv2D(8, 3, stride=2), Flatten()],
            (2, 6, 6),
            2 * 36 * 4 * 2 * 9 + 3 * 9 * 8 * 4 * 9,
        ),
        (
            [Conv2D(4, 3), ConvTranspose2D(5, 2, stride=2, padding=0), Flatten()],
            (2, 6, 6),
            2 * 36 * 4 * 2 * 9 + 3 * 36 * 4 * 5 * 4,
        ),
        # 5 steps: gates of the input and of the state, twice; the state's gradient
        ([LSTMLayer(6)], (5, 2), 5 * 24 * (2 * 2 + 3 * 6)),
        # projections to 3 * 4 and to 4 features; attention forward 2 products, backward 4
        ([Dense(4), SelfAttention(2)], (5, 2), 5 * (2 * 2 * 4 + 3 * 4 * (12 + 4) + 6 * 5 * 4)),
    ],
)
def test_the_products_of_a_training_step_are_counted(
    name: str, layers: list[Layer | Operation], shape: tuple[int, ...], count: int
) -> None:
    from benchmarks import limit

    with backend.use_backend(name):
        net = NeuralNetwork(copy.deepcopy(layers), seed=1)
        net.build(shape)
        X = np.ones((BATCH, *shape))
        y = np.zeros_like(net.predict(X))
        found = limit.of_step(lambda: net.train_batch(X, y))
    assert found.multiply_adds == BATCH * count


@pytest.mark.parametrize(("optimizer", "moved"), [(SGDMomentum, 5), (AdaGrad, 5)])
def test_an_update_reads_the_gradient_and_changes_the_rest(optimizer: type, moved: int) -> None:
    from benchmarks import limit

    net, optim = NeuralNetwork([Dense(3)], seed=1), optimizer()
    net.train_batch(np.ones((1, 2)), np.ones((1, 3)))
    optim.net = net
    found = limit.of_step(optim.step)
    sizes = [math.prod(param.shape) * param.itemsize for param in net.params()]
    assert found.kernels == [(0.0, moved * size) for size in sizes]


def test_kernels_are_called_directly_again_afterwards() -> None:
    from benchmarks import limit

    net = NeuralNetwork([Dense(3)], seed=1)
    with limit.recorded() as kernels:
        net.predict(np.ones((1, 2)))
    assert kernels
    known = len(kernels)
    net.predict(np.ones((1, 2)))
    assert len(kernels) == known
