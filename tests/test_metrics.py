"""Metrics against scikit-learn, and what they say of a single column and of sequences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics

from dlfs import metrics

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
    """They would broadcast to a table, whose mean says nothing."""
    with pytest.raises(ValueError, match=r"must have the same shape, got \(3,\) and \(3, 1\)"):
        metrics.mae(np.ones(3), np.ones((3, 1)))


def test_the_names_that_a_trainer_knows() -> None:
    assert metrics.METRICS == {
        "accuracy": metrics.accuracy,
        "mae": metrics.mae,
        "rmse": metrics.rmse,
    }
