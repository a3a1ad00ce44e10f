"""The direct loops against the reference."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import dlfs.reference
from dlfs_ext import plain
from tests.ext.common import (
    DTYPES,
    arrays,
    assert_linear,
    assert_ulps,
    assert_within,
    shapes,
    wide,
)

reference = dlfs.reference
SIZES = st.integers(0, 9)


def test_is_a_whole_backend():
    for name in reference.KERNELS:
        assert callable(getattr(plain, name))
    assert plain.conv2d is not reference.conv2d
    with pytest.raises(AttributeError):
        plain.no_such_kernel  # type: ignore[attr-defined]  # noqa: B018


@given(data=st.data(), dtype=DTYPES, m=SIZES, n=SIZES, k=SIZES)
def test_products(data, dtype, m, n, k):
    x, W = data.draw(arrays((m, k), dtype)), data.draw(arrays((k, n), dtype))
    g = data.draw(arrays((m, n), dtype))
    for name, arguments, terms in [
        ("weight_multiply", (x, W), k),
        ("weight_multiply_input_grad", (g, W), n),
        ("weight_multiply_param_grad", (g, x), m),
    ]:
        assert getattr(plain, name) is not getattr(reference, name)
        assert_linear(getattr(plain, name), getattr(reference, name), arguments, terms)


@given(data=st.data(), dtype=DTYPES, shape=shapes())
def test_activations(data, dtype, shape):
    x, g = data.draw(arrays(shape, dtype, -30, 30)), data.draw(arrays(shape, dtype))
    z = x.astype(wide)
    e = np.exp(-np.abs(z))
    # Computed in double, whatever the dtype; by the C library, whose functions are off by 1 unit.
    assert_ulps(plain.sigmoid(x), np.where(z < 0, e, 1) / (1 + e), 3)
    assert_ulps(plain.tanh(x), np.tanh(z), 2)
    assert_ulps(plain.relu(x), np.maximum(z, 0), 0)
    np.testing.assert_array_equal(plain.relu_grad(g, x), reference.relu_grad(g, x))
    # The same operations in the same order; a compiler may fuse a multiplication and an addition.
    for name in ("sigmoid_grad", "tanh_grad"):
        ours, wanted = getattr(plain, name)(g, x), getattr(reference, name)(g, x)
        size = np.abs(g.astype(wide)) * (1 + np.abs(z)) ** 2
        assert_within(ours, wanted, 3 * np.finfo(dtype).eps * size)


@given(data=st.data(), dtype=DTYPES, shape=st.tuples(SIZES, st.integers(1, 5), SIZES))
@pytest.mark.parametrize("ndim", [2, 3])
def test_bias(data, dtype, shape, ndim):
    x = data.draw(arrays(shape[:ndim], dtype))
    b = data.draw(arrays((1, shape[1], 1)[:ndim], dtype))
    np.testing.assert_array_equal(plain.bias_add(x, b), reference.bias_add(x, b))
    terms = x.size // shape[1]
    assert_linear(plain.bias_add_param_grad, reference.bias_add_param_grad, (x,), terms)


@given(data=st.data(), dtype=DTYPES, batch=st.integers(1, 9), classes=st.integers(1, 9))
def test_softmax_cross_entropy(data, dtype, batch, classes):
    x = data.draw(arrays((batch, classes), dtype, -30, 30))
    labels = np.arange(batch) * 7 % classes
    loss, grad = plain.softmax_cross_entropy(x, labels)
    wanted, wanted_grad = reference.softmax_cross_entropy(x, labels)
    eps = float(np.finfo(dtype).eps)
    # Each row's cost is a sum of two numbers up to 60, and a logarithm of up to `classes` terms.
    assert abs(loss - wanted) <= (classes + 8) * eps * 61
    assert_within(grad, wanted_grad, (classes + 70) * eps * np.ones_like(x) / batch)
    assert grad.dtype == dtype


@given(data=st.data(), dtype=DTYPES, shape=st.tuples(SIZES, SIZES, SIZES))
def test_rnn(data, dtype, shape):
    batch, time, hidden = shape
    z, W = data.draw(arrays(shape, dtype)), data.draw(arrays((hidden, hidden), dtype)) / 20
    h0 = data.draw(arrays((batch, hidden), dtype, -1, 1))
    ours, wanted = plain.rnn(z, h0, W), reference.rnn(z, h0, W)
    # A step's sum has hidden + 1 terms; its error grows by at most the sum of |W| in each step.
    eps, growth = float(np.finfo(dtype).eps), float(np.abs(W).sum(axis=0).max(initial=0))
    once = (hidden + 2) * eps * (float(np.abs(z).max(initial=0)) + growth + 1)
    assert_within(ours, wanted, once * sum(growth**t for t in range(time)) * np.ones(shape))
    assert ours.dtype == dtype


@given(data=st.data(), dtype=DTYPES, shape=st.tuples(SIZES, st.integers(0, 4), st.integers(0, 5)))
def test_rnn_grad(data, dtype, shape):
    batch, time, hidden = shape
    state = (batch, hidden)
    h_grad, h = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype, -0.5, 0.5))
    last_grad, h0 = data.draw(arrays(state, dtype)), data.draw(arrays(state, dtype))
    W = data.draw(arrays((hidden, hidden), dtype)) / 20
    # Each step sums hidden products and multiplies them by 1 - h * h, which is off by up to 2 eps;
    # the weights' gradient sums over all rows of all steps.
    terms = (hidden + 6) * (time + 1) + batch * time
    arguments = (h_grad, last_grad, h, h0, W)
    assert plain.rnn_grad is not reference.rnn_grad
    assert_linear(plain.rnn_grad, reference.rnn_grad, arguments, terms)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu"])
def test_limits(name):
    x = np.array([-np.inf, np.inf, np.nan, -1000.0, 1000.0])
    np.testing.assert_array_equal(getattr(plain, name)(x), getattr(reference, name)(x))


@given(
    data=st.data(),
    dtype=DTYPES,
    batch=st.integers(0, 2),
    groups=st.integers(1, 2),
    channels=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 9)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 2))),
)
def test_convolution(data, dtype, batch, groups, channels, size, kernel, stride, dilation, padding):
    x = data.draw(arrays((batch, channels[0] * groups, *size), dtype))
    W = data.draw(arrays((channels[0], channels[1] * groups, *kernel), dtype))
    options = (stride, padding, dilation, groups)
    window = [(kernel[axis] - 1) * dilation[axis] + 1 for axis in range(2)]
    padded = [size[0] + 2 * padding[0], size[1] + sum(padding[1])]
    if window[0] > padded[0] or window[1] > padded[1]:
        with pytest.raises(ValueError, match="the window covers"):
            plain.conv2d(x, W, *options)
        return
    g = data.draw(arrays(reference.conv2d(x, W, *options).shape, dtype))
    area = kernel[0] * kernel[1]
    for name, arguments, terms in (
        ("conv2d", (x, W), channels[0] * area),
        ("conv2d_input_grad", (g, W, x.shape), channels[1] * area),
        ("conv2d_param_grad", (g, x, W.shape), batch * g.shape[2] * g.shape[3]),
    ):
        assert_linear(getattr(plain, name), getattr(reference, name), (*arguments, *options), terms)


@given(
    data=st.data(),
    dtype=DTYPES,
    size=st.tuples(st.integers(4, 8), st.integers(4, 8)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
)
def test_max_pool(data, dtype, size, kernel, stride):
    # Few different values, so that there are ties; and some nans.
    x = data.draw(arrays((2, 2, *size), dtype, -2, 2)).round()
    x[x == 2] = np.nan
    padding = (kernel[0] // 2, kernel[1] // 2)
    ours = plain.max_pool2d(x, kernel, stride, padding)
    wanted = reference.max_pool2d(x, kernel, stride, padding)
    for one, other in zip(ours, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    g = data.draw(arrays(wanted[0].shape, dtype, -9, 9)).round()  # sums without rounding
    arguments = (g, wanted[1], x.shape, kernel, stride, padding)
    ours, wanted = plain.max_pool2d_grad(*arguments), reference.max_pool2d_grad(*arguments)
    np.testing.assert_array_equal(ours, wanted)


@given(
    data=st.data(),
    dtype=DTYPES,
    size=st.tuples(st.integers(4, 8), st.integers(4, 8)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    include=st.booleans(),
)
def test_avg_pool(data, dtype, size, kernel, stride, include):
    x = data.draw(arrays((2, 2, *size), dtype))
    options = (kernel, stride, (kernel[0] // 2, kernel[1] // 2), include)
    terms = kernel[0] * kernel[1] + 1
    assert plain.avg_pool2d is not reference.avg_pool2d
    assert_linear(plain.avg_pool2d, reference.avg_pool2d, (x, *options), terms)
    g = data.draw(arrays(reference.avg_pool2d(x, *options).shape, dtype))
    assert_linear(plain.avg_pool2d_grad, reference.avg_pool2d_grad, (g, x.shape, *options), terms)
