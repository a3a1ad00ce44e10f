"""The learning rate, and how it changes while a network is trained."""

import math
from collections.abc import Iterable
from dataclasses import KW_ONLY, Field, dataclass, field, fields, is_dataclass
from typing import Any

from dlfs.checks import NOT_NEGATIVE, POSITIVE, check_choice, check_int, check_real
from dlfs.configured import Configured

DECAY_TYPES = ("exponential", "linear", "cosine")


@dataclass(eq=False, repr=False)
class Schedule(Configured):
    """The learning rate of an optimizer: a base rate, multiplied by a factor.

    During a warm-up of w epochs, the factor of epoch i is ``(i + 1) / (w + 1)``. After it, with the
    progress f from 0 to 1 and ``r = final_lr / lr``, the factor is ``r**f`` (exponential),
    ``1 + (r - 1) * f`` (linear) or ``r + (1 - r) * (1 + cos(pi * f)) / 2`` (cosine). With
    ``decay_each="batch"`` batches are counted instead of epochs.

    While a Trainer runs, ``lr`` is the rate of the current batch, and setting it changes the base
    rate from there on. After the training ``lr`` is what it was before.

    Parameters
    ----------
    lr, final_lr, decay_type, decay_each, warmup
        As in ``dlfs.optimizers.Optimizer``.

    Examples
    --------
    >>> optim = Schedule(lr=0.1, final_lr=0.001, decay_type="exponential")
    >>> optim.start_schedule(epochs=3)
    >>> optim.set_progress(1)
    >>> round(optim.lr, 6)
    0.01
    """

    lr: float = field(default=0.01, metadata={"range": POSITIVE})
    final_lr: float = field(default=0.0, metadata={"range": NOT_NEGATIVE})
    decay_type: str | None = None
    _: KW_ONLY
    decay_each: str = "epoch"
    warmup: int = 0

    def __post_init__(self) -> None:
        name = type(self).__name__
        for each in _with_ranges(type(self)):
            value, limits = getattr(self, each.name, None), each.metadata["range"]
            if value is not each.default:
                setattr(self, each.name, check_real(value, name, each.name, **limits))
        check_choice(self.decay_type, (None, *DECAY_TYPES), name, "decay_type")
        if self.decay_type is None and self.final_lr:
            raise ValueError(f"{name}: final_lr={self.final_lr:g} needs a decay_type to get there")
        if self.decay_type == "exponential" and not self.final_lr:
            raise ValueError(f"{name}: an exponential decay needs a final_lr above 0")
        check_choice(self.decay_each, ("epoch", "batch"), name, "decay_each")
        self.warmup = check_int(self.warmup, name, "warmup", 0)
        # Within a training: the user's rate, the number of epochs, and of batches in an epoch.
        self._schedule: tuple[float, int, int] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, by name; ``lr`` is the rate that the user set."""
        return {**super().arguments(), "lr": self._schedule[0] if self._schedule else self.lr}

    def __repr__(self) -> str:
        shown = [f"lr={self.arguments()['lr']:g}"]
        if self.decay_type:
            shown.append(f"final_lr={self.final_lr:g}, decay_type={self.decay_type!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def base_lr(self) -> float:
        """The rate that the schedule multiplies: what the user, or a callback since, set.

        TypeError or ValueError is raised if that is not a finite number, at least 0.
        """
        if self._schedule is None:
            return self.lr
        if self.lr == self._scheduled or not self._factor:
            return self._base
        return check_real(self.lr, type(self).__name__, "lr", 0.0) / self._factor

    def start_schedule(self, epochs: int, batches: int = 1) -> None:
        """Begin a training of ``epochs`` epochs of ``batches`` batches with the rate ``lr``."""
        self.end_schedule()
        check_int(epochs, type(self).__name__, "epochs", 1)
        self._schedule = (self.lr, epochs, batches)
        self._base = self._scheduled = self.lr
        self._factor = 1.0

    def set_progress(self, epoch: int, batch: int = 0) -> None:
        """Set ``lr`` to the rate for this batch of this epoch, both counted from 0."""
        if self._schedule is None:
            return
        self._base = self.base_lr
        _, epochs, batches = self._schedule
        if self.decay_each == "batch":
            factor = self._factor_of(epoch * batches + batch, epochs * batches, batches)
        else:
            factor = self._factor_of(epoch, epochs, 1)
        if factor == self._factor == 0:
            return  # lr is 0, or what a callback has set
        self._factor = factor
        self.lr = self._scheduled = self._base * factor

    def end_schedule(self) -> None:
        """Set ``lr`` to what it was before ``start_schedule``."""
        if self._schedule is not None:
            self.lr = self._schedule[0]
            self._schedule = None

    def _factor_of(self, index: int, count: int, per_epoch: int) -> float:
        """Return the factor of rate number ``index`` out of ``count``."""
        warmup = min(self.warmup * per_epoch, count)
        if index < warmup:
            return (index + 1) / (warmup + 1)
        steps = count - 1 - warmup
        f = (index - warmup) / steps if steps > 0 else 0.0
        r = self.final_lr / self._schedule[0] if self._schedule else 1.0
        if self.decay_type == "exponential":
            return float(r**f)
        if self.decay_type == "linear":
            return 1 + (r - 1) * f
        if self.decay_type == "cosine":
            return r + (1 - r) * (1 + math.cos(math.pi * f)) / 2
        return 1.0


def _with_ranges(owner: type[Schedule]) -> Iterable[Field[Any]]:
    """Return the fields whose metadata has the range that the value is checked for.

    A range holds also where a subclass declares the field again, for another default.
    """
    bases = [base for base in reversed(owner.__mro__) if is_dataclass(base)]
    declared = [each for base in bases for each in fields(base) if "range" in each.metadata]
    return {each.name: each for each in declared}.values()
