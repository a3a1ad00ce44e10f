"""How to train: the arguments of ``Trainer.fit``, checked before anything happens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlfs.checks import check_flag, check_instance, check_int
from dlfs.network import NeuralNetwork
from dlfs.train.callbacks import Callback, ConvTesting
from dlfs.train.data import Data
from dlfs.train.evaluation import named_metrics
from dlfs.train.fingerprint import fingerprint
from dlfs.train.metrics import Metric

OWNER = "Trainer.fit"


@dataclass(frozen=True)
class Plan:
    """The numbers and choices of a training.

    Raises
    ------
    TypeError, ValueError
        In ``checked``, if one of them cannot be used with the network.
    """

    epochs: int
    eval_every: int
    batch_size: int
    seed: int
    patience: int | None
    shuffle: bool
    measures: dict[str, Metric]

    @classmethod
    def checked(
        cls,
        net: NeuralNetwork,
        epochs: int,
        eval_every: int,
        batch_size: int,
        seed: int,
        early_stopping: bool | int,
        shuffle: bool,
        metrics: Sequence[str | Metric] | None,
    ) -> "Plan":
        """Return the plan that these arguments of ``fit`` describe."""
        plan = cls(
            check_int(epochs, OWNER, "epochs", 1),
            check_int(eval_every, OWNER, "eval_every", 1),
            check_int(batch_size, OWNER, "batch_size", 1),
            check_int(seed, OWNER, "seed", 0),
            _patience(early_stopping),
            check_flag(shuffle, OWNER, "shuffle"),
            named_metrics(metrics, net.loss),
        )
        _check_order(net, plan.shuffle)
        return plan

    def settings(self, data: Data) -> dict[str, Any]:
        """Return what must be the same for a training to be resumed; epochs may become more."""
        values = {name: value for name, value in vars(self).items() if name != "measures"}
        prints = {
            name: None if array is None else fingerprint(array)
            for name, array in vars(data).items()
        }
        return {**values, "metrics": list(self.measures), **prints}


def _check_order(net: NeuralNetwork, shuffle: bool) -> None:
    """Refuse to shuffle what a layer reads as going on from batch to batch."""
    carrying = [layer for _, layer in net.walk() if getattr(layer, "carry", False)]
    if carrying and shuffle:
        raise ValueError(
            f"{OWNER}: {carrying[0]!r} carries its state from batch to batch, which has no "
            "meaning for shuffled data: pass shuffle=False (and data from dlfs.text.streams), "
            "or make the layer with carry=False"
        )


def checked_callbacks(callbacks: Iterable[Callback], conv_testing: bool) -> list[Callback]:
    """Return the callbacks as a list, with the book's report within an epoch if that is wanted."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"{OWNER}: callbacks must be a list, got {callbacks!r:.80}")
    # An iterator can be gone through only once.
    given = list(callbacks)
    for callback in given:
        check_instance(callback, Callback, OWNER, "callbacks")
    return [*given, ConvTesting()] if conv_testing else given


def _patience(early_stopping: object) -> int | None:
    if isinstance(early_stopping, bool | np.bool_):
        return 1 if early_stopping else None
    return check_int(early_stopping, OWNER, "early_stopping", 1)
