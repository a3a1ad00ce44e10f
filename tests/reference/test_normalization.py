"""Batch and layer normalization against the definition in float64, and their gradients.

The gradient is compared with the whole Jacobian, written out: of ``x_hat = (x - mean) / std`` with
respect to every number that it depends on.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import reference as kernels
from tests.support.arrays import assert_within, drawn, dtypes, layouts, seeds, watched

shapes = st.tuples(st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda start: st.lists(st.integers(1, 3), max_size=2).map(lambda rest: (*start, *rest))
)
epsilons = st.sampled_from([1e-5, 1e-3, 1.0])


def columns(x: np.ndarray) -> np.ndarray:
    """Return (numbers averaged over, features) for a batch normalization."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def as_images(matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo ``columns``."""
    return np.moveaxis(matrix.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def standardized(columns: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """Return x_hat, mean, var and 1 / std of each column, in float64."""
    columns = columns.astype(np.float64)
    mean = columns.sum(axis=0) / len(columns)
    var = ((columns - mean) ** 2).sum(axis=0) / len(columns)
    return (columns - mean) / np.sqrt(var + eps), mean, var, 1 / np.sqrt(var + eps)


def through_jacobian(columns: np.ndarray, grad: np.ndarray, eps: float) -> np.ndarray:
    """``d x_hat[k] / d x[l] = (delta[k, l] - 1/m - x_hat[k] x_hat[l] / m) / std``, column-wise."""
    x_hat, _, _, inv_std = standardized(columns, eps)
    m = len(columns)
    result = np.zeros_like(x_hat)
    for f in range(columns.shape[1]):
        outer = np.outer(x_hat[:, f], x_hat[:, f])
        jacobian = (np.eye(m) - 1 / m - outer / m) * inv_std[f]
        result[:, f] = jacobian.T @ grad[:, f].astype(np.float64)
    return result


def bounds(columns: np.ndarray, eps: float, dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bound the errors of mean, variance and x_hat of each column.

    ``m`` roundings in each mean; the deviations inherit the mean's error, and x_hat is them over
    the standard deviation.
    """
    m, unit = len(columns) + 3, float(np.finfo(dtype).eps)
    size = np.abs(columns.astype(np.float64)).max(axis=0)
    mean = m * unit * size
    var = 4 * m * unit * size**2
    std = np.sqrt(columns.astype(np.float64).var(axis=0) + eps)
    x_hat = 2 * mean / std + size * var / std**3 + m * unit * size / std
    return mean, var, x_hat


@given(shapes, epsilons, seeds, dtypes, layouts)
def test_batch_norm_is_its_definition(shape, eps: float, seed: int, dtype, layout: str) -> None:
    x = drawn(np.random.default_rng(seed), shape, dtype, layout)
    output, mean, var, inv_std = watched(kernels.batch_norm, x, eps)
    expected, *statistics = standardized(columns(x), eps)
    of_mean, of_var, of_x_hat = bounds(columns(x), eps, dtype)
    per_feature = (1, shape[1]) + (1,) * (len(shape) - 2)
    assert_within(output, as_images(expected, shape), of_x_hat.reshape(per_feature), "output")
    assert_within(mean, statistics[0].reshape(per_feature), of_mean.reshape(per_feature), "mean")
    assert_within(var, statistics[1].reshape(per_feature), of_var.reshape(per_feature), "var")
    np.testing.assert_allclose(inv_std, 1 / np.sqrt(var + eps), rtol=4 * np.finfo(dtype).eps)


@given(shapes, epsilons, seeds, layouts)
def test_batch_norm_gradient_is_the_whole_jacobian(
    shape, eps: float, seed: int, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    x, grad = drawn(rng, shape, np.float64, layout), drawn(rng, shape, np.float64, layout)
    output, _, _, inv_std = kernels.batch_norm(x, eps)
    result = watched(kernels.batch_norm_grad, grad, output, inv_std)
    expected = as_images(through_jacobian(columns(x), columns(grad), eps), shape)
    _, _, of_x_hat = bounds(columns(x), eps, np.float64)
    per_feature = (1, shape[1]) + (1,) * (len(shape) - 2)
    size = np.abs(grad).max() * (2 + np.abs(output).max() ** 2)
    relative = len(columns(x)) * np.finfo(float).eps + 2 * of_x_hat.reshape(per_feature)
    assert_within(result, expected, 4 * relative * size * inv_std, "gradient")


@given(shapes, epsilons, seeds, dtypes, layouts)
@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_affine_is_the_chain_of_three(kind: str, shape, eps, seed: int, dtype, layout: str) -> None:
    """To the bit, as far as a half of a number is exact."""
    rng = np.random.default_rng(seed)
    x, grad = drawn(rng, shape, dtype, layout), drawn(rng, shape, dtype, layout)
    rows = (-1, shape[-1]) if kind == "layer" else shape
    per_feature = (1, shape[-1]) if kind == "layer" else (1, shape[1], *[1] * (len(shape) - 2))
    gamma, beta = drawn(rng, per_feature, dtype), drawn(rng, per_feature, dtype)
    x_hat, *_, inv_std = getattr(kernels, f"{kind}_norm")(x, eps)
    scaled = kernels.scale_multiply(x_hat.reshape(rows), gamma)
    output, mean, *_, again = watched(getattr(kernels, f"{kind}_norm_affine"), x, gamma, beta, eps)
    assert np.array_equal(output, kernels.bias_add(scaled, beta).reshape(shape))
    assert np.array_equal(inv_std, again)
    flat = grad.reshape(rows)
    wanted = (
        getattr(kernels, f"{kind}_norm_grad")(
            kernels.scale_multiply(flat, gamma).reshape(shape), x_hat, inv_std
        ),
        kernels.scale_multiply_param_grad(flat, x_hat.reshape(rows)),
        kernels.bias_add_param_grad(flat),
    )
    found = watched(getattr(kernels, f"{kind}_norm_affine_grad"), grad, x, gamma, mean, inv_std)
    for one, other in zip(found, wanted, strict=True):
        assert np.array_equal(one, other)


@given(shapes, epsilons, seeds, dtypes, layouts)
def test_batch_norm_inference_uses_what_it_is_given(
    shape, eps: float, seed: int, dtype, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    per_feature = (1, shape[1]) + (1,) * (len(shape) - 2)
    x, grad = drawn(rng, shape, dtype, layout), drawn(rng, shape, dtype, layout)
    mean, var = drawn(rng, per_feature, dtype), np.abs(drawn(rng, per_feature, dtype))
    output = watched(kernels.batch_norm_inference, x, mean, var, eps)
    input_grad = watched(kernels.batch_norm_inference_grad, grad, var, eps)
    eps_of = float(np.finfo(dtype).eps)
    for at in np.ndindex(*shape):
        feature = (0, at[1]) + (0,) * (len(shape) - 2)
        std = (float(var[feature]) + eps) ** 0.5
        size = (abs(float(x[at])) + abs(float(mean[feature]))) / std
        assert abs(output[at] - (float(x[at]) - float(mean[feature])) / std) <= 4 * eps_of * size
        assert abs(input_grad[at] - float(grad[at]) / std) <= 4 * eps_of * abs(grad[at]) / std


@given(shapes, epsilons, seeds, dtypes, layouts)
def test_layer_norm_is_its_definition(shape, eps: float, seed: int, dtype, layout: str) -> None:
    rng = np.random.default_rng(seed)
    x, grad = drawn(rng, shape, dtype, layout), drawn(rng, shape, dtype, layout)
    output, inv_std = watched(kernels.layer_norm, x, eps)
    input_grad = watched(kernels.layer_norm_grad, grad, output, inv_std)
    rows, grads = x.reshape(-1, shape[-1]).T, grad.reshape(-1, shape[-1]).T
    expected, *_ = standardized(rows, eps)
    _, _, of_x_hat = bounds(rows, eps, dtype)
    per_row = (*shape[:-1], 1)
    assert_within(output, expected.T.reshape(shape), of_x_hat.reshape(per_row), "output")
    assert inv_std.shape == per_row
    expected_grad = through_jacobian(rows, grads, eps).T.reshape(shape)
    size = np.abs(grad).max() * (2 + np.abs(output).max() ** 2)
    relative = shape[-1] * np.finfo(dtype).eps + 2 * of_x_hat.reshape(per_row)
    assert_within(input_grad, expected_grad, 4 * relative * size * inv_std.astype(float), "grad")


def test_a_constant_feature_becomes_0_and_not_nan() -> None:
    x = np.full((4, 1), 3.0)
    output, _, var, inv_std = kernels.batch_norm(x)
    assert not output.any()
    assert not var.any()
    grad = kernels.batch_norm_grad(np.array([[1.0], [2.0], [3.0], [-6.0]]), output, inv_std)
    assert np.isfinite(grad).all()
    # of the variance, 0, only eps is left: 1 / sqrt(1e-5) times the gradient, whose mean is 0
    np.testing.assert_allclose(grad[:, 0], np.array([1, 2, 3, -6]) / 1e-5**0.5, rtol=1e-12)


def test_an_empty_batch_has_an_empty_gradient() -> None:
    empty = np.zeros((0, 3))
    assert kernels.batch_norm_grad(empty, empty, np.ones((1, 3))).shape == (0, 3)
    output, inv_std = kernels.layer_norm(empty)
    assert kernels.layer_norm_grad(empty, output, inv_std).shape == (0, 3)
    one = np.ones((1, 3))
    assert kernels.batch_norm_inference(empty, one, one).shape == (0, 3)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4), (2, 3, 0, 4)])
def test_nothing_to_average_over_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="batch_norm: there is nothing to average over"):
        kernels.batch_norm(np.zeros(shape))
    with pytest.raises(ValueError, match="layer_norm: there is nothing to average over"):
        kernels.layer_norm(np.zeros((2, 0)))


@given(shapes, epsilons, dtypes, layouts, seeds)
def test_rms_norm_and_its_jacobian(shape, eps, dtype, layout, seed) -> None:
    """``d y[k] / d x[l] = (delta[k, l] - y[k] y[l] / m) / rms`` for each row of m numbers."""
    rng = np.random.default_rng(seed)
    x, grad = drawn(rng, shape, dtype, layout), drawn(rng, shape, dtype, layout)
    output, inv_rms = watched(kernels.rms_norm, x, eps)
    found = watched(kernels.rms_norm_grad, grad, output, inv_rms)
    m, unit = shape[-1], float(np.finfo(dtype).eps)
    assert inv_rms.shape == (*shape[:-1], 1)
    for row in np.ndindex(*shape[:-1]):
        numbers, g = x[row].astype(float), grad[row].astype(float)
        rms = np.sqrt(sum(number * number for number in numbers) / m + eps)
        y = numbers / rms
        jacobian = (np.eye(m) - np.outer(y, y) / m) / rms
        allowed = (m + 6) * unit * (1 + np.abs(y))
        assert np.all(np.abs(output[row] - y) <= allowed)
        assert abs(inv_rms[row][0] * rms - 1) <= (m + 6) * unit
        assert np.all(np.abs(found[row] - jacobian.T @ g) <= 4 * allowed / rms * np.abs(g).sum())


def test_rms_norm_of_numbers_whose_squares_overflow() -> None:
    x = np.array([[3e200, -4e200], [3.0, -4.0]])
    output, inv_rms = kernels.rms_norm(x, 1e-12)
    np.testing.assert_allclose(output[0], output[1], rtol=1e-12)
    np.testing.assert_allclose(inv_rms[0] * 1e200, inv_rms[1], rtol=1e-12)
