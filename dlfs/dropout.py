"""Dropout: in training, some numbers are left out at random."""

from typing import Any

import numpy as np

from dlfs.backend import kernels
from dlfs.base import Operation
from dlfs.checks import check_int, check_real
from dlfs.types import Array, Shape


class Dropout(Operation):
    """Keep each number with a certain probability, and scale up what is kept: a regularization.

    Regularization is what keeps a network from overfitting (suiting the training data alone).

    Forward, in training: ``output = input_ * mask / keep_prob``, with a new random mask each time;
    in inference: ``output = input_``. Backward: the same multiplication of output_grad.

    Srivastava et al., 2014; book, chapter 4, but "inverted": the book scales down in inference,
    which comes to the same expectation. Where several processes share a batch (``dlfs.ranks``),
    each takes its rows of the mask for the whole batch.

    Parameters
    ----------
    keep_prob : float, default 0.8
        The probability that a number is kept, as in the book; 0 < keep_prob <= 1. Other libraries
        take the probability that it is dropped.
    seed : int, optional
        For use on its own; in a network the random numbers come from the network's seed.

    Attributes
    ----------
    rng : numpy.random.Generator
        Where the masks come from.
    mask : ndarray of bool
        The last one.

    Examples
    --------
    >>> dropout = Dropout(0.5, seed=3)
    >>> dropout.forward(np.ones((1, 6)))
    array([[0., 2., 2., 2., 2., 0.]])
    >>> dropout.forward(np.ones((1, 6)), inference=True)
    array([[1., 1., 1., 1., 1., 1.]])
    """

    mask: Array
    ranks: Any = None  # set while several processes share a batch: see dlfs.ranks

    def __init__(self, keep_prob: float = 0.8, seed: int | None = None) -> None:
        super().__init__()
        self.keep_prob = check_real(keep_prob, "Dropout", "keep_prob", 0.0, 1.0, low_open=True)
        self.seed = None if seed is None else check_int(seed, "Dropout", "seed", 0)
        self.rng = np.random.default_rng(self.seed)

    def _output(self) -> Array:
        if self.inference:
            return self.input_
        self.mask = draw_mask(self, self.input_.shape, self.keep_prob)
        return kernels.dropout(self.input_, self.mask, self.keep_prob)

    def _input_grad(self, output_grad: Array) -> Array:
        if self.inference:
            return output_grad
        return kernels.dropout(output_grad, self.mask, self.keep_prob)


def draw_mask(operation: Any, shape: Shape, keep_prob: float) -> Array:
    """Return a mask that is True with this probability, from the operation's ``rng``.

    With ``operation.ranks`` set, the first axis is that of the rows which several processes share.

    Examples
    --------
    >>> draw_mask(Dropout(seed=3), (1, 4), 0.5)
    array([[False,  True,  True,  True]])
    """
    if operation.ranks is not None:
        drawn: Array = operation.ranks.random(operation.rng, shape)
    else:
        drawn = operation.rng.random(shape, dtype=np.float32)
    return drawn < keep_prob
