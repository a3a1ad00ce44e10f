"""The compiled poolings against their reference: every option, shape and memory layout."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import dlfs_ext
from tests.ext.common import DTYPES, arrays, assert_close, twins

fast, reference = twins("pooling")

SIZES = st.integers(1, 6) | st.tuples(st.integers(1, 7), st.integers(1, 7))
# 2x2 side by side, the usual pooling, has code of its own; 17x17 has more positions than a byte.
KERNELS = st.just(2) | SIZES | st.just(17)
STRIDES = st.none() | SIZES | st.sampled_from([60, (10**9, 1)])
PADDINGS = st.just(0) | st.sampled_from([1, 2, "same", ((0, 1), (1, 0))])
IMAGES = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 40), st.integers(1, 70))


@pytest.fixture(params=dlfs_ext.available_isas(), autouse=True)
def isa(request):
    """Run every test on every instruction set that this processor has."""
    before = dlfs_ext.isa()
    dlfs_ext.set_isa(request.param)
    yield request.param
    dlfs_ext.set_isa(before)


def both(name, *args):
    """The result of both backends, or None where both refuse for the same reason."""
    results = []
    for one in (fast, reference):
        try:
            results.append(getattr(one, name)(*args))
        except ValueError as error:
            results.append(str(error))
    if isinstance(results[1], str):
        assert results[0] == results[1]
        return None
    return results


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=IMAGES,
    kernel=KERNELS,
    stride=STRIDES,
    padding=PADDINGS,
    ties=st.booleans(),
)
def test_max_pool2d_and_gradient_equal_reference(data, dtype, shape, kernel, stride, padding, ties):
    x = data.draw(arrays(shape, dtype))
    if ties:
        x = np.round(x)  # so that the first of several largest pixels has to be found
    results = both("max_pool2d", x, kernel, stride, padding)
    if results is None:
        return
    (output, positions), (wanted, wanted_positions) = results
    np.testing.assert_array_equal(output, wanted, strict=True)
    np.testing.assert_array_equal(positions, wanted_positions, strict=True)
    g = data.draw(arrays(wanted.shape, dtype))
    grads = both("max_pool2d_grad", g, positions, shape, kernel, stride, padding)
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    assert_close(*grads, height * width, 4)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_max_pool2d_orders_nan_and_infinity_as_the_reference(kernel, dtype):
    generator = np.random.default_rng(6)
    x = generator.choice([np.nan, -np.inf, np.inf, 0.0, -0.0, 1.0], (3, 4, 13, 39)).astype(dtype)
    x[0, 0] = -np.inf
    for padding in (0, 1):
        output, positions = fast.max_pool2d(x, kernel, None, padding)
        wanted, wanted_positions = reference.max_pool2d(x, kernel, None, padding)
        np.testing.assert_array_equal(output, wanted, strict=True)
        np.testing.assert_array_equal(positions, wanted_positions, strict=True)


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=IMAGES,
    kernel=KERNELS,
    stride=STRIDES,
    padding=PADDINGS,
    count_include_pad=st.booleans(),
)
def test_avg_pool2d_and_gradient_equal_reference(
    data, dtype, shape, kernel, stride, padding, count_include_pad
):
    x = data.draw(arrays(shape, dtype))
    options = kernel, stride, padding, count_include_pad
    results = both("avg_pool2d", x, *options)
    if results is None:
        return
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    assert_close(*results, height * width, 4)
    g = data.draw(arrays(results[1].shape, dtype))
    assert_close(*both("avg_pool2d_grad", g, shape, *options), height * width, 4)


@given(data=st.data(), dtype=DTYPES, shape=IMAGES)
def test_global_avg_pool2d_and_gradient_equal_reference(data, dtype, shape):
    x = data.draw(arrays(shape, dtype))
    assert_close(*both("global_avg_pool2d", x), shape[2] * shape[3], 4)
    g = data.draw(arrays(shape[:2], dtype))
    assert_close(*both("global_avg_pool2d_grad", g, shape), 1, 4)


@pytest.mark.parametrize(
    "positions",
    [
        np.full((1, 1, 2, 2), 4, np.uint8),
        np.zeros((1, 1, 2, 2), np.int64),
        np.zeros((1, 1, 2, 1), np.uint8),
        [[[[0, 0], [0, 0]]]],
    ],
)
def test_bad_positions_are_refused_in_the_same_words(positions):
    errors = []
    for one in (fast, reference):
        with pytest.raises((TypeError, ValueError)) as caught:
            one.max_pool2d_grad(np.ones((1, 1, 2, 2)), positions, (1, 1, 4, 4), 2)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


def test_positions_of_large_windows_are_checked():
    positions = np.zeros((1, 1, 1, 1), np.int32)
    for bad in (-1, 17 * 17):
        positions[...] = bad
        with pytest.raises(ValueError, match=r"must lie in 0\.\.288"):
            fast.max_pool2d_grad(np.ones((1, 1, 1, 1)), positions, (1, 1, 17, 17), 17)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [2, 3])
def test_threads_do_not_change_a_bit(dtype, kernel):
    x = np.random.default_rng(7).standard_normal((30, 16, 45, 45)).astype(dtype)
    before, results = dlfs_ext.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            dlfs_ext.set_num_threads(threads)
            output, positions = fast.max_pool2d(x, kernel)
            mean = fast.avg_pool2d(x, kernel)
            results.append(
                (
                    output,
                    positions,
                    mean,
                    fast.max_pool2d_grad(output, positions, x.shape, kernel),
                    fast.avg_pool2d_grad(mean, x.shape, kernel),
                    fast.global_avg_pool2d(x),
                )
            )
    finally:
        dlfs_ext.set_num_threads(before)
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert one.tobytes() == other.tobytes()
