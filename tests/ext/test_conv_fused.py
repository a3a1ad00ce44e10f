"""The fused convolution against its reference, and against the chain that it replaces."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import dlfs_ext
from dlfs import reference
from dlfs.reference.fused import FUSED_ACTIVATIONS
from tests.ext.common import DTYPES, arrays, assert_within, each_number_of_threads, widened
from tests.ext.test_conv import convolutions, ways, winograd_bound, winograd_weights_bound

pytestmark = pytest.mark.usefixtures("isa")


def both(name, *args, **options):
    """The result of both backends, or None where both refuse for the same reason."""
    results = []
    for package in (dlfs_ext, reference):
        try:
            results.append(getattr(package, name)(*args, **options))
        except ValueError as error:
            results.append(str(error))
    if isinstance(results[1], str):
        assert results[0] == results[1]
        return None
    return results


@given(
    data=st.data(),
    dtype=DTYPES,
    case=convolutions(),
    activation=st.sampled_from(FUSED_ACTIVATIONS),
)
def test_the_fused_convolution_equals_reference(data, dtype, case, activation):
    x_shape, W_shape, options = case
    x, W = data.draw(arrays(x_shape, dtype)), data.draw(arrays(W_shape, dtype))
    b = data.draw(arrays((1, W_shape[1], 1, 1), dtype))
    used = [x, W, b]
    copies = [array.copy() for array in used]
    results = both("conv2d_bias_activation", x, W, b, activation, **options)
    if results is None:
        return
    found, _ = results
    exact = [widened(array) for array in (x, W, b)]
    wanted = reference.conv2d_bias_activation(*exact, activation, **options)
    # No activation is steeper than 1, so none makes an error larger; its own is 3 units.
    terms, eps = W_shape[0] * W_shape[2] * W_shape[3] + 1, np.finfo(dtype).eps
    forward, _, weights = ways(x_shape, W_shape, dtype, options)
    if forward == "winograd":
        bound = winograd_bound(x, W, W_shape[0]) + 2 * eps * np.abs(exact[2])
    else:
        sizes = (np.abs(array) for array in exact)
        bound = (terms + 2) * eps * reference.conv2d_bias_activation(*sizes, **options)
    assert found.dtype == dtype
    assert_within(found, wanted, bound + 3 * eps * np.abs(wanted))
    # An output as it could be: in (0, 1), where every derivative is at most 1.
    y = data.draw(arrays(results[1].shape, dtype, 0.0, 1.0))
    g = data.draw(arrays(y.shape, dtype))
    used += [g, y]
    copies += [g.copy(), y.copy()]
    grads = both("conv2d_bias_activation_param_grad", g, y, x, W_shape, activation, **options)
    exact = [widened(array) for array in (g, y, x)]
    wanted = reference.conv2d_bias_activation_param_grad(*exact, W_shape, activation, **options)
    sizes = [np.abs(array) for array in exact]
    bounds = list(reference.conv2d_bias_activation_param_grad(*sizes, W_shape, "linear", **options))
    terms = g.shape[0] * g.shape[2] * g.shape[3]
    bounds = [(terms + 4) * eps * bound for bound in bounds]
    if weights == "winograd":
        # No derivative is above 1; computing the product takes four more roundings.
        bounds[0] = 2 * winograd_weights_bound(g, x)
    for one, other, bound in zip(grads[0], wanted, bounds, strict=True):
        assert one.dtype == dtype
        assert_within(one, other, bound)
    for array, copy in zip(used, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    "shapes",
    [
        ((60, 1, 28, 28), (1, 16, 5, 5)),
        ((1, 40, 70, 70), (40, 9, 3, 3)),  # one image cut into bands of rows
        ((50, 9, 7, 7), (9, 17, 3, 3)),  # small images side by side
        ((70, 2, 5, 5), (2, 4, 5, 5)),  # one output pixel an image
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_threads_gives_the_same_bits_and_the_values_of_the_chain(shapes, dtype):
    generator = np.random.default_rng(3)
    x, W = (generator.uniform(-1, 1, shape).astype(dtype) for shape in shapes)
    b = generator.uniform(-1, 1, (1, W.shape[1], 1, 1)).astype(dtype)
    results = []
    y = dlfs_ext.bias_activation(dlfs_ext.conv2d(x, W), b, "tanh")
    g = generator.uniform(-1, 1, y.shape).astype(dtype)
    for _ in each_number_of_threads(1, 2, 5):
        output = dlfs_ext.conv2d_bias_activation(x, W, b, "tanh")
        grads = dlfs_ext.conv2d_bias_activation_param_grad(g, y, x, W.shape, "tanh")
        results.append((output, *grads))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(results[0][0], y)
    grad, b_grad = dlfs_ext.bias_activation_grad(g, y, "tanh")
    chain = dlfs_ext.conv2d_param_grad(grad, x, W.shape), b_grad
    sizes = reference.conv2d_bias_activation_param_grad(np.abs(g), y, np.abs(x), W.shape)
    for one, other, size in zip(results[0][1:], chain, sizes, strict=True):
        allowed = (g.size // g.shape[1] + 2) * np.finfo(dtype).eps * size
        assert_within(one, widened(other), allowed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", FUSED_ACTIVATIONS)
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_nan_and_infinity_pass_the_activation_or_saturate(dtype, activation, kernel):
    """In every place of a row of pixels, and so of a vector; the other image stays finite."""
    x, W = np.ones((2, 2, 7, 21), dtype), np.ones((2, 3, kernel, kernel), dtype)
    b = np.zeros((1, 3, 1, 1), dtype)
    for value in (np.nan, np.inf, -np.inf):
        expected = reference.bias_activation(np.full((1, 1), value), np.zeros((1, 1)), activation)
        for column in range(21):
            spoilt = x.copy()
            spoilt[0, 1, 3, column] = value
            y = dlfs_ext.conv2d_bias_activation(spoilt, W, b, activation, padding="same")
            met = slice(max(column - kernel // 2, 0), column + kernel // 2 + 1)
            np.testing.assert_array_equal(
                y[0, :, 3, met], np.full_like(y[0, :, 3, met], expected[0, 0])
            )
            seen = np.zeros(y.shape, bool)
            seen[0, :, max(3 - kernel // 2, 0) : 3 + kernel // 2 + 1, met] = True
            assert np.isfinite(y[~seen]).all()
