"""The compiled losses against their reference: values, gradients and what they refuse."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import DTYPES, arrays, assert_close, shapes, twins

fast, reference = twins("losses")


def assert_same_loss(got, wanted, terms, scale, dtype):
    """The value is a double, but its terms were rounded to dtype."""
    eps = np.finfo(dtype).eps
    assert isinstance(got[0], float)
    assert abs(got[0] - wanted[0]) <= (terms + 8) * eps * scale
    assert_close(got[1], wanted[1], 1, scale)


@given(
    data=st.data(),
    dtype=DTYPES,
    shape=shapes(min_side=1, max_side=12),
    name=st.sampled_from(["mean_squared_error", "mean_absolute_error", "huber"]),
)
def test_regression_losses(data, dtype, shape, name):
    x, t = data.draw(arrays(shape, dtype)), data.draw(arrays(shape, dtype))
    assert_same_loss(getattr(fast, name)(x, t), getattr(reference, name)(x, t), x.size, 64, dtype)


@given(data=st.data(), dtype=DTYPES, shape=shapes(min_side=1, max_side=12))
def test_binary_cross_entropy(data, dtype, shape):
    x, t = data.draw(arrays(shape, dtype, -50, 50)), data.draw(arrays(shape, dtype, 0, 1))
    assert_same_loss(
        fast.binary_cross_entropy(x, t), reference.binary_cross_entropy(x, t), x.size, 100, dtype
    )


@given(
    data=st.data(),
    dtype=DTYPES,
    batch=st.integers(1, 9),
    classes=st.integers(1, 40),
    smoothing=st.sampled_from([0.0, 0.1, 0.75]),
    kind=st.sampled_from([np.uint8, np.int16, np.int64, np.uint64, "rows"]),
)
def test_softmax_cross_entropy(data, dtype, batch, classes, smoothing, kind):
    x = data.draw(arrays((batch, classes), dtype, -50, 50))
    generator = np.random.default_rng(batch * classes)
    if kind == "rows":
        weights = generator.uniform(0.1, 1, (batch, classes))
        target = (weights / weights.sum(axis=1, keepdims=True)).astype(dtype)
    else:
        target = generator.integers(0, classes, batch).astype(kind)
    assert_same_loss(
        fast.softmax_cross_entropy(x, target, smoothing),
        reference.softmax_cross_entropy(x, target, smoothing),
        classes,
        100,
        dtype,
    )


def test_gradient_of_one_class_is_zero():
    loss, grad = fast.softmax_cross_entropy(np.array([[3.0], [4.0]]), np.array([0, 0]))
    assert loss == 0
    np.testing.assert_array_equal(grad, np.zeros((2, 1)))


LOGITS = np.zeros((2, 3))


@pytest.mark.parametrize(
    "target",
    [
        np.array([0, 3]),
        np.array([-1, 0]),
        np.array([0, 2**64 - 1], np.uint64),
        np.array([0]),
        np.array([[0, 1]]),
        np.full((2, 3), 0.5),
        np.array([[2.0, -1, 0], [1, 0, 0]]),
        np.full((2, 3), np.nan),
        np.eye(3, dtype=np.float32)[:2],
        np.eye(3)[:1],
        [0, 1],
        None,
        np.array([True, False]),
    ],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_refused_targets(target, smoothing):
    with pytest.raises((TypeError, ValueError)) as wanted:
        reference.softmax_cross_entropy(LOGITS, target, smoothing)
    with pytest.raises(type(wanted.value)) as got:
        fast.softmax_cross_entropy(LOGITS, target, smoothing)
    assert str(got.value) == str(wanted.value)


@pytest.mark.parametrize(
    "target", [np.full((2, 3), 1.01), np.full((2, 3), -0.01), np.full((2, 3), np.nan)]
)
def test_refused_probabilities(target):
    with pytest.raises(ValueError, match=r"target must lie in \[0, 1\]"):
        fast.binary_cross_entropy(LOGITS, target)


def test_nan_in_the_prediction_is_no_error():
    logits = np.array([[np.nan, 0.0], [1.0, 2.0]])
    loss, grad = fast.softmax_cross_entropy(logits, np.array([0, 1]))
    assert np.isnan(loss)
    assert np.isnan(grad[0]).all()
