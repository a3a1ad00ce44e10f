"""How good predictions are, in units that people understand.

Arguments come in scikit-learn's order: the truth first. What a prediction means (which number
stands for yes) depends on the loss: ``Loss.decision`` turns predictions into decisions.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from scipy.special import expit, softmax

from dlfs.checks import (
    as_float_array,
    as_number_array,
    check_choice,
    check_int,
    check_range,
)
from dlfs.types import Array, IntArray, Shape

Metric: TypeAlias = Callable[..., float]
"""A function of (y_true, y_pred) that returns a number.

If it has a parameter named ``decision`` or ``probabilities``, a Trainer passes the loss's method
of that name there.
"""

Decision: TypeAlias = Callable[[Array], Array]
"""Turns predictions into decisions, as ``Loss.decision`` does."""

Probabilities: TypeAlias = Callable[[Array], Array]
"""Turns predictions into probabilities, as ``Loss.probabilities`` does."""


def accuracy(
    y_true: Array,
    y_pred: Array,
    decision: Decision | None = None,
    sample_weight: Array | None = None,
) -> float:
    """Return the share of decisions that are right.

    Parameters
    ----------
    y_true : array_like
        Integer labels (batch,), or one-hot rows (batch, classes). For sequences, one axis more.
        Where each column is a separate yes-no question, 0 or 1 for each.
    y_pred : array_like, shape (batch, classes)
        Predictions of a network.
    decision : callable, optional
        Turns y_pred into classes: ``net.loss.decision``; a Trainer passes it. By default the
        largest column is the class, and a single column holds logits: above 0 means yes.
    sample_weight : array_like, optional
        How much each observation, or each step of a sequence, counts.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, or there are no observations.

    Examples
    --------
    >>> accuracy([0, 1, 1], [[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
    0.6666666666666666

    Probabilities of yes in a single column:

    >>> accuracy([0, 1, 1], [[0.2], [0.6], [0.9]], decision=lambda p: p > 0.5)
    1.0
    """
    true, predicted, _ = _classes(y_true, y_pred, decision, "accuracy")
    return _mean(true == predicted, sample_weight, np.shape(y_pred), "accuracy")


def confusion_matrix(
    y_true: Array,
    y_pred: Array,
    classes: int | None = None,
    decision: Decision | None = None,
) -> IntArray:
    """Count how often each true class (row) was predicted as each class (column).

    Parameters
    ----------
    y_true, y_pred : array_like
        As in accuracy.
    classes : int, optional
        The number of classes. By default as many as y_pred has columns, and 2 (no and yes) for a
        single column or yes-no questions.
    decision : callable, optional
        As in accuracy.

    Returns
    -------
    ndarray of int, shape (classes, classes)

    Raises
    ------
    TypeError, ValueError
        If the shapes do not fit, or a label is out of range, or there are no observations.

    Examples
    --------
    >>> confusion_matrix([0, 1, 1], [[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
    array([[1, 0],
           [1, 1]])
    """
    true, predicted, columns = _classes(y_true, y_pred, decision, "confusion_matrix")
    count = columns if classes is None else check_int(classes, "confusion_matrix", "classes", 1)
    lowest, highest = int(true.min()), max(int(true.max()), int(predicted.max()))
    if lowest < 0 or highest >= count:
        raise ValueError(
            f"confusion_matrix: labels must lie in 0..{count - 1}, got {lowest}..{highest}"
        )
    matrix = np.zeros((count, count), dtype=np.int64)
    np.add.at(matrix, (true, predicted), 1)
    return matrix


def mae(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Return the mean absolute error, in the units of the target.

    Parameters
    ----------
    y_true, y_pred : array_like of one shape
    sample_weight : array_like, optional
        As in accuracy.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or there are no observations.

    Notes
    -----
    Book, chapter 2.

    Examples
    --------
    >>> mae([1.0, 2.0], [2.0, 5.0])
    2.0
    """
    true, predicted = _numbers(y_true, y_pred, "mae")
    return _mean(np.abs(true - predicted), sample_weight, true.shape, "mae")


def rmse(y_true: Array, y_pred: Array, sample_weight: Array | None = None) -> float:
    """Return the root of the mean squared error, in the units of the target.

    Parameters
    ----------
    y_true, y_pred, sample_weight
        As in mae.

    Notes
    -----
    Book, chapter 2.

    Examples
    --------
    >>> rmse([1.0, 2.0], [4.0, 6.0])
    3.5355339059327378
    """
    true, predicted = _numbers(y_true, y_pred, "rmse")
    return _mean(np.square(true - predicted), sample_weight, true.shape, "rmse") ** 0.5


def r2_score(y_true: Array, y_pred: Array) -> float:
    """Return the coefficient of determination: 1 is perfect, 0 no better than the mean.

    Parameters
    ----------
    y_true, y_pred : array_like of one shape

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or there are no observations.

    Notes
    -----
    ``1 - sum((y_true - y_pred)**2) / sum((y_true - mean)**2)``, averaged over columns, by
    scikit-learn (extra ``sklearn``), as the following ones.

    Examples
    --------
    >>> r2_score([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    true, predicted = _numbers(y_true, y_pred, "r2_score")
    return float(_sklearn("r2_score")(true, predicted))


def f1_score(
    y_true: Array, y_pred: Array, average: str = "binary", decision: Decision | None = None
) -> float:
    """Return the harmonic mean of precision and recall, from 0 to 1.

    Parameters
    ----------
    y_true, y_pred : array_like
        As in accuracy.
    average : {"binary", "macro", "micro", "weighted"}, default "binary"
        For the class 1 of two; over classes alike; over observations alike; or over classes by how
        often they occur.
    decision : callable, optional
        As in accuracy.

    Raises
    ------
    TypeError, ValueError
        As in accuracy; also if there are more than two classes and the average is "binary".

    Examples
    --------
    >>> f1_score([0, 1, 1], [[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
    0.6666666666666666
    """
    return _of_decisions("f1_score", y_true, y_pred, average, decision)


def precision_score(
    y_true: Array, y_pred: Array, average: str = "binary", decision: Decision | None = None
) -> float:
    """Return the share of right decisions among those for a class.

    Parameters
    ----------
    y_true, y_pred, decision
        As in accuracy.
    average : {"binary", "macro", "micro", "weighted"}, default "binary"
        As in f1_score. A class that is never predicted counts as 0.

    Examples
    --------
    >>> precision_score([0, 1, 1], [[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
    1.0
    """
    return _of_decisions("precision_score", y_true, y_pred, average, decision)


def recall_score(
    y_true: Array, y_pred: Array, average: str = "binary", decision: Decision | None = None
) -> float:
    """Return the share of a class that is found.

    Parameters
    ----------
    y_true, y_pred, decision
        As in accuracy.
    average : {"binary", "macro", "micro", "weighted"}, default "binary"
        As in f1_score.

    Examples
    --------
    >>> recall_score([0, 1, 1], [[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
    0.5
    """
    return _of_decisions("recall_score", y_true, y_pred, average, decision)


def top_k_accuracy_score(y_true: Array, y_pred: Array, k: int = 2) -> float:
    """Return the share of observations whose class is among the k that the network finds likeliest.

    Parameters
    ----------
    y_true : array_like
        As in accuracy.
    y_pred : array_like, shape (batch, classes)
        At least 2 classes.
    k : int, default 2
        For another number: ``functools.partial(top_k_accuracy_score, k=5)``.

    Examples
    --------
    >>> top_k_accuracy_score([0, 2], [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    0.5
    """
    owner = "top_k_accuracy_score"
    k = check_int(k, owner, "k", 1)
    true, _, count = _classes(y_true, y_pred, None, owner)
    scores = as_float_array(y_pred, owner, "y_pred")
    if scores.shape[-1] < 2:
        raise ValueError(f"{owner}: y_pred must have a column for each class, got {scores.shape}")
    check_range(true, count - 1, owner, "labels")
    rows = scores.reshape(len(true), count)
    best = np.argpartition(-rows, min(k, count) - 1, axis=1)[:, :k]
    return float(np.mean((best == true[:, np.newaxis]).any(axis=1)))


def log_loss(y_true: Array, y_pred: Array, probabilities: Probabilities | None = None) -> float:
    """Return the cross-entropy of the true classes, in nats.

    Parameters
    ----------
    y_true, y_pred : array_like
        As in accuracy.
    probabilities : callable, optional
        Turns y_pred into probabilities: ``net.loss.probabilities``; a Trainer passes it. By default
        y_pred holds logits.

    Examples
    --------
    >>> round(log_loss([0, 1], [[0.0, 0.0], [0.0, 0.0]]), 6)
    0.693147
    """
    true, shares = _shares("log_loss", y_true, y_pred, probabilities)
    labels = range(shares.shape[1])
    return float(_sklearn("log_loss")(true, shares, labels=labels))


def roc_auc_score(
    y_true: Array, y_pred: Array, probabilities: Probabilities | None = None
) -> float:
    """Return the area under the ROC curve: how well classes are ranked, at any threshold.

    Parameters
    ----------
    y_true, y_pred : array_like
        As in accuracy. Each class must occur. Of more than two, it is the mean over classes, each
        against the rest.
    probabilities : callable, optional
        As in log_loss.

    Raises
    ------
    ValueError
        If a class does not occur.

    Examples
    --------
    >>> roc_auc_score([0, 1, 1], [[-1.0], [3.0], [2.0]])
    1.0
    """
    true, shares = _shares("roc_auc_score", y_true, y_pred, probabilities)
    missing = sorted(set(range(shares.shape[1])) - set(true.tolist()))
    if missing:
        raise ValueError(f"roc_auc_score: each class must occur in y_true, {missing[0]} does not")
    if shares.shape[1] == 2:
        return float(_sklearn("roc_auc_score")(true, shares[:, 1]))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return float(_sklearn("roc_auc_score")(true, shares, multi_class="ovr"))


def needs_sklearn(metric: str) -> bool:
    """Return whether a metric with this name needs the extra sklearn.

    Examples
    --------
    >>> needs_sklearn("mae"), needs_sklearn("f1_macro")
    (False, True)
    """
    return metric not in ("accuracy", "mae", "rmse", "top_k_accuracy")


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "mae": mae,
    "rmse": rmse,
    "r2": r2_score,
    "f1": f1_score,
    "f1_macro": functools.partial(f1_score, average="macro"),
    "f1_micro": functools.partial(f1_score, average="micro"),
    "precision": precision_score,
    "precision_macro": functools.partial(precision_score, average="macro"),
    "recall": recall_score,
    "recall_macro": functools.partial(recall_score, average="macro"),
    "top_k_accuracy": top_k_accuracy_score,
    "log_loss": log_loss,
    "roc_auc": roc_auc_score,
}
"""The metrics that have a name for ``Trainer.fit``; the names are scikit-learn's."""

HIGHER_IS_BETTER = frozenset(METRICS) - {"mae", "rmse", "log_loss"}


def _mean(values: Array, sample_weight: object, shape: Shape, owner: str) -> float:
    """Return the mean, weighted by observation, of as many values for each observation."""
    if sample_weight is None:
        return float(np.mean(values))
    weights = as_float_array(sample_weight, owner, "sample_weight", np.float64)
    if weights.ndim < 1 or weights.shape != shape[: weights.ndim] or not weights.sum() > 0:
        raise ValueError(
            f"{owner}: sample_weight must have the first axes of {shape}, and a sum above 0, got "
            f"shape {weights.shape} and sum {weights.sum()}"
        )
    rows = values.reshape(weights.size, -1).mean(axis=1)
    return float(np.average(rows, weights=weights.ravel()))


def _numbers(y_true: object, y_pred: object, owner: str) -> tuple[Array, Array]:
    true = as_float_array(y_true, owner, "y_true", np.float64)
    predicted = as_float_array(y_pred, owner, "y_pred", np.float64)
    if true.shape != predicted.shape:
        # (n,) against (n, 1) would broadcast to (n, n), and the mean of that means nothing.
        raise ValueError(
            f"{owner}: y_true and y_pred must have the same shape, "
            f"got {true.shape} and {predicted.shape}"
        )
    if true.size == 0:
        raise ValueError(f"{owner}: there are no observations")
    return true, predicted


def _sklearn(name: str) -> Any:
    """Return a function of sklearn.metrics."""
    try:
        module = importlib.import_module("sklearn.metrics")
    except ImportError as error:
        raise ImportError(f"{name} needs the extra sklearn: pip install 'dlfs[sklearn]'") from error
    return getattr(module, name)


def _of_decisions(
    name: str, y_true: object, y_pred: object, average: str, decision: Decision | None
) -> float:
    check_choice(average, ("binary", "macro", "micro", "weighted"), name, "average")
    true, predicted, count = _classes(y_true, y_pred, decision, name)
    columns = np.asarray(y_pred).shape[-1]
    if len(true) == np.asarray(y_pred).size and columns > 1:
        # Yes-no questions: a column for each, as scikit-learn has them.
        true, predicted = true.reshape(-1, columns), predicted.reshape(-1, columns)
    if average == "binary" and (count > 2 or true.ndim > 1):
        raise ValueError(
            f"{name}: average must be 'macro', 'micro' or 'weighted' for more than two classes, "
            "got 'binary'"
        )
    options = {"average": average, "zero_division": 0.0}
    return float(_sklearn(name)(true, predicted, **options))


def _shares(
    name: str, y_true: object, y_pred: object, probabilities: Probabilities | None
) -> tuple[IntArray, Array]:
    """Return the true classes, (rows,), and probabilities, (rows, classes)."""
    true, _, _ = _classes(y_true, y_pred, None, name)
    logits = as_float_array(y_pred, name, "y_pred", np.float64)
    if probabilities is not None and not callable(probabilities):
        raise TypeError(
            f"{name}: probabilities must be a function of the predictions, "
            f"got {probabilities!r:.80}"
        )
    if probabilities is not None:
        shares = as_float_array(probabilities(logits), name, "what probabilities returns")
    elif logits.shape[-1] == 1:
        shares = np.concatenate([expit(-logits), expit(logits)], axis=-1)
    else:
        shares = softmax(logits, axis=-1)
    if shares.shape[-1] < 2 or shares.size != len(true) * shares.shape[-1]:
        raise ValueError(
            f"{name}: probabilities must have a column for each class, got shape {shares.shape}"
        )
    check_range(true, shares.shape[-1] - 1, name, "labels")
    return true, shares.reshape(len(true), -1)


def _classes(
    y_true: object, y_pred: object, decision: Decision | None, owner: str
) -> tuple[IntArray, IntArray, int]:
    """Return the true classes, the decided ones, and how many classes there are."""
    predicted = as_float_array(y_pred, owner, "y_pred")
    if predicted.ndim < 2 or predicted.shape[-1] < 1:
        raise ValueError(f"{owner}: y_pred must be (batch, classes), got shape {predicted.shape}")
    if predicted.size == 0:
        raise ValueError(f"{owner}: there are no observations")
    single = predicted.shape[-1] == 1
    if decision is None:
        classes = predicted[..., 0] > 0 if single else predicted.argmax(axis=-1)
    else:
        classes = _decided(decision, predicted, owner)
    yes_no = single or classes.shape == predicted.shape
    if single:
        classes = classes.reshape(predicted.shape[:-1])
    true = as_number_array(y_true, owner, "y_true")
    if true.shape == predicted.shape:
        true = true > 0.5 if yes_no else true.argmax(axis=-1)
    elif true.shape != classes.shape or true.dtype.kind not in "iub":
        raise ValueError(
            f"{owner}: y_true must hold integer labels of shape {classes.shape} or one-hot rows of "
            f"shape {predicted.shape}, got {true.dtype} of shape {true.shape}"
        )
    count = 2 if yes_no else predicted.shape[-1]
    return true.astype(np.int64).ravel(), classes.astype(np.int64).ravel(), count


def _decided(decision: Decision, predicted: Array, owner: str) -> Array:
    if not callable(decision):
        raise TypeError(
            f"{owner}: decision must be a function of the predictions, got {decision!r:.80}"
        )
    classes = as_number_array(decision(predicted), owner, "what decision returns")
    if classes.dtype.kind not in "iub":
        raise TypeError(f"{owner}: decision must return integers or booleans, got {classes.dtype}")
    shapes = (predicted.shape, predicted.shape[:-1])
    if classes.shape not in shapes:
        raise ValueError(
            f"{owner}: decision must return an array of shape {shapes[0]} or {shapes[1]}, "
            f"got {classes.shape}"
        )
    return classes
