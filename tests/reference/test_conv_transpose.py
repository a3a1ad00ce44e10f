"""The transposed convolution against its definition: every pixel spreads through the kernel."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dlfs import reference as kernels
from tests.support import windows
from tests.support.arrays import assert_within, drawn, dtypes, layouts, seeds, sum_bound, watched
from tests.support.windows import Axis, Case

# A transposed case is told as the convolution that it turns round: the convolution's output (x_in)
# is what comes in here, its images are what goes out.


@st.composite
def transposed(draw: st.DrawFn) -> tuple[Case, dict, tuple[int, ...]]:
    """Draw the convolution that is turned round, the options, and the shape of the weights."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    small = st.integers(1, 2)
    n_in, n_out, batch = groups * draw(small), groups * draw(small), draw(st.integers(0, 3))
    sizes = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    stride = draw(st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    dilation = draw(st.one_of(small, st.tuples(small, small)))
    padding = draw(windows.paddings(2, 2))
    strides, dilations = windows.per_axis(stride, 2), windows.per_axis(dilation, 2)
    extra = tuple(draw(st.integers(0, s - 1)) for s in strides)
    output_padding = extra[0] if extra[0] == extra[1] else extra
    enlarged = tuple(size * s for size, s in zip(sizes, strides, strict=True))
    ends = windows.written_out(padding, enlarged, kernel, strides, dilations)
    axes = []
    for size, k, s, (before, after), d, more in zip(
        sizes, kernel, strides, ends, dilations, extra, strict=True
    ):
        length = (size - 1) * s - before - after + d * (k - 1) + 1 + more
        assume(length >= 1)
        axes.append(Axis(length, k, s, before, after, d))
    case = Case(batch, n_out, n_in, tuple(axes), stride, padding, dilation, groups)
    options = {**case.options, "output_padding": output_padding}
    assert case.output_shape == (batch, n_in, *sizes)
    return case, options, (n_in // groups, n_out, *kernel)


def turned(W: np.ndarray, groups: int) -> np.ndarray:
    """Return the weights of the convolution that is turned round, group by group."""
    n_out = W.shape[1] // groups
    parts = [W[:, g * n_out : (g + 1) * n_out].swapaxes(0, 1) for g in range(groups)]
    return np.concatenate(parts, axis=1)


def turned_back(W: np.ndarray, groups: int) -> np.ndarray:
    n_in = W.shape[1] // groups
    parts = [W[:, g * n_in : (g + 1) * n_in].swapaxes(0, 1) for g in range(groups)]
    return np.concatenate(parts, axis=1)


@given(transposed(), seeds, dtypes, layouts)
def test_forward_spreads_each_pixel(drawn_case, seed: int, dtype, layout: str) -> None:
    case, options, W_shape = drawn_case
    rng = np.random.default_rng(seed)
    x, W = drawn(rng, case.output_shape, dtype, layout), drawn(rng, W_shape, dtype, layout)
    output = watched(kernels.conv_transpose2d, x, W, **options)
    expected = windows.convolve_input_grad(case, x, turned(W, case.groups))
    magnitude = windows.convolve_input_grad(case, np.abs(x), turned(np.abs(W), case.groups))
    bound = sum_bound(W_shape[0] * case.positions, magnitude, dtype)
    assert_within(output, expected, bound, "output")


@given(transposed(), seeds, dtypes, layouts)
def test_input_grad_is_a_convolution(drawn_case, seed: int, dtype, layout: str) -> None:
    case, options, W_shape = drawn_case
    rng = np.random.default_rng(seed)
    grad, W = drawn(rng, case.x_shape, dtype, layout), drawn(rng, W_shape, dtype, layout)
    shape = case.output_shape
    result = watched(kernels.conv_transpose2d_input_grad, grad, W, shape, **options)
    expected = windows.convolve(case, grad, turned(W, case.groups))
    magnitude = windows.convolve(case, np.abs(grad), turned(np.abs(W), case.groups))
    terms = case.in_channels // case.groups * case.positions
    assert_within(result, expected, sum_bound(terms, magnitude, dtype), "input_grad")


@given(transposed(), seeds, dtypes, layouts)
def test_param_grad_is_its_definition(drawn_case, seed: int, dtype, layout: str) -> None:
    case, options, W_shape = drawn_case
    rng = np.random.default_rng(seed)
    grad, x = drawn(rng, case.x_shape, dtype, layout), drawn(rng, case.output_shape, dtype, layout)
    result = watched(kernels.conv_transpose2d_param_grad, grad, x, W_shape, **options)
    expected = turned_back(windows.convolve_param_grad(case, x, grad), case.groups)
    magnitude = turned_back(windows.convolve_param_grad(case, np.abs(x), np.abs(grad)), case.groups)
    terms = case.batch * int(np.prod(case.output_shape[2:]))
    assert_within(result, expected, sum_bound(terms, magnitude, dtype), "param_grad")


@given(transposed(), seeds)
def test_the_gradients_are_the_adjoints(drawn_case, seed: int) -> None:
    case, options, W_shape = drawn_case
    rng = np.random.default_rng(seed)
    x, W, grad = (
        drawn(rng, shape, np.float64) for shape in (case.output_shape, W_shape, case.x_shape)
    )
    forward, input_grad, param_grad = (
        kernels.conv_transpose2d,
        kernels.conv_transpose2d_input_grad,
        kernels.conv_transpose2d_param_grad,
    )
    through_output = np.vdot(forward(x, W, **options), grad)
    through_x = np.vdot(x, input_grad(grad, W, x.shape, **options))
    through_W = np.vdot(W, param_grad(grad, x, W_shape, **options))
    spread = windows.convolve_input_grad(case, np.abs(x), turned(np.abs(W), case.groups))
    terms = 2 * W.size + x.size + grad.size
    bound = sum_bound(terms, float(np.vdot(spread, np.abs(grad))), np.float64)
    assert abs(through_output - through_x) <= bound
    assert abs(through_output - through_W) <= bound


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 2))
def test_same_makes_the_output_stride_times_as_long(
    size: int, stride: int, more: int, dilation: int
) -> None:
    kernel = stride + more
    x, W = np.ones((1, 1, size, 1)), np.ones((1, 1, kernel, 1))
    output = kernels.conv_transpose2d(x, W, (stride, 1), "same", 0, (dilation, 1))
    assert output.shape == (1, 1, size * stride, 1)


@pytest.mark.parametrize("size", [8, 9, 10])
def test_output_padding_tells_apart_what_a_strided_convolution_maps_to_one_size(size: int) -> None:
    x, W = np.ones((1, 1, size, 1)), np.ones((1, 1, 3, 1))
    small = kernels.conv2d(x, W, (3, 1), (1, 0))
    assert small.shape[2] == (3 if size < 10 else 4)
    extra = size - kernels.conv_transpose2d(small, W, (3, 1), (1, 0)).shape[2]
    again = kernels.conv_transpose2d(small, W, (3, 1), (1, 0), (extra, 0))
    assert again.shape == x.shape
