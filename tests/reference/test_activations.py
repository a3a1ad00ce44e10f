"""Activations against Python's own math, number by number, and their slopes likewise."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from dlfs import reference as kernels
from tests.support.arrays import (
    arranged,
    assert_within,
    drawn,
    dtypes,
    layouts,
    seeds,
    sum_bound,
    watched,
)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def sigmoid_slope(x: float) -> float:
    return math.exp(-abs(x)) / (1 + math.exp(-abs(x))) ** 2


def tanh_slope(x: float) -> float:
    return 1 / math.cosh(x) ** 2 if abs(x) < 350 else 0.0


def normal_cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def normal_density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


class Activation(NamedTuple):
    """An elementwise kernel, what it is, its slope, and whether that takes the output."""

    forward: Callable[..., np.ndarray]
    backward: Callable[..., np.ndarray]
    value: Callable[[float], float]
    slope: Callable[[float], float]
    from_output: bool = False
    arguments: tuple[float, ...] = ()


ACTIVATIONS = {
    "sigmoid": Activation(
        kernels.sigmoid, kernels.sigmoid_grad, sigmoid, sigmoid_slope, from_output=True
    ),
    "tanh": Activation(kernels.tanh, kernels.tanh_grad, math.tanh, tanh_slope, from_output=True),
    "relu": Activation(
        kernels.relu, kernels.relu_grad, lambda x: max(x, 0.0), lambda x: float(x > 0)
    ),
    "leaky_relu": Activation(
        kernels.leaky_relu,
        kernels.leaky_relu_grad,
        lambda x: x if x > 0 else 0.2 * x,
        lambda x: 1.0 if x > 0 else 0.2,
        arguments=(0.2,),
    ),
    "elu": Activation(
        kernels.elu,
        kernels.elu_grad,
        lambda x: x if x > 0 else 1.5 * math.expm1(x),
        lambda x: 1.0 if x > 0 else 1.5 * math.exp(x),
        arguments=(1.5,),
    ),
    "gelu": Activation(
        kernels.gelu,
        kernels.gelu_grad,
        lambda x: x * normal_cdf(x),
        lambda x: normal_cdf(x) + x * normal_density(x),
    ),
    "silu": Activation(
        kernels.silu,
        kernels.silu_grad,
        lambda x: x * sigmoid(x),
        lambda x: sigmoid(x) * (1 + x * sigmoid(-x)),
    ),
    "softplus": Activation(kernels.softplus, kernels.softplus_grad, softplus, sigmoid),
}

ordinary = st.floats(-30, 30, width=32)
inputs = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4), elements=ordinary
)


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(inputs, seeds, dtypes, layouts)
def test_activation_and_slope(name: str, values: np.ndarray, seed: int, dtype, layout: str) -> None:
    kernel = ACTIVATIONS[name]
    x = arranged(values.astype(dtype), layout)
    grad = drawn(np.random.default_rng(seed), x.shape, dtype, layout)
    output = watched(kernel.forward, x, *kernel.arguments)
    given_back = np.asarray(output) if kernel.from_output else x
    input_grad = watched(kernel.backward, grad, given_back, *kernel.arguments)
    flat = [float(number) for number in x.ravel()]
    expected = np.array([kernel.value(number) for number in flat]).reshape(x.shape)
    slopes = np.array([kernel.slope(number) for number in flat]).reshape(x.shape)
    eps, size = float(np.finfo(dtype).eps), np.abs(x.astype(float))
    # A rounding of x**2 / 2 (normal density) or of x (exponential) changes the result by this many
    # eps; a library's exp, tanh and erfc may be wrong by 2 of them.
    relative = 4 + size + (size**2 if name == "gelu" else 0)
    assert_within(np.asarray(output), expected, relative * eps * (np.abs(expected) + eps), "output")
    # A slope is a sum of two terms of size 1 + |x|, or follows from the output, which is rounded.
    bound = relative * eps * (1 + size) * np.abs(grad)
    assert_within(np.asarray(input_grad), slopes * grad, bound, "gradient")


EXTREMES = {
    "sigmoid": ([0.0, 1.0], [0.0, 0.0]),
    "tanh": ([-1.0, 1.0], [0.0, 0.0]),
    "relu": ([0.0, None], [0.0, 1.0]),
    "leaky_relu": ([None, None], [0.2, 1.0]),
    "elu": ([-1.5, None], [0.0, 1.0]),
    "gelu": ([0.0, None], [0.0, 1.0]),
    "silu": ([0.0, None], [0.0, 1.0]),
    "softplus": ([0.0, None], [0.0, 1.0]),
}


@pytest.mark.parametrize("size", [1e3, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_large_inputs_neither_overflow_nor_warn(name: str, dtype: type, size: float) -> None:
    """Warnings are errors in these tests."""
    kernel = ACTIVATIONS[name]
    x = np.array([-size, size], dtype=dtype)
    output = kernel.forward(x, *kernel.arguments)
    grad = kernel.backward(np.ones_like(x), output if kernel.from_output else x, *kernel.arguments)
    limits, slopes = EXTREMES[name]
    asymptotes = [x[i] * slopes[i] if limit is None else limit for i, limit in enumerate(limits)]
    np.testing.assert_allclose(output, asymptotes, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(grad, slopes, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_nan(name: str) -> None:
    kernel = ACTIVATIONS[name]
    assert np.isnan(kernel.forward(np.array([np.nan]), *kernel.arguments)).all()


@pytest.mark.parametrize(("name", "slope"), [("relu", 0.0), ("leaky_relu", 0.2), ("elu", 1.5)])
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_the_subgradient_at_the_kink_is_the_one_that_is_documented(
    name: str, slope: float, zero: float
) -> None:
    kernel = ACTIVATIONS[name]
    assert kernel.backward(np.array([1.0]), np.array([zero]), *kernel.arguments) == slope


# --- softmax ---

rows = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)


@given(rows, seeds, dtypes, layouts, st.sampled_from([1.0, 30.0, 1000.0]))
def test_softmax_and_its_gradient(
    shape: tuple[int, ...], seed: int, dtype, layout: str, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    x = arranged((scale * rng.standard_normal(shape)).astype(dtype), layout)
    grad = drawn(rng, shape, dtype, layout)
    output = watched(kernels.softmax, x)
    input_grad = watched(kernels.softmax_grad, grad, output)
    wide = x.astype(float)
    expected = np.exp(wide - special.logsumexp(wide, axis=-1, keepdims=True))
    # The difference from the largest is rounded by eps times itself, and exp passes that on.
    spread = np.abs(wide).max(axis=-1, keepdims=True) * 2 + 4 + shape[-1]
    eps = float(np.finfo(dtype).eps)
    tiny = float(np.finfo(dtype).tiny)
    assert_within(output, expected, spread * eps * expected + tiny, "output")
    jacobian = output[..., :, None] * (np.eye(shape[-1]) - output[..., None, :].astype(float))
    expected_grad = (jacobian @ grad.astype(float)[..., None])[..., 0]
    magnitude = output * (np.abs(grad) + (np.abs(grad) * output).sum(axis=-1, keepdims=True))
    bound = sum_bound(shape[-1] + 2, magnitude.astype(float), dtype)
    assert_within(input_grad, expected_grad, bound, "gradient")


@given(rows, seeds, st.floats(-1e5, 1e5))
def test_softmax_does_not_change_when_a_row_is_shifted(
    shape: tuple[int, ...], seed: int, shift: float
) -> None:
    x = np.random.default_rng(seed).integers(-5, 6, shape).astype(float)
    shift = float(round(shift))
    assert np.array_equal(kernels.softmax(x + shift), kernels.softmax(x))


def test_softmax_of_an_empty_batch_is_empty() -> None:
    assert kernels.softmax(np.zeros((0, 3))).shape == (0, 3)


# --- hyperparameters ---


@pytest.mark.parametrize("number", [np.float64(0.25), np.float32(0.25), Fraction(1, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_hyperparameter_of_any_kind_of_number_keeps_the_dtype(dtype: type, number) -> None:
    """A NumPy scalar of float64 would make float32 arrays float64, a Fraction arrays of objects."""
    x, one = np.ones((2, 3), dtype=dtype), np.ones((1, 3), dtype=dtype)
    for kernel, arrays in (
        (kernels.leaky_relu, (x,)),
        (kernels.leaky_relu_grad, (x, x)),
        (kernels.elu, (x,)),
        (kernels.elu_grad, (x, x)),
        (kernels.batch_norm, (x,)),
        (kernels.batch_norm_inference, (x, one, one)),
        (kernels.batch_norm_inference_grad, (x, one)),
        (kernels.layer_norm, (x,)),
        (kernels.batch_norm_affine, (x, one, one)),
        (kernels.layer_norm_affine, (x, one, one)),
        (kernels.huber, (x, x)),
        (kernels.dropout, (x, x > 0)),
    ):
        results, expected = kernel(*arrays, number), kernel(*arrays, 0.25)
        for result, right in zip(as_tuple(results), as_tuple(expected), strict=True):
            assert type(result) is type(right)
            assert not isinstance(result, np.ndarray) or result.dtype == dtype
            assert np.array_equal(result, right)


@pytest.mark.parametrize("number", [np.float64(0.25), Fraction(1, 4)])
def test_a_learning_rate_of_any_kind_of_number_steps(number) -> None:
    for kernel, slots, more in (
        (kernels.sgd_update, 0, {"weight_decay": number}),
        (kernels.sgd_momentum_update, 1, {"momentum": number}),
        (kernels.adagrad_update, 1, {"eps": number}),
        (kernels.rmsprop_update, 1, {"decay": number, "eps": number}),
        (kernels.adam_update, 2, {"t": np.int64(2), "beta1": number, "weight_decay": number}),
    ):
        results = []
        for convert in (lambda value: value, float):
            arrays = [np.ones(3, dtype=np.float32) for _ in range(2 + slots)]
            options = {k: v if k == "t" else convert(v) for k, v in more.items()}
            kernel(*arrays, lr=convert(number), **options)
            results.append(arrays)
        assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def as_tuple(result) -> tuple:
    return result if isinstance(result, tuple) else (result,)


@given(inputs, seeds, dtypes, layouts)
def test_gelu_with_tanh(values: np.ndarray, seed: int, dtype, layout: str) -> None:
    x = arranged(values.astype(dtype), layout)
    grad = drawn(np.random.default_rng(seed), x.shape, dtype, layout)
    exact = np.clip(x.astype(float), -40, 40)
    u = math.sqrt(2 / math.pi) * (exact + 0.044715 * exact**3)
    t = np.tanh(u)
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * exact**2)
    eps = float(np.finfo(dtype).eps)
    # 1 + tanh has an absolute error of eps, far from 0 too.
    allowed = 8 * eps * (1 + np.abs(exact))
    output = watched(kernels.gelu_tanh, x)
    assert np.all(np.abs(output - exact * (1 + t) / 2) <= allowed)
    found = watched(kernels.gelu_tanh_grad, grad, x)
    wanted = (1 + t) / 2 + exact * (1 - t * t) / 2 * slope
    assert np.all(np.abs(found - grad * wanted) <= 40 * allowed * (1 + slope) * np.abs(grad))


def test_gelu_with_tanh_is_near_gelu() -> None:
    x = np.linspace(-6, 6, 1001)
    assert np.abs(kernels.gelu_tanh(x) - kernels.gelu(x)).max() < 0.0005
    for size in (1e3, 1e200):
        x = np.array([-size, size])
        np.testing.assert_array_equal(kernels.gelu_tanh(x), [0.0, size])
        np.testing.assert_array_equal(kernels.gelu_tanh_grad(np.ones(2), x), [0.0, 1.0])
