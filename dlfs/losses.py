"""Losses: one number that says how wrong a batch of predictions is, and its gradient.

Every loss is a sum over the features (or classes) of one observation and a mean over the batch.
"""

import math
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, softmax

from dlfs.backend import kernels
from dlfs.checks import (
    FLOAT_DTYPES,
    as_float_array,
    as_number_array,
    check_flag,
    check_float_array,
    check_probabilities,
    check_range,
    check_real,
    check_same_shape,
    plain_array,
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
    takes_logits : bool
        Whether predictions are logits: any numbers, from which the loss computes probabilities.
    takes_labels : bool
        Whether targets may be labels of classes, which a Trainer turns into class numbers.

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

    prediction: Array
    target: Array
    output: float
    input_grad: Array

    def forward(self, prediction: Array, target: Array) -> float:
        """Compute the loss.

        Parameters
        ----------
        prediction : ndarray of float32 or float64, batch axis first
        target : array_like
            The same shape, unless the class documents another; (batch,) is read as (batch, 1).
        """
        name = type(self).__name__
        if type(prediction) is not np.ndarray or prediction.dtype not in FLOAT_DTYPES:
            prediction = plain_array(prediction, name, "prediction")
            check_float_array(prediction, name, "prediction")
        if prediction.ndim < 1 or prediction.shape[0] < 1:
            raise ValueError(f"{name}: the batch must not be empty, got shape {prediction.shape}")
        self.target = self.as_target(target, prediction.shape, prediction.dtype)
        self.prediction = prediction
        self.output = self._output()
        return self.output

    def backward(self) -> Array:
        """Return the gradient of the last loss with respect to the prediction."""
        name = type(self).__name__
        if not hasattr(self, "prediction"):
            raise RuntimeError(f"{name}: backward was called before forward")
        self.input_grad = self._input_grad()
        check_same_shape(self.input_grad, self.prediction, name, "the gradient", "the prediction")
        return self.input_grad

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

    def _output(self) -> float:
        raise NotImplementedError(f"{type(self).__name__} must define _output()")

    def _input_grad(self) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define _input_grad()")


def _advice(got: Shape, needed: Shape) -> str:
    if math.prod(got) == math.prod(needed) and len(got) < len(needed):
        return f"; np.asarray(target).reshape{(-1, *needed[1:])} makes it fit"
    return ""


class _KernelLoss(Loss):
    """A loss whose kernel gives value and gradient in one pass."""

    _grad: Array

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
        loss, self._grad = kernels.mean_squared_error(prediction, self.target)
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
        loss, self._grad = kernels.mean_absolute_error(self.prediction, self.target)
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
        loss, self._grad = kernels.huber(self.prediction, self.target, self.delta)
        return loss


class BinaryCrossEntropy(_KernelLoss):
    """Cross-entropy of yes-no questions, from logits, in nats (``log`` is the natural logarithm).

    Forward: ``loss = sum(-t * log(p) - (1 - t) * log(1 - p)) / batch`` with
    ``p = sigmoid(prediction)``, computed without overflow. Backward: ``(p - t) / batch``.

    The network ends in a Linear activation. Targets are 0 (no), 1 (yes), or probabilities.

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

    def _output(self) -> float:
        loss, self._grad = kernels.binary_cross_entropy(self.prediction, self.target)
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


class SoftmaxCrossEntropy(_KernelLoss):
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

    Examples
    --------
    >>> loss = SoftmaxCrossEntropy()
    >>> round(loss.forward(np.array([[0.0, 0.0]]), np.array([1])), 6)
    0.693147
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    takes_logits = True
    takes_labels = True

    def __init__(self, eps: float = 1e-9, label_smoothing: float = 0.0) -> None:
        name, limits = "SoftmaxCrossEntropy", (0.0, 1.0)
        self.eps = check_real(eps, name, "eps", *limits, high_open=True)
        smoothing = check_real(label_smoothing, name, "label_smoothing", *limits, high_open=True)
        self.label_smoothing = smoothing

    def as_target(self, target: Any, shape: Shape, dtype: "np.dtype[Any]") -> Array:
        """Check labels, rows of probabilities or answers; return them as the kernels take them."""
        name, shape = type(self).__name__, tuple(shape)
        if len(shape) < 2:
            raise ValueError(f"{name}: the prediction must be (batch, classes), got shape {shape}")
        known = type(target) is np.ndarray and target.dtype.kind in "fiub"
        array: Array = target if known else as_number_array(target, name, "target")
        if array.shape == shape:
            if shape[-1] == 1:
                return as_float_array(array, name, "target", dtype)
            return _as_probabilities(array, name, dtype)
        if array.shape != shape[:-1]:
            raise ValueError(
                f"{name}: target must hold integer labels of shape {shape[:-1]} or "
                f"probabilities of shape {shape}, got shape {array.shape}"
            )
        if array.dtype.kind not in "iub":
            raise TypeError(f"{name}: labels must be integers, got {array.dtype}")
        if shape[-1] == 1:
            return array.reshape(shape).astype(dtype)
        return array.astype(np.uint8) if array.dtype.kind == "b" else array

    def check_targets(self, target: Array, shape: Shape) -> None:
        """Demand labels in range, or probabilities."""
        name = type(self).__name__
        if target.shape != tuple(shape):
            check_range(target, shape[-1] - 1, name, "labels")
        elif shape[-1] == 1:
            check_range(target, 1, name, "target")
        else:
            check_probabilities(target, name, 4 * shape[-1] * float(np.finfo(target.dtype).eps))

    def probabilities(self, prediction: Array) -> Array:
        """Return the softmax of each row; of a single column the probabilities of no and yes."""
        return _no_and_yes(prediction) if prediction.shape[-1] == 1 else softmax(prediction, -1)

    def _output(self) -> float:
        *batch, classes = self.prediction.shape
        # In sequences, each time step is a row. Labels have no axis for the classes.
        rows, smoothing = math.prod(batch), self.label_smoothing
        logits = self.prediction.reshape(rows, classes)
        target = self.target.reshape(rows, *self.target.shape[len(batch) :])
        if classes == 1:
            answers = (1 - smoothing) * target + smoothing / 2
            loss, grad = kernels.binary_cross_entropy(logits, answers)
        else:
            loss, grad = kernels.softmax_cross_entropy(logits, target, smoothing)
        self._grad = grad.reshape(self.prediction.shape)
        return loss


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
