"""Metrics against scikit-learn, and for a single column and sequences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics

from dlfs import SGD, Linear, NeuralNetwork, Trainer, metrics
from dlfs.losses import (
    BinaryCrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from dlfs.train.metrics import Decision

numbers = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 9), st.integers(1, 3)), elements=st.floats(-1e3, 1e3)
)


@given(numbers, st.integers(0, 2**32))
def test_mae_and_rmse_are_scikit_learns(y_true: np.ndarray, seed: int) -> None:
    y_pred = y_true + np.random.default_rng(seed).standard_normal(y_true.shape)
    flat = (y_true.ravel(), y_pred.ravel())
    tolerance = {"rel": 1e-12, "abs": 1e-15}
    expected = sklearn_metrics.mean_absolute_error(*flat)
    assert metrics.mae(y_true, y_pred) == pytest.approx(expected, **tolerance)
    expected = sklearn_metrics.root_mean_squared_error(*flat)
    assert metrics.rmse(y_true, y_pred) == pytest.approx(expected, **tolerance)


@given(st.integers(1, 30), st.integers(2, 6), st.integers(0, 2**32), st.booleans())
def test_accuracy_and_confusion_matrix_are_scikit_learns(
    count: int, classes: int, seed: int, one_hot: bool
) -> None:
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, classes, count), rng.standard_normal((count, classes))
    y_true = np.eye(classes)[labels] if one_hot else labels
    predicted = scores.argmax(axis=1)
    accuracy = sklearn_metrics.accuracy_score(labels, predicted)
    assert metrics.accuracy(y_true, scores) == pytest.approx(accuracy, rel=1e-15)
    matrix = sklearn_metrics.confusion_matrix(labels, predicted, labels=range(classes))
    assert np.array_equal(metrics.confusion_matrix(y_true, scores), matrix)
    assert metrics.confusion_matrix(y_true, scores, classes + 2).shape == (classes + 2,) * 2


def test_one_column_holds_logits_of_yes() -> None:
    logits = np.array([[0.1], [-0.1], [3.0], [0.0]])
    assert metrics.accuracy([1, 0, 0, 0], logits) == 0.75
    assert metrics.accuracy(np.array([[1.0], [0.0], [0.0], [0.0]]), logits) == 0.75
    assert metrics.accuracy([True, False, False, False], logits) == 0.75
    assert metrics.confusion_matrix([1, 0, 0, 0], logits).tolist() == [[2, 1], [0, 1]]


def test_every_step_of_a_sequence_counts() -> None:
    scores = np.random.default_rng(0).standard_normal((3, 5, 4))
    labels = scores.argmax(axis=-1)
    labels[0, 0] = (labels[0, 0] + 1) % 4
    assert metrics.accuracy(labels, scores) == 14 / 15
    assert metrics.confusion_matrix(labels, scores).sum() == 15


def test_the_figures_are_plain_floats() -> None:
    for value in (metrics.mae([1], [2]), metrics.rmse([1], [2]), metrics.accuracy([0], [[1, 0]])):
        assert type(value) is float


def test_a_column_against_a_row_of_numbers_is_refused() -> None:
    """They would broadcast to a table, whose mean is meaningless."""
    with pytest.raises(ValueError, match=r"must have the same shape, got \(3,\) and \(3, 1\)"):
        metrics.mae(np.ones(3), np.ones((3, 1)))


def test_the_names_that_a_trainer_knows() -> None:
    assert metrics.METRICS == {
        "accuracy": metrics.accuracy,
        "mae": metrics.mae,
        "rmse": metrics.rmse,
    }


# --- the loss defines the meaning of a prediction ---


@given(st.integers(1, 20), st.integers(1, 5), st.integers(0, 2**32))
def test_several_yes_no_outputs_are_judged_one_by_one(count: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, truth = rng.standard_normal((count, outputs)), rng.integers(0, 2, (count, outputs))
    decision = BinaryCrossEntropy().decision
    right = np.mean((logits > 0) == truth)
    assert metrics.accuracy(truth, logits, decision=decision) == pytest.approx(right, rel=1e-15)
    wanted = sklearn_metrics.confusion_matrix(truth.ravel(), logits.ravel() > 0, labels=[0, 1])
    assert np.array_equal(metrics.confusion_matrix(truth, logits, decision=decision), wanted)
    net = NeuralNetwork([Linear()], BinaryCrossEntropy())
    found = Trainer(net, SGD()).evaluate(logits, truth, metrics=["accuracy"])
    assert found["accuracy"] == pytest.approx(right, rel=1e-15)


@pytest.mark.parametrize("loss", [MeanSquaredError(), MeanAbsoluteError(), Huber()])
def test_without_logits_one_column_means_yes_above_a_half(loss: Loss) -> None:
    probabilities, truth = np.array([[0.1], [0.4], [0.6], [0.9]]), np.array([[0], [0], [1], [0]])
    net = NeuralNetwork([Linear()], loss)
    assert Trainer(net, SGD()).evaluate(probabilities, truth, ["accuracy"])["accuracy"] == 0.75
    assert metrics.accuracy(truth, probabilities, decision=loss.decision) == 0.75
    assert metrics.accuracy(truth[:, 0], probabilities, decision=loss.decision) == 0.75
    matrix = metrics.confusion_matrix(truth, probabilities, decision=loss.decision)
    assert matrix.tolist() == [[2, 1], [0, 1]]


def test_the_decisions_of_each_loss() -> None:
    column, table = np.array([[-0.1], [0.3], [0.7]]), np.array([[0.1, -0.2], [-3.0, -2.0]])
    assert SoftmaxCrossEntropy().decision(column).tolist() == [0, 1, 1]
    assert SoftmaxCrossEntropy().decision(table).tolist() == [0, 1]
    assert BinaryCrossEntropy().decision(table).tolist() == [[1, 0], [0, 0]]
    assert MeanSquaredError().decision(column).tolist() == [0, 0, 1]
    assert MeanSquaredError().decision(table).tolist() == [0, 1]
    # The shares of the second row are 0.6 and 0.4.
    assert MeanSquaredError(normalize=True).decision(table).tolist() == [1, 0]


def test_a_users_loss_from_logits_only_has_to_say_so() -> None:
    class FromLogits(Loss):
        takes_logits = True

    assert FromLogits().decision(np.array([[-0.1], [0.3]])).tolist() == [0, 1]


def test_a_users_loss_and_metric_take_part() -> None:
    class Hinge(Loss):
        def _output(self) -> float:
            return float(np.maximum(0, 1 - self.target * self.prediction).sum())

        def decision(self, prediction: np.ndarray) -> np.ndarray:
            return (prediction > -1).astype(np.int64)

    def yes(y_true: np.ndarray, y_pred: np.ndarray, decision: Decision) -> float:
        return float(decision(y_pred).mean())

    def raw(y_true: np.ndarray, y_pred: np.ndarray) -> float:
        return float(y_pred.sum())

    scores = np.array([[-2.0], [-0.5], [0.5]])
    trainer = Trainer(NeuralNetwork([Linear()], Hinge()), SGD())
    found = trainer.evaluate(scores, np.array([[0.0], [1.0], [0.0]]), ["accuracy", yes, raw])
    assert found["accuracy"] == found["yes"] == 2 / 3
    assert found["raw"] == -2


@pytest.mark.parametrize(
    ("decision", "error", "message"),
    [
        (lambda p: p, TypeError, "decision must return integers or booleans, got float64"),
        (lambda p: np.zeros(5, int), ValueError, r"shape \(2, 3\) or \(2,\), got \(5,\)"),
    ],
)
def test_a_decision_that_is_none_is_refused(decision, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        metrics.accuracy([0, 1], np.zeros((2, 3)), decision=decision)
