"""Warnings of mistakes that raise no error: the network trains, only badly.

Each warning names the remedy. None of these functions changes its arguments.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlfs.activations import Linear, Sigmoid, Softmax
from dlfs.base import Operation
from dlfs.dropout import Dropout
from dlfs.layers import (
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    GroupNorm,
    Layer,
    LayerNorm,
    RMSNorm,
)
from dlfs.losses import Loss
from dlfs.normalization import BatchNorm_Op, GroupNorm_Op, LayerNorm_Op, RMSNorm_Op
from dlfs.pooling import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from dlfs.reshape import Flatten, Reshape
from dlfs.types import Array

_ON_IMAGES = (Conv2D, ConvTranspose2D, MaxPool2D, AvgPool2D, GlobalAvgPool2D)
_NORMALIZING = (
    *(BatchNorm, LayerNorm, GroupNorm, RMSNorm),
    *(BatchNorm_Op, LayerNorm_Op, GroupNorm_Op, RMSNorm_Op),
)
_SAMPLE = 64
"""The number of observations to look at, evenly spread; to look at all would take time."""


def warn_of_doubled_probabilities(layers: Sequence[Layer], loss: Loss) -> None:
    """Warn of a sigmoid or softmax in front of a loss that takes logits.

    The loss computes the probabilities itself. Probabilities in place of logits lie between 0 and
    1, so that no class could become likely.

    Parameters
    ----------
    layers : sequence of Layer
    loss : Loss

    Examples
    --------
    >>> from dlfs.layers import Dense
    >>> from dlfs.losses import MeanSquaredError
    >>> warn_of_doubled_probabilities([Dense(1, activation=Sigmoid())], MeanSquaredError())
    """
    last = _last_operation(layers)
    if loss.takes_logits and isinstance(last, Sigmoid | Softmax):
        warnings.warn(
            f"NeuralNetwork: {type(loss).__name__} takes logits and computes the probabilities "
            f"itself, but the layers end in {last!r}: leave that out, or use Linear()",
            stacklevel=3,
        )


def warn_of_unprepared_images(layers: Sequence[Layer], X: Array) -> None:
    """Warn of training images whose channels come last, or whose pixels run from 0 to 255.

    Parameters
    ----------
    layers : sequence of Layer
        Of the network that they are for.
    X : ndarray, batch axis first

    Examples
    --------
    >>> from dlfs.layers import Dense
    >>> warn_of_unprepared_images([Dense(1)], np.zeros((2, 3)))
    """
    things = [getattr(layer, "operation", layer) for layer in layers]
    if _channels_last(things, X):
        order = "0, 3, 1, 2" if X.ndim == 4 else "0, 2, 1"
        sizes = " x ".join(map(str, X.shape[2:]))
        _warn(
            f"X_train of shape {X.shape} means {X.shape[1]} channels of {sizes}; if the channels "
            f"are its last axis, pass X.transpose({order})"
        )
    if _raw_pixels(things, X):
        highest = X[:: _step(X)].max()
        cure = "X / 255" if highest <= 255 else "X / X_train.max()"
        _warn(
            f"X_train holds numbers from 0 to {highest:g}, as pixels are stored; networks learn "
            f"badly from inputs so large: pass {cure}, for training and for everything after it"
        )


def _warn(message: str) -> None:
    # At the call of fit, six calls above.
    warnings.warn(f"Trainer.fit: {message}", stacklevel=7)


def _channels_last(things: Sequence[Any], X: Array) -> bool:
    if any(isinstance(thing, Reshape) for thing in things):
        return False
    if X.ndim == 3:
        convolution = next((thing for thing in things if isinstance(thing, Conv1D)), None)
        return convolution is not None and X.shape[2] < min(convolution.param_size, X.shape[1])
    if X.ndim != 4 or X.shape[3] not in (1, 3, 4) or min(X.shape[1:3]) <= 4:
        return False
    first = next((thing for thing in things if isinstance(thing, _ON_IMAGES)), None)
    kernel = getattr(first, "param_size", getattr(first, "kernel_size", (2, 2)))
    # A kernel that is one pixel wide is meant for columns, which may be few.
    return first is not None and not (kernel[1] == 1 < kernel[0])


def _raw_pixels(things: Sequence[Any], X: Array) -> bool:
    moving = (Flatten, Reshape, Dropout)
    first = next((thing for thing in things if not isinstance(thing, moving)), None)
    if isinstance(first, _NORMALIZING) or getattr(first, "takes_integers", False):
        return False
    sample = X[:: _step(X)]
    if not sample.size or sample.min() < 0:
        return False
    if X.ndim == 4:
        return bool(sample.max() > 50)
    # Flattened images look like a table: they are long rows of whole numbers.
    whole = X[0].size >= 64 and 127 < sample.max() <= 255
    return bool(whole and np.array_equal(sample, np.floor(sample)))


def _step(X: Array) -> int:
    return max(1, len(X) // _SAMPLE)


def _last_operation(layers: Sequence[Layer]) -> Operation | None:
    """Return the Operation that computes the predictions; not one that only moves or drops."""
    for layer in reversed(layers):
        last = getattr(layer, "operation", getattr(layer, "activation", None))
        moves = isinstance(last, Flatten | Reshape | Dropout)
        if not moves and not (hasattr(layer, "operation") and isinstance(last, Linear)):
            return last
    return None
