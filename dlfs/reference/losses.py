"""Losses: each kernel returns the loss and its gradient with respect to the prediction.

All losses are sums over the features (or classes) and means over the batch, as in the book. Sums
are taken in float64 whatever the dtype: they have as many terms as the batch has numbers.
"""

import numpy as np
from scipy import special

from dlfs.checks import check_float_array, check_real, check_same_dtype, check_shape
from dlfs.types import Array


def mean_squared_error(prediction: Array, target: Array) -> tuple[float, Array]:
    """Squared distance, summed over features, averaged over the batch.

    Parameters
    ----------
    prediction, target : ndarray, shape (batch, ...)

    Returns
    -------
    loss : float
        ``sum((prediction - target)**2) / batch``.
    prediction_grad : ndarray, the shape of prediction
        ``2 * (prediction - target) / batch``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ or the batch is empty.

    Notes
    -----
    Book, chapters 2 and 3.

    Examples
    --------
    >>> mean_squared_error(np.array([[3.0]]), np.array([[1.0]]))
    (4.0, array([[4.]]))
    """
    _check_pair(prediction, target, "mean_squared_error")
    batch = prediction.shape[0]
    error = prediction - target
    loss = _sum(error * error)
    if not np.isfinite(loss):  # in float32 the squares may have overflowed
        loss = _sum(np.square(error, dtype=np.float64))
    loss /= batch
    return loss, error * (2 / batch)


def mean_absolute_error(prediction: Array, target: Array) -> tuple[float, Array]:
    """Absolute distance, summed over features, averaged over the batch.

    Parameters
    ----------
    prediction, target : ndarray, shape (batch, ...)

    Returns
    -------
    loss : float
        ``sum(|prediction - target|) / batch``.
    prediction_grad : ndarray, the shape of prediction
        ``sign(prediction - target) / batch``; at the kink, where they are equal, 0.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ or the batch is empty.

    Notes
    -----
    Book, chapter 2 (there a metric).

    Examples
    --------
    >>> mean_absolute_error(np.array([[3.0]]), np.array([[1.0]]))
    (2.0, array([[1.]]))
    """
    _check_pair(prediction, target, "mean_absolute_error")
    batch = prediction.shape[0]
    error = prediction - target
    loss = _sum(np.abs(error)) / batch
    return loss, np.sign(error) * (1 / batch)


def huber(prediction: Array, target: Array, delta: float = 1.0) -> tuple[float, Array]:
    """Squared error for small distances, absolute error for large ones.

    Parameters
    ----------
    prediction, target : ndarray, shape (batch, ...)
    delta : float
        Where one turns into the other; delta > 0.

    Returns
    -------
    loss : float
        The sum over ``e = prediction - target`` of ``e**2 / 2`` where ``|e| <= delta``, else
        ``delta * (|e| - delta / 2)``, over the batch.
    prediction_grad : ndarray, the shape of prediction
        ``clip(e, -delta, delta) / batch``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ, the batch is empty or delta is not positive.

    Notes
    -----
    Huber, "Robust estimation of a location parameter", 1964.

    Examples
    --------
    >>> huber(np.array([[3.0]]), np.array([[1.0]]))
    (1.5, array([[1.]]))
    """
    _check_pair(prediction, target, "huber")
    delta = check_real(delta, "huber", "delta", 0.0, low_open=True)
    batch = prediction.shape[0]
    error = prediction - target
    clipped = np.clip(error, -delta, delta)
    # e**2 / 2 for small errors, where clipped == e, and delta * (|e| - delta / 2) for the others.
    loss = _sum(clipped * (error - clipped / 2))
    if not np.isfinite(loss):  # in float32 the products may have overflowed
        loss = _sum(np.multiply(clipped, error - clipped / 2, dtype=np.float64))
    loss /= batch
    return loss, clipped * (1 / batch)


