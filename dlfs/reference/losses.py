"""Losses: each kernel returns the loss and its gradient with respect to the prediction.

All losses are sums over the features (or classes) and means over the batch, as in the book
(chapters 2 to 4). Sums have as many terms as the batch has numbers, so they are taken in float64
whatever the dtype, and so are squares, which may overflow in float32.

Where a kernel gives no shapes, prediction, target, weights and gradient are all (batch, ...).

``weights``, where given, multiply the terms of the sums, and their gradients: a weight for each
number of the prediction or, where a class is predicted, for each row. The batch counts in full.

A logit is the logarithm of odds, any real number; a loss of probabilities is in nats (units of the
natural logarithm).
"""

import numpy as np
from scipy import special

from dlfs.checks import FRACTION, POSITIVE, check_probabilities, check_range, check_shape
from dlfs.named_axes import check_arrays
from dlfs.reference.kernel import kernel
from dlfs.types import Array

ROWS = "batch classes"


@kernel()
def mean_squared_error(
    prediction: Array, target: Array, weights: Array | None = None
) -> tuple[float, Array]:
    """Squared distance: ``sum((p - t)**2) / batch`` and its gradient ``2 * (p - t) / batch``.

    >>> mean_squared_error(np.array([[3.0]]), np.array([[1.0]]))
    (4.0, array([[4.]]))
    """
    batch = check_pair(prediction, target, "mean_squared_error", weights)
    error = prediction - target
    loss = _sum(np.square(error, dtype=np.float64), weights) / batch
    return loss, _times(weights, error * (2 / batch))


@kernel()
def mean_absolute_error(
    prediction: Array, target: Array, weights: Array | None = None
) -> tuple[float, Array]:
    """Absolute distance: ``sum(|p - t|) / batch`` and its gradient ``sign(p - t) / batch``.

    At the kink, p = t, the gradient is 0.

    >>> mean_absolute_error(np.array([[3.0]]), np.array([[1.0]]))
    (2.0, array([[1.]]))
    """
    batch = check_pair(prediction, target, "mean_absolute_error", weights)
    error = prediction - target
    loss = _sum(np.abs(error), weights) / batch
    return loss, _times(weights, np.sign(error) * (1 / batch))


@kernel(delta=POSITIVE)
def huber(
    prediction: Array, target: Array, delta: float = 1.0, weights: Array | None = None
) -> tuple[float, Array]:
    """Squared error for small distances, absolute error for those beyond delta, delta > 0.

    With ``e = p - t``, the loss is the sum of ``e**2 / 2`` where ``|e| <= delta``, else
    ``delta * (|e| - delta / 2)``, over the batch. The gradient is
    ``clip(e, -delta, delta) / batch``.

    >>> huber(np.array([[3.0]]), np.array([[1.0]]))
    (1.5, array([[1.]]))
    """
    batch = check_pair(prediction, target, "huber", weights)
    error = prediction - target
    clipped = np.clip(error, -delta, delta)
    # e**2 / 2 for small errors, where clipped == e, and delta * (|e| - delta / 2) for the others.
    terms = np.multiply(clipped, error - clipped / 2, dtype=np.float64)
    loss = _sum(terms, weights) / batch
    return loss, _times(weights, clipped * (1 / batch))


