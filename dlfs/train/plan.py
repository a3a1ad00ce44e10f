"""How to train: the arguments of ``Trainer.fit``, checked before anything happens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlfs.checks import check_flag, check_instance, check_int, shortened, shown
from dlfs.network import NeuralNetwork
from dlfs.train.accumulate import is_mean_over_rows
from dlfs.train.batches import Transform
from dlfs.train.callbacks import Callback, ConvTesting, EarlyStopping
from dlfs.train.data import Data
from dlfs.train.evaluation import named_metrics, without_addresses
from dlfs.train.metrics import Metric
from dlfs.types import Array

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
    transform: Transform | None = None
    accumulate: int = 1

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
        transform: Transform | Sequence[Transform] | None = None,
        accumulate: int = 1,
        callbacks: Sequence[Callback] = (),
    ) -> "Plan":
        """Return the plan that these arguments of ``fit`` describe."""
        plan = cls(
            check_int(epochs, OWNER, "epochs", 1),
            check_int(eval_every, OWNER, "eval_every", 1),
            check_int(batch_size, OWNER, "batch_size", 1),
            check_int(seed, OWNER, "seed", 0),
            _patience(early_stopping, callbacks),
            check_flag(shuffle, OWNER, "shuffle"),
            named_metrics(metrics, net.loss),
            _one_transform(transform),
            check_int(accumulate, OWNER, "accumulate", 1),
        )
        _check_order(net, plan.shuffle, plan.accumulate)
        return plan

    def settings(self, data: Data) -> dict[str, Any]:
        """Return what must be the same for a training to be resumed; epochs may become more."""
        values = {name: value for name, value in vars(self).items() if name not in _SAID_BELOW}
        # Only where they are in use: older checkpoints do not say them.
        if self.transform is not None:
            values["transform"] = _steady_name(self.transform)
        if self.accumulate > 1:
            values["accumulate"] = self.accumulate
        return {**values, "metrics": list(self.measures), **data.prints()}


_SAID_BELOW = ("measures", "transform", "accumulate")


@dataclass(frozen=True)
class Chain:
    """Several transforms, one after the other."""

    transforms: tuple[Transform, ...]

    def __call__(self, X: Array, rng: np.random.Generator) -> Array:
        """Apply all of them."""
        for transform in self.transforms:
            X = transform(X, rng)
        return X


def _one_transform(given: object) -> Transform | None:
    if given is None or callable(given):
        return given
    if isinstance(given, Sequence) and given and all(callable(part) for part in given):
        return Chain(tuple(given))
    raise TypeError(
        f"{OWNER}: transform must be a function of a batch and a random generator, or a list of "
        f"such functions, got {shown(given)}"
    )


def _steady_name(transform: Transform) -> str:
    """Return what a checkpoint says of a transform: the same in every process."""
    if isinstance(transform, Chain):
        return shortened(", ".join(map(_steady_name, transform.transforms)), 1000)
    name = getattr(transform, "__name__", None)
    return shortened(name if isinstance(name, str) else without_addresses(repr(transform)), 1000)


def _check_order(net: NeuralNetwork, shuffle: bool, accumulate: int) -> None:
    """Refuse to shuffle what goes on from batch to batch, and to split what has no equal parts."""
    carrying = [layer for _, layer in net.walk() if getattr(layer, "carry", False)]
    if carrying and shuffle:
        raise ValueError(
            f"{OWNER}: {carrying[0]!r} carries its state from batch to batch, which has no "
            "meaning for shuffled data: pass shuffle=False (and data from dlfs.text.streams), "
            "or make the layer with carry=False"
        )
    if carrying and accumulate > 1:
        raise ValueError(
            f"{OWNER}: accumulate must be 1 where a layer carries its state from batch to batch, "
            f"as {carrying[0]!r} does, got {accumulate}"
        )
    if accumulate > 1 and not is_mean_over_rows(net.loss):
        raise ValueError(
            f"{OWNER}: accumulate must be 1 for a loss that is not a mean over a batch's rows, "
            f"as {net.loss!r} (class_weight, ignore_index or reduction), got {accumulate}"
        )


def checked_callbacks(callbacks: Iterable[Callback], conv_testing: bool) -> list[Callback]:
    """Return the callbacks as a list, with the book's report within an epoch if that is wanted."""
    check_flag(conv_testing, OWNER, "conv_testing")
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"{OWNER}: callbacks must be a list, got {callbacks!r:.80}")
    # An iterator can be gone through only once.
    given = list(callbacks)
    for callback in given:
        check_instance(callback, Callback, OWNER, "callbacks")
    return [*given, ConvTesting()] if conv_testing else given


def check_beginning(restart: object, resume: object, checkpoint: object) -> None:
    """Check the arguments that say where a training begins."""
    check_flag(restart is not None and restart, OWNER, "restart")
    if check_flag(resume, OWNER, "resume") and checkpoint is None:
        raise ValueError(f"{OWNER}: resume=True needs a checkpoint to resume from")


def _patience(early_stopping: object, callbacks: Sequence[Callback]) -> int | None:
    if any(isinstance(callback, EarlyStopping) for callback in callbacks):
        return None  # it takes the place of the argument
    if isinstance(early_stopping, bool | np.bool_):
        return 1 if early_stopping else None
    return check_int(early_stopping, OWNER, "early_stopping", 1)
