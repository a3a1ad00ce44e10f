"""Functions of ArrayWithGrad."""

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from dlfs.autograd import axes, elementwise, images
from dlfs.autograd.array import ArrayWithGrad, apply
from dlfs.checks import as_array, check_int
from dlfs.types import Array, Padding, Pair


def maximum(x: object, y: object) -> ArrayWithGrad:
    """Return the elementwise maximum.

    The larger entry gets the gradient; equal entries get half each (a subgradient).

    Parameters
    ----------
    x, y : ArrayWithGrad, array_like or number

    Raises
    ------
    TypeError, ValueError
        If x or y is not an array of real numbers, or their shapes or dtypes do not match.

    Examples
    --------
    >>> maximum(ArrayWithGrad([1.0, 5.0]), 3.0).array
    array([3., 5.])
    """
    return apply(elementwise.maximum, x, y)


def concatenate(arrays: Sequence[object], axis: int = 0) -> ArrayWithGrad:
    """Join arrays along an axis; each gets its part of the gradient.

    Parameters
    ----------
    arrays : sequence of ArrayWithGrad or array_like
        Their shapes may differ along that axis only.
    axis : int, default 0

    Raises
    ------
    TypeError, ValueError
        If there are no arrays, or their shapes or dtypes do not match.

    Examples
    --------
    >>> x = ArrayWithGrad([1.0, 2.0])
    >>> concatenate([x, np.zeros(1)]).array
    array([1., 2., 0.])
    """
    if isinstance(arrays, ArrayWithGrad) or not isinstance(arrays, Sequence):
        raise TypeError(
            f"concatenate: arrays must be a list of arrays, got {type(arrays).__name__}"
        )
    if not arrays:
        raise ValueError("concatenate: arrays must hold at least one array, got none")
    return apply(axes.concatenate, *arrays, axis=axis)