def softmax_cross_entropy(
    prediction: Array, target: Array, label_smoothing: float = 0.0
) -> tuple[float, Array]:
    """Softmax and cross-entropy in one: the loss whose gradient is softmax minus target.

    Parameters
    ----------
    prediction : ndarray, shape (batch, classes)
        Logits: anything from minus to plus infinity.
    target : ndarray
        Integer labels 0..classes-1 of shape (batch,), or rows of probabilities (one-hot rows, for
        example) of shape (batch, classes) and the dtype of prediction.
    label_smoothing : float
        The target t becomes ``(1 - label_smoothing) * t + label_smoothing / classes``;
        0 <= label_smoothing < 1.

    Returns
    -------
    loss : float
        ``sum(t * (logsumexp(row) - row)) / batch``, in nats.
    prediction_grad : ndarray, shape (batch, classes)
        ``(softmax(prediction) - t) / batch``.

    Raises
    ------
    TypeError
        If prediction is not float32 or float64, or target neither integer nor of the same dtype.
    ValueError
        If a shape does not fit, the batch is empty, a label is out of range, or a row of target
        does not hold probabilities.

    Notes
    -----
    Book, chapter 4, which adds the cross-entropy of the other classes to the value and then uses
    this gradient; here value and gradient belong together. With ``m`` the largest logit of a row,
    ``logsumexp(row) = m + log1p(r)``, where ``r`` is the sum of ``exp(row - m)`` over the other
    logits, never overflows, and keeps what a sure prediction costs: 4e-18 for logits of 40 and 0.

    Examples
    --------
    >>> loss, grad = softmax_cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))
    >>> round(loss, 6), grad
    (0.693147, array([[ 0.5, -0.5]]))
    """
    owner = "softmax_cross_entropy"
    check_float_array(prediction, owner, "prediction", 2)
    label_smoothing = check_real(
        label_smoothing, owner, "label_smoothing", 0.0, 1.0, high_open=True
    )
    batch, classes = prediction.shape
    if batch < 1 or classes < 1:
        raise ValueError(f"{owner}: prediction must not be empty, got shape {prediction.shape}")
    if isinstance(target, np.ndarray) and target.dtype.kind in "iu":
        _check_labels(target, prediction, owner)
        probabilities = np.zeros_like(prediction)
        probabilities[np.arange(batch), target] = 1
    else:
        _check_probabilities(target, prediction, owner)
        probabilities = target
    if label_smoothing:
        probabilities = (1 - label_smoothing) * probabilities + label_smoothing / classes
    shifted = prediction - prediction.max(axis=1, keepdims=True)
    exps = np.exp(shifted)
    # Of the sum of exps, 1 is the largest logit's. A sure prediction leaves so little beside it
    # that log(sum) would be 0.
    others = exps.copy()
    others[np.arange(batch), prediction.argmax(axis=1)] -= 1
    rest = others.sum(axis=1, keepdims=True)
    log_sums = np.log1p(rest)
    loss = _sum(_weighted(probabilities, log_sums - shifted))
    if not np.isfinite(loss):  # in float32 the differences may have overflowed
        distance = np.subtract(prediction, prediction.max(axis=1, keepdims=True), dtype=np.float64)
        loss = _sum(_weighted(probabilities, log_sums - distance))
    loss /= batch
    grad = (exps / (1 + rest) - probabilities) * (1 / batch)
    return loss, grad


def binary_cross_entropy(prediction: Array, target: Array) -> tuple[float, Array]:
    """Cross-entropy of independent yes-no questions, from logits.

    Parameters
    ----------
    prediction : ndarray, shape (batch, ...)
        Logits: the probability of yes is ``sigmoid(prediction)``.
    target : ndarray, the same shape
        0 for no, 1 for yes, or a probability between.

    Returns
    -------
    loss : float
        ``sum(softplus(z) - t * z) / batch``, in nats; that is
        ``-t * log(sigmoid(z)) - (1 - t) * log(1 - sigmoid(z))`` without overflow.
    prediction_grad : ndarray, the shape of prediction
        ``(sigmoid(prediction) - target) / batch``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ, the batch is empty or a target is outside [0, 1].

    Notes
    -----
    The two-class case of book chapter 4's softmax cross-entropy, with the other logit fixed at 0.

    Examples
    --------
    >>> loss, grad = binary_cross_entropy(np.array([[0.0]]), np.array([[1.0]]))
    >>> round(loss, 6), grad
    (0.693147, array([[-0.5]]))
    """
    owner = "binary_cross_entropy"
    _check_pair(prediction, target, owner)
    if target.size and not (target.min() >= 0 and target.max() <= 1):
        raise ValueError(f"{owner}: target must lie in [0, 1], got {target.min()}..{target.max()}")
    batch = prediction.shape[0]
    # softplus(z) - t z, written so that neither term is larger than the result needs: the
    # probability of the less likely answer, times how much less likely it is.
    unlikely = np.where(prediction > 0, 1 - target, target)
    terms = np.log1p(np.exp(-np.abs(prediction))) + _weighted(unlikely, np.abs(prediction))
    loss = _sum(terms) / batch
    grad = (special.expit(prediction) - target) * (1 / batch)
    return loss, grad


def _sum(terms: Array) -> float:
    return float(np.sum(terms, dtype=np.float64))


def _weighted(probability: Array, cost: Array) -> Array:
    """Return ``probability * cost``; what never happens costs nothing, even if it were infinite."""
    return np.multiply(probability, cost, where=probability != 0, out=np.zeros_like(cost))


def _check_pair(prediction: Array, target: Array, owner: str) -> None:
    check_float_array(prediction, owner, "prediction")
    check_float_array(target, owner, "target")
    check_same_dtype(owner, prediction=prediction, target=target)
    check_shape(target, prediction.shape, owner, "target")
    if prediction.ndim < 1 or prediction.shape[0] < 1:
        raise ValueError(f"{owner}: the batch must not be empty, got shape {prediction.shape}")


def _check_labels(labels: Array, prediction: Array, owner: str) -> None:
    check_shape(labels, prediction.shape[:1], owner, "integer target")
    if not 0 <= labels.min() <= labels.max() < prediction.shape[1]:
        raise ValueError(
            f"{owner}: labels must lie in 0..{prediction.shape[1] - 1}, "
            f"got {labels.min()}..{labels.max()}"
        )


def _check_probabilities(target: Array, prediction: Array, owner: str) -> None:
    check_float_array(target, owner, "target")
    check_same_dtype(owner, prediction=prediction, target=target)
    check_shape(target, prediction.shape, owner, "target")
    sums = target.sum(axis=1, dtype=np.float64)
    # Each of the numbers in a row was rounded once to its dtype before it came here.
    slack = 4 * target.shape[1] * float(np.finfo(target.dtype).eps)
    if not (target.min() >= 0 and np.all(np.abs(sums - 1) <= slack)):
        raise ValueError(
            f"{owner}: each row of target must hold probabilities that sum to 1 (one-hot rows, "
            f"for example), got values {target.min()}..{target.max()} "
            f"and sums {sums.min()}..{sums.max()}"
        )
