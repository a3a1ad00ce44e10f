"""Losses of classes: how probable a prediction makes the truth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from dlfs.backend import kernels
from dlfs.checks import (
    FRACTION,
    POSITIVE,
    as_float_array,
    as_number_array,
    check_choice,
    check_int,
    check_probabilities,
    check_range,
    check_real,
    optional,
)
from dlfs.loss_weights import (
    class_weights,
    counted_rows,
    in_place,
    weighed_answers,
    weighed_classes,
    without_axis,
)
from dlfs.losses.base import KernelLoss
from dlfs.types import Array, Shape


class BinaryCrossEntropy(KernelLoss):
    """Cross-entropy of yes-no questions, from logits, in nats (``log`` is the natural logarithm).

    Forward: ``loss = sum(-t * log(p) - (1 - t) * log(1 - p)) / batch`` with
    ``p = sigmoid(prediction)``, computed without overflow. Backward: ``(p - t) / batch``.

    The network ends in a Linear activation. Targets are 0 (no), 1 (yes), or probabilities.

    Parameters
    ----------
    pos_weight : float or sequence of float, optional
        How much a "yes" counts: it multiplies the first term, ``-t * log(p)``. One number, or one
        for each of the last axis; above 0. The quotient of noes and yeses balances them.

    Examples
    --------
    >>> loss = BinaryCrossEntropy()
    >>> round(loss.forward(np.array([[0.0]]), np.array([[1.0]])), 6)
    0.693147
    >>> loss.backward()
    array([[-0.5]])
    """

    takes_logits = True
    takes_labels = True

    def __init__(self, pos_weight: float | Sequence[float] | None = None) -> None:
        several = isinstance(pos_weight, Sequence | np.ndarray)
        check: Any = class_weights if several else check_real
        self.pos_weight = optional(check, pos_weight, type(self).__name__, "pos_weight", **POSITIVE)

    def _output(self) -> float:
        target, weights = self.target, self._weights
        if self.pos_weight is not None:
            target, own = weighed_answers(target, self.pos_weight, type(self).__name__)
            weights = own if weights is None else own * weights
        loss, self._grad = kernels.binary_cross_entropy(self.prediction, target, weights)
        return loss

    def check_targets(self, target: Array, shape: Shape) -> None:
        """Demand answers, or probabilities."""
        check_range(target, 1, type(self).__name__, "target")

    def decision(self, prediction: Array) -> Array:
        """Answer each question: 1 for yes, where the logit is above 0, else 0."""
        return np.asarray(prediction > 0, dtype=np.int64)

    def probabilities(self, prediction: Array) -> Array:
        """Return the probability of yes for each question; for a single one those of no and yes."""
        return _no_and_yes(prediction) if prediction.shape[-1] == 1 else expit(prediction)


class _ClassLoss(KernelLoss):
    """What losses of one class out of several share; a subclass writes ``_row_losses``."""

    label_smoothing = 0.0

    def __init__(
        self,
        class_weight: Sequence[float] | None = None,
        ignore_index: int | None = None,
        axis: int = -1,
        reduction: str = "mean",
    ) -> None:
        name, limits = type(self).__name__, (-(2**31), 2**31)
        self.class_weight = optional(class_weights, class_weight, name, "class_weight")
        self.ignore_index = optional(check_int, ignore_index, name, "ignore_index", *limits)
        self.axis = check_choice(check_int(axis, name, "axis"), (-1, 1), name, "axis")
        self.reduction = check_choice(reduction, ("mean", "sum"), name, "reduction")

    def as_target(self, target: Any, shape: Shape, dtype: "np.dtype[Any]") -> Array:
        """Check labels, rows of probabilities or answers; return them as the kernels take them."""
        name, shape = type(self).__name__, tuple(shape)
        if len(shape) < 2:
            raise ValueError(f"{name}: the prediction must be (batch, classes), got shape {shape}")
        classes, of_labels = shape[self.axis], without_axis(shape, self.axis)
        known = type(target) is np.ndarray and target.dtype.kind in "fiub"
        array: Array = target if known else as_number_array(target, name, "target")
        if array.shape == shape:
            if classes == 1:
                return as_float_array(array, name, "target", dtype)
            return _as_probabilities(array, name, dtype, self.axis)
        if array.shape != of_labels:
            raise ValueError(
                f"{name}: target must hold integer labels of shape {of_labels} or "
                f"probabilities of shape {shape}, got shape {array.shape}"
            )
        if array.dtype.kind not in "iub":
            raise TypeError(f"{name}: labels must be integers, got {array.dtype}")
        if classes == 1 and self.ignore_index is None:
            return array.reshape(shape).astype(dtype)
        return array.astype(np.uint8) if array.dtype.kind == "b" else array

    def check_targets(self, target: Array, shape: Shape) -> None:
        """Demand labels in range, or probabilities."""
        name, classes = type(self).__name__, shape[self.axis]
        if target.ndim < len(shape):
            kept = target if self.ignore_index is None else target[target != self.ignore_index]
            check_range(kept, max(classes - 1, 1), name, "labels")
        elif classes == 1:
            check_range(target, 1, name, "target")
        else:
            eps = float(np.finfo(target.dtype).eps)
            check_probabilities(target, name, 4 * classes * eps, self.axis)

    @property
    def takes_labels(self) -> bool:  # type: ignore[override]
        """Whether targets may be labels of any kind; not where one of them is ignored."""
        return self.ignore_index is None and self.axis == -1

    def decision(self, prediction: Array) -> Array:
        """Turn predictions into classes; see ``Loss.decision``. The classes lie along ``axis``."""
        return super().decision(np.moveaxis(prediction, self.axis, -1))

    def measured(
        self, target: Array, prediction: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """Return what metrics compare, as rows of classes, without the labels to ignore."""
        if self.axis == -1 and self.ignore_index is None:
            return target, prediction, weights
        which = (self.axis, self.ignore_index, type(self).__name__)
        prediction, target, weights, _ = counted_rows(prediction, target, weights, *which)
        return target, prediction, weights

    def _output(self) -> float:
        logits, target, weights = self.prediction, self.target, self.sample_weight
        name, kept, shape = type(self).__name__, None, logits.shape
        if len(shape) > 2 or weights is not None or self.ignore_index is not None:
            which = (self.axis, self.ignore_index, name)
            logits, target, weights, kept = counted_rows(logits, target, weights, *which)
            if kept is not None and not len(logits):
                self._grad = np.zeros_like(self.prediction)
                return 0.0
        count, total, smoothing = len(logits), float(len(logits)), self.label_smoothing
        if self.class_weight is not None:
            rule = (self.class_weight, smoothing, name)
            target, own, total = weighed_classes(target, logits, *rule)
            weights, smoothing = own if weights is None else own * weights, 0.0
        loss, grad = self._row_losses(logits, target, smoothing, weights)
        if self.reduction == "sum":
            total = 1.0
        if total != count:
            factor = count / total if total else 0.0
            loss, grad = loss * factor, grad * factor
        self._grad = grad if grad.shape == shape else in_place(grad, kept, shape, self.axis)
        return loss

    def _row_losses(
        self, prediction: Array, target: Array, smoothing: float, weights: Array | None
    ) -> tuple[float, Array]:
        """Return the mean over rows, and its gradient; target has labels or probabilities."""
        raise NotImplementedError


class SoftmaxCrossEntropy(_ClassLoss):
    """Softmax and cross-entropy in one, from logits: for one class out of several; in nats.

    Forward: ``loss = -sum(t * log(softmax(prediction))) / batch``, computed through log-sum-exp.
    Backward: ``(softmax(prediction) - t) / batch``.

    Targets are integer labels (batch,) or rows of probabilities (batch, classes). Sequences,
    (batch, time, classes), take labels (batch, time), and the mean is over both. A single column is
    the logit of "yes" against "no", as in BinaryCrossEntropy. Book, chapter 4, which adds the
    cross-entropy of the other classes to the value, but not to the gradient.

    Parameters
    ----------
    eps : float, default 1e-9
        Not used. The book's listings clip probabilities with it.
    label_smoothing : float, default 0.0
        The target becomes ``(1 - label_smoothing) * t + label_smoothing / classes``; below 1.
    class_weight : sequence of float, optional
        The term of class c is multiplied by ``class_weight[c]``. As in PyTorch, a sum over labels
        is then divided by the sum of their weights, one over rows of probabilities by their number.
    ignore_index : int, optional
        Rows with this label, such as padding, count nowhere: neither in the sum nor in the mean.
    axis : {-1, 1}, default -1
        Where the classes are. With 1, as in PyTorch, logits are (batch, classes, height, width) or
        (batch, classes, time), and labels (batch, height, width) or (batch, time).
    reduction : {"mean", "sum"}, default "mean"
        "sum" does not divide by the batch.

    Examples
    --------
    >>> loss = SoftmaxCrossEntropy()
    >>> round(loss.forward(np.array([[0.0, 0.0]]), np.array([1])), 6)
    0.693147
    >>> loss.backward()
    array([[ 0.5, -0.5]])

    Class 1 counts three times, and the label -1 not at all:

    >>> loss = SoftmaxCrossEntropy(class_weight=[1, 3], ignore_index=-1)
    >>> _ = loss.forward(np.zeros((3, 2)), np.array([0, 1, -1]))
    >>> loss.backward()
    array([[-0.125,  0.125],
           [ 0.375, -0.375],
           [ 0.   ,  0.   ]])
    """

    takes_logits = True

    def __init__(
        self,
        eps: float = 1e-9,
        label_smoothing: float = 0.0,
        class_weight: Sequence[float] | None = None,
        ignore_index: int | None = None,
        axis: int = -1,
        reduction: str = "mean",
    ) -> None:
        super().__init__(class_weight, ignore_index, axis, reduction)
        name = "SoftmaxCrossEntropy"
        self.eps = check_real(eps, name, "eps", **FRACTION)
        self.label_smoothing = check_real(label_smoothing, name, "label_smoothing", **FRACTION)

    def probabilities(self, prediction: Array) -> Array:
        """Return the softmax over the classes; of a single column those of no and yes."""
        single = prediction.shape[self.axis] == 1
        return _no_and_yes(prediction) if single else softmax(prediction, self.axis)

    def _row_losses(
        self, prediction: Array, target: Array, smoothing: float, weights: Array | None
    ) -> tuple[float, Array]:
        if prediction.shape[1] != 1:
            return kernels.softmax_cross_entropy(prediction, target, smoothing, weights)
        answers = target.reshape(-1, 1).astype(prediction.dtype, copy=False)
        answers = (1 - smoothing) * answers + smoothing / 2
        weights = None if weights is None else weights.reshape(-1, 1)
        return kernels.binary_cross_entropy(prediction, answers, weights)


class NegativeLogLikelihood(_ClassLoss):
    """Cross-entropy of log-probabilities, as LogSoftmax gives them; in nats.

    Forward: ``loss = -sum(t * prediction) / batch``. Backward: ``-t / batch``.

    After a LogSoftmax the result is that of SoftmaxCrossEntropy on what came in there, which takes
    half as long. Targets are as there, but for the single column.

    Parameters
    ----------
    class_weight, ignore_index, axis, reduction
        As in SoftmaxCrossEntropy.

    Examples
    --------
    >>> loss = NegativeLogLikelihood()
    >>> round(loss.forward(np.log([[0.25, 0.75]]), np.array([1])), 6)
    0.287682
    >>> loss.backward()
    array([[-0., -1.]])
    """

    def probabilities(self, prediction: Array) -> Array:
        """Return the exponentials of log-probabilities."""
        return np.asarray(np.exp(prediction))

    def _row_losses(
        self, prediction: Array, target: Array, smoothing: float, weights: Array | None
    ) -> tuple[float, Array]:
        batch, classes = prediction.shape
        if classes < 2:
            raise ValueError(
                "NegativeLogLikelihood: the prediction must have a log-probability for each of at "
                f"least 2 classes, got shape {self.prediction.shape}"
            )
        if target.ndim == 1:
            check_range(target, classes - 1, "NegativeLogLikelihood", "labels")
            target = np.eye(classes, dtype=prediction.dtype)[target]
        share = target / batch if weights is None else target * weights[:, None] / batch
        # What is never asked for costs nothing, even if it is impossible: a logarithm of -infinity.
        terms = np.multiply(share, prediction, where=share != 0, out=np.zeros_like(prediction))
        return -float(terms.sum(dtype=np.float64)), -share


def _no_and_yes(logits: Array) -> Array:
    return np.concatenate([expit(-logits), expit(logits)], axis=-1)


def _as_probabilities(target: Array, owner: str, dtype: "np.dtype[Any]", axis: int) -> Array:
    """Return rows of probabilities in a dtype; the kernel checks those that have it already."""
    if target.dtype == dtype:
        return target
    check_probabilities(as_float_array(target, owner, "target"), owner, 1.1e-5, axis)
    # Rows that sum to 1 as float32 may miss it by more than the kernel allows as float64.
    exact = target.astype(np.float64)
    return (exact / exact.sum(axis=axis, keepdims=True)).astype(dtype, copy=False)
