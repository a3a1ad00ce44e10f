"""Compiled normalization against its reference."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import DTYPES, arrays, assert_close, shapes, twins

fast, reference = twins("normalization")

# eps this large keeps the deviation above 0.7, so that rounding is not magnified.
EPS = 0.5


@given(data=st.data(), dtype=DTYPES, shape=shapes(min_dims=2, min_side=1, max_side=20))
def test_batch_norm(data, dtype, shape):
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    wanted = reference.batch_norm(x, EPS)
    count = x.size // shape[1]
    assert_close(fast.batch_norm(x, EPS), wanted, count, 64)
    output, mean, var, inv_std = wanted
    assert_close(
        fast.batch_norm_grad(g, output, inv_std),
        reference.batch_norm_grad(g, output, inv_std),
        count,
        64,
    )
    assert_close(
        fast.batch_norm_inference(x, mean, var, EPS),
        reference.batch_norm_inference(x, mean, var, EPS),
        1,
        16,
    )
    assert_close(
        fast.batch_norm_inference_grad(g, var, EPS),
        reference.batch_norm_inference_grad(g, var, EPS),
        1,
        16,
    )


@given(data=st.data(), dtype=DTYPES, shape=shapes(min_dims=2, min_side=1, max_side=40, max_dims=3))
def test_layer_norm(data, dtype, shape):
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    output, inv_std = reference.layer_norm(x, EPS)
    assert_close(fast.layer_norm(x, EPS), (output, inv_std), shape[-1], 64)
    assert_close(
        fast.layer_norm_grad(g, output, inv_std),
        reference.layer_norm_grad(g, output, inv_std),
        shape[-1],
        64,
    )


def test_far_from_zero():
    # The variance is taken about the mean: with E[x^2] - E[x]^2 nothing would be left of it.
    x = (1e4 + np.random.default_rng(0).standard_normal((64, 5, 7, 3))).astype(np.float32)
    var = fast.batch_norm(x)[2]
    np.testing.assert_allclose(var, x.astype(float).var(axis=(0, 2, 3), keepdims=True), rtol=1e-3)


@pytest.mark.parametrize("shape", [(0, 3), (2, 3, 0)])
def test_nothing_to_average(shape):
    with pytest.raises(ValueError, match="nothing to average over"):
        fast.batch_norm(np.zeros(shape))
    empty = np.zeros(shape)
    statistics = np.ones((1, 3) + (1,) * (len(shape) - 2))
    assert fast.batch_norm_grad(empty, empty, statistics).shape == shape
    assert fast.batch_norm_inference(empty, statistics, statistics).shape == shape


def test_layer_norm_without_features():
    with pytest.raises(ValueError, match="nothing to average over"):
        fast.layer_norm(np.zeros((2, 0)))
