"""Optimizer: what all of them share, the step and the way of the learning rate.

A schedule multiplies a base rate: while a Trainer runs, ``lr`` is the rate of the moment. Whoever
sets ``lr`` meanwhile, a callback for example, changes the base rate from there on. When the Trainer
ends, however it ends, ``lr`` is again what the user set.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dlfs.base import Configured
from dlfs.checks import as_number_array, check_choice, check_flag, check_int, check_real
from dlfs.types import Array

if TYPE_CHECKING:
    from dlfs.layers import LayerBlock

DECAY_TYPES = ("exponential", "linear", "cosine")


class Optimizer(Configured):
    """Changes a network's parameters along their gradients.

    A subclass writes ``_update_rule(param, grad, ...)``, which changes one parameter in place.
    ``slots`` names what it remembers of each parameter from step to step: the name of the list and
    that of the rule's argument, ``slots = {"velocities": "velocity"}``. With ``penalizes = True``
    the rule has the argument ``penalized``, too. Or it writes its own ``step()``, as in the book.

    Parameters
    ----------
    lr : float
        The learning rate; lr > 0.
    final_lr : float
        Where it ends.
    decay_type : {"exponential", "linear", "cosine"}, optional
        The way from lr, in the first epoch, to final_lr, in the last; none unless given. With the
        progress f from 0 to 1, and ``r = final_lr / lr``, the base rate is multiplied by ``r**f``,
        ``1 + (r - 1) * f`` or ``r + (1 - r) * (1 + cos(pi * f)) / 2``.
    decay_each : {"epoch", "batch"}
        Whether the rate changes after every epoch (the book's way) or after every batch.
    warmup : int
        For so many epochs the rate first rises, in equal steps, towards lr.
    clip_value : float, optional
        Gradients are cut off at plus and minus this value.
    clip_norm : float, optional
        Where the norm over all gradients together is larger, they are all scaled down to this.
    gradient_clipping : bool
        The book's name, in chapter 6, for ``clip_value=2``.

    Attributes
    ----------
    lr : float
        The learning rate of the moment. To set it in the middle of a training scales all rates
        that follow.
    net : NeuralNetwork
        Whose parameters to change; a Trainer sets it.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit.

    Notes
    -----
    Book, chapters 3 and 4. Clipping by norm: Pascanu, Mikolov and Bengio, 2013.

    Examples
    --------
    >>> from dlfs.optimizers import SGD
    >>> optim = SGD(lr=0.1, final_lr=0.001, decay_type="exponential")
    >>> optim.start_schedule(epochs=3)
    >>> rates = []
    >>> for epoch in range(3):
    ...     optim.set_progress(epoch)
    ...     rates.append(round(optim.lr, 6))
    >>> optim.end_schedule()
    >>> rates, optim.lr
    ([0.1, 0.01, 0.001], 0.1)

    What a callback sets is what the schedule goes on from:

    >>> optim = SGD(lr=0.1)
    >>> optim.start_schedule(epochs=3)
    >>> rates = []
    >>> for epoch in range(3):
    ...     optim.set_progress(epoch)
    ...     rates.append(optim.lr)
    ...     optim.lr *= 0.5
    >>> optim.end_schedule()
    >>> rates, optim.lr
    ([0.1, 0.05, 0.025], 0.1)
    """

    slots: ClassVar[dict[str, str]] = {}
    penalizes: ClassVar[bool] = False

    net: "LayerBlock"

    def __init__(
        self,
        lr: float = 0.01,
        final_lr: float = 0,
        decay_type: str | None = None,
        decay_each: str = "epoch",
        warmup: int = 0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        gradient_clipping: bool = False,
    ) -> None:
        name = type(self).__name__
        self.lr = check_real(lr, name, "lr", 0.0, low_open=True)
        self.final_lr = check_real(final_lr, name, "final_lr", 0.0)
        check_choice(decay_type, (None, *DECAY_TYPES), name, "decay_type")
        self.decay_type = decay_type
        if decay_type is None and self.final_lr:
            raise ValueError(f"{name}: final_lr={final_lr} needs a decay_type to get there")
        if decay_type == "exponential" and not self.final_lr:
            raise ValueError(f"{name}: an exponential decay needs a final_lr above 0")
        check_choice(decay_each, ("epoch", "batch"), name, "decay_each")
        self.decay_each = decay_each
        self.warmup = check_int(warmup, name, "warmup", 0)
        self.clip_value = _limit(clip_value, name, "clip_value")
        self.clip_norm = _limit(clip_norm, name, "clip_norm")
        self.gradient_clipping = check_flag(gradient_clipping, name, "gradient_clipping")
        if self.gradient_clipping and self.clip_value is None:
            self.clip_value = 2.0
        self.first = True
        self.t = 0
        self._schedule: tuple[float, int, int] | None = None
        self._base = self._scheduled = self.lr
        self._factor = 1.0

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, by name, as they are now."""
        base = self._schedule[0] if self._schedule else self.lr
        return {**super().arguments(), "lr": base}

    def __repr__(self) -> str:
        shown = [f"lr={self.arguments()['lr']:g}"]
        if self.decay_type:
            shown.append(f"final_lr={self.final_lr:g}, decay_type={self.decay_type!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def step(self) -> None:
        """Change every parameter of ``net`` along its gradient from the last backward pass."""
        if not hasattr(self, "net"):
            raise RuntimeError(f"{type(self).__name__}: no network to step; a Trainer sets .net")
        holders = self.net.param_holders()
        if self.first:
            self._setup_slots([holder.param for holder in holders])
        remembered = [(argument, getattr(self, slot)) for slot, argument in self.slots.items()]
        grads = self._gradients(holders)
        if self.clip_value is not None or self.clip_norm is not None:
            grads = self._clipped(grads)
        for argument, arrays in (("grad", grads), *remembered):
            if len(arrays) != len(holders):
                raise RuntimeError(
                    f"{type(self).__name__}: the network differs from what is remembered of it "
                    f"({len(holders)} x param, {len(arrays)} x {argument}); was backward called, "
                    "and the optimizer reset for a new network?"
                )
        self.t += 1
        for number, holder in enumerate(holders):
            if not holder.trains:
                continue
            values = {"param": holder.param, "grad": grads[number]}
            for argument, arrays in remembered:
                values[argument] = arrays[number]
            if self.penalizes:
                values["penalized"] = holder.penalized
            self._update_rule(**values)

    def reset(self) -> None:
        """Forget everything remembered from earlier steps."""
        self.first = True
        self.t = 0

    def state(self) -> dict[str, list[Array]]:
        """Return what is remembered of each parameter, by the name of the slot."""
        return {} if self.first else {slot: getattr(self, slot) for slot in self.slots}

    def load_state(self, state: dict[str, list[Array]], t: int) -> None:
        """Remember what ``state`` returned after ``t`` steps, as copies."""
        self.t = t
        self.first = t == 0
        for slot in self.slots if t else ():
            setattr(self, slot, [np.array(array, copy=True, order="C") for array in state[slot]])

    @property
    def base_lr(self) -> float:
        """The rate that the schedule multiplies: what the user, or a callback since, set.

        Raises
        ------
        TypeError, ValueError
            If ``lr`` was set to something else than a finite number that is not negative.
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
        """Return what the rate number ``index`` of ``count`` is, as a multiple of the first."""
        warmup = min(self.warmup * per_epoch, count)
        if index < warmup:
            return (index + 1) / (warmup + 1)
        steps = count - 1 - warmup
        f = (index - warmup) / steps if steps > 0 else 0.0
        final = self.final_lr / self._schedule[0] if self._schedule else 1.0
        if self.decay_type == "exponential":
            return float(final**f)
        if self.decay_type == "linear":
            return 1 + (final - 1) * f
        if self.decay_type == "cosine":
            return final + (1 - final) * (1 + math.cos(math.pi * f)) / 2
        return 1.0

    def _gradients(self, holders: Sequence[Any]) -> list[Array]:
        """Return the gradient of each parameter; none at all if there was no backward pass."""
        try:
            return [holder.param_grad for holder in holders]
        except AttributeError:
            return []

    def _setup_slots(self, params: Sequence[Array]) -> None:
        for slot in self.slots:
            setattr(self, slot, [np.zeros_like(param) for param in params])
        self.first = False

    def _clipped(self, grads: list[Array]) -> list[Array]:
        if self.clip_value is not None:
            grads = [np.clip(grad, -self.clip_value, self.clip_value) for grad in grads]
        if self.clip_norm is not None:
            norm = global_norm(grads)
            if norm > self.clip_norm:
                grads = [_shrunk(grad, self.clip_norm / norm) for grad in grads]
        return grads

    def _update_rule(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _update_rule or step")


def global_norm(arrays: Iterable[Array]) -> float:
    """Return the Euclidean norm of all numbers in ``arrays`` together, summed in float64.

    It neither overflows nor underflows where the result does not.

    Examples
    --------
    >>> global_norm([np.array([3.0]), np.array([[4.0]])])
    5.0
    """
    parts = [as_number_array(part, "global_norm", "arrays") for part in arrays]
    with np.errstate(over="ignore", under="ignore"):
        total = sum(float(np.sum(np.square(part, dtype=np.float64))) for part in parts)
        if 1e-280 < total < math.inf or math.isnan(total):
            return math.sqrt(total)
        # Squares may have overflowed, or vanished: once more, in units of the largest number.
        largest = max((float(np.max(np.abs(part), initial=0)) for part in parts), default=0.0)
        if largest in (0.0, math.inf):
            return largest
        units = (np.divide(part, largest, dtype=np.float64) for part in parts)
        return largest * math.sqrt(sum(float(np.sum(np.square(unit))) for unit in units))


def _shrunk(grad: Array, factor: float) -> Array:
    if factor > 1e-30:
        return grad * factor
    # float32 has hardly any digits for so small a factor.
    return np.multiply(grad, factor, dtype=np.float64).astype(grad.dtype)


def _limit(value: object, owner: str, name: str) -> float | None:
    return None if value is None else check_real(value, owner, name, 0.0, low_open=True)
