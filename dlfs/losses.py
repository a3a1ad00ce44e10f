"""Losses: one number that says how wrong a batch of predictions is, and its gradient.

Every loss is a sum over the features (or classes) of one observation and a mean over the batch.
Weights of observations, ``sample_weight``, multiply the terms of the sum; the mean is still over
the number of observations.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, softmax

from dlfs.backend import kernels
from dlfs.checks import (
    FLOAT_DTYPES,
    as_float_array,
    as_number_array,
    check_choice,
    check_flag,
    check_int,
    check_probabilities,
    check_range,
    check_real,
    check_same_shape,
    plain_float_array,
)
from dlfs.configured import Configured
from dlfs.types import Array, Shape


class Loss(Configured):
    """How far predictions are from targets.

    A subclass writes ``_output()``, which computes the loss from ``self.prediction`` and
    ``self.target``, and ``_input_grad()``, which computes its gradient with respect to the
    prediction. It may also write ``decision(prediction)``, which accuracy follows. Book, chapter 3.

    Attributes
    ----------
    prediction, target, output, input_grad
        Of the last ``forward`` and ``backward``.
    sample_weight : ndarray or None
        The weights of the last ``forward``.
    takes_logits : bool
        Whether predictions are logits: any numbers, from which the loss computes probabilities.
    takes_labels : bool
        Whether targets may be labels of classes, which a Trainer turns into class numbers.
    takes_weights : bool
        Whether ``_output`` and ``_input_grad`` use ``self.sample_weight``; set it in a class that
        does.

    Examples
    --------
    >>> class SumOfErrors(Loss):
    ...     def _output(self):
    ...         return float(np.sum(self.prediction - self.target))
    ...
    ...     def _input_grad(self):
    ...         return np.ones_like(self.prediction)
    >>> SumOfErrors().forward(np.array([[3.0]]), np.array([[1.0]]))
    2.0
    """

    takes_logits: ClassVar[bool] = False
    takes_labels: ClassVar[bool] = False
    takes_weights: ClassVar[bool] = False

    prediction: Array
    target: Array
    sample_weight: Array | None = None
    output: float
    input_grad: Array

    def forward(
        self,
        prediction: Array,
        target: "Array | Weighted",
        sample_weight: Array | None = None,
    ) -> float:
        """Compute the loss.

        Parameters
        ----------
        prediction : ndarray of float32 or float64, batch axis first
        target : array_like
            The same shape, unless the class documents another; (batch,) is read as (batch, 1).
        sample_weight : array_like, optional
            How much each observation counts: (batch,), or (batch, time) for sequences. The terms
            are multiplied by it; the mean is still over their number.
        """
        name = type(self).__name__
        if isinstance(target, Weighted):
            sample_weight, target = target.weights, target.target
        if type(prediction) is not np.ndarray or prediction.dtype not in FLOAT_DTYPES:
            prediction = plain_float_array(prediction, name, "prediction")
        if prediction.ndim < 1 or prediction.shape[0] < 1:
            raise ValueError(f"{name}: the batch must not be empty, got shape {prediction.shape}")
        self.target = self.as_target(target, prediction.shape, prediction.dtype)
        self.prediction = prediction
        if sample_weight is not None or self.sample_weight is not None:
            self.sample_weight = self._checked_weights(sample_weight)
        self.output = self._output()
        return self.output

    def backward(self) -> Array:
        """Return the gradient of the last loss with respect to the prediction."""
        name = type(self).__name__
        if not hasattr(self, "prediction"):
            raise RuntimeError(f"{name}: backward was called before forward")
        grad = self.input_grad = self._input_grad()
        if type(grad) is not np.ndarray or grad.shape != self.prediction.shape:
            check_same_shape(grad, self.prediction, name, "the gradient", "the prediction")
        return grad

    def as_target(self, target: object, shape: Shape, dtype: "np.dtype[Any]") -> Array:
        """Return targets for predictions of a shape and dtype, as the loss uses them."""
        name = type(self).__name__
        array = as_float_array(target, name, "target", dtype)
        if len(shape) > 1 and shape[-1] == 1 and array.shape == tuple(shape[:-1]):
            return array.reshape(shape)
        if array.shape != tuple(shape):
            raise ValueError(
                f"{name}: target must have the shape of the prediction, {tuple(shape)}, "
                f"got {array.shape}{_advice(array.shape, tuple(shape))}"
            )
        return array

    def check_targets(self, target: Array, shape: Shape) -> None:
        """Check the values of all targets of a training, as ``as_target`` returned them."""

    def measured(
        self, target: Array, prediction: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """Return what metrics compare: targets, predictions, and their weights."""
        return target, prediction, weights

    def decision(self, prediction: Array) -> Array:
        """Turn predictions into decisions: what a metric such as accuracy compares with the truth.

        The largest column is the class. A single column means yes above 0.5, or above 0 where the
        loss takes logits (a logit of 0 is a probability of 0.5). From (batch, ..., columns) come
        classes (batch, ...); a loss of yes-no questions returns 0 or 1 for each column.

        Examples
        --------
        >>> BinaryCrossEntropy().decision(np.array([[0.2, -0.9]]))
        array([[1, 0]])
        """
        if prediction.shape[-1] == 1:
            least = 0.0 if self.takes_logits else 0.5
            return np.asarray(prediction[..., 0] > least, dtype=np.int64)
        return np.asarray(prediction.argmax(axis=-1))

    def probabilities(self, prediction: Array) -> Array:
        """Turn predictions into the probability of each class; a single column into no and yes.

        Raises
        ------
        ValueError
            If the loss does not compute any.

        Examples
        --------
        >>> BinaryCrossEntropy().probabilities(np.array([[0.0]]))
        array([[0.5, 0.5]])
        """
        raise ValueError(
            f"{type(self).__name__}: predictions must be logits to give probabilities; train with "
            "SoftmaxCrossEntropy or BinaryCrossEntropy"
        )

    def distance_to_kink(self, prediction: Array, target: Array) -> Array:
        """Return how far predictions are from where the derivative jumps; infinity if nowhere."""
        return np.full(prediction.shape, np.inf)

    def _checked_weights(self, sample_weight: object) -> Array | None:
        name = type(self).__name__
        if sample_weight is None:
            return None
        if not self.takes_weights:
            raise TypeError(
                f"{name}: sample_weight must be None for a loss that does not use it; a class "
                "whose _output and _input_grad use self.sample_weight sets takes_weights = True"
            )
        return as_float_array(sample_weight, name, "sample_weight", self.prediction.dtype)

    def _output(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} must define _output()")

    def _input_grad(self) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _input_grad()")


class Weighted:
    """Targets with the weights of their observations: a loss takes them for targets.

    Parameters
    ----------
    target, weights : ndarray, batch axis first

    Examples
    --------
    >>> targets = Weighted(np.array([[1.0], [5.0]]), np.array([1.0, 3.0]))
    >>> MeanSquaredError().forward(np.zeros((1, 1)), targets[1:])
    75.0
    """

    def __init__(self, target: Array, weights: Array) -> None:
        self.target = target
        self.weights = weights

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, rows: Any) -> "Weighted":
        return Weighted(self.target[rows], self.weights[rows])


def _advice(got: Shape, needed: Shape) -> str:
    if math.prod(got) == math.prod(needed) and len(got) < len(needed):
        return f"; np.asarray(target).reshape{(-1, *needed[1:])} makes it fit"
    return ""


class _KernelLoss(Loss):
    """A loss whose kernel gives value and gradient in one pass."""

    takes_weights = True
    _grad: Array

    def _weights_of(self, shape: Shape) -> Array | None:
        """Return the weights of the observations, repeated for each entry of a shape."""
        weights = self.sample_weight
        if weights is None:
            return None
        if weights.ndim < 1 or weights.shape != shape[: weights.ndim]:
            raise ValueError(
                f"{type(self).__name__}: sample_weight must have the first axes of {shape}, or all "
                f"of them, got shape {weights.shape}"
            )
        ones = (1,) * (len(shape) - weights.ndim)
        return np.broadcast_to(weights.reshape(weights.shape + ones), shape)

    def _input_grad(self) -> Array:
        return self._grad


class MeanSquaredError(_KernelLoss):
    """Squared distance: summed over features, averaged over the batch.

    Forward: ``loss = sum((prediction - target)**2) / batch``.
    Backward: ``2 * (prediction - target) / batch``.

    With ``normalize`` each row is first divided by its sum s: ``p = prediction / s``. With ``g = 2
    * (p - target) / batch`` the gradient is ``(g - sum(g * p)) / s``; the book (chapters 3 and 4)
    omits that step.

    Parameters
    ----------
    normalize : bool, default False

    Examples
    --------
    >>> loss = MeanSquaredError()
    >>> loss.forward(np.array([[3.0], [1.0]]), np.array([[1.0], [1.0]]))
    2.0
    >>> loss.backward()
    array([[2.],
           [0.]])
    """

    def __init__(self, normalize: bool = False) -> None:
        self.normalize = check_flag(normalize, "MeanSquaredError", "normalize")

    def _output(self) -> float:
        prediction = self.prediction
        if self.normalize:
            if prediction.ndim != 2:
                raise ValueError(
                    "MeanSquaredError: with normalize the prediction must be (batch, classes), got "
                    f"shape {prediction.shape}"
                )
            self._sums = _row_sums(prediction)
            self._normalized = prediction = prediction / self._sums
        loss, self._grad = kernels.mean_squared_error(
            prediction, self.target, self._weights_of(prediction.shape)
        )
        return loss

    def decision(self, prediction: Array) -> Array:
        """Turn predictions, with normalize those divided by their sum, into decisions."""
        if self.normalize:
            prediction = prediction / _row_sums(prediction)
        return super().decision(prediction)

    def _input_grad(self) -> Array:
        if not self.normalize:
            return self._grad
        along = (self._grad * self._normalized).sum(axis=1, keepdims=True)
        return (self._grad - along) / self._sums


def _row_sums(prediction: Array) -> Array:
    sums: Array = prediction.sum(axis=-1, keepdims=True)
    if not sums.all():
        raise ValueError(
            "MeanSquaredError: a row of the prediction sums to 0 and cannot be normalized"
        )
    return sums


class MeanAbsoluteError(_KernelLoss):
    """Absolute distance: summed over features, averaged over the batch (book, chapter 2).

    Forward: ``loss = sum(|prediction - target|) / batch``.
    Backward: ``sign(prediction - target) / batch``; at the kink, where they are equal, 0.

    Examples
    --------
    >>> MeanAbsoluteError().forward(np.array([[3.0], [1.0]]), np.array([[1.0], [1.0]]))
    1.0
    """

    def _output(self) -> float:
        weights = self._weights_of(self.prediction.shape)
        loss, self._grad = kernels.mean_absolute_error(self.prediction, self.target, weights)
        return loss

    def distance_to_kink(self, prediction: Array, target: Array) -> Array:
        """Return how far each prediction is from its target."""
        return np.asarray(np.abs(prediction - target))


class Huber(_KernelLoss):
    """Squared for small errors, absolute for large ones: outliers pull less (Huber, 1964).

    Forward, with ``e = prediction - target``: the sum of ``e**2 / 2`` where ``|e| <= delta``, else
    ``delta * (|e| - delta / 2)``, over the batch. Backward: ``clip(e, -delta, delta) / batch``.

    Parameters
    ----------
    delta : float, default 1.0
        Where one turns into the other; above 0.

    Examples
    --------
    >>> Huber().forward(np.array([[3.0]]), np.array([[1.0]]))
    1.5
    """

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = check_real(delta, "Huber", "delta", 0.0, low_open=True)

    def _output(self) -> float:
        weights = self._weights_of(self.prediction.shape)
        loss, self._grad = kernels.huber(self.prediction, self.target, self.delta, weights)
        return loss


class BinaryCrossEntropy(_KernelLoss):
    """Cross-entropy of yes-no questions, from logits, in nats (``log`` is the natural logarithm).

    Forward: ``loss = sum(-t * log(p) - (1 - t) * log(1 - p)) / batch`` with
    ``p = sigmoid(prediction)``, computed without overflow. Backward: ``(p - t) / batch``.

    The network ends in a Linear activation. Targets are 0 (no), 1 (yes), or probabilities.

    Parameters
    ----------
    pos_weight : float or sequence of float, optional
        How much a "yes" counts: it multiplies the first term, ``-t * log(p)``. One number, or one
        for each of the last axis; above 0. Where yes is rare, the quotient of the noes and the
        yeses balances them.

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
        self.pos_weight = pos_weight
        if isinstance(pos_weight, Sequence | np.ndarray):
            self.pos_weight = _class_weights(pos_weight, "BinaryCrossEntropy", "pos_weight", True)
        elif pos_weight is not None:
            limits = ("BinaryCrossEntropy", "pos_weight", 0.0)
            self.pos_weight = check_real(pos_weight, *limits, low_open=True)

    def _output(self) -> float:
        target, weights = self.target, self._weights_of(self.prediction.shape)
        if self.pos_weight is not None:
            # w t and 1 - t are probabilities times their sum.
            check_range(target, 1, "BinaryCrossEntropy", "target")
            yes = target * self._pos_weights(target)
            total = yes + (1 - target)
            target = np.clip(yes / total, 0, 1)
            weights = total if weights is None else total * weights
        loss, self._grad = kernels.binary_cross_entropy(self.prediction, target, weights)
        return loss

    def _pos_weights(self, target: Array) -> Array:
        weights = np.asarray(self.pos_weight, dtype=target.dtype)
        if weights.ndim and weights.shape != target.shape[-1:]:
            raise ValueError(
                f"BinaryCrossEntropy: pos_weight must be a number, or {target.shape[-1]} numbers "
                f"for predictions of shape {target.shape}, got {len(weights)} numbers"
            )
        return weights

    def check_targets(self, target: Array, shape: Shape) -> None:
        """Demand answers, or probabilities."""
        check_range(target, 1, type(self).__name__, "target")

    def decision(self, prediction: Array) -> Array:
        """Answer each question: 1 for yes, where the logit is above 0, else 0."""
        return np.asarray(prediction > 0, dtype=np.int64)

    def probabilities(self, prediction: Array) -> Array:
        """Return the probability of yes for each question; for a single one those of no and yes."""
        return _no_and_yes(prediction) if prediction.shape[-1] == 1 else expit(prediction)


