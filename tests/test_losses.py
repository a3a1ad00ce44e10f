"""Losses: their definitions, their gradients, every form of target, and numbers at the edge."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from dlfs import losses

EPS = np.finfo(float).eps
tables = st.tuples(st.integers(1, 5), st.integers(1, 4))
seeds = st.integers(0, 2**32)


def drawn(shape, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), rng.standard_normal(shape)


@given(tables, seeds)
def test_squared_absolute_and_huber(shape, seed: int) -> None:
    prediction, target = drawn(shape, seed)
    error, batch = prediction - target, shape[0]
    small = np.abs(error) <= 0.7
    for loss, values, slopes in (
        (losses.MeanSquaredError(), error**2, 2 * error),
        (losses.MeanAbsoluteError(), np.abs(error), np.sign(error)),
        (
            losses.Huber(0.7),
            np.where(small, error**2 / 2, 0.7 * (np.abs(error) - 0.35)),
            np.where(small, error, 0.7 * np.sign(error)),
        ),
    ):
        value = loss.forward(prediction, target)
        assert type(value) is float
        assert value == loss.output == pytest.approx(values.sum() / batch, rel=1e-13)
        grad = loss.backward()
        assert grad is loss.input_grad
        np.testing.assert_allclose(grad, slopes / batch, rtol=1e-13, atol=1e-15)


@given(tables, seeds)
def test_binary_cross_entropy_is_that_of_the_probabilities(shape, seed: int) -> None:
    logits, _ = drawn(shape, seed)
    target = np.random.default_rng(seed).random(shape).round(1)
    loss = losses.BinaryCrossEntropy()
    p = special.expit(logits)
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum() / shape[0]
    assert loss.forward(logits, target) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), (p - target) / shape[0], rtol=1e-12, atol=1e-16)


@given(st.tuples(st.integers(1, 5), st.integers(2, 5)), seeds, st.sampled_from([0.0, 0.2]))
def test_softmax_cross_entropy_is_that_of_the_probabilities(
    shape, seed: int, smoothing: float
) -> None:
    logits, _ = drawn(shape, seed)
    labels = np.random.default_rng(seed).integers(0, shape[1], shape[0])
    target = (1 - smoothing) * np.eye(shape[1])[labels] + smoothing / shape[1]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -(target * np.log(p)).sum() / shape[0]
    for given_as in (labels, np.eye(shape[1])[labels], list(labels), labels.astype(np.uint8)):
        loss = losses.SoftmaxCrossEntropy(label_smoothing=smoothing)
        assert loss.forward(logits, given_as) == pytest.approx(expected, rel=1e-12)
        gradient = (p - target) / shape[0]
        np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-11, atol=1e-15)


# --- a mean squared error of normalized predictions ---


@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), seeds)
def test_normalized_squared_error_has_the_gradient_of_its_own_value(shape, seed: int) -> None:
    """By the whole Jacobian of p = z / s: d p[i] / d z[j] = (delta[i, j] - p[i]) / s."""
    rng = np.random.default_rng(seed)
    prediction, target = rng.random(shape) + 0.1, rng.random(shape)
    loss = losses.MeanSquaredError(normalize=True)
    sums = prediction.sum(axis=1)
    p = prediction / sums[:, None]
    assert loss.forward(prediction, target) == pytest.approx(
        ((p - target) ** 2).sum() / shape[0], rel=1e-12, abs=1e-15
    )
    assert loss.prediction is prediction, "what it was given is what it shows"
    expected = np.zeros(shape)
    for n in range(shape[0]):
        jacobian = (np.eye(shape[1]) - p[n][:, None]) / sums[n]
        expected[n] = 2 * (p[n] - target[n]) @ jacobian / shape[0]
    tolerance = 20 * EPS * 2 / sums[:, None]
    assert (np.abs(loss.backward() - expected) <= tolerance).all()


# --- extremes ---


def test_logits_of_any_size_give_finite_losses_and_gradients() -> None:
    logits = np.array([[1e4, -1e4, 0.0], [-1e300, 0.0, 1e300]])
    loss = losses.SoftmaxCrossEntropy()
    with np.errstate(over="ignore"):
        assert loss.forward(logits[:1], [1]) == 2e4
        assert loss.forward(logits[:1], [0]) == 0.0
        assert loss.forward(logits[1:], [2]) == 0.0
        assert loss.forward(logits[1:], [0]) == 2e300
    assert np.isfinite(loss.backward()).all()
    binary = losses.BinaryCrossEntropy()
    assert binary.forward(np.array([[800.0], [-800.0]]), np.array([[0.0], [1.0]])) == 800
    assert binary.backward().tolist() == [[0.5], [-0.5]]


def test_a_sure_and_right_prediction_costs_what_it_should() -> None:
    """Not 0: log1p keeps what a clipped probability loses."""
    loss = losses.SoftmaxCrossEntropy()
    # abs=0: approx would take anything below 1e-12 for this.
    cost = pytest.approx(math.exp(-40), rel=1e-12, abs=0)
    for target in ([0], [[1.0, 0.0]]):
        assert loss.forward(np.array([[40.0, 0.0]]), target) == cost
    binary = losses.BinaryCrossEntropy()
    assert binary.forward(np.array([[40.0]]), [[1.0]]) == cost
    assert binary.forward(np.array([[-40.0]]), [[0.0]]) == cost


# --- targets ---


def test_targets_of_other_dtypes_are_converted() -> None:
    prediction = np.array([[1.0, 2.0]], dtype=np.float32)
    for target in ([[3, 4]], np.array([[3, 4]], dtype=np.uint8), np.array([[3.0, 4.0]])):
        loss = losses.MeanSquaredError()
        assert loss.forward(prediction, target) == 8
        assert loss.backward().dtype == np.float32


def test_one_hot_rows_of_any_dtype_are_probabilities() -> None:
    logits = np.array([[1.0, 2.0], [0.5, -1.0]], dtype=np.float32)
    rows = np.array([[0, 1], [1, 0]])
    values = {
        losses.SoftmaxCrossEntropy().forward(logits, target)
        for target in (rows, rows.astype(bool), rows.astype(float), rows.astype(np.float32))
    }
    assert len(values) == 1


@given(st.integers(2, 200), seeds)
def test_probabilities_of_lower_precision_are_taken_as_meant(classes: int, seed: int) -> None:
    """Rows that sum to 1 as float32 miss it by thousands of roundings of float64."""
    rng = np.random.default_rng(seed)
    logits, rows = rng.standard_normal((3, classes)), rng.dirichlet(np.ones(classes), 3)
    exact = losses.SoftmaxCrossEntropy().forward(logits, rows)
    coarse = losses.SoftmaxCrossEntropy().forward(logits, rows.astype(np.float32))
    worst = np.abs(logits - special.logsumexp(logits, axis=1, keepdims=True)).max()
    # Each probability is rounded once to float32, and the row's sum is divided out.
    assert coarse == pytest.approx(exact, abs=2 * worst * float(np.finfo(np.float32).eps))


def test_two_yes_no_labels_may_be_booleans() -> None:
    logits = np.array([[1.0, 2.0], [0.5, -1.0]])
    loss = losses.SoftmaxCrossEntropy()
    assert loss.forward(logits, np.array([True, False])) == loss.forward(logits, [1, 0])


@pytest.mark.parametrize(
    "make",
    [
        losses.MeanSquaredError,
        losses.MeanAbsoluteError,
        losses.Huber,
        losses.BinaryCrossEntropy,
        losses.SoftmaxCrossEntropy,
    ],
)
@pytest.mark.parametrize("shape", [(3, 1), (1, 1), (3, 2, 1)])
def test_a_single_column_needs_no_axis_in_the_target(make, shape) -> None:
    """(3,) against (3, 1) would broadcast to a table of 9 differences."""
    rng = np.random.default_rng(0)
    prediction, target = rng.standard_normal(shape), rng.integers(0, 2, shape)
    flat, column = make(), make()
    assert flat.forward(prediction, target[..., 0]) == column.forward(prediction, target)
    assert np.array_equal(flat.backward(), column.backward())
    assert flat.target.shape == shape


def test_a_target_that_misses_an_axis_is_told_how_to_fit() -> None:
    """A list or a pandas Series has no reshape."""
    words = r"got \(6,\); np\.asarray\(target\)\.reshape\(-1, 2\) makes it fit"
    with pytest.raises(ValueError, match=words):
        losses.MeanSquaredError().forward(np.ones((3, 2)), np.ones(6))
    with pytest.raises(ValueError, match="target must have the shape"):
        losses.MeanSquaredError().forward(np.ones(1), 1.0)


def test_predictions_of_sequences_are_averaged_over_batch_and_time() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((2, 3, 4)), rng.integers(0, 4, (2, 3))
    flat, loss = losses.SoftmaxCrossEntropy(), losses.SoftmaxCrossEntropy()
    assert loss.forward(logits, labels) == flat.forward(logits.reshape(6, 4), labels.reshape(6))
    assert np.array_equal(loss.backward().reshape(6, 4), flat.backward())
    assert loss.forward(logits, np.eye(4)[labels]) == pytest.approx(loss.forward(logits, labels))
    yes, no = rng.standard_normal((2, 3, 1)), rng.integers(0, 2, (2, 3))
    binary = losses.BinaryCrossEntropy()
    assert loss.forward(yes, no) == binary.forward(yes.reshape(6, 1), no.reshape(6, 1))
    assert loss.backward().shape == (2, 3, 1)


def test_smoothing_works_for_one_column_too() -> None:
    loss = losses.SoftmaxCrossEntropy(label_smoothing=0.2)
    value = loss.forward(np.array([[3.0]]), [1])
    p = special.expit(3.0)
    assert value == pytest.approx(-(0.9 * math.log(p) + 0.1 * math.log(1 - p)), rel=1e-12)
    assert loss.backward().item() == pytest.approx(p - 0.9, rel=1e-12)


def test_kinks_are_where_the_derivative_jumps() -> None:
    prediction, target = np.array([[1.0, 2.5]]), np.array([[1.0, 2.0]])
    distance = losses.MeanAbsoluteError().distance_to_kink(prediction, target)
    assert distance.tolist() == [[0.0, 0.5]]
    for smooth in (losses.MeanSquaredError(), losses.Huber(), losses.SoftmaxCrossEntropy()):
        assert np.isinf(smooth.distance_to_kink(prediction, target)).all()


def test_a_method_that_nobody_wrote_is_named() -> None:
    class Bare(losses.Loss):
        pass

    class Forward(losses.Loss):
        def _output(self) -> float:
            return 0.0

    one = np.ones((1, 1))
    with pytest.raises(NotImplementedError, match=r"^Bare must define _output\(\)"):
        Bare().forward(one, one)
    loss = Forward()
    loss.forward(one, one)
    with pytest.raises(NotImplementedError, match=r"^Forward must define _input_grad\(\)"):
        loss.backward()


def test_losses_leave_predictions_and_targets_alone_and_show_their_arguments() -> None:
    prediction, target = np.array([[0.2, 0.8]]), np.array([[0.0, 1.0]])
    for loss in (
        losses.MeanSquaredError(normalize=True),
        losses.MeanAbsoluteError(),
        losses.Huber(),
        losses.BinaryCrossEntropy(),
        losses.SoftmaxCrossEntropy(label_smoothing=0.1),
    ):
        loss.forward(prediction, target)
        loss.backward()
        assert prediction.tolist() == [[0.2, 0.8]]
        assert target.tolist() == [[0.0, 1.0]]
    assert repr(losses.Huber(0.5)) == "Huber(delta=0.5)"
    assert repr(losses.MeanSquaredError()) == "MeanSquaredError()"


def test_weights_count_as_repeated_observations():
    rng = np.random.default_rng(0)
    x, times = rng.standard_normal((5, 4)), np.array([2, 0, 1, 3, 1])
    targets = {
        "labels": rng.integers(0, 4, 5),
        "rows": rng.dirichlet(np.ones(4), 5),
    }
    for loss, kind in (
        (losses.MeanSquaredError(), "rows"),
        (losses.MeanSquaredError(normalize=True), "rows"),
        (losses.MeanAbsoluteError(), "rows"),
        (losses.Huber(0.5), "rows"),
        (losses.BinaryCrossEntropy(pos_weight=3), "rows"),
        (losses.SoftmaxCrossEntropy(label_smoothing=0.1), "labels"),
        (losses.SoftmaxCrossEntropy(), "rows"),
        (losses.SoftmaxCrossEntropy(class_weight=[1, 2, 3, 4], reduction="sum"), "labels"),
        (losses.NegativeLogLikelihood(reduction="sum"), "labels"),
    ):
        target, each = targets[kind], np.repeat(np.arange(5), times)
        value, grad = loss.forward(x, target, times), loss.backward()
        repeated = loss.forward(x[each], target[each])
        if getattr(loss, "reduction", "mean") == "mean":
            # Weights do not change what the mean is over.
            repeated, grad, rows = repeated * 7 / 5, grad * 5 / 7, loss.backward()
        rows = loss.backward()
        added = np.zeros_like(x)
        np.add.at(added, each, rows)
        assert value == pytest.approx(repeated, rel=1e-14)
        np.testing.assert_allclose(grad, added, rtol=1e-14, atol=1e-16)


def test_weights_of_steps_leave_out_padding():
    rng = np.random.default_rng(1)
    x, labels = rng.standard_normal((2, 3, 4)), rng.integers(0, 4, (2, 3))
    mask = np.array([[1, 1, 1], [1, 0, 0]])
    value = losses.SoftmaxCrossEntropy().forward(x, labels, mask)
    kept = losses.SoftmaxCrossEntropy(reduction="sum")
    assert value * 6 == pytest.approx(kept.forward(x[mask == 1], labels[mask == 1]))
    ignoring = losses.SoftmaxCrossEntropy(ignore_index=-1)
    padded = np.where(mask == 1, labels, -1)
    assert ignoring.forward(x, padded) == pytest.approx(value * 6 / 4)
    assert not ignoring.backward()[mask == 0].any()


def test_nothing_but_labels_to_ignore_is_no_loss():
    loss = losses.SoftmaxCrossEntropy(ignore_index=-1)
    assert loss.forward(np.ones((2, 3)), np.array([-1, -1])) == 0
    assert not loss.backward().any()


def test_a_loss_that_knows_no_weights_refuses_them():
    class Own(losses.Loss):
        def _output(self):
            return float(self.prediction.sum())

        def _input_grad(self):
            return np.ones_like(self.prediction)

    with pytest.raises(
        TypeError, match=r"; a class whose _output and .* sets takes_weights = True$"
    ):
        Own().forward(np.ones((2, 1)), np.ones((2, 1)), np.ones(2))


def test_log_probabilities_give_the_loss_of_their_logits():
    rng = np.random.default_rng(2)
    x, labels = rng.standard_normal((4, 3, 2)), rng.integers(0, 3, (4, 2))
    options = {"class_weight": [1, 2, 0.5], "ignore_index": 1, "axis": 1}
    logs = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    found = losses.NegativeLogLikelihood(**options).forward(logs, labels)
    assert found == pytest.approx(losses.SoftmaxCrossEntropy(**options).forward(x, labels))
    impossible = losses.NegativeLogLikelihood()
    assert impossible.forward(np.array([[0.0, -np.inf]]), np.array([0])) == 0
