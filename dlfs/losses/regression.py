"""Losses of numbers: how far a prediction is from its target."""

import numpy as np

from dlfs.backend import kernels
from dlfs.checks import check_flag, check_real
from dlfs.losses.base import KernelLoss
from dlfs.types import Array


class MeanSquaredError(KernelLoss):
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
        loss, self._grad = kernels.mean_squared_error(prediction, self.target, self._weights)
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


class MeanAbsoluteError(KernelLoss):
    """Absolute distance: summed over features, averaged over the batch (book, chapter 2).

    Forward: ``loss = sum(|prediction - target|) / batch``.
    Backward: ``sign(prediction - target) / batch``; at the kink, where they are equal, 0.

    Examples
    --------
    >>> MeanAbsoluteError().forward(np.array([[3.0], [1.0]]), np.array([[1.0], [1.0]]))
    1.0
    """

    def _output(self) -> float:
        loss, self._grad = kernels.mean_absolute_error(self.prediction, self.target, self._weights)
        return loss

    def distance_to_kink(self, prediction: Array, target: Array) -> Array:
        """Return how far each prediction is from its target."""
        return np.asarray(np.abs(prediction - target))


class Huber(KernelLoss):
    """Squared for small errors, absolute for large ones: outliers pull less.

    Forward, with ``e = prediction - target``: the sum of ``e**2 / 2`` where ``|e| <= delta``, else
    ``delta * (|e| - delta / 2)``, over the batch. Backward: ``clip(e, -delta, delta) / batch``.
    Huber, "Robust estimation of a location parameter", 1964.

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
        loss, self._grad = kernels.huber(self.prediction, self.target, self.delta, self._weights)
        return loss
