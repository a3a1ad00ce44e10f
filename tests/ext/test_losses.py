"""The compiled losses against their definitions: values, gradients and what they refuse."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.ext.common import DTYPES, arrays, assert_within, shapes, twins, wide

fast, reference = twins("losses")

pytestmark = pytest.mark.usefixtures("isa")


def assert_same_loss(found, terms, terms_off, grad, grad_off, batch):
    """Compare with exact terms and gradients, which may be off by a number of eps each.

    The value is a double, whatever the dtype of the terms: summing them adds what doubles lose.
    """
    loss, found_grad = found
    assert isinstance(loss, float)
    eps = np.finfo(found_grad.dtype).eps
    allowed = eps * terms_off.sum() + (terms.size + 4) * np.finfo(float).eps * np.abs(terms).sum()
    tiny = terms.size * np.finfo(found_grad.dtype).smallest_subnormal
    assert abs(loss - float(terms.sum() / batch)) <= allowed / batch + tiny
    assert_within(found_grad, grad / batch, eps * grad_off / batch)


def squared(x, t):
    return (x - t) ** 2, 2 * (x - t)


def absolute(x, t):
    return np.abs(x - t), np.sign(x - t)


def huber(x, t, delta=1.0):
    e = x - t
    near = np.abs(e) <= delta
    return (
        np.where(near, e * e / 2, delta * (np.abs(e) - delta / 2)),
        np.where(near, e, delta * np.sign(e)),
    )


@pytest.mark.parametrize(
    ("name", "definition", "options"),
    [
        ("mean_squared_error", squared, {}),
        ("mean_absolute_error", absolute, {}),
        ("huber", huber, {}),
        ("huber", huber, {"delta": 0.3}),
        ("huber", huber, {"delta": 3}),
    ],
)
@given(data=st.data(), dtype=DTYPES, shape=shapes(min_side=1, max_side=12))
def test_regression_losses(name, definition, options, data, dtype, shape):
    """Differences of 0 and of exactly delta, where the gradient bends, are among them."""
    x = data.draw(arrays(shape, dtype, planted=(0.0, 1.5, 3.0)))
    t = data.draw(arrays(shape, dtype, planted=(0.0, 1.5, 3.0)))
    rounded = {key: wide(dtype.type(value)) for key, value in options.items()}
    terms, grad = definition(x.astype(wide), t.astype(wide), **rounded)
    # The difference is rounded, the square or the product, a half of it, and 1 / batch.
    found = getattr(fast, name)(x, t, **options)
    assert_same_loss(found, terms, 3 * np.abs(terms), grad, 2 * np.abs(grad), shape[0])


LARGE = st.sampled_from([1.0, 50.0, 1e4, "largest"])
"""How large logits are; the largest are those whose differences and sums do not overflow."""


@st.composite
def logits(draw, shape, dtype):
    scale = draw(LARGE)
    # The sum of 12**4 of them must be finite.
    scale = float(np.finfo(dtype).max / 2**15) if scale == "largest" else scale
    return draw(arrays(shape, dtype, -scale, scale, planted=(0.0, -0.0, scale, -scale)))


@given(data=st.data(), dtype=DTYPES, shape=shapes(min_side=1, max_side=12))
def test_binary_cross_entropy(data, dtype, shape):
    x = data.draw(logits(shape, dtype))
    t = data.draw(arrays(shape, dtype, 0, 1, planted=(0.0, 1.0)))
    z, p = x.astype(wide), t.astype(wide)
    e = np.exp(-np.abs(z))
    sure = np.where(z > 0, 1, e) / (1 + e)
    terms = np.log1p(e) + np.where(z > 0, 1 - p, p) * np.abs(z)
    # All that is added is above 0, so nothing cancels in the value: its terms are off relatively,
    # log(1 + exp(-|z|)) by 4 units, the other product by 2. In the gradient something does.
    assert_same_loss(
        fast.binary_cross_entropy(x, t), terms, 5 * terms, sure - p, 4 * (sure + p), shape[0]
    )


def softmax_terms(z, p, smoothing):
    """The terms of the loss and the gradient of a batch, and by how many eps they may be off."""
    classes = z.shape[1]
    smooth = (1 - smoothing) * p + wide(smoothing) / classes
    distance = z - z.max(axis=1, keepdims=True)
    exps = np.exp(distance)
    others = exps.copy()
    others[np.arange(len(z)), z.argmax(axis=1)] = 0
    rest = others.sum(axis=1, keepdims=True)
    terms = smooth * (np.log1p(rest) - distance)
    # The distance is rounded once: by half an eps of it exp is off, relatively, and by 1 unit more.
    exps_off = np.where(exps > 0, -distance / 2 + 1, 0)
    rest_off = (exps_off * others).sum(axis=1, keepdims=True) + classes * rest
    terms_off = smooth * (rest_off / (1 + rest) - distance / 2) + 3 * terms
    share = exps / (1 + rest)
    share_off = share * (exps_off + (rest_off + rest + 1) / (1 + rest) + 2)
    return terms, terms_off, share - smooth, share_off + 3 * smooth


@given(
    data=st.data(),
    dtype=DTYPES,
    batch=st.integers(1, 9),
    classes=st.integers(1, 40),
    smoothing=st.sampled_from([0.0, 0.1, 0.75]),
    kind=st.sampled_from([np.uint8, np.int16, np.int64, np.uint64, "rows", "one-hot"]),
    ties=st.booleans(),
)
def test_softmax_cross_entropy(data, dtype, batch, classes, smoothing, kind, ties):
    x = data.draw(logits((batch, classes), dtype))
    generator = np.random.default_rng(batch * classes)
    if ties:  # several largest logits: all of the others count
        x = x.copy()
        x[:, generator.integers(0, classes, 3)] = x.max(axis=1, keepdims=True)
    labels = generator.integers(0, classes, batch)
    one_hot = np.eye(classes, dtype=dtype)[labels]
    if kind == "rows":
        weights = generator.uniform(0.1, 1, (batch, classes))
        p = target = (weights / weights.sum(axis=1, keepdims=True)).astype(dtype)
    elif kind == "one-hot":
        p = target = one_hot
    else:
        p, target = one_hot, labels.astype(kind)
    terms, terms_off, grad, grad_off = softmax_terms(x.astype(wide), p.astype(wide), smoothing)
    found = fast.softmax_cross_entropy(x, target, smoothing)
    assert_same_loss(found, terms, terms_off, grad, grad_off, batch)


@pytest.mark.parametrize("kind", ["labels", "rows"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_impossible_classes_cost_nothing_unless_they_are_asked_for(dtype, kind):
    """A logit of -inf, anywhere in a vector."""
    classes = 21
    generator = np.random.default_rng(3)
    x = generator.uniform(-2, 2, (classes - 1, classes)).astype(dtype)
    label = np.full(len(x), 7)
    impossible = np.delete(np.arange(classes), 7)
    x[np.arange(len(x)), impossible] = -np.inf
    target = label if kind == "labels" else np.eye(classes, dtype=dtype)[label]
    loss, grad = fast.softmax_cross_entropy(x, target)
    kept = np.array([np.delete(row, i) for row, i in zip(x, impossible, strict=True)])
    positions = np.array([7 - (i < 7) for i in impossible])
    wanted, wanted_grad = fast.softmax_cross_entropy(kept, positions)
    assert loss == pytest.approx(wanted, rel=8 * float(np.finfo(dtype).eps), abs=0)
    np.testing.assert_array_equal(grad[np.arange(len(x)), impossible], 0)
    shorter = np.array([np.delete(row, i) for row, i in zip(grad, impossible, strict=True)])
    np.testing.assert_allclose(shorter, wanted_grad, rtol=classes * np.finfo(dtype).eps, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("module", [fast, reference], ids=["fast", "reference"])
@pytest.mark.parametrize("gap", [20.0, 40.0, 80.0])
def test_a_sure_and_right_prediction_costs_what_it_should(module, dtype, gap):
    """Not 0: what is left of the sum of exps beside 1 decides."""
    exact = math.log1p(math.exp(-gap))
    rel = 8 * float(np.finfo(dtype).eps)
    for classes in (2, 3, 21):
        for place in (0, classes - 1):
            x = np.full((2, classes), -np.inf, dtype)
            x[:, place], x[:, 1 - bool(place)] = gap, 0
            for target in (np.full(2, place), np.eye(classes, dtype=dtype)[[place, place]]):
                found = module.softmax_cross_entropy(x, target)[0]
                assert found == pytest.approx(exact, rel=rel, abs=0)
    yes = module.binary_cross_entropy(np.array([[gap, -gap]], dtype), np.array([[1, 0]], dtype))
    assert yes[0] == pytest.approx(2 * exact, rel=rel, abs=0)


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sign", [1, -1])
def test_how_far_the_sum_of_a_row_of_probabilities_may_be_from_1(dtype, sign):
    """By 4 eps for each class: every sum here is exact."""
    classes, eps = 128, float(np.finfo(dtype).eps)
    logits, target = np.zeros((2, classes), dtype), np.full((2, classes), 1 / 128, dtype)
    target[1, 100] += sign * 4 * classes * eps
    loss, _ = fast.softmax_cross_entropy(logits, target)
    assert loss == pytest.approx(math.log(classes), rel=600 * eps)
    target[1, 100] += sign * eps
    with pytest.raises(ValueError, match="target"):
        fast.softmax_cross_entropy(logits, target)


@pytest.mark.parametrize("value", [1.01, -0.01, np.nan])
@pytest.mark.parametrize("place", [0, 16, 36])
def test_refused_probabilities(value, place):
    """One of them is enough, wherever it lies."""
    target = np.full((1, 37), 0.5)
    target[0, place] = value
    with pytest.raises(ValueError, match=r"target must lie in \[0, 1\]"):
        fast.binary_cross_entropy(np.zeros((1, 37)), target)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 23), (64, 40)])
def test_weights_multiply_terms_and_gradients(shape, dtype):
    """In vectors and in the rest, of strided weights too."""
    generator = np.random.default_rng(5)
    x, t = (generator.uniform(0.1, 0.9, shape).astype(dtype) for _ in range(2))
    weights = generator.uniform(0, 2, (*shape, 2)).astype(dtype)[..., 0]
    labels = generator.integers(0, shape[1], shape[0])
    rows = t / t.sum(axis=1, keepdims=True)
    calls = [
        *((name, (x, t), weights) for name in ("mean_squared_error", "mean_absolute_error")),
        ("huber", (x, t, 0.3), weights),
        ("binary_cross_entropy", (x, t), weights),
        ("softmax_cross_entropy", (x, labels, 0.1), weights[:, 0]),
        ("softmax_cross_entropy", (x, rows), weights[:, 0]),
    ]
    eps = np.finfo(dtype).eps
    for name, arguments, factors in calls:
        _, plain = getattr(fast, name)(*arguments)
        loss, grad = getattr(fast, name)(*arguments, weights=factors)
        wanted, _ = getattr(reference, name)(*arguments, weights=factors)
        assert loss == pytest.approx(wanted, rel=8 * shape[1] * float(eps))
        factor = factors.reshape(len(factors), -1)
        np.testing.assert_allclose(grad, factor * plain, rtol=4 * eps, atol=4 * eps / shape[0])
