"""The compiled poolings against their reference: every option, shape and memory layout."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import (
    DTYPES,
    arrays,
    assert_linear,
    each_number_of_threads,
    in_layout,
    twins,
)

fast, reference = twins("pooling")

pytestmark = pytest.mark.usefixtures("isa")

SIZES = st.integers(1, 6) | st.tuples(st.integers(1, 7), st.integers(1, 7))
# 2x2 side by side, the usual pooling, has code of its own; 17x17 has more positions than a byte.
KERNELS = st.just(2) | SIZES | st.just(17)
STRIDES = st.none() | SIZES | st.sampled_from([60, (10**9, 1)])
PADDINGS = st.just(0) | st.sampled_from([1, 2, "same", ((0, 1), (1, 0))])
IMAGES = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 40), st.integers(1, 70))


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
        x = np.round(x)  # several largest pixels: the first one counts
    results = both("max_pool2d", x, kernel, stride, padding)
    if results is None:
        return
    (output, positions), (wanted, wanted_positions) = results
    np.testing.assert_array_equal(output, wanted, strict=True)
    np.testing.assert_array_equal(positions, wanted_positions, strict=True)
    g = data.draw(arrays(wanted.shape, dtype))
    arguments = (g, positions, shape, kernel, stride, padding)
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    assert_linear(fast.max_pool2d_grad, reference.max_pool2d_grad, arguments, height * width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [2.0, 0.0, -3.0, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (2, 1), (3, 3), (3, 1), ((2, 5), (2, 4))])
def test_of_equal_largest_pixels_the_first_is_chosen(dtype, value, kernel, stride):
    """Every pair of positions of a window holds the largest, in every window of a wide image."""
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    steps = stride if isinstance(stride, tuple) else (stride, stride)
    windows = 21
    pairs = [(i, j) for i in range(height * width) for j in range(i, height * width)]
    lower = -np.inf if value != -np.inf else value  # then all are equal, and the first counts
    x = np.full((len(pairs), windows, height, (windows - 1) * steps[1] + width), lower, dtype)
    for image, pair in enumerate(pairs):
        for window in range(windows):  # one window of each channel
            for position in pair:
                row, column = divmod(position, width)
                zero = value == 0 and position == pair[1]
                x[image, window, row, window * steps[1] + column] = -0.0 if zero else value
    output, positions = fast.max_pool2d(x, kernel, stride)
    own = np.arange(windows)
    first = np.array([0 if value == -np.inf else pair[0] for pair in pairs])
    np.testing.assert_array_equal(positions[:, own, 0, own], np.repeat(first[:, None], windows, 1))
    np.testing.assert_array_equal(output[:, own, 0, own], np.full((len(pairs), windows), value))
    wanted = reference.max_pool2d(x, kernel, stride)
    np.testing.assert_array_equal(output, wanted[0], strict=True)
    np.testing.assert_array_equal(positions, wanted[1], strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kernel", "stride"), [((257, 1), 1), (17, 2), ((3, 90), (2, 1))])
def test_positions_that_do_not_fit_a_byte_equal_reference(kernel, stride, dtype):
    generator = np.random.default_rng(3)
    x = generator.standard_normal((2, 3, 260, 95)).astype(dtype)
    output, positions = fast.max_pool2d(x, kernel, stride)
    wanted, wanted_positions = reference.max_pool2d(x, kernel, stride)
    np.testing.assert_array_equal(output, wanted, strict=True)
    np.testing.assert_array_equal(positions, wanted_positions, strict=True)
    assert positions.max() > 255
    g = generator.standard_normal(wanted.shape).astype(dtype)
    arguments = (g, positions, x.shape, kernel, stride)
    most = int(np.prod(kernel)) if isinstance(kernel, tuple) else kernel**2
    assert_linear(fast.max_pool2d_grad, reference.max_pool2d_grad, arguments, most)


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
    assert_linear(fast.avg_pool2d, reference.avg_pool2d, (x, *options), height * width)
    g = data.draw(arrays(results[1].shape, dtype))
    arguments = (g, shape, *options)
    assert_linear(fast.avg_pool2d_grad, reference.avg_pool2d_grad, arguments, height * width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        (2, 2, 0),
        (2, 2, 1),
        ((2, 3), (1, 1), ((1, 0), (1, 1))),
        ((3, 2), (2, 2), ((0, 1), (1, 1))),
        ((2, 4), (1, 3), ((1, 1), (0, 2))),
        ((3, 1), (3, 4), 0),
    ],
)
def test_every_number_of_windows_in_a_row(kernel, stride, padding, dtype):
    """From one window to more than two of the longest vectors, alone and before other images."""
    generator = np.random.default_rng(9)
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    step = stride if isinstance(stride, int) else stride[1]
    for windows in range(1, 37):
        size = (windows - 1) * step + width + windows % step
        x = generator.integers(-9, 9, (1 + windows % 3, 1, 5, size)).astype(dtype)
        x = in_layout(x, "last")
        options = kernel, stride, padding
        found, wanted = fast.max_pool2d(x, *options), reference.max_pool2d(x, *options)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)
        g, positions = (in_layout(array, "last") for array in wanted)
        arguments = (g, positions, x.shape, *options)
        assert_linear(fast.max_pool2d_grad, reference.max_pool2d_grad, arguments, height * width)
        for include in (True, False):
            arguments = (x, *options, include)
            assert_linear(fast.avg_pool2d, reference.avg_pool2d, arguments, height * width)
            arguments = (g, x.shape, *options, include)
            assert_linear(
                fast.avg_pool2d_grad, reference.avg_pool2d_grad, arguments, height * width
            )


@pytest.mark.parametrize("padding", [0, ((1, 0), (1, 0))])
def test_most_of_a_wide_image_is_in_no_window(padding):
    x = np.random.default_rng(10).integers(-9, 9, (2, 3, 4, 50_000)).astype(float)
    options = 2, (2, 10**9), padding
    for one, other in zip(
        fast.max_pool2d(x, *options), reference.max_pool2d(x, *options), strict=True
    ):
        np.testing.assert_array_equal(one, other, strict=True)
    assert_linear(fast.avg_pool2d, reference.avg_pool2d, (x, *options), 4)


@given(data=st.data(), dtype=DTYPES, shape=IMAGES)
def test_global_avg_pool2d_and_gradient_equal_reference(data, dtype, shape):
    x = data.draw(arrays(shape, dtype))
    assert_linear(fast.global_avg_pool2d, reference.global_avg_pool2d, (x,), shape[2] * shape[3])
    g = data.draw(arrays(shape[:2], dtype))
    assert_linear(fast.global_avg_pool2d_grad, reference.global_avg_pool2d_grad, (g, shape), 1)


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
    results = []
    for _ in each_number_of_threads(1, 2, 5):
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
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            assert one.tobytes() == other.tobytes()
