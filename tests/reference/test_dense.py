"""Weight multiply, bias and scale against sums written out; the fused chain against its parts."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import reference as kernels
from tests.support.arrays import assert_within, drawn, dtypes, layouts, seeds, sum_bound, watched

sizes = st.integers(0, 5)
features = st.integers(1, 5)
shapes = st.tuples(st.integers(0, 3), st.integers(1, 4)).flatmap(
    lambda start: st.lists(st.integers(1, 3), max_size=2).map(lambda rest: (*start, *rest))
)
ACTIVATIONS = {
    "linear": (lambda z: z, lambda g, z: g),
    "sigmoid": (kernels.sigmoid, lambda g, z: kernels.sigmoid_grad(g, kernels.sigmoid(z))),
    "tanh": (kernels.tanh, lambda g, z: kernels.tanh_grad(g, kernels.tanh(z))),
    "relu": (kernels.relu, kernels.relu_grad),
}


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiply two matrices by definition."""
    result = np.zeros((a.shape[0], b.shape[1]))
    for i, j, k in itertools.product(range(a.shape[0]), range(b.shape[1]), range(a.shape[1])):
        result[i, j] += float(a[i, k]) * float(b[k, j])
    return result


def per_feature(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1, shape[1]) + (1,) * (len(shape) - 2)


def feature_sums(x: np.ndarray) -> np.ndarray:
    """Sum over everything but axis 1, number by number."""
    result = np.zeros(per_feature(x.shape))
    for index in np.ndindex(*x.shape):
        result[(0, index[1]) + (0,) * (x.ndim - 2)] += float(x[index])
    return result


@given(sizes, features, features, seeds, dtypes, layouts)
def test_weight_multiply_and_its_gradients(
    batch: int, n_in: int, n_out: int, seed: int, dtype, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    x, W, grad = (
        drawn(rng, shape, dtype, layout) for shape in ((batch, n_in), (n_in, n_out), (batch, n_out))
    )
    for kernel, left, right, a, b in (
        (kernels.weight_multiply, x, W, x, W),
        (kernels.weight_multiply_input_grad, grad, W, grad, W.T),
        (kernels.weight_multiply_param_grad, grad, x, x.T, grad),
    ):
        bound = sum_bound(a.shape[1], product(np.abs(a), np.abs(b)), dtype)
        assert_within(watched(kernel, left, right), product(a, b), bound, kernel.__name__)


@given(shapes, seeds, dtypes, layouts)
def test_bias_and_scale_and_their_gradients(
    shape: tuple[int, ...], seed: int, dtype, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    x, grad = drawn(rng, shape, dtype, layout), drawn(rng, shape, dtype, layout)
    param = drawn(rng, per_feature(shape), dtype, layout)
    by_feature = param.reshape(-1)
    added, scaled = watched(kernels.bias_add, x, param), watched(kernels.scale_multiply, x, param)
    for index in np.ndindex(*shape):
        assert added[index] == x[index] + by_feature[index[1]]
        assert scaled[index] == x[index] * by_feature[index[1]]
    terms = x.size // shape[1]
    bias_grad = watched(kernels.bias_add_param_grad, grad)
    scale_grad = watched(kernels.scale_multiply_param_grad, grad, x)
    products = grad.astype(float) * x
    bound = sum_bound(terms, feature_sums(np.abs(grad)), dtype)
    assert_within(bias_grad, feature_sums(grad), bound, "bias")
    bound = sum_bound(terms + 1, feature_sums(np.abs(products)), dtype)
    assert_within(scale_grad, feature_sums(products), bound, "scale")


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(data=st.data(), shape=shapes, seed=seeds, dtype=dtypes, layout=layouts)
def test_bias_activation_is_the_chain(
    name: str, data: st.DataObject, shape: tuple[int, ...], seed: int, dtype, layout: str
) -> None:
    """The same operations in the same order: equal to the bit."""
    activation, gradient = ACTIVATIONS[name]
    rng = np.random.default_rng(seed)
    x, grad = drawn(rng, shape, dtype, layout), drawn(rng, shape, dtype, layout)
    b = drawn(rng, per_feature(shape), dtype, layout)
    output = watched(kernels.bias_activation, x, b, name)
    assert np.array_equal(output, activation(x + b))
    x_grad, b_grad = watched(kernels.bias_activation_grad, grad, output, name)
    assert np.array_equal(x_grad, gradient(grad, x + b))
    assert np.array_equal(b_grad, kernels.bias_add_param_grad(x_grad))
    assert not np.shares_memory(x_grad, grad)


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(sizes, features, features, seeds, dtypes)
def test_dense_is_the_chain(name: str, batch: int, n_in: int, n_out: int, seed: int, dtype) -> None:
    rng = np.random.default_rng(seed)
    x, W, b = (drawn(rng, shape, dtype) for shape in ((batch, n_in), (n_in, n_out), (1, n_out)))
    expected = ACTIVATIONS[name][0](kernels.bias_add(kernels.weight_multiply(x, W), b))
    assert np.array_equal(watched(kernels.dense, x, W, b, name), expected)
