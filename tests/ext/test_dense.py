"""The compiled dense kernels against their reference, in every memory layout."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import dlfs_ext
from tests.ext.common import DTYPES, LAYOUTS, arrays, assert_close, in_layout, shapes, twins

fast, reference = twins("dense")

SIZES = st.integers(0, 70)
ACTIVATIONS = st.sampled_from(reference.FUSED_ACTIVATIONS)


@pytest.fixture(params=dlfs_ext.available_isas(), autouse=True)
def isa(request):
    """Run every test on every instruction set that this processor has."""
    before = dlfs_ext.isa()
    dlfs_ext.set_isa(request.param)
    yield request.param
    dlfs_ext.set_isa(before)


@given(data=st.data(), dtype=DTYPES, m=SIZES, n=SIZES, k=SIZES)
def test_products_equal_reference(data, dtype, m, n, k):
    x, W = data.draw(arrays((m, k), dtype)), data.draw(arrays((k, n), dtype))
    g = data.draw(arrays((m, n), dtype))
    copies = x.copy(), W.copy(), g.copy()
    assert_close(fast.weight_multiply(x, W), reference.weight_multiply(x, W), k, 16)
    assert_close(
        fast.weight_multiply_input_grad(g, W), reference.weight_multiply_input_grad(g, W), n, 16
    )
    assert_close(
        fast.weight_multiply_param_grad(g, x), reference.weight_multiply_param_grad(g, x), m, 16
    )
    for array, copy in zip((x, W, g), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@given(data=st.data(), dtype=DTYPES, m=SIZES, n=SIZES, k=SIZES, activation=ACTIVATIONS)
def test_dense_equals_reference(data, dtype, m, n, k, activation):
    x, W = data.draw(arrays((m, k), dtype)), data.draw(arrays((k, n), dtype))
    b = data.draw(arrays((1, n), dtype))
    assert_close(fast.dense(x, W, b, activation), reference.dense(x, W, b, activation), k + 1, 16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_longer_than_a_panel(dtype):
    # The inner dimension is cut into pieces of 1024.
    generator = np.random.default_rng(1)
    for k in (1023, 1024, 1025, 2500):
        x = generator.integers(-8, 9, (9, k)).astype(dtype)
        W = generator.integers(-8, 9, (k, 50)).astype(dtype)
        b = generator.integers(-8, 9, (1, 50)).astype(dtype)
        # Whole numbers this small are summed without rounding.
        np.testing.assert_array_equal(fast.dense(x, W, b), x @ W + b)
        np.testing.assert_array_equal(fast.dense(x, np.asfortranarray(W), b), x @ W + b)


@given(
    dtype=DTYPES,
    m=st.integers(0, 9),
    n=st.integers(0, 40),
    k=st.sampled_from([127, 128, 255, 256, 300, 2048, 2050, 5000]),
    layouts=st.tuples(LAYOUTS, LAYOUTS),
    seed=st.integers(0, 2**16),
)
def test_long_sums_for_few_columns(dtype, m, n, k, layouts, seed):
    generator = np.random.default_rng(seed)
    x = in_layout(generator.integers(-8, 9, (m, k)).astype(dtype), layouts[0])
    W = in_layout(generator.integers(-8, 9, (k, n)).astype(dtype), layouts[1])
    b = generator.integers(-8, 9, (1, n)).astype(dtype)
    g = generator.integers(-8, 9, (m, n)).astype(dtype)
    # Whole numbers this small are summed without rounding.
    np.testing.assert_array_equal(fast.dense(x, W, b), x @ W + b)
    np.testing.assert_array_equal(fast.weight_multiply_param_grad(g, x), x.T @ g)
    np.testing.assert_array_equal(fast.weight_multiply_input_grad(g, W), g @ W.T)
    np.testing.assert_array_equal(fast.dense(x.T, g, b), x.T @ g + b)


@given(data=st.data(), dtype=DTYPES, shape=shapes(min_dims=2), activation=ACTIVATIONS)
def test_per_feature_kernels_equal_reference(data, dtype, shape, activation):
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    b = data.draw(arrays((1, shape[1]) + (1,) * (len(shape) - 2), dtype))
    count = x.size
    assert_close(fast.bias_add(x, b), reference.bias_add(x, b), 1, 8)
    assert_close(fast.scale_multiply(x, b), reference.scale_multiply(x, b), 1, 16)
    assert_close(fast.bias_add_param_grad(g), reference.bias_add_param_grad(g), count, 4)
    assert_close(
        fast.scale_multiply_param_grad(g, x), reference.scale_multiply_param_grad(g, x), count, 16
    )
    y = reference.bias_activation(x, b, activation)
    assert_close(fast.bias_activation(x, b, activation), y, 1, 8)
    assert_close(
        fast.bias_activation_grad(g, y, activation),
        reference.bias_activation_grad(g, y, activation),
        count,
        64 * 4,
    )


@given(dtype=DTYPES, m=st.integers(1, 300), k=st.sampled_from([120, 300]), n=st.integers(1, 300))
def test_any_number_of_threads_gives_the_same_bits(dtype, m, k, n):
    generator = np.random.default_rng(m * n)
    x, W = generator.standard_normal((m, k)), generator.standard_normal((k, n))
    x, W, b = x.astype(dtype), W.astype(dtype), W[:1].astype(dtype)
    before = dlfs_ext.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 7):
            dlfs_ext.set_num_threads(threads)
            y = fast.dense(x, W, b, "tanh")
            results.append(
                (
                    y,
                    fast.weight_multiply_input_grad(y, W),
                    fast.weight_multiply_param_grad(y, x),
                    *fast.bias_activation_grad(y, y, "tanh"),
                )
            )
    finally:
        dlfs_ext.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
