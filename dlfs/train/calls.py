"""Calls: how a training calls its callbacks, and takes over what they decide."""

from collections.abc import Sequence
from typing import Any

from dlfs.ranks import Alone
from dlfs.train.callbacks import Callback, Training


class Calls:
    """The callbacks of a training. They run on rank 0 alone, and decide for all ranks.

    Parameters
    ----------
    callbacks : sequence of Callback
        Empty on the other ranks.
    trainer : Training
        They may set its ``stop``, and the learning rate of its optimizer.
    ranks : Alone or Ranks
    """

    def __init__(self, callbacks: Sequence[Callback], trainer: Training, ranks: Alone) -> None:
        self.callbacks = callbacks
        self.trainer = trainer
        self.ranks = ranks
        self._any = ranks.of_first(bool(callbacks))

    def __call__(self, method: str, *arguments: Any) -> None:
        """Call a method of all callbacks; before the end, take over what they decide."""
        for callback in self.callbacks:
            getattr(callback, method)(self.trainer, *arguments)
        if self._any and method != "on_train_end":
            trainer, optim = self.trainer, self.trainer.optim
            trainer.stop, optim.lr = self.ranks.of_first((trainer.stop, optim.lr))
