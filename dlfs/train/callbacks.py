"""Callbacks: what else to do while a Trainer works."""

import math
from typing import Any, Protocol

from dlfs.checks import check_choice, check_instance, check_int, check_real
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.train.history import History
from dlfs.train.metrics import accuracy
from dlfs.types import Array


class Training(Protocol):
    """What a callback sees of the Trainer.

    Attributes
    ----------
    net, optim, history
        What is trained, how, and what happened so far.
    stop : bool
        Set it to end the training after the current batch.
    X_test, y_test : ndarray or None
        The data for the evaluation.
    """

    net: NeuralNetwork
    optim: Optimizer
    history: History
    stop: bool
    X_test: Array | None
    y_test: Array | None

    def say(self, text: str) -> None:
        """Print a line without tearing the progress bar."""


class Callback:
    """Called by a Trainer before, during and after a training; a subclass overrides what it needs.

    To end the training after the current batch, set ``trainer.stop = True``. To change the learning
    rate from here on, set ``trainer.optim.lr``: a decay or warm-up then multiplies the new rate.
    After ``fit`` the rate is the user's own again.

    Examples
    --------
    >>> class StopBelow(Callback):
    ...     def on_epoch_end(self, trainer, row):
    ...         trainer.stop = row["train_loss"] < 0.1
    """

    def on_train_begin(self, trainer: Training) -> None:
        """Act before the first batch."""

    def on_batch_end(self, trainer: Training, epoch: int, batch: int, loss: float) -> None:
        """Act after a batch, both counted from 0, and its step."""

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        """Act after an epoch and its evaluation; ``row`` is the history's newest."""

    def on_train_end(self, trainer: Training) -> None:
        """Act when the training has ended, also by an error."""


class ConvTesting(Callback):
    """What the book's conv_testing does: report within an epoch, which takes long for images.

    Every 10 batches the loss of the batch, every 100 the accuracy on the test data.
    """

    def on_batch_end(self, trainer: Training, epoch: int, batch: int, loss: float) -> None:
        """Report."""
        if batch % 10 == 0:
            trainer.say(f"batch {batch} loss {loss:.4f}")
        due = batch % 100 == 0 and batch > 0
        if due and trainer.X_test is not None and trainer.y_test is not None:
            prediction = trainer.net.predict(trainer.X_test)
            share = accuracy(trainer.y_test, prediction, trainer.net.loss.decision)
            trainer.say(f"Validation accuracy after {batch} batches is {share:.2%}")


class BatchLosses(Callback):
    """Keeps the loss of every batch, for a curve finer than one point an epoch.

    Attributes
    ----------
    losses : list of float
    """

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_batch_end(self, trainer: Training, epoch: int, batch: int, loss: float) -> None:
        """Keep it."""
        self.losses.append(loss)


class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by a factor when an evaluation has stopped improving.

    Give it more patience than early stopping has, and the training ends before the rate falls: pass
    ``early_stopping=False``, or several times this patience.

    Parameters
    ----------
    monitor : str, default "test_loss"
        The column of the history to watch: "test_loss", "train_loss" or a metric. Epochs without
        it, because they are not evaluated, do not count.
    factor : float, default 0.1
        0 < factor < 1.
    patience : int, default 10
        How many values in a row must be no better before the rate falls, at least 1.
    mode : {"min", "max"}, default "min"
        Whether smaller or larger values are better.
    min_delta : float, default 0.0
        The least difference that counts as better.
    min_lr : float, default 0.0
        The rate is not reduced below this.

    Raises
    ------
    TypeError, ValueError
        When a training begins without test data, or after its first evaluation, if the history has
        no column of that name.

    Examples
    --------
    >>> import numpy as np
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> optim = SGD(lr=0.4)
    >>> history = Trainer(NeuralNetwork([Dense(1)], seed=1), optim).fit(
    ...     X,
    ...     np.sin(9 * X),
    ...     X,
    ...     np.sin(9 * X),
    ...     epochs=20,
    ...     eval_every=1,
    ...     early_stopping=False,
    ...     callbacks=[ReduceLROnPlateau(factor=0.5, patience=4)],
    ...     verbose=0,
    ... )
    >>> history["lr"][0], history["lr"][-1] < 0.4, optim.lr
    (0.4, True, 0.4)
    """

    def __init__(
        self,
        monitor: str = "test_loss",
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "min",
        min_delta: float = 0.0,
        min_lr: float = 0.0,
    ) -> None:
        owner = "ReduceLROnPlateau"
        check_instance(monitor, str, owner, "monitor")
        self.monitor = monitor
        self.factor = check_real(factor, owner, "factor", 0, 1, low_open=True, high_open=True)
        self.patience = check_int(patience, owner, "patience", 1)
        check_choice(mode, ("min", "max"), owner, "mode")
        self.mode = mode
        self.min_delta = check_real(min_delta, owner, "min_delta", 0)
        self.min_lr = check_real(min_lr, owner, "min_lr", 0)
        self._best = math.inf
        self._waited = 0

    def on_train_begin(self, trainer: Training) -> None:
        """Begin to watch; a resumed training is watched from its first epoch."""
        if trainer.X_test is None and self.monitor != "train_loss":
            raise ValueError(
                f"ReduceLROnPlateau: monitor={self.monitor!r} needs X_test and y_test; without "
                "them there is 'train_loss'"
            )
        self._best, self._waited = math.inf, 0
        for row in trainer.history:
            self._is_due(row)

    def on_epoch_end(self, trainer: Training, row: dict[str, Any]) -> None:
        """Watch, and reduce the rate if it is time to."""
        optim = trainer.optim
        if self._is_due(row) and optim.lr > self.min_lr:
            optim.lr = max(optim.lr * self.factor, self.min_lr)
            trainer.say(f"Reduced the learning rate after epoch {row['epoch']}: {optim.lr:.3g}")

    def _is_due(self, row: dict[str, Any]) -> bool:
        """Record an epoch, and return whether patience is over."""
        if self.monitor not in row:
            if "test_loss" in row:
                raise ValueError(
                    f"ReduceLROnPlateau: monitor must be one of {', '.join(map(repr, row))}, "
                    f"got {self.monitor!r}"
                )
            return False
        value = row[self.monitor] if self.mode == "min" else -row[self.monitor]
        if value < self._best - self.min_delta:
            self._best, self._waited = value, 0
            return False
        self._waited = (self._waited + 1) % self.patience
        return self._waited == 0