class _ClassLoss(_KernelLoss):
    """What losses share that compare one class out of several with the truth.

    A subclass writes ``_row_losses``, for rows of classes.
    """

    label_smoothing = 0.0

    def _set_options(
        self,
        class_weight: Sequence[float] | None,
        ignore_index: int | None,
        axis: int,
        reduction: str,
    ) -> None:
        name = type(self).__name__
        if class_weight is not None:
            class_weight = _class_weights(class_weight, name, "class_weight", False)
        if ignore_index is not None:
            ignore_index = check_int(ignore_index, name, "ignore_index", -(2**31), 2**31)
        check_choice(check_int(axis, name, "axis"), (-1, 1), name, "axis")
        check_choice(reduction, ("mean", "sum"), name, "reduction")
        self.class_weight, self.ignore_index = class_weight, ignore_index
        self.axis, self.reduction = axis, reduction

    def as_target(self, target: Any, shape: Shape, dtype: "np.dtype[Any]") -> Array:
        """Check labels, rows of probabilities or answers; return them as the kernels take them."""
        name, shape = type(self).__name__, tuple(shape)
        if len(shape) < 2:
            raise ValueError(f"{name}: the prediction must be (batch, classes), got shape {shape}")
        classes, of_labels = shape[self.axis], shape[: self.axis] + shape[self.axis :][1:]
        known = type(target) is np.ndarray and target.dtype.kind in "fiub"
        array: Array = target if known else as_number_array(target, name, "target")
        if array.shape == shape:
            if classes == 1:
                return as_float_array(array, name, "target", dtype)
            rows = _as_probabilities(np.moveaxis(array, self.axis, -1), name, dtype)
            return np.moveaxis(rows, -1, self.axis)
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
            rows, eps = np.moveaxis(target, self.axis, -1), float(np.finfo(target.dtype).eps)
            check_probabilities(rows, name, 4 * classes * eps)

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
        self.sample_weight = weights
        weights = self._weights_of(self._of_labels(prediction.shape))
        target = self._rows(target, target.ndim < prediction.ndim)
        prediction = self._rows(prediction)
        kept = np.ones(len(prediction), dtype=bool)
        if target.ndim == 1 and self.ignore_index is not None:
            kept = target != self.ignore_index
        return target[kept], prediction[kept], None if weights is None else weights.ravel()[kept]

    def _of_labels(self, shape: Shape) -> Shape:
        """Return the shape of labels for predictions of a shape: without the axis of classes."""
        return shape[: self.axis] + shape[self.axis :][1:]

    def _rows(self, array: Array, labels: bool = False) -> Array:
        """Return predictions or targets with one row for each label."""
        if labels:
            return array.reshape(-1)
        last = np.moveaxis(array, self.axis, -1)
        return last.reshape(math.prod(last.shape[:-1]), last.shape[-1])

    def _output(self) -> float:
        logits, target, weights = self.prediction, self.target, None
        shape, dtype = logits.shape, logits.dtype
        if len(shape) > 2 or self.sample_weight is not None:
            logits, target = self._rows(logits), self._rows(target, target.ndim < len(shape))
            weights = self._weights_of(self._of_labels(shape))
            weights = None if weights is None else weights.reshape(-1)
        count, labels = len(logits), target.ndim == 1
        smoothing, total = self.label_smoothing, float(count)
        if labels and self.ignore_index is not None:
            kept = target != self.ignore_index
            target, own = np.where(kept, target, 0), kept.astype(dtype)
            weights, total = _product(own, weights), float(own.sum())
        if self.class_weight is not None:
            classes = logits.shape[1]
            each = self._class_weight(classes, dtype)
            if labels:
                check_range(target, classes - 1, type(self).__name__, "labels")
                counted = each[target] if self.ignore_index is None else each[target] * own
                total = float(counted.sum())
            if labels and not smoothing:
                own = each[target]
            else:
                # Weighted probabilities are probabilities times their sum.
                rows = np.eye(classes, dtype=dtype)[target] if labels else target
                rows = ((1 - smoothing) * rows + smoothing / classes) * each
                own, smoothing = rows.sum(axis=1), 0.0
                target = np.divide(rows, own[:, None], out=rows, where=own[:, None] > 0)
                target[own == 0, 0] = 1
            weights = _product(own, weights)
        loss, grad = self._row_losses(logits, target, smoothing, weights)
        if self.reduction == "sum":
            loss, grad = loss * count, grad * count
        elif total != count:
            # With nothing but labels to ignore, there is no loss.
            factor = count / total if total else 0.0
            loss, grad = loss * factor, grad * factor
        if len(shape) > 2 and self.axis == 1:
            grad = np.moveaxis(grad.reshape(shape[0], *shape[2:], shape[1]), -1, 1)
        self._grad = grad.reshape(shape)
        return loss

    def _class_weight(self, classes: int, dtype: "np.dtype[Any]") -> Array:
        given = np.asarray(self.class_weight, dtype=dtype)
        if len(given) != classes or classes == 1:
            raise ValueError(
                f"{type(self).__name__}: class_weight must have a number for each of the {classes} "
                f"columns, of which there must be at least 2, got {len(given)} numbers"
            )
        return given

    def _row_losses(
        self, prediction: Array, target: Array, smoothing: float, weights: Array | None
    ) -> tuple[float, Array]:
        """Return the mean over rows, and its gradient; target has labels or probabilities."""
        raise NotImplementedError


