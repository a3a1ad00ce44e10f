"""The compiled dense kernels against their reference, in every memory layout."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from dlfs.reference.fused import FUSED_ACTIVATIONS
from tests.ext.common import (
    DTYPES,
    LAYOUTS,
    arrays,
    assert_linear,
    assert_ulps,
    assert_within,
    each_number_of_threads,
    in_layout,
    shapes,
    twins,
    wide,
    widened,
)

fast, reference = twins("dense")

SIZES = st.integers(0, 70)
ACTIVATIONS = st.sampled_from(FUSED_ACTIVATIONS)


pytestmark = pytest.mark.usefixtures("isa")


@given(data=st.data(), dtype=DTYPES, m=SIZES, n=SIZES, k=SIZES)
def test_products_equal_reference(data, dtype, m, n, k):
    x, W = data.draw(arrays((m, k), dtype)), data.draw(arrays((k, n), dtype))
    g = data.draw(arrays((m, n), dtype))
    copies = x.copy(), W.copy(), g.copy()
    for name, arguments, terms in (
        ("weight_multiply", (x, W), k),
        ("weight_multiply_input_grad", (g, W), n),
        ("weight_multiply_param_grad", (g, x), m),
    ):
        assert_linear(getattr(fast, name), getattr(reference, name), arguments, terms)
    for array, copy in zip((x, W, g), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "k"), [(50, 40), (300, 130), (9, 700)])
def test_few_columns_and_a_bias_equal_reference(m, k, dtype, order):
    generator = np.random.default_rng(4)
    x = np.asarray(generator.standard_normal((m, k)), dtype, order=order)
    for n in (*range(1, 20), 33, 35, 50):
        W, b = (generator.standard_normal(shape).astype(dtype) for shape in ((k, n), (1, n)))
        found = fast.dense(x, W, b)
        exact = [widened(array) for array in (x, W, b)]
        size = reference.dense(*(np.abs(array) for array in exact))
        assert_within(found, reference.dense(*exact), np.finfo(dtype).eps * (k + 3) * size)


@given(data=st.data(), dtype=DTYPES, m=SIZES, n=SIZES, k=SIZES, activation=ACTIVATIONS)
def test_dense_equals_reference(data, dtype, m, n, k, activation):
    x, W = data.draw(arrays((m, k), dtype)), data.draw(arrays((k, n), dtype))
    b = data.draw(arrays((1, n), dtype))
    found = fast.dense(x, W, b, activation)
    exact = [widened(array) for array in (x, W, b)]
    wanted = reference.dense(*exact, activation)
    # No activation is steeper than 1, so none makes the sum's error larger; its own is 3 units.
    size = reference.dense(*(np.abs(array) for array in exact))
    assert found.dtype == dtype
    assert_within(found, wanted, np.finfo(dtype).eps * ((k + 3) * size + 3 * np.abs(wanted)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", FUSED_ACTIVATIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(3, 4, 37), (5, 300, 3), (9, 20, 1), (40, 2, 70), (100, 520, 250)]
)
def test_nan_and_infinity_reach_their_own_row_or_column_alone(dtype, activation, value, m, k, n):
    """Through every way to multiply: tiles, dot products, the last lanes of a row, blocks."""
    generator = np.random.default_rng(5)
    for which in ("x", "W", "b"):
        # Positive factors: infinity stays what it is, and no infinities meet.
        x, W, b = (
            generator.uniform(0.5, 1, shape).astype(dtype) for shape in ((m, k), (k, n), (1, n))
        )
        row, column = {"x": (m - 1, None), "W": (None, n - 1), "b": (None, n // 2)}[which]
        if which == "x":
            x[row, k // 2] = value
        elif which == "W":
            W[k // 2, column] = value
        else:
            b[0, column] = value
        line = (row, slice(None)) if column is None else (slice(None), column)
        expected = reference.bias_activation(np.full((1, 1), value), np.zeros((1, 1)), activation)
        z = reference.dense(x, W, b)
        np.testing.assert_array_equal(z[line], np.full_like(z[line], value))
        for found in (
            fast.dense(x, W, b, activation),
            fast.bias_activation(fast.weight_multiply(x, W), b, activation),
        ):
            np.testing.assert_array_equal(found[line], np.full_like(found[line], expected[0, 0]))
            found[line] = 0
            assert np.isfinite(found).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_longer_than_a_panel(dtype):
    # The inner dimension is cut into pieces of 512 numbers, or 256 in float64.
    generator = np.random.default_rng(1)
    for k in (255, 256, 257, 512, 513, 1025, 2500):
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("k", "m", "n"), [(513, 3, 300), (700, 201, 50), (1024, 256, 1)])
def test_weights_gradient_from_copied_blocks(dtype, k, m, n):
    """Long sums whose rows are at least 1024 bytes apart, and parts of such arrays."""
    generator = np.random.default_rng(k)
    x = generator.integers(-8, 9, (k, 600)).astype(dtype)[:, 5 : 5 + m]
    g = generator.integers(-8, 9, (k, 600)).astype(dtype)[:, :n]
    # Whole numbers this small are summed without rounding.
    np.testing.assert_array_equal(
        fast.weight_multiply_param_grad(g, x), x.astype(int).T @ g.astype(int)
    )
    x, g = x / 7, g / 7
    results = [fast.weight_multiply_param_grad(g, x) for _ in each_number_of_threads(1, 2, 5)]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (96, 3, 241),
        (97, 257, 240),
        (200, 513, 250),
        (193, 130, 7),
        (33, 40, 1031),
        (1, 700, 800),
        (9, 600, 1100),
    ],
)
def test_products_of_several_blocks(dtype, m, k, n):
    """More than 96 rows, 240 columns or 256 terms; weights a page apart (9, 33 rows); one row."""
    generator = np.random.default_rng(m)
    x, W, g, b = (
        generator.integers(-8, 9, shape).astype(dtype) for shape in ((m, k), (k, n), (m, n), (1, n))
    )
    exact = [array.astype(int) for array in (x, W, g, b)]
    # Whole numbers this small are summed without rounding.
    np.testing.assert_array_equal(fast.dense(x, W, b), exact[0] @ exact[1] + exact[3])
    np.testing.assert_array_equal(fast.weight_multiply_input_grad(g, W), exact[2] @ exact[1].T)
    np.testing.assert_array_equal(fast.weight_multiply_param_grad(g, x), exact[0].T @ exact[2])
    for strided in (np.asfortranarray(W), np.repeat(W, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(fast.weight_multiply(x, strided), exact[0] @ exact[1])
    x, W, g = x / 7, W / 7, g / 7
    results = [
        (
            fast.dense(x, W, b, "sigmoid"),
            fast.weight_multiply_input_grad(g, W),
            fast.weight_multiply_param_grad(g, x),
        )
        for _ in each_number_of_threads(1, 2, 5)
    ]
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@given(data=st.data(), dtype=DTYPES, shape=shapes(min_dims=2), activation=ACTIVATIONS)
def test_per_feature_kernels_equal_reference(data, dtype, shape, activation):
    x, g = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    b = data.draw(arrays((1, shape[1]) + (1,) * (len(shape) - 2), dtype))
    count = x.size // shape[1] if shape[1] else 0
    exact = [array.astype(wide) for array in (x, b)]
    assert_ulps(fast.bias_add(x, b), exact[0] + exact[1], 0.5)
    assert_ulps(fast.scale_multiply(x, b), exact[0] * exact[1], 0.5)
    for name, arguments in (("bias_add_param_grad", (g,)), ("scale_multiply_param_grad", (g, x))):
        assert_linear(getattr(fast, name), getattr(reference, name), arguments, count)
    found = fast.bias_activation(x, b, activation)
    wanted = reference.bias_activation(widened(x), widened(b), activation)
    # The sum is rounded, which no activation makes larger, and the activation by 3 units.
    eps = np.finfo(dtype).eps
    assert_within(found, wanted, eps * (np.abs(exact[0] + exact[1]) + 3 * np.abs(wanted)))
    x_grad, b_grad = fast.bias_activation_grad(g, found, activation)
    values = widened(g), widened(found)
    wanted, wanted_sum = reference.bias_activation_grad(*values, activation)
    # 1 - y * y cancels near 1, y * (1 - y) does not: so much is subtracted.
    slope = {"tanh": 1 + values[1] ** 2, "sigmoid": np.abs(wanted / np.where(g == 0, 1, values[0]))}
    size = np.abs(values[0]) * slope.get(activation, 1.0)
    assert_within(x_grad, wanted, 2 * eps * size)
    bound = size.sum(axis=(0, *range(2, len(shape))), keepdims=True)
    assert_within(b_grad, wanted_sum, (count + 2) * eps * bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", FUSED_ACTIVATIONS)
@pytest.mark.parametrize("shape", [(3, 5), (2, 37), (2, 3, 5), (2, 3, 4, 5)])
def test_nan_through_bias_and_activation(dtype, activation, shape):
    """Through the vectors of features side by side, those of one feature, and the last of each."""
    b = np.zeros((1, shape[1]) + (1,) * (len(shape) - 2), dtype)
    for place in np.ndindex(shape):
        x = np.ones(shape, dtype)
        x[place] = np.nan
        found = fast.bias_activation(x, b, activation)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(x))


@given(dtype=DTYPES, m=st.integers(1, 300), k=st.sampled_from([120, 300]), n=st.integers(1, 300))
def test_any_number_of_threads_gives_the_same_bits(dtype, m, k, n):
    generator = np.random.default_rng(m * n)
    x, W = generator.standard_normal((m, k)), generator.standard_normal((k, n))
    x, W, b = x.astype(dtype), W.astype(dtype), W[:1].astype(dtype)
    results = []
    for _ in each_number_of_threads(1, 2, 3, 7):
        y = fast.dense(x, W, b, "tanh")
        results.append(
            (
                y,
                fast.weight_multiply_input_grad(y, W),
                fast.weight_multiply_param_grad(y, x),
                *fast.bias_activation_grad(y, y, "tanh"),
                fast.bias_add_param_grad(y),
                fast.scale_multiply_param_grad(y, y),
            )
        )
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
