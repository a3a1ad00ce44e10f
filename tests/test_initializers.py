"""First weights: their scale by name, or from a function of the user's."""

import numpy as np
import pytest

from dlfs import layers
from dlfs.initializers import draw_weights
from dlfs.network import NeuralNetwork

SCALES = {"standard": 1.0, "normal": 1.0, "glorot": (2 / 50) ** 0.5, "he": (2 / 20) ** 0.5}


@pytest.mark.parametrize("name", SCALES)
def test_the_weights_are_normal_with_the_scale_of_their_name(name: str) -> None:
    weights = draw_weights(name, np.random.default_rng(0), (200, 300), 20, 30, np.float64)
    uncertainty = SCALES[name] / (2 * weights.size) ** 0.5
    assert abs(weights.std() - SCALES[name]) < 5 * uncertainty
    assert abs(weights.mean()) < 5 * SCALES[name] / weights.size**0.5
    within_one = np.mean(np.abs(weights) < SCALES[name])
    assert abs(within_one - 0.6827) < 5 * (0.6827 * 0.3173 / weights.size) ** 0.5


@pytest.mark.parametrize("name", SCALES)
def test_float32_weights_are_the_rounded_float64_ones(name: str) -> None:
    single, double = (
        draw_weights(name, np.random.default_rng(3), (4, 5), 4, 5, dtype)
        for dtype in (np.float32, np.float64)
    )
    assert single.dtype == np.float32
    assert np.array_equal(single, double.astype(np.float32))


def test_a_function_gets_what_it_needs_and_its_result_is_copied() -> None:
    asked = []
    shared = np.asfortranarray(np.arange(12.0).reshape(3, 4))

    def own(rng: np.random.Generator, shape, fan_in: int, fan_out: int) -> np.ndarray:
        asked.append((type(rng), shape, fan_in, fan_out))
        return shared

    layer = layers.Dense(4, weight_init=own)
    layer.forward(np.ones((2, 3)))
    assert asked == [(np.random.Generator, (3, 4), 3, 4)]
    assert np.array_equal(layer.params[0], shared)
    assert not np.shares_memory(layer.params[0], shared)
    assert layer.params[0].flags.c_contiguous


def test_a_function_may_return_lists_integers_and_read_only_arrays() -> None:
    frozen = np.ones((3, 4), dtype=np.float32)
    frozen.flags.writeable = False
    for result in ([[1] * 4] * 3, np.ones((3, 4), dtype=int), frozen):
        layer = layers.Dense(4, weight_init=lambda *_, result=result: result)
        NeuralNetwork([layer], seed=1).forward(np.ones((2, 3)))
        assert layer.params[0].dtype == np.float64
        layer.params[0] += 1  # the optimizer will


@pytest.mark.parametrize(
    ("make", "shape", "fans"),
    [
        (layers.Dense, (5,), (5, 6)),
        (lambda n, **o: layers.Conv2D(n, (2, 3), **o), (4, 5, 5), (24, 36)),
        (lambda n, **o: layers.Conv2D(n, (2, 3), groups=2, **o), (4, 5, 5), (12, 18)),
        (lambda n, **o: layers.Conv1D(n, 3, **o), (4, 5), (12, 18)),
        (lambda n, **o: layers.ConvTranspose2D(n, 4, stride=2, **o), (4, 5, 5), (16, 96)),
        (lambda n, **o: layers.Embedding(7, n, **o), (3,), (7, 6)),
    ],
)
def test_every_layer_counts_its_fans(make, shape, fans) -> None:
    asked = []

    def own(rng, shape, fan_in, fan_out):
        asked.append((fan_in, fan_out))
        return np.zeros(shape)

    NeuralNetwork([make(6, weight_init=own)], seed=1).build(shape)
    assert asked == [fans]


def test_biases_start_at_0_and_scales_at_1() -> None:
    net = NeuralNetwork([layers.Conv2D(3, 2), layers.BatchNorm()], seed=1)
    net.build((2, 4, 4))
    conv, norm = net.layers
    assert conv.params[1].shape == norm.params[0].shape == norm.params[1].shape == (1, 3, 1, 1)
    assert not conv.params[1].any()
    assert (norm.params[0] == 1).all()
    assert not norm.params[1].any()
