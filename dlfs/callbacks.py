"""Callbacks: what else to do while a Trainer works."""

from typing import TYPE_CHECKING, Any

from dlfs.metrics import accuracy

if TYPE_CHECKING:
    from dlfs.train import Trainer


class Callback:
    """Called by a Trainer at the turns of its work; a subclass overrides what it needs.

    To end the training after the current batch, set ``trainer.stop = True``.

    Examples
    --------
    >>> class StopBelow(Callback):
    ...     def on_epoch_end(self, trainer, row):
    ...         trainer.stop = row["train_loss"] < 0.1
    """

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Act before the first batch."""

    def on_batch_end(self, trainer: "Trainer", epoch: int, batch: int, loss: float) -> None:
        """Act after a batch, both counted from 0, and its step."""

    def on_epoch_end(self, trainer: "Trainer", row: dict[str, Any]) -> None:
        """Act after an epoch and its evaluation; ``row`` is the history's newest."""

    def on_train_end(self, trainer: "Trainer") -> None:
        """Act when the training has ended, for whatever reason."""


class ConvTesting(Callback):
    """What the book's conv_testing does: report within an epoch, which takes long for images.

    Every 10 batches the loss of the batch, every 100 the accuracy on the test data.
    """

    def on_batch_end(self, trainer: "Trainer", epoch: int, batch: int, loss: float) -> None:
        """Report."""
        if batch % 10 == 0:
            trainer.say(f"batch {batch} loss {loss:.4f}")
        due = batch % 100 == 0 and batch > 0
        if due and trainer.X_test is not None and trainer.y_test is not None:
            share = accuracy(trainer.y_test, trainer.net.predict(trainer.X_test))
            trainer.say(f"Validation accuracy after {batch} batches is {share:.2%}")


class BatchLosses(Callback):
    """Keeps the loss of every batch, for a curve finer than one point an epoch.

    Attributes
    ----------
    losses : list of float
    """

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_batch_end(self, trainer: "Trainer", epoch: int, batch: int, loss: float) -> None:
        """Keep it."""
        self.losses.append(loss)
