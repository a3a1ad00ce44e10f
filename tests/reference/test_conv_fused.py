"""The reference's fused convolution is the chain of its parts, whatever the options."""

import numpy as np
import pytest
from hypothesis import given

from dlfs import reference as kernels
from dlfs.reference.fused import FUSED_ACTIVATIONS
from tests.support.arrays import drawn, dtypes, layouts, seeds
from tests.support.windows import Case, convolutions


@pytest.mark.parametrize("activation", FUSED_ACTIVATIONS)
@given(convolutions(ndim=2), seeds, dtypes, layouts)
def test_no_option_gets_lost(activation: str, case: Case, seed: int, dtype, layout: str) -> None:
    rng = np.random.default_rng(seed)
    x, W = drawn(rng, case.x_shape, dtype, layout), drawn(rng, case.W_shape, dtype, layout)
    b = drawn(rng, (1, case.out_channels, 1, 1), dtype, layout)
    parts = kernels.bias_activation(kernels.conv2d(x, W, **case.options), b, activation)
    fused = kernels.conv2d_bias_activation(x, W, b, activation, **case.options)
    np.testing.assert_array_equal(fused, parts)
    output_grad = drawn(rng, fused.shape, dtype, layout)
    grad, b_grad = kernels.bias_activation_grad(output_grad, fused, activation)
    W_grad = kernels.conv2d_param_grad(grad, x, W.shape, **case.options)
    fused_grads = kernels.conv2d_bias_activation_param_grad(
        output_grad, fused, x, W.shape, activation, **case.options
    )
    np.testing.assert_array_equal(fused_grads[0], W_grad)
    np.testing.assert_array_equal(fused_grads[1], b_grad)
