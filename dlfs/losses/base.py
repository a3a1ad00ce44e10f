"""Loss: what all losses share, those of the user too."""

import math
from typing import Any, ClassVar

import numpy as np

from dlfs.checks import FLOAT_DTYPES, as_float_array, check_same_shape, plain_float_array
from dlfs.configured import Configured
from dlfs.loss_weights import Weighted, check_weights_are_used, spread
from dlfs.types import Array, Shape


class Loss(Configured):
    """How far predictions are from targets.

    A subclass writes ``_output()``, which computes the loss from ``self.prediction`` and
    ``self.target``, and ``_input_grad()``, which computes its gradient with respect to the
    prediction. It may also write ``decision(prediction)``, which accuracy follows. Book, chapter 3.

    Attributes
    ----------
    prediction, target, sample_weight, output, input_grad
        Of the last ``forward`` and ``backward``.
    takes_logits : bool
        Whether predictions are logits: any numbers, from which the loss computes probabilities.
    takes_labels : bool
        Whether targets may be labels of classes, which a Trainer turns into class numbers.
    takes_weights : bool
        Whether ``_output`` and ``_input_grad`` use ``self.sample_weight``.

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

    sample_weight: Array | None = None

    def forward(
        self, prediction: Array, target: Array | Weighted, sample_weight: Array | None = None
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
        if sample_weight is not None:
            check_weights_are_used(self.takes_weights, name)
            sample_weight = as_float_array(sample_weight, name, "sample_weight", prediction.dtype)
        self.sample_weight = sample_weight
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
        array, shape = as_float_array(target, name, "target", dtype), tuple(shape)
        if len(shape) > 1 and shape[-1] == 1 and array.shape == shape[:-1]:
            return array.reshape(shape)
        if array.shape != shape:
            fits = array.size == math.prod(shape) and array.ndim < len(shape)
            cure = f"; np.asarray(target).reshape{(-1, *shape[1:])} makes it fit" if fits else ""
            raise ValueError(
                f"{name}: target must have the shape of the prediction, {shape}, "
                f"got {array.shape}{cure}"
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

        The largest column is the class: (batch, ..., columns) becomes (batch, ...). A single column
        means yes above 0.5, or above 0 where the loss takes logits. A loss of yes-no questions
        returns 0 or 1 for each column.

        Examples
        --------
        >>> from dlfs.losses import BinaryCrossEntropy
        >>> BinaryCrossEntropy().decision(np.array([[0.2, -0.9]]))
        array([[1, 0]])
        """
        if prediction.shape[-1] == 1:
            least = 0.0 if self.takes_logits else 0.5
            return np.asarray(prediction[..., 0] > least, dtype=np.int64)
        return np.asarray(prediction.argmax(axis=-1))

    def probabilities(self, prediction: Array) -> Array:
        """Turn predictions into the probability of each class; a single column into no and yes.

        A loss that does not compute any raises ValueError.

        Examples
        --------
        >>> from dlfs.losses import BinaryCrossEntropy
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


class KernelLoss(Loss):
    """A loss whose kernel gives value and gradient in one pass."""

    takes_weights = True
    _grad: Array

    @property
    def _weights(self) -> Array | None:
        """A weight for each number of the prediction."""
        return spread(self.sample_weight, self.prediction.shape, type(self).__name__)

    def _input_grad(self) -> Array:
        return self._grad
