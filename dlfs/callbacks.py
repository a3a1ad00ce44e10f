"""Callbacks: what else to do while a Trainer works."""

from typing import Any, Protocol

from dlfs.history import History
from dlfs.metrics import accuracy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
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
    """Called by a Trainer at the turns of its work; a subclass overrides what it needs.

    To end the training after the current batch, set ``trainer.stop = True``.

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
        """Act when the training has ended, for whatever reason."""


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
