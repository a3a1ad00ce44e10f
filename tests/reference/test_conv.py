"""Convolutions against their definition, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from dlfs import reference as kernels
from tests.support import windows
from tests.support.arrays import assert_within, drawn, dtypes, layouts, seeds, sum_bound, watched
from tests.support.windows import Case, convolutions

cases_2d = convolutions(ndim=2)
cases_1d = convolutions(ndim=1)
KERNELS = {
    1: (kernels.conv1d, kernels.conv1d_input_grad, kernels.conv1d_param_grad),
    2: (kernels.conv2d, kernels.conv2d_input_grad, kernels.conv2d_param_grad),
}


def check_forward(case: Case, seed: int, dtype, layout: str) -> None:
    rng = np.random.default_rng(seed)
    x, W = drawn(rng, case.x_shape, dtype, layout), drawn(rng, case.W_shape, dtype, layout)
    output = watched(KERNELS[len(case.axes)][0], x, W, **case.options)
    terms = case.W_shape[0] * case.positions
    bound = sum_bound(terms, windows.convolve(case, np.abs(x), np.abs(W)), dtype)
    assert_within(output, windows.convolve(case, x, W), bound, "output")


def check_input_grad(case: Case, seed: int, dtype, layout: str) -> None:
    rng = np.random.default_rng(seed)
    grad, W = drawn(rng, case.output_shape, dtype, layout), drawn(rng, case.W_shape, dtype, layout)
    kernel = KERNELS[len(case.axes)][1]
    result = watched(kernel, grad, W, case.x_shape, **case.options)
    terms = case.out_channels // case.groups * case.positions
    bound = sum_bound(terms, windows.convolve_input_grad(case, np.abs(grad), np.abs(W)), dtype)
    assert_within(result, windows.convolve_input_grad(case, grad, W), bound, "input_grad")


def check_param_grad(case: Case, seed: int, dtype, layout: str) -> None:
    rng = np.random.default_rng(seed)
    grad, x = drawn(rng, case.output_shape, dtype, layout), drawn(rng, case.x_shape, dtype, layout)
    kernel = KERNELS[len(case.axes)][2]
    result = watched(kernel, grad, x, case.W_shape, **case.options)
    terms = int(np.prod([case.batch, *case.output_shape[2:]]))
    bound = sum_bound(terms, windows.convolve_param_grad(case, np.abs(grad), np.abs(x)), dtype)
    assert_within(result, windows.convolve_param_grad(case, grad, x), bound, "param_grad")


CHECKS = [check_forward, check_input_grad, check_param_grad]


@pytest.mark.parametrize("check", CHECKS)
@given(cases_2d, seeds, dtypes, layouts)
def test_conv2d_is_its_definition(check, case: Case, seed: int, dtype, layout: str) -> None:
    check(case, seed, dtype, layout)


@pytest.mark.parametrize("check", CHECKS)
@given(cases_1d, seeds, dtypes, layouts)
def test_conv1d_is_its_definition(check, case: Case, seed: int, dtype, layout: str) -> None:
    check(case, seed, dtype, layout)


@pytest.mark.parametrize("ndim", [1, 2])
@given(st.data(), seeds)
def test_the_gradients_are_the_adjoints(ndim: int, data: st.DataObject, seed: int) -> None:
    """<conv(x, W), g> = <x, input_grad(g, W)> = <W, param_grad(g, x)>: the loss is bilinear."""
    case = data.draw(convolutions(ndim))
    forward, input_grad, param_grad = KERNELS[ndim]
    rng = np.random.default_rng(seed)
    x, W, grad = (
        drawn(rng, shape, np.float64) for shape in (case.x_shape, case.W_shape, case.output_shape)
    )
    through_output = np.vdot(forward(x, W, **case.options), grad)
    through_x = np.vdot(x, input_grad(grad, W, case.x_shape, **case.options))
    through_W = np.vdot(W, param_grad(grad, x, case.W_shape, **case.options))
    magnitude = float(np.vdot(windows.convolve(case, np.abs(x), np.abs(W)), np.abs(grad)))
    terms = case.W_shape[0] * case.positions + case.out_channels * case.positions + grad.size
    bound = sum_bound(terms + x.size + W.size, magnitude, np.float64)
    assert abs(through_output - through_x) <= bound
    assert abs(through_output - through_W) <= bound


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), seeds)
def test_one_channel_is_scipys_correlation(
    height: int, width: int, kernel_height: int, kernel_width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image, kernel = rng.standard_normal((height, width)), rng.standard_normal((4, 4))
    kernel = kernel[:kernel_height, :kernel_width]
    padding = (kernel_height - 1, kernel_width - 1)
    ours = kernels.conv2d(image[None, None], kernel[None, None], padding=padding)[0, 0]
    magnitude = signal.correlate2d(np.abs(image), np.abs(kernel))
    bound = sum_bound(kernel.size, magnitude, np.float64)
    assert_within(ours, signal.correlate2d(image, kernel), bound)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_keeps_the_size_up_to_the_stride(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    x, W = np.ones((1, 1, size, 1)), np.ones((1, 1, kernel, 1))
    output = kernels.conv2d(x, W, (stride, 1), "same", (dilation, 1))
    assert output.shape == (1, 1, -(-size // stride), 1)


def test_a_kernel_of_one_position_mixes_channels_and_nothing_else() -> None:
    rng = np.random.default_rng(3)
    x, W = rng.integers(-9, 9, (2, 3, 4, 5)), rng.integers(-9, 9, (3, 2))
    output = kernels.conv2d(x.astype(float), W[:, :, None, None].astype(float))
    assert np.array_equal(output, np.einsum("nchw,co->nohw", x, W))


def test_lists_and_numpy_integers_are_taken_as_options() -> None:
    rng = np.random.default_rng(4)
    x, W = rng.standard_normal((2, 2, 6, 5)), rng.standard_normal((1, 2, 2, 3))
    plain = kernels.conv2d(x, W, (2, 1), ((1, 0), (0, 2)), (1, 2), 2)
    lists = kernels.conv2d(x, W, [2, 1], [[1, 0], [0, 2]], [1, 2], 2)
    two, one, zero = np.int64(2), np.uint8(1), np.int32(0)
    scalars = kernels.conv2d(x, W, (two, one), ((one, zero), (zero, two)), (one, two), two)
    assert np.array_equal(plain, lists)
    assert np.array_equal(plain, scalars)


def test_an_empty_batch_has_no_output_and_a_zero_weight_gradient() -> None:
    x, W = np.zeros((0, 2, 4, 4)), np.ones((2, 3, 3, 3))
    assert kernels.conv2d(x, W).shape == (0, 3, 2, 2)
    assert kernels.conv2d_input_grad(np.zeros((0, 3, 2, 2)), W, x.shape).shape == x.shape
    assert not kernels.conv2d_param_grad(np.zeros((0, 3, 2, 2)), x, W.shape).any()
