"""How good predictions are, in units that people understand.

Arguments come in scikit-learn's order: the truth first. What a prediction means (which number
stands for yes) depends on the loss: ``Loss.decision`` turns predictions into decisions.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from dlfs.checks import as_float_array, as_number_array, check_int
from dlfs.types import Array, IntArray

Metric: TypeAlias = Callable[..., float]
"""A function of (y_true, y_pred) that returns a number.

If it has a parameter named ``decision``, a Trainer passes the loss's ``decision`` there.
"""

Decision: TypeAlias = Callable[[Array], Array]
"""Turns predictions into decisions, as ``Loss.decision`` does."""


def accuracy(y_true: Array, y_pred: Array, decision: Decision | None = None) -> float:
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
    return float(np.mean(true == predicted))


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


def mae(y_true: Array, y_pred: Array) -> float:
    """Return the mean absolute error, in the units of the target.

    Parameters
    ----------
    y_true, y_pred : array_like of one shape

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
    return float(np.mean(np.abs(true - predicted)))


def rmse(y_true: Array, y_pred: Array) -> float:
    """Return the root of the mean squared error, in the units of the target.

    Parameters
    ----------
    y_true, y_pred : array_like of one shape

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or there are no observations.

    Notes
    -----
    Book, chapter 2.

    Examples
    --------
    >>> rmse([1.0, 2.0], [4.0, 6.0])
    3.5355339059327378
    """
    true, predicted = _numbers(y_true, y_pred, "rmse")
    return float(np.sqrt(np.mean(np.square(true - predicted))))


METRICS: dict[str, Metric] = {"accuracy": accuracy, "mae": mae, "rmse": rmse}
"""The metrics that have a name for ``Trainer.fit``."""


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
