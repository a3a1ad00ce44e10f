"""Gradient accumulation: the gradient of a batch as the sum of those of its parts."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.network import NeuralNetwork
from dlfs.types import Array


def train_in_parts(
    net: NeuralNetwork,
    X_batch: Array,
    y_batch: Array,
    parts: int,
    train: Callable[[NeuralNetwork, Array, Array], float] = NeuralNetwork.train_batch,
) -> float:
    """Return the loss of a batch, and leave its gradients in the network.

    The loss of a batch is a mean over its rows. With r_i rows in part i and its loss L_i, the loss
    is ``sum(r_i * L_i) / sum(r_i)``, and so is each gradient.

    Parameters
    ----------
    net : NeuralNetwork
    X_batch, y_batch : ndarray, batch axis first
    parts : int
        How many; no more than there are rows.
    train : callable, default NeuralNetwork.train_batch
        Returns the loss of a part, and leaves its gradients in the network.

    Examples
    --------
    >>> from dlfs.layers import Dense
    >>> net = NeuralNetwork([Dense(1)])
    >>> X, y = np.arange(6.0).reshape(6, 1), np.ones((6, 1))
    >>> whole = net.train_batch(X, y)
    >>> abs(train_in_parts(net, X, y, 4) - whole) < 1e-12
    True
    """
    if parts == 1:
        return train(net, X_batch, y_batch)
    rows, loss = len(X_batch), 0.0
    sums: list[Array] = []
    for chosen in np.array_split(np.arange(rows), min(parts, rows)):
        part = slice(chosen[0], chosen[-1] + 1)
        share = len(chosen) / rows
        loss += share * train(net, X_batch[part], y_batch[part])
        grads = [holder.param_grad for holder in net.param_holders()]
        if sums:
            for total, grad in zip(sums, grads, strict=True):
                total += share * grad
        else:
            sums = [share * grad for grad in grads]
    for holder, total in zip(net.param_holders(), sums, strict=True):
        holder.param_grad = total
    return loss


def is_mean_over_rows(loss: Any) -> bool:
    """Return whether a loss of dlfs divides by the number of rows, and by nothing else.

    Examples
    --------
    >>> from dlfs.losses import SoftmaxCrossEntropy
    >>> is_mean_over_rows(SoftmaxCrossEntropy())
    True
    >>> is_mean_over_rows(SoftmaxCrossEntropy(class_weight=[1, 3]))
    False
    """
    by_class = [getattr(loss, name, None) for name in ("class_weight", "ignore_index")]
    return by_class == [None, None] and getattr(loss, "reduction", "mean") == "mean"
