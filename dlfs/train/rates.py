"""Finding a learning rate: a training in which it grows, before the real one."""

import contextlib
import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from dlfs.checks import check_instance, check_int, check_real
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.train.batches import Batches
from dlfs.train.callbacks import Callback, Training
from dlfs.train.failure import NonFiniteLossError
from dlfs.train.trainer import Trainer
from dlfs.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOO_LARGE = 4.0
"""The search ends when the smoothed loss is this many times its smallest value."""

FEWEST = 5
"""How many batches a search needs at least before anything can be said."""


@dataclass(frozen=True)
class RateSearch:
    """What ``find_lr`` found.

    Attributes
    ----------
    lrs : list of float
        The rate of each batch.
    losses : list of float
        The loss of each batch, before its step.

    Examples
    --------
    >>> from dlfs import SGD, Dense
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> search = find_lr(NeuralNetwork([Dense(1)]), SGD(), X, X.sum(axis=1), steps=20)
    >>> len(search.lrs) == len(search.losses)
    True
    """

    lrs: list[float]
    losses: list[float]

    @property
    def smoothed(self) -> Array:
        """The losses, averaged over past batches with weights that fall exponentially."""
        average, result = 0.0, []
        for number, loss in enumerate(self.losses, start=1):
            average = 0.9 * average + 0.1 * loss
            result.append(average / (1 - 0.9**number))
        return np.array(result)

    @property
    def suggestion(self) -> float:
        """The rate where the loss falls fastest: try it first, then twice and half of it.

        The middle of the piece of the curve, a sixth of it, through which the steepest line falls;
        pieces after the smallest loss do not count.
        """
        count = max(FEWEST, len(self.lrs) // 6)
        end = max(int(self.smoothed.argmin()) + 1, count)
        places = np.arange(count) - (count - 1) / 2
        pieces = np.lib.stride_tricks.sliding_window_view(np.array(self.losses[:end]), count)
        return self.lrs[int((pieces @ places).argmin()) + count // 2]

    def plot(self, path: str | PathLike[str] | None = None) -> "Figure":
        """Draw the losses over the rates, and mark the suggestion.

        Parameters
        ----------
        path : str or path, optional
            Where to save the picture.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed (the extra "plots").
        """
        from dlfs.plots import plot_rates  # noqa: PLC0415 - matplotlib is an extra

        return plot_rates(self.lrs, self.losses, self.smoothed, self.suggestion, path)

    def __repr__(self) -> str:
        return (
            f"RateSearch of {len(self.lrs)} batches, {self.lrs[0]:.3g} to {self.lrs[-1]:.3g}; "
            f"suggestion {self.suggestion:.3g}"
        )


def find_lr(
    net: NeuralNetwork,
    optim: Optimizer,
    X: Array | Batches,
    y: Array | None = None,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    seed: int = 1,
) -> RateSearch:
    """Train a copy of a network with a learning rate that grows with each batch.

    The network and the optimizer stay as they are. With too small a rate the loss does not fall;
    with too large a one it rises. Good rates lie where it falls fastest.

    Parameters
    ----------
    net : NeuralNetwork
    optim : Optimizer
        Of the kind that will be used; its own rate and decay do not matter.
    X, y : array_like, or Batches without y
        The training data.
    lowest, highest : float, default 1e-6 and 10.0
        The rates of the first batch and of the last.
    steps : int, default 100
        The number of batches. The search ends sooner when the loss explodes.
    batch_size, seed : int, default 32 and 1

    Returns
    -------
    RateSearch
        ``suggestion`` is a rate, ``plot()`` draws the curve.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the loss explodes at once.

    Notes
    -----
    L. N. Smith, "Cyclical learning rates for training neural networks", 2017.

    Examples
    --------
    >>> from dlfs import SGD, Dense
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> search = find_lr(NeuralNetwork([Dense(1)]), SGD(), X, X.sum(axis=1))
    >>> 1e-3 < search.suggestion < 1
    True
    """
    owner = "find_lr"
    check_instance(net, NeuralNetwork, owner, "net")
    check_instance(optim, Optimizer, owner, "optim")
    check_real(lowest, owner, "lowest", 0, low_open=True)
    check_real(highest, owner, "highest", lowest, low_open=True)
    steps = check_int(steps, owner, "steps", FEWEST)
    net, optim = copy.deepcopy(net), copy.deepcopy(optim)
    optim.decay_type, optim.final_lr, optim.warmup = None, 0.0, 0
    rise = _Rise([float(rate) for rate in np.geomspace(lowest, highest, steps)])
    # A loss that is not finite says that the rate has become too large, and ends the search.
    with contextlib.suppress(NonFiniteLossError):
        Trainer(net, optim).fit(
            X, y, epochs=steps, batch_size=batch_size, seed=seed, callbacks=[rise], verbose=0
        )
    count = len(rise.losses)
    if count < FEWEST:
        raise ValueError(
            f"find_lr: lowest must be a rate with which the loss stays finite for {FEWEST} "
            f"batches, got {lowest}"
        )
    return RateSearch(rise.rates[:count], rise.losses)


class _Rise(Callback):
    """Sets the rate of each batch, and keeps the losses."""

    def __init__(self, rates: Sequence[float]) -> None:
        self.rates = list(rates)
        self.losses: list[float] = []
        self._average = 0.0
        self._best = math.inf

    def on_train_begin(self, trainer: Training) -> None:
        """Set the first rate."""
        trainer.optim.lr = self.rates[0]

    def on_batch_end(self, trainer: Training, epoch: int, batch: int, loss: float) -> None:
        """Keep the loss, and set the next rate."""
        self.losses.append(loss)
        done = len(self.losses)
        self._average = 0.9 * self._average + 0.1 * loss
        smoothed = self._average / (1 - 0.9**done)
        self._best = min(self._best, smoothed)
        exploded = done > FEWEST and smoothed > TOO_LARGE * abs(self._best)
        if done == len(self.rates) or exploded:
            trainer.stop = True
        else:
            trainer.optim.lr = self.rates[done]
