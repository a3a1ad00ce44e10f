"""Loss kernels against sums written out in Python, and their gradients."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import reference as kernels
from tests.support.arrays import arranged, assert_within, drawn, dtypes, layouts, seeds, watched

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
tables = st.tuples(st.integers(1, 4), st.integers(1, 5))

# Each is (value, slope) as a function of (prediction, target).
DISTANCES = {
    "mean_squared_error": (lambda z, t: (z - t) ** 2, lambda z, t: 2 * (z - t)),
    "mean_absolute_error": (lambda z, t: abs(z - t), lambda z, t: float(np.sign(z - t))),
    "huber": (
        lambda z, t: (z - t) ** 2 / 2 if abs(z - t) <= 0.7 else 0.7 * (abs(z - t) - 0.35),
        lambda z, t: z - t if abs(z - t) <= 0.7 else math.copysign(0.7, z - t),
    ),
    "binary_cross_entropy": (
        lambda z, t: max(z, 0.0) + math.log1p(math.exp(-abs(z))) - t * z,
        lambda z, t: 0.5 * (1 + math.tanh(z / 2)) - t,
    ),
}


@pytest.mark.parametrize("name", DISTANCES)
@given(shapes, seeds, dtypes, layouts)
def test_elementwise_losses(name: str, shape, seed: int, dtype, layout: str) -> None:
    rng = np.random.default_rng(seed)
    prediction, target = drawn(rng, shape, dtype, layout), drawn(rng, shape, dtype, layout)
    if name == "binary_cross_entropy":
        target = arranged(rng.random(shape).astype(dtype), layout)
    options = {"delta": 0.7} if name == "huber" else {}
    loss, grad = watched(getattr(kernels, name), prediction, target, **options)
    value, slope = DISTANCES[name]
    pairs = [(float(z), float(t)) for z, t in zip(prediction.ravel(), target.ravel(), strict=True)]
    batch, eps = shape[0], float(np.finfo(dtype).eps)
    # Each term is a difference, rounded by eps times what is subtracted, then squared or scaled.
    size = sum((1 + abs(z) + abs(t)) ** 2 for z, t in pairs) / batch
    assert isinstance(loss, float)
    assert abs(loss - math.fsum(value(z, t) for z, t in pairs) / batch) <= 4 * eps * size
    slopes = np.array([slope(z, t) / batch for z, t in pairs]).reshape(shape)
    sizes = np.array([(1 + abs(z) + abs(t)) / batch for z, t in pairs]).reshape(shape)
    assert_within(grad, slopes, 4 * eps * sizes, "gradient")


def log_softmax(row: list[float]) -> list[float]:
    largest = max(row)
    total = largest + math.log(math.fsum(math.exp(z - largest) for z in row))
    return [z - total for z in row]


@given(
    tables,
    seeds,
    dtypes,
    layouts,
    st.sampled_from(["labels", "one-hot", "probabilities"]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([1.0, 100.0]),
)
def test_softmax_cross_entropy(
    shape, seed: int, dtype, layout: str, form: str, smoothing: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    batch, classes = shape
    logits = arranged((scale * rng.standard_normal(shape)).astype(dtype), layout)
    labels = rng.integers(0, classes, batch)
    if form == "probabilities":
        rows = rng.random(shape) + 0.01
        probabilities = (rows / rows.sum(axis=1, keepdims=True)).astype(dtype)
    else:
        probabilities = np.eye(classes, dtype=dtype)[labels]
    target = labels if form == "labels" else arranged(probabilities, layout)
    loss, grad = watched(kernels.softmax_cross_entropy, logits, target, smoothing)
    smooth = (1 - smoothing) * probabilities.astype(float) + smoothing / classes
    logs = np.array([log_softmax([float(z) for z in row]) for row in logits])
    size = np.abs(logits.astype(float)).max() * 2 + 4 + classes
    eps = float(np.finfo(dtype).eps)
    assert abs(loss + (smooth * logs).sum() / batch) <= 4 * eps * size
    expected = (np.exp(logs) - smooth) / batch
    assert_within(grad, expected, 2 * eps * (size * np.exp(logs) + 1) / batch, "gradient")


def test_confident_logits_give_the_exact_loss() -> None:
    """Clipped probabilities could not tell 1000 from 2000."""
    for gap in (1000.0, 2000.0, 1e30):
        loss, grad = kernels.softmax_cross_entropy(np.array([[gap, 0.0]]), np.array([1]))
        assert loss == gap
        assert grad.tolist() == [[1.0, -1.0]]
        right, _ = kernels.softmax_cross_entropy(np.array([[gap, 0.0]]), np.array([0]))
        assert right == 0.0
        loss, grad = kernels.binary_cross_entropy(np.array([[-gap]]), np.array([[1.0]]))
        assert loss == gap
        assert grad.tolist() == [[-1.0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint64])
def test_labels_of_any_integer_dtype(dtype: type) -> None:
    logits = np.random.default_rng(0).standard_normal((3, 4))
    one_hot = np.eye(4)[[3, 0, 2]]
    by_label, label_grad = kernels.softmax_cross_entropy(logits, np.array([3, 0, 2], dtype=dtype))
    by_row, row_grad = kernels.softmax_cross_entropy(logits, one_hot)
    assert by_label == by_row
    assert np.array_equal(label_grad, row_grad)


def softmax_terms(z: np.ndarray) -> np.ndarray:
    """Return the share of each class in the loss of a row, where all are equally likely."""
    largest = z.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(z - largest).sum(axis=1, keepdims=True))
    return (log_sums - np.subtract(z, largest, dtype=np.float64)) / z.shape[1]


def huber_terms(e: np.ndarray) -> np.ndarray:
    clipped = np.clip(e, -1, 1)
    return np.multiply(clipped, e - clipped / 2, dtype=np.float64)


@pytest.mark.parametrize(
    ("name", "target", "terms"),
    [
        ("mean_absolute_error", 0, np.abs),
        ("mean_squared_error", 0, lambda e: np.square(e, dtype=np.float64)),
        ("huber", 0, huber_terms),
        ("binary_cross_entropy", 0, lambda z: np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0)),
        ("softmax_cross_entropy", 2.0**-16, softmax_terms),
    ],
)
def test_sums_are_taken_in_float64(name: str, target: float, terms) -> None:
    """In float32 a sum of this many terms is wrong from the seventh digit on."""
    prediction = np.random.default_rng(0).standard_normal((1, 2**16)).astype(np.float32)
    loss, _ = getattr(kernels, name)(prediction, np.full_like(prediction, target))
    # The terms are rounded as the kernel rounds them; only their sum is in question.
    assert loss == pytest.approx(math.fsum(terms(prediction).ravel()), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_sums_to_1_if_it_does_within_4_roundings_a_class(dtype) -> None:
    eps = np.finfo(dtype).eps

    def loss_of(excess: float) -> float:
        row = np.array([[0.5, 0.5 + excess * eps]], dtype=dtype)
        return kernels.softmax_cross_entropy(np.zeros((1, 2), dtype=dtype), row)[0]

    for excess in (-8.0, 0.0, 8.0):
        assert loss_of(excess) == pytest.approx(math.log(2))
    # This sum would be rounded, as a float32, to one that is allowed.
    between = [8.5] if dtype == np.float32 else []
    for excess in (*between, 9, -9):
        with pytest.raises(ValueError, match="probabilities that sum to 1"):
            loss_of(excess)


def test_equal_prediction_and_target_have_the_subgradient_0() -> None:
    same = np.array([[1.0, -2.0]])
    assert kernels.mean_absolute_error(same, same)[1].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(("error", "delta"), [(1e30, 1e20), (-1e30, 1e20), (1e30, 2e30)])
def test_hubers_loss_may_be_larger_than_float32_holds(error: float, delta: float) -> None:
    loss, grad = kernels.huber(
        np.array([[error]], np.float32), np.zeros((1, 1), np.float32), delta=delta
    )
    clipped = np.clip(error, -delta, delta)
    assert loss == pytest.approx(clipped * (error - clipped / 2), rel=1e-6)
    np.testing.assert_allclose(grad, [[clipped]], rtol=1e-6)