def conv2d(
    x: object,
    W: object,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> ArrayWithGrad:
    """Convolve images with kernels, on the backend in use.

    Parameters
    ----------
    x : ArrayWithGrad or array_like, shape (batch, in_channels, height, width)
    W : ArrayWithGrad or array_like, shape (in_channels / groups, out_channels, height, width)
    stride, dilation, groups
        As in ``dlfs.conv.Conv2D_Op``.
    padding : as there, default 0

    Returns
    -------
    ArrayWithGrad, shape (batch, out_channels, out_height, out_width)

    Raises
    ------
    TypeError, ValueError
        If a shape, a dtype or an option is not valid.

    Notes
    -----
    Book, chapter 5.

    Examples
    --------
    >>> conv2d(np.zeros((1, 1, 5, 5)), ArrayWithGrad(np.ones((1, 2, 3, 3)))).shape
    (1, 2, 3, 3)
    """
    return apply(
        images.conv2d, x, W, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


def max_pool2d(
    x: object, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0
) -> ArrayWithGrad:
    """Keep the largest pixel of each window, on the backend in use.

    Parameters
    ----------
    x : ArrayWithGrad or array_like, shape (batch, channels, height, width)
    kernel_size, stride, padding
        As in ``dlfs.pooling.MaxPool2D``.

    Returns
    -------
    ArrayWithGrad, shape (batch, channels, out_height, out_width)

    Raises
    ------
    TypeError, ValueError
        If the shape or an option is not valid.

    Examples
    --------
    >>> max_pool2d(ArrayWithGrad(np.arange(16.0).reshape(1, 1, 4, 4)), 2).array[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return apply(images.max_pool2d, x, kernel_size=kernel_size, stride=stride, padding=padding)


def log_softmax(x: ArrayWithGrad, axis: int = -1) -> ArrayWithGrad:
    """Return ``x - log(sum(exp(x)))`` along an axis, without overflow.

    Parameters
    ----------
    x : ArrayWithGrad
    axis : int, default -1

    Raises
    ------
    TypeError, ValueError
        If x is not an ArrayWithGrad, or axis is out of range or empty.

    Notes
    -----
    The largest entry is subtracted first, as a constant: it cancels, and so does its gradient.

    Examples
    --------
    >>> log_softmax(ArrayWithGrad([1000.0, 1000.0])).array.round(6)
    array([-0.693147, -0.693147])
    """
    largest = _largest(x, axis, "log_softmax")
    shifted = x - largest
    return shifted - shifted.exp().sum(axis, keepdims=True).log()


def softmax(x: ArrayWithGrad, axis: int = -1) -> ArrayWithGrad:
    """Return ``exp(x) / sum(exp(x))`` along an axis, without overflow.

    Parameters
    ----------
    x : ArrayWithGrad
    axis : int, default -1

    Raises
    ------
    TypeError, ValueError
        If x is not an ArrayWithGrad, or axis is out of range or empty.

    Examples
    --------
    >>> softmax(ArrayWithGrad([1000.0, 1000.0])).array
    array([0.5, 0.5])
    """
    largest = _largest(x, axis, "softmax")
    exps = (x - largest).exp()
    return exps / exps.sum(axis, keepdims=True)


def softmax_cross_entropy(prediction: ArrayWithGrad, target: object) -> ArrayWithGrad:
    """Return the cross-entropy of logits (scores before the softmax), averaged over rows.

    The gradient, (softmax - target) / batch, is not written here: it follows from the composition
    ``-mean(sum(target * log_softmax(prediction)))``.

    Parameters
    ----------
    prediction : ArrayWithGrad, shape (batch, ..., classes)
        Logits.
    target : array_like
        Integer labels of shape (batch, ...), or probabilities of the shape of prediction.

    Returns
    -------
    ArrayWithGrad, shape ()

    Raises
    ------
    TypeError, ValueError
        If prediction is not an ArrayWithGrad, target has the wrong shape or labels out of range, or
        the batch is empty.

    Notes
    -----
    Book, chapter 4.

    Examples
    --------
    >>> logits = ArrayWithGrad([[0.0, 0.0]])
    >>> softmax_cross_entropy(logits, [1]).backward()
    >>> logits.grad
    array([[ 0.5, -0.5]])
    """
    owner = "softmax_cross_entropy"
    _check_array(prediction, owner, "prediction")
    if prediction.ndim < 2 or prediction.size == 0:
        raise ValueError(
            f"{owner}: prediction must be (batch, classes) and not empty, got {prediction.shape}"
        )
    given = target.array if isinstance(target, ArrayWithGrad) else target
    labels = as_array(given, owner, "target")
    logs = log_softmax(prediction)
    rows, classes = math.prod(prediction.shape[:-1]), prediction.shape[-1]
    if labels.shape == prediction.shape:
        return -(logs * labels).sum() / rows
    if labels.shape != prediction.shape[:-1]:
        raise ValueError(
            f"{owner}: target must hold labels of shape {prediction.shape[:-1]} or probabilities "
            f"of shape {prediction.shape}, got shape {labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{owner}: labels must be integers, got {labels.dtype}")
    if not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"{owner}: labels must lie in 0..{classes - 1}, got {labels.min()}..{labels.max()}"
        )
    chosen = logs.reshape(rows, classes)[np.arange(rows), labels.reshape(rows)]
    return -chosen.sum() / rows


def _check_array(x: object, owner: str, name: str = "x") -> None:
    if not isinstance(x, ArrayWithGrad):
        raise TypeError(f"{owner}: {name} must be an ArrayWithGrad, got {type(x).__name__}")


def _largest(x: object, axis: object, owner: str) -> Array:
    """Return the largest entries along one axis, which keeps the size 1."""
    _check_array(x, owner)
    array = cast(ArrayWithGrad, x).array
    axis = check_int(axis, owner, "axis")
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"{owner}: axis must be an axis of x, got {axis} for shape {array.shape}")
    if array.shape[axis] == 0:
        raise ValueError(f"{owner}: axis {axis} of x must not be empty, got shape {array.shape}")
    return np.asarray(array.max(axis, keepdims=True))
