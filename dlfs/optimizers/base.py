"""Optimizer: what all optimizers share. It reads the gradients, clips them, and takes a step."""

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dlfs.checks import NOT_NEGATIVE, POSITIVE, check_flag
from dlfs.clipping import clipped
from dlfs.optimizers.schedule import Schedule
from dlfs.types import Array

if TYPE_CHECKING:
    from dlfs.layers import LayerBlock


@dataclass(eq=False, repr=False)
class Optimizer(Schedule):
    """Changes a network's parameters along their gradients.

    A subclass writes ``_update_rule(param, grad, ...)``, which changes one parameter in place.
    ``slots`` names what it remembers of each parameter from step to step: the name of the list, and
    the name of the rule's argument, as in ``slots = {"velocities": "velocity"}``. With
    ``penalizes = True`` the rule has the argument ``penalized``, too. A subclass may also write its
    own ``step()``, as in the book (chapters 3 and 4). The arguments are fields of a dataclass: a
    subclass adds its own as fields, too, or writes a constructor.

    Parameters
    ----------
    lr : float, default 0.01
        The learning rate; lr > 0.
    final_lr : float, default 0
        The learning rate of the last epoch; it needs a decay_type.
    decay_type : {"exponential", "linear", "cosine"}, optional
        How the rate goes from lr to final_lr; constant unless given. See Schedule for the formulas.
    decay_each : {"epoch", "batch"}, default "epoch"
        Whether the rate changes after every epoch (as in the book) or after every batch.
    warmup : int, default 0
        The number of epochs in which the rate first rises, in equal steps, towards lr.
    clip_value : float, optional
        Gradients are cut off at plus and minus this value.
    clip_norm : float, optional
        Where the norm over all gradients together is larger, they are all scaled down to this
        (Pascanu, Mikolov and Bengio, 2013).
    gradient_clipping : bool, default False
        The book's name, in chapter 6, for ``clip_value=2``.
    weight_decay : float, default 0.0
        Added to the gradient, after clipping, is ``weight_decay * param``: the gradient of a
        penalty of ``weight_decay / 2 * sum(weights**2)``, without biases and the scales of
        normalization layers.

    Attributes
    ----------
    net : NeuralNetwork
        The network whose parameters are changed; a Trainer sets it.

    Examples
    --------
    >>> from dlfs import Dense, NeuralNetwork
    >>> class SignSGD(Optimizer):
    ...     def _update_rule(self, param, grad):
    ...         param -= self.lr * np.sign(grad)
    >>> optim = SignSGD(lr=0.5)
    >>> optim.net = NeuralNetwork([Dense(1)], seed=1)
    >>> loss = optim.net.train_batch(np.ones((2, 1)), np.full((2, 1), 9.0))
    >>> optim.step()
    >>> optim.net.params[1]  # the bias, which was 0
    array([[0.5]])
    """

    slots: ClassVar[dict[str, str]] = {}
    penalizes: ClassVar[bool] = False
    net: "LayerBlock" = field(init=False)

    _: KW_ONLY
    clip_value: float | None = field(default=None, metadata={"range": POSITIVE})
    clip_norm: float | None = field(default=None, metadata={"range": POSITIVE})
    gradient_clipping: bool = False
    weight_decay: float = field(default=0.0, metadata={"range": NOT_NEGATIVE})

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        self.gradient_clipping = check_flag(self.gradient_clipping, name, "gradient_clipping")
        if self.gradient_clipping and self.clip_value is None:
            self.clip_value = 2.0
        self.first = True
        self.t = 0

    def step(self) -> None:
        """Change every parameter of ``net`` along its gradient from the last backward pass."""
        if not hasattr(self, "net"):
            raise RuntimeError(f"{type(self).__name__}: no network to step; a Trainer sets .net")
        holders = self.net.param_holders()
        if self.first:
            zeros = {slot: [np.zeros_like(h.param) for h in holders] for slot in self.slots}
            vars(self).update(zeros)
            self.first = False
        try:
            grads = [holder.param_grad for holder in holders]
        except AttributeError:  # there was no backward pass
            grads = []
        arrays = {"grad": grads}
        for slot, argument in self.slots.items():
            arrays[argument] = getattr(self, slot)
        for argument, each in arrays.items():
            if len(each) != len(holders):
                raise RuntimeError(
                    f"{type(self).__name__}: the network differs from what is remembered of it "
                    f"({len(holders)} x param, {len(each)} x {argument}); was backward called, "
                    "and the optimizer reset for a new network?"
                )
        self.t += 1
        arrays["grad"] = clipped(grads, self.clip_value, self.clip_norm)
        for number, holder in enumerate(holders):
            if not holder.trains:
                continue
            values = {"param": holder.param}
            for argument, each in arrays.items():
                values[argument] = each[number]
            if self.penalizes:
                values["penalized"] = holder.penalized
            elif self.weight_decay and holder.penalized:
                values["grad"] = values["grad"] + self.weight_decay * holder.param
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

    def _update_rule(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _update_rule or step")
