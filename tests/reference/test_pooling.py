"""Pooling against its definition: a loop over windows, a look at each pixel."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dlfs import reference as kernels
from tests.support import windows
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
from tests.support.windows import Axis


@st.composite
def poolings(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Axis, ...], dict[str, Any]]:
    """Draw an image shape, the window on both axes, and the options as a user writes them."""
    sizes = (draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    kernel_size = draw(
        st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 4), st.integers(1, 4)))
    )
    kernel = windows.per_axis(kernel_size, 2)
    stride = draw(
        st.one_of(st.none(), st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))
    )
    strides = kernel if stride is None else windows.per_axis(stride, 2)
    padding = draw(windows.paddings(2, 2))
    ends = windows.written_out(padding, sizes, kernel, strides, (1, 1))
    assume(all(max(end) <= k // 2 for end, k in zip(ends, kernel, strict=True)))
    axes = tuple(
        Axis(size, k, s, before, after, 1)
        for size, k, s, (before, after) in zip(sizes, kernel, strides, ends, strict=True)
    )
    assume(all(axis.output >= 1 for axis in axes))
    shape = (draw(st.integers(0, 2)), draw(st.integers(1, 2)), *sizes)
    return shape, axes, {"kernel_size": kernel_size, "stride": stride, "padding": padding}


def seen_by_window(axes: tuple[Axis, ...]) -> dict[tuple[int, int], list[tuple[int, int, int]]]:
    """Return, for each window, (position in the window, row, column) of the pixels in it."""
    seen: dict[tuple[int, int], list[tuple[int, int, int]]] = {
        (p, q): [] for p in range(axes[0].output) for q in range(axes[1].output)
    }
    for p, i, r in axes[0].meetings():
        for q, j, s in axes[1].meetings():
            seen[p, q].append((i * axes[1].kernel + j, r, s))
    return seen


def output_shape(shape: tuple[int, ...], axes: tuple[Axis, ...]) -> tuple[int, ...]:
    return (*shape[:2], axes[0].output, axes[1].output)


@given(poolings(), seeds, dtypes, layouts, st.booleans())
def test_max_pool_keeps_the_first_of_the_largest(
    case, seed: int, dtype, layout: str, ties: bool
) -> None:
    shape, axes, options = case
    rng = np.random.default_rng(seed)
    values = rng.integers(-1, 2, shape) if ties else rng.standard_normal(shape)
    x = arranged(values.astype(dtype), layout)
    output, positions = watched(kernels.max_pool2d, x, **options)
    grad = drawn(rng, output.shape, dtype, layout)
    input_grad = watched(kernels.max_pool2d_grad, grad, positions, x.shape, **options)
    expected_grad, magnitude = np.zeros(shape), np.zeros(shape)
    assert output.shape == output_shape(shape, axes)
    for (p, q), seen in seen_by_window(axes).items():
        for n, c in np.ndindex(*shape[:2]):
            position, r, s = max(seen, key=lambda pixel: (x[n, c, pixel[1], pixel[2]], -pixel[0]))
            assert output[n, c, p, q] == x[n, c, r, s]
            assert positions[n, c, p, q] == position
            expected_grad[n, c, r, s] += grad[n, c, p, q]
            magnitude[n, c, r, s] += abs(grad[n, c, p, q])
    bound = sum_bound(axes[0].kernel * axes[1].kernel, magnitude, dtype)
    assert_within(input_grad, expected_grad, bound)


@given(poolings(), seeds, dtypes, layouts, st.booleans())
def test_avg_pool_is_the_mean_of_its_window(
    case, seed: int, dtype, layout: str, count_include_pad: bool
) -> None:
    shape, axes, options = case
    options = {**options, "count_include_pad": count_include_pad}
    rng = np.random.default_rng(seed)
    x = drawn(rng, shape, dtype, layout)
    output = watched(kernels.avg_pool2d, x, **options)
    grad = drawn(rng, output.shape, dtype, layout)
    input_grad = watched(kernels.avg_pool2d_grad, grad, x.shape, **options)
    size = axes[0].kernel * axes[1].kernel
    expected, magnitude = np.zeros(output_shape(shape, axes)), np.zeros(output_shape(shape, axes))
    expected_grad, magnitude_grad = np.zeros(shape), np.zeros(shape)
    for (p, q), seen in seen_by_window(axes).items():
        count = size if count_include_pad else len(seen)
        for _, r, s in seen:
            expected[:, :, p, q] += x[:, :, r, s].astype(float) / count
            magnitude[:, :, p, q] += np.abs(x[:, :, r, s]) / count
            expected_grad[:, :, r, s] += grad[:, :, p, q].astype(float) / count
            magnitude_grad[:, :, r, s] += np.abs(grad[:, :, p, q]) / count
    assert_within(output, expected, sum_bound(size + 1, magnitude, dtype), "output")
    assert_within(input_grad, expected_grad, sum_bound(size + 1, magnitude_grad, dtype), "grad")


@given(poolings(), seeds, st.booleans())
def test_avg_pool_gradient_is_the_adjoint(case, seed: int, count_include_pad: bool) -> None:
    shape, axes, options = case
    options = {**options, "count_include_pad": count_include_pad}
    rng = np.random.default_rng(seed)
    x, grad = rng.standard_normal(shape), rng.standard_normal(output_shape(shape, axes))
    left = np.vdot(kernels.avg_pool2d(x, **options), grad)
    right = np.vdot(x, kernels.avg_pool2d_grad(grad, shape, **options))
    magnitude = float(np.vdot(kernels.avg_pool2d(np.abs(x), **options), np.abs(grad)))
    terms = x.size + grad.size + 2 * axes[0].kernel * axes[1].kernel
    assert abs(left - right) <= sum_bound(terms, magnitude, np.float64)


@given(st.integers(0, 3), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), seeds, dtypes)
def test_global_avg_pool_is_the_mean_of_each_channel(
    batch: int, channels: int, height: int, width: int, seed: int, dtype
) -> None:
    rng = np.random.default_rng(seed)
    x, grad = (
        drawn(rng, (batch, channels, height, width), dtype),
        drawn(rng, (batch, channels), dtype),
    )
    output = watched(kernels.global_avg_pool2d, x)
    input_grad = watched(kernels.global_avg_pool2d_grad, grad, x.shape)
    pixels = height * width
    expected = x.astype(float).reshape(batch, channels, pixels).sum(axis=2) / pixels
    magnitude = np.abs(x).astype(float).sum(axis=(2, 3)) / pixels
    assert_within(output, expected, sum_bound(pixels + 1, magnitude, dtype))
    share = np.repeat(grad.astype(float) / pixels, pixels).reshape(x.shape)
    assert_within(input_grad, share, sum_bound(1, np.abs(share), dtype))


@pytest.mark.parametrize("nan_at", [0, 1, 3])
def test_nan_is_the_largest(nan_at: int) -> None:
    x = np.array([5.0, -np.inf, np.inf, 1.0])
    x[nan_at] = np.nan
    output, positions = kernels.max_pool2d(x.reshape(1, 1, 2, 2), 2)
    assert np.isnan(output).all()
    assert positions.item() == nan_at


def test_a_window_of_minus_infinity_has_position_0() -> None:
    output, positions = kernels.max_pool2d(np.full((1, 1, 2, 2), -np.inf), 2)
    assert output.item() == -np.inf
    assert positions.item() == 0


def test_a_padding_pixel_is_never_chosen() -> None:
    x = np.full((1, 1, 2, 2), -5.0)
    output, positions = kernels.max_pool2d(x, 2, padding=1)
    assert (output == -5).all()
    grad = kernels.max_pool2d_grad(np.ones_like(output), positions, x.shape, 2, padding=1)
    assert (grad == 1).all()


@pytest.mark.parametrize(
    ("kernel", "dtype"), [((16, 16), np.uint8), ((257, 1), np.int32), ((17, 17), np.int32)]
)
def test_positions_fit_their_dtype(kernel: tuple[int, int], dtype: type) -> None:
    x = np.zeros((1, 1, *kernel))
    x[0, 0, -1, -1] = 1
    _, positions = kernels.max_pool2d(x, kernel)
    assert positions.dtype == dtype
    assert positions.item() == kernel[0] * kernel[1] - 1
    grad = kernels.max_pool2d_grad(np.ones((1, 1, 1, 1)), positions, x.shape, kernel)
    assert grad.sum() == grad[0, 0, -1, -1] == 1
