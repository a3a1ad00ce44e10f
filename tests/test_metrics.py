"""Metrics against scikit-learn, and for a single column and sequences."""

import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics

from dlfs import SGD, Dense, Linear, NeuralNetwork, Trainer, metrics
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
    scorers = set(sklearn_metrics.get_scorer_names())
    own = {"accuracy", "mae", "rmse", "log_loss"}
    assert set(metrics.METRICS) - scorers <= own <= set(metrics.METRICS)
    assert metrics.METRICS["accuracy"] is metrics.accuracy
    assert set(metrics.METRICS) - metrics.HIGHER_IS_BETTER == {"mae", "rmse", "log_loss"}


def test_an_unknown_metric_is_named_with_those_that_there_are() -> None:
    known = ", ".join(map(repr, metrics.METRICS))
    with pytest.raises(ValueError, match=f"^Trainer: unknown metric 'speed'; there are {known}$"):
        Trainer(NeuralNetwork([Dense(1)]), SGD()).fit(np.ones((2, 1)), [1, 2], metrics=["speed"])


def test_a_metric_without_a_signature_gets_targets_and_predictions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As some functions written in C."""

    def refuses(function: object) -> None:
        raise ValueError("no signature found")

    def largest(y_true: np.ndarray, y_pred: np.ndarray) -> float:
        return float(np.max(np.abs(y_true - y_pred)))

    net = NeuralNetwork([Dense(1)], seed=1)
    X, y = np.arange(6.0).reshape(6, 1), np.arange(6.0)
    net.build((1,))
    expected = largest(y[:, None], net.predict(X))
    monkeypatch.setattr("dlfs.train.evaluation.inspect.signature", refuses)
    assert Trainer(net, SGD()).evaluate(X, y, metrics=[largest])["largest"] == expected


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


# --- those that scikit-learn computes ---


def drawn(classes: int, rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, rows - classes)])
    return labels, rng.standard_normal((rows, classes)) + 2 * np.eye(classes)[labels]


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("average", ["binary", "macro", "micro", "weighted"])
@pytest.mark.parametrize("name", ["f1_score", "precision_score", "recall_score"])
def test_scores_of_decisions_are_scikit_learns(name: str, average: str, one_hot: bool) -> None:
    for classes in (2,) if average == "binary" else (2, 3, 5):
        labels, logits = drawn(classes)
        expected = getattr(sklearn_metrics, name)(labels, logits.argmax(axis=1), average=average)
        y_true = np.eye(classes)[labels] if one_hot else labels
        found = getattr(metrics, name)(y_true, logits, average)
        assert found == pytest.approx(expected, rel=1e-12)
        assert type(found) is float


def test_scores_of_probabilities_are_scikit_learns() -> None:
    for classes in (2, 4):
        labels, logits = drawn(classes)
        shares = SoftmaxCrossEntropy().probabilities(logits)
        expected = sklearn_metrics.log_loss(labels, shares)
        assert metrics.log_loss(labels, logits) == pytest.approx(expected, rel=1e-12)
        loss = SoftmaxCrossEntropy().forward(logits, labels)
        assert metrics.log_loss(labels, logits) == pytest.approx(loss, rel=1e-12)
        area = sklearn_metrics.roc_auc_score(
            labels, shares if classes > 2 else shares[:, 1], multi_class="ovr"
        )
        assert metrics.roc_auc_score(labels, logits) == pytest.approx(area, rel=1e-12)
        for k in (1, 2, classes):
            expected = np.mean([y in row.argsort()[-k:] for y, row in zip(labels, logits)])  # noqa: B905
            assert metrics.top_k_accuracy_score(labels, logits, k) == pytest.approx(expected)


def test_one_column_is_one_question_and_several_are_several() -> None:
    labels, logits = drawn(2)
    answers = logits[:, 1:] - logits[:, :1]
    loss = BinaryCrossEntropy()
    methods = {"decision": loss.decision}
    f1 = metrics.f1_score(labels, logits)
    assert metrics.f1_score(labels, answers, **methods) == pytest.approx(f1)
    expected = metrics.roc_auc_score(labels, logits)
    found = metrics.roc_auc_score(labels, answers, loss.probabilities)
    assert found == pytest.approx(expected) == metrics.roc_auc_score(labels, answers)
    many = np.hstack([answers, -answers, answers])
    truth = np.stack([labels, labels, 1 - labels], axis=1)
    expected = sklearn_metrics.f1_score(truth, many > 0, average="macro")
    found = metrics.f1_score(truth, many, "macro", loss.decision)
    assert found == pytest.approx(expected)


def test_r2_is_scikit_learns() -> None:
    y, p = np.random.default_rng(0).standard_normal((2, 20, 3))
    assert metrics.r2_score(y, p) == pytest.approx(sklearn_metrics.r2_score(y, p), rel=1e-12)


def test_a_trainer_measures_all_of_them() -> None:
    labels, X = drawn(3)
    net = NeuralNetwork([Dense(3)], SoftmaxCrossEntropy())
    names = [name for name in metrics.METRICS if name not in REGRESSION | BINARY]
    history = Trainer(net, SGD()).fit(
        X, labels, X, labels, epochs=1, metrics=names, early_stopping=False, verbose=0
    )
    results = Trainer(net, SGD()).evaluate(X, labels, names)
    assert results["log_loss"] == pytest.approx(results["loss"], rel=1e-12)
    for name in names:
        assert history[name] == [results[name]]
        assert results[name] > 0
        assert results[name] <= 1 or name == "log_loss"
    one = NeuralNetwork([Dense(1)], BinaryCrossEntropy())
    results = Trainer(one, SGD()).evaluate(X, labels > 0, [*BINARY, "roc_auc", "log_loss"])
    assert results["log_loss"] == pytest.approx(results["loss"], rel=1e-12)


REGRESSION = {"mae", "rmse", "r2"}
BINARY = {"f1", "precision", "recall"}


def test_mistakes_with_scores_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, logits = drawn(3)
    with pytest.raises(ValueError, match="f1_score: average must be 'macro', 'micro' or"):
        metrics.f1_score(labels, logits)
    with pytest.raises(ValueError, match="roc_auc_score: each class must occur in y_true, 2 does"):
        metrics.roc_auc_score(labels % 2, logits)
    with pytest.raises(ValueError, match="top_k_accuracy_score: y_pred must have a column"):
        metrics.top_k_accuracy_score(labels % 2, logits[:, :1])
    with pytest.raises(ValueError, match="probabilities must have a column for each class"):
        metrics.log_loss(labels % 2, logits[:, :2], lambda p: p[:, :1])
    for k in (0, 1.5):
        with pytest.raises((TypeError, ValueError), match=r"^top_k_accuracy_score: k must be"):
            metrics.top_k_accuracy_score(labels, logits, k)
    for name in ("confusion_matrix", "log_loss"):
        with pytest.raises((TypeError, ValueError), match=f"^{name}: "):
            getattr(metrics, name)(labels[:-1], logits)
    assert metrics.confusion_matrix(labels, logits).dtype == np.int64
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ImportError, match=r"r2_score needs the extra sklearn: pip install"):
        metrics.r2_score([1.0, 2.0], [1.0, 2.0])


def test_a_metric_whose_extra_is_missing_is_named_before_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    labels, X = drawn(3)
    trainer = Trainer(NeuralNetwork([Dense(3)], SoftmaxCrossEntropy()), SGD())
    with pytest.raises(ImportError, match="the metric 'f1_macro' needs the extra sklearn"):
        trainer.fit(X, labels, X, labels, metrics=["accuracy", "f1_macro"], verbose=0)
    trainer.fit(X, labels, X, labels, epochs=1, metrics=["accuracy", "top_k_accuracy"], verbose=0)


def test_a_package_that_is_replaced_by_something_else_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", types.ModuleType("sklearn"))
    labels, X = drawn(3)
    trainer = Trainer(NeuralNetwork([Dense(3)], SoftmaxCrossEntropy()), SGD())
    with pytest.raises(ImportError, match="the metric 'f1_macro' needs the extra sklearn"):
        trainer.fit(X, labels, X, labels, metrics=["f1_macro"], verbose=0)