class SoftmaxCrossEntropy(_ClassLoss):
    """Softmax and cross-entropy in one, from logits: for one class out of several; in nats.

    Forward: ``loss = -sum(t * log(softmax(prediction))) / batch``, computed through log-sum-exp.
    Backward: ``(softmax(prediction) - t) / batch``.

    A softmax of one column would always be 1. A single column is therefore the logit of "yes"
    against "no", as in BinaryCrossEntropy.

    Targets are integer labels (batch,) or rows of probabilities (batch, classes). Sequences,
    (batch, time, classes), take labels (batch, time), and the mean is over both. Book, chapter 4,
    whose gradient does not belong to its value.

    Parameters
    ----------
    eps : float, default 1e-9
        Not used. The book's listings clip probabilities with it.
    label_smoothing : float, default 0.0
        The target becomes ``(1 - label_smoothing) * t + label_smoothing / classes``; below 1.
    class_weight : sequence of float, optional
        How much each class counts: the term of class c is multiplied by ``class_weight[c]``. The
        mean over labels is then divided by the sum of their weights, that over rows of
        probabilities by their number, as in PyTorch.
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
        name, limits = "SoftmaxCrossEntropy", (0.0, 1.0)
        self.eps = check_real(eps, name, "eps", *limits, high_open=True)
        smoothing = check_real(label_smoothing, name, "label_smoothing", *limits, high_open=True)
        self.label_smoothing = smoothing
        self._set_options(class_weight, ignore_index, axis, reduction)

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

    def __init__(
        self,
        class_weight: Sequence[float] | None = None,
        ignore_index: int | None = None,
        axis: int = -1,
        reduction: str = "mean",
    ) -> None:
        self._set_options(class_weight, ignore_index, axis, reduction)

    def probabilities(self, prediction: Array) -> Array:
        """Return the exponentials of log-probabilities."""
        return np.asarray(np.exp(prediction))

    def _row_losses(
        self, prediction: Array, target: Array, smoothing: float, weights: Array | None
    ) -> tuple[float, Array]:
        rows, classes = prediction.shape
        if classes < 2:
            raise ValueError(
                "NegativeLogLikelihood: the prediction must have a log-probability for each of at "
                f"least 2 classes, got shape {self.prediction.shape}"
            )
        if target.ndim == 1:
            check_range(target, classes - 1, "NegativeLogLikelihood", "labels")
            target = np.eye(classes, dtype=prediction.dtype)[target]
        share = target / rows if weights is None else target * weights[:, None] / rows
        # What is never asked for costs nothing, even if it is impossible: a logarithm of -infinity.
        terms = np.multiply(share, prediction, where=share != 0, out=np.zeros_like(prediction))
        return -float(terms.sum(dtype=np.float64)), -share


def _product(own: Array, weights: Array | None) -> Array:
    return own if weights is None else own * weights


def _class_weights(values: Any, owner: str, name: str, above: bool) -> tuple[float, ...]:
    """Check one weight for each class; return them as a tuple, which files can hold."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(f"{owner}: {name} must be a list of numbers, got {values!r:.80}")
    weights = tuple(check_real(v, owner, name, 0.0, low_open=above) for v in list(values))
    if not any(weights):
        raise ValueError(f"{owner}: {name} must have a number above 0, got {weights}")
    return weights


def _no_and_yes(logits: Array) -> Array:
    return np.concatenate([expit(-logits), expit(logits)], axis=-1)


def _as_probabilities(target: Array, owner: str, dtype: "np.dtype[Any]") -> Array:
    """Return rows of probabilities in a dtype; the kernel checks those that have it already."""
    if target.dtype == dtype:
        return target
    check_probabilities(as_float_array(target, owner, "target"), owner, 1.1e-5)
    # Rows that sum to 1 as float32 may miss it by more than the kernel allows as float64.
    rows = target.astype(np.float64)
    rows /= rows.sum(axis=-1, keepdims=True)
    return rows.astype(dtype, copy=False)
