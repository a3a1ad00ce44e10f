"""Compiled normalization against its reference."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import DTYPES, arrays, assert_within, shapes, twins, wide

fast, reference = twins("normalization")

pytestmark = pytest.mark.usefixtures("isa")

EPSILONS = st.sampled_from([1e-5, 0.5])


def statistics(x, axes, eps):
    """The exact results of normalizing, and by how much rounding may move each of them.

    A mean of n numbers is off by n roundings of their mean magnitude; and everything behind it by
    what that carries on: first order, in the magnitudes of these very numbers.
    """
    unit = np.finfo(x.dtype).eps
    eps = wide(x.dtype.type(eps))
    x = x.astype(wide)
    count = np.prod([x.shape[axis] for axis in axes])

    def average(values):
        return values.mean(axis=axes, keepdims=True)

    mean = average(x)
    centred = x - mean
    var = average(centred**2)
    inv_std = 1 / np.sqrt(var + eps)
    mean_off = (count / 2 + 2) * unit * average(np.abs(x))
    centred_off = mean_off + unit / 2 * np.abs(centred)
    var_off = average((2 * np.abs(centred) + centred_off) * centred_off) + count * unit * var
    # The square root halves a relative error; a root and a division are rounded, and a sum.
    inv_off = inv_std * (var_off / (2 * (var + eps)) + 2 * unit)
    output = centred * inv_std
    output_off = centred_off * inv_std + np.abs(centred) * inv_off + unit * np.abs(output)
    return (output, mean, var, inv_std), (output_off, mean_off, var_off, inv_off)


def assert_gradient(found, g, output, inv_std, axes):
    """Compare with inv_std * (g - mean(g) - output * mean(g * output)), term by term."""
    g, y, inv_std = (array.astype(wide) for array in (g, output, inv_std))
    assert_terms(found, g, y, inv_std, axes, np.prod([g.shape[axis] for axis in axes]))


def assert_terms(found, g, y, inv_std, axes, count):
    unit = np.finfo(found.dtype).eps

    def combined(g, y, sign):
        mean, product = (values.mean(axis=axes, keepdims=True) for values in (g, g * y))
        return inv_std * (g + sign * mean + sign * y * product)

    size = combined(np.abs(g), np.abs(y), 1)
    assert_within(found, combined(g, y, -1), (count / 2 + 4) * unit * size)


def assert_all(found, wanted, allowed):
    assert isinstance(found, tuple)
    for one, other, off in zip(found, wanted, allowed, strict=True):
        assert_within(one, other, off)


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(min_dims=2, min_side=1, max_side=20),
    eps=EPSILONS,
)
def test_batch_norm(data, dtype, shape, eps):
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    axes = (0, *range(2, len(shape)))
    assert_all(fast.batch_norm(x, eps), *statistics(x, axes, eps))
    output, mean, var, inv_std = reference.batch_norm(x, eps)
    found = fast.batch_norm_grad(g, output, inv_std)
    assert found.dtype == dtype
    assert_gradient(found, g, output, inv_std, axes)
    unit = np.finfo(dtype).eps
    deviation = np.sqrt(var.astype(wide) + wide(dtype.type(eps)))
    wanted = (x.astype(wide) - mean) / deviation
    assert_within(fast.batch_norm_inference(x, mean, var, eps), wanted, 3 * unit * np.abs(wanted))
    wanted = g.astype(wide) / deviation
    assert_within(fast.batch_norm_inference_grad(g, var, eps), wanted, 2.5 * unit * np.abs(wanted))


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(min_dims=2, min_side=1, max_side=40, max_dims=3),
    eps=EPSILONS,
)
def test_layer_norm(data, dtype, shape, eps):
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    axes = (len(shape) - 1,)
    (output, _, _, inv_std), (output_off, _, _, inv_off) = statistics(x, axes, eps)
    assert_all(fast.layer_norm(x, eps), (output, inv_std), (output_off, inv_off))
    output, inv_std = reference.layer_norm(x, eps)
    found = fast.layer_norm_grad(g, output, inv_std)
    assert found.dtype == dtype
    assert_gradient(found, g, output, inv_std, axes)


@pytest.mark.parametrize("kind", ["batch", "layer"])
@given(data=st.data(), dtype=DTYPES, eps=EPSILONS)
def test_with_scale_and_shift(kind, data, dtype, eps):
    dims, side = (4, 20) if kind == "batch" else (3, 40)
    shape = data.draw(shapes(min_dims=2, max_dims=dims, min_side=1, max_side=side))
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    feature = 1 if kind == "batch" else len(shape) - 1
    others = tuple(axis for axis in range(len(shape)) if axis != feature)
    axes = others if kind == "batch" else (feature,)
    one = (1, shape[1], *[1] * (len(shape) - 2)) if kind == "batch" else (1, shape[-1])
    gamma, beta = data.draw(arrays(one, dtype)), data.draw(arrays(one, dtype))
    unit = np.finfo(dtype).eps

    statistic, off = statistics(x, axes, eps)
    x_hat, scale = statistic[0], gamma.astype(wide) if kind == "batch" else gamma[0].astype(wide)
    shift = beta.astype(wide) if kind == "batch" else beta[0].astype(wide)
    wanted = (x_hat * scale + shift, *statistic[1:])
    size = np.abs(x_hat * scale) + np.abs(shift)
    allowed = (off[0] * np.abs(scale) + 2 * unit * size, *off[1:])
    found = getattr(fast, f"{kind}_norm_affine")(x, gamma, beta, eps)
    if kind == "layer":  # which does not return var
        wanted, allowed = ([*three[:2], three[3]] for three in (wanted, allowed))
    assert_all(found, wanted, allowed)

    _, mean, *_, inv_std = getattr(reference, f"{kind}_norm_affine")(x, gamma, beta, eps)
    x_grad, *found = getattr(fast, f"{kind}_norm_affine_grad")(g, x, gamma, mean, inv_std)
    assert x_grad.dtype == dtype
    g, mean, inv_std = (array.astype(wide) for array in (g, mean, inv_std))
    x_hat = (x.astype(wide) - mean) * inv_std
    # x_hat is rounded twice, gamma and inv_std are multiplied in any order.
    count = np.prod([shape[axis] for axis in axes]) + 8
    assert_terms(x_grad, g * scale, x_hat, inv_std, axes, count)
    terms = np.prod([shape[axis] for axis in others])
    for gradient, products in zip(found, (g * x_hat, g), strict=True):
        total, size = (values.sum(axis=others).reshape(one) for values in (products, abs(products)))
        assert_within(gradient, total, (terms / 2 + 3) * unit * size)


def test_scale_and_shift_of_nothing():
    empty, one = np.ones((0, 3)), np.ones((1, 3))
    output, mean, inv_std = fast.layer_norm_affine(empty, one, one)
    assert output.shape == (0, 3)
    assert mean.shape == inv_std.shape == (0, 1)
    for name, statistic in (("batch", one), ("layer", mean)):
        gradients = getattr(fast, f"{name}_norm_affine_grad")(
            empty, empty, one, statistic, statistic
        )
        assert gradients[0].shape == (0, 3)
        assert all(np.array_equal(gradient, 0 * one) for gradient in gradients[1:])


@pytest.mark.parametrize("size", [3, 16, 37])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_has_no_variance_and_is_normalized_to_0(dtype, size):
    """Powers of two of 1.5: their mean is exact, so the deviation is eps alone."""
    for x, axes in ((np.full((4, size), 1.5, dtype), 0), (np.full((size, 8), 1.5, dtype), 1)):
        kernel = fast.batch_norm if axes == 0 else fast.layer_norm
        output, *_, inv_std = kernel(x, 2.0**-10)
        np.testing.assert_array_equal(output, np.zeros_like(x))
        np.testing.assert_array_equal(inv_std.ravel(), np.full(inv_std.size, 32, dtype))


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
    ones = np.ones((1, 3) + (1,) * (len(shape) - 2))
    assert fast.batch_norm_grad(empty, empty, ones).shape == shape
    assert fast.batch_norm_inference(empty, ones, ones).shape == shape


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["layer_norm_grad", "rms_norm_grad"])
def test_the_gradient_of_an_empty_batch_is_empty(name, dtype):
    rows, ones = np.zeros((0, 2, 3), dtype), np.ones((0, 2, 1), dtype)
    found = getattr(fast, name)(rows, rows, ones)
    assert found.shape == rows.shape
    assert found.dtype == dtype


def test_layer_norm_without_features():
    with pytest.raises(ValueError, match="nothing to average over"):
        fast.layer_norm(np.zeros((2, 0)))


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(min_dims=2, min_side=1, max_side=40, max_dims=3),
    eps=EPSILONS,
)
def test_rms_norm(data, dtype, shape, eps):
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    unit, n = wide(np.finfo(dtype).eps), shape[-1]
    exact = x.astype(wide)
    inverse = 1 / np.sqrt((exact**2).mean(axis=-1, keepdims=True) + wide(dtype.type(eps)))
    # A sum of n squares and a few roundings more; the root halves a relative error.
    relative = (n / 2 + 4) * unit
    assert_all(
        fast.rms_norm(x, eps),
        (exact * inverse, inverse),
        (relative * np.abs(exact * inverse), relative * inverse),
    )
    output, inverse = reference.rms_norm(x, eps)
    found = fast.rms_norm_grad(g, output, inverse)
    assert found.dtype == dtype
    g, y, inverse = (array.astype(wide) for array in (g, output, inverse))
    product, size = (
        (one * other).mean(axis=-1, keepdims=True) for one, other in ((g, y), (abs(g), abs(y)))
    )
    wanted = inverse * (g - y * product)
    assert_within(found, wanted, (n / 2 + 5) * unit * inverse * (np.abs(g) + np.abs(y) * size))


def test_rms_norm_without_features():
    with pytest.raises(ValueError, match="nothing to average over"):
        fast.rms_norm(np.zeros((2, 0)))