@kernel(prediction=ROWS, label_smoothing=FRACTION)
def softmax_cross_entropy(
    prediction: Array, target: Array, label_smoothing: float = 0.0, weights: Array | None = None
) -> tuple[float, Array]:
    """Softmax and cross-entropy in one: ``sum(t * (logsumexp(p) - p)) / batch``, from logits p.

    prediction (batch, classes), target (batch) of integers from 0 to classes - 1, or
    (batch, classes) of probabilities, weights (batch) -> float, prediction_grad (batch, classes)

    The gradient is ``(softmax(p) - t) / batch``. With label smoothing, 0 <= s < 1, t becomes
    ``(1 - s) * t + s / classes``. With ``m`` the largest logit of a row and ``r`` the sum of
    ``exp(p - m)`` over the other logits, ``logsumexp(p) = m + log1p(r)`` never overflows, and keeps
    the cost of a sure prediction: 4e-18 for logits of 40 and 0.

    >>> loss, grad = softmax_cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))
    >>> round(loss, 6), grad
    (0.693147, array([[ 0.5, -0.5]]))
    """
    owner = "softmax_cross_entropy"
    batch, classes = prediction.shape
    if batch < 1 or classes < 1:
        raise ValueError(f"{owner}: prediction must not be empty, got shape {prediction.shape}")
    if isinstance(target, np.ndarray) and target.dtype.kind in "iu":
        check_shape(target, (batch,), owner, "integer target")
        check_range(target, classes - 1, owner, "labels")
        probabilities = np.zeros_like(prediction)
        probabilities[np.arange(batch), target] = 1
    else:
        check_arrays(owner, prediction=(prediction, ROWS), target=(target, ROWS))
        # Each number in a row was rounded once to its dtype before it came here.
        check_probabilities(target, owner, 4 * classes * float(np.finfo(target.dtype).eps))
        probabilities = target
    if weights is not None:
        check_arrays(owner, prediction=(prediction, ROWS), weights=(weights, "batch"))
        weights = weights[:, None]
    if label_smoothing:
        probabilities = (1 - label_smoothing) * probabilities + label_smoothing / classes
    largest = prediction.max(axis=1, keepdims=True)
    exps = np.exp(prediction - largest)
    # Of the sum of exps, 1 is the largest logit's, beside which the rest could vanish.
    others = exps.copy()
    others[np.arange(batch), prediction.argmax(axis=1)] -= 1
    rest = others.sum(axis=1, keepdims=True)
    costs = np.log1p(rest) - np.subtract(prediction, largest, dtype=np.float64)
    loss = _sum(_weighted(probabilities, costs), weights) / batch
    grad = (exps / (1 + rest) - probabilities) * (1 / batch)
    return loss, _times(weights, grad)


@kernel()
def binary_cross_entropy(
    prediction: Array, target: Array, weights: Array | None = None
) -> tuple[float, Array]:
    """Cross-entropy of yes-no questions, from logits z: ``sum(softplus(z) - t * z) / batch``.

    Targets lie in [0, 1]. The terms are ``-t * log(sigmoid(z)) - (1 - t) * log(1 - sigmoid(z))``,
    without overflow; the gradient is ``(sigmoid(z) - t) / batch``.

    >>> loss, grad = binary_cross_entropy(np.array([[0.0]]), np.array([[1.0]]))
    >>> round(loss, 6), grad
    (0.693147, array([[-0.5]]))
    """
    owner = "binary_cross_entropy"
    batch = check_pair(prediction, target, owner, weights)
    if target.size and not (target.min() >= 0 and target.max() <= 1):
        raise ValueError(f"{owner}: target must lie in [0, 1], got {target.min()}..{target.max()}")
    # softplus(z) - t z, written so that neither term is larger than the result needs: the
    # probability of the less likely answer, times how much less likely it is.
    unlikely = np.where(prediction > 0, 1 - target, target)
    terms = np.log1p(np.exp(-np.abs(prediction))) + _weighted(unlikely, np.abs(prediction))
    loss = _sum(terms, weights) / batch
    grad = (special.expit(prediction) - target) * (1 / batch)
    return loss, _times(weights, grad)


def _times(weights: Array | None, terms: Array) -> Array:
    return terms if weights is None else weights * terms


def _sum(terms: Array, weights: Array | None) -> float:
    if weights is not None:
        terms = np.multiply(terms, weights, dtype=np.float64)
    return float(np.sum(terms, dtype=np.float64))


def _weighted(probability: Array, cost: Array) -> Array:
    """Return ``probability * cost``; what has probability 0 costs 0, even an infinite cost."""
    return np.multiply(probability, cost, where=probability != 0, out=np.zeros_like(cost))


def check_pair(prediction: Array, target: Array, owner: str, weights: Array | None = None) -> int:
    """Demand arrays of one shape, and return the size of the batch, which must not be 0."""
    check_arrays(owner, prediction=(prediction, "..."), target=(target, "..."))
    if weights is not None:
        check_arrays(owner, prediction=(prediction, "..."), weights=(weights, "..."))
    if prediction.ndim < 1 or prediction.shape[0] < 1:
        raise ValueError(f"{owner}: the batch must not be empty, got shape {prediction.shape}")
    return len(prediction)
