"""Optimizers: how a gradient becomes a step, and how the learning rate falls.

The learning rate belongs to a schedule: while a Trainer runs, ``lr`` is the rate of the moment;
when it ends, however it ends, ``lr`` is again what the user set.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, Unpack

import numpy as np

from dlfs.backend import kernels
from dlfs.checks import as_number_array, check_choice, check_flag, check_int, check_real
from dlfs.configuration import Configured
from dlfs.types import Array

if TYPE_CHECKING:
    from dlfs.network import LayerBlock

DECAY_TYPES = ("exponential", "linear", "cosine")


class OptimizerOptions(TypedDict, total=False):
    """What every optimizer takes besides its own arguments; see Optimizer."""

    decay_each: str
    warmup: int
    clip_value: float | None
    clip_norm: float | None
    gradient_clipping: bool


class Optimizer(Configured):
    """Changes a network's parameters along their gradients.

    A subclass writes ``_update_rule(param=, grad=, ...)``, which changes one parameter in place,
    and names in ``slots`` what it remembers of each parameter from step to step; these are passed
    to the rule by the singular name. With ``penalizes = True`` the rule is also told whether a
    penalty applies, ``penalized=``. Or it writes its own ``step()``, as the book does.

    Parameters
    ----------
    lr : float
        The learning rate; lr > 0.
    final_lr : float
        Where it ends.
    decay_type : {"exponential", "linear", "cosine"}, optional
        The way from lr, in the first epoch, to final_lr, in the last; none unless given. With the
        progress f from 0 to 1: ``lr * (final_lr / lr)**f``, ``lr + (final_lr - lr) * f`` or
        ``final_lr + (lr - final_lr) * (1 + cos(pi * f)) / 2``.
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
        The learning rate of the moment.
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
    >>> optim = SGD(lr=0.1, final_lr=0.001, decay_type="exponential")
    >>> optim.start_schedule(epochs=3)
    >>> rates = []
    >>> for epoch in range(3):
    ...     optim.set_progress(epoch)
    ...     rates.append(round(optim.lr, 6))
    >>> optim.end_schedule()
    >>> rates, optim.lr
    ([0.1, 0.01, 0.001], 0.1)
    """

    slots: ClassVar[tuple[str, ...]] = ()
    penalizes: ClassVar[bool] = False

    net: "LayerBlock"

    def __init__(
        self,
        lr: float = 0.01,
        final_lr: float = 0,
        decay_type: str | None = None,
        **options: Unpack[OptimizerOptions],
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
        unknown = set(options) - set(OptimizerOptions.__annotations__)
        if unknown:
            raise TypeError(f"{name}: unknown argument {min(unknown)!r}")
        self.decay_each = options.get("decay_each", "epoch")
        check_choice(self.decay_each, ("epoch", "batch"), name, "decay_each")
        self.warmup = check_int(options.get("warmup", 0), name, "warmup", 0)
        self.clip_value = _limit(options.get("clip_value"), name, "clip_value")
        self.clip_norm = _limit(options.get("clip_norm"), name, "clip_norm")
        self.gradient_clipping = options.get("gradient_clipping", False)
        check_flag(self.gradient_clipping, name, "gradient_clipping")
        if self.gradient_clipping and self.clip_value is None:
            self.clip_value = 2.0
        self.first = True
        self.t = 0
        self._schedule: tuple[float, int, int] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, by name, as they are now."""
        options = {name: getattr(self, name) for name in OptimizerOptions.__annotations__}
        base = self._schedule[0] if self._schedule else self.lr
        return {**super().arguments(), "lr": base, **options}

    def __repr__(self) -> str:
        shown = [f"lr={self.arguments()['lr']:g}"]
        if self.decay_type:
            shown.append(f"final_lr={self.final_lr:g}, decay_type={self.decay_type!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def step(self) -> None:
        """Change every parameter of ``net`` along its gradient from the last backward pass."""
        if not hasattr(self, "net"):
            raise RuntimeError(f"{type(self).__name__}: no network to step; a Trainer sets .net")
        params = list(self.net.params())
        if self.first:
            self._setup_slots(params)
        grads = self._clipped(list(self.net.param_grads()))
        columns: dict[str, list[Any]] = {"param": params, "grad": grads}
        columns.update({_singular(slot): getattr(self, slot) for slot in self.slots})
        if self.penalizes:
            columns["penalized"] = list(self.net.penalized())
        if len({len(column) for column in columns.values()}) > 1:
            counts = ", ".join(f"{len(column)} x {name}" for name, column in columns.items())
            raise RuntimeError(
                f"{type(self).__name__}: the network differs from what is remembered of it "
                f"({counts}); was backward called, and the optimizer reset for a new network?"
            )
        self.t += 1
        for values in zip(*columns.values(), strict=True):
            self._update_rule(**dict(zip(columns, values, strict=True)))

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

    def start_schedule(self, epochs: int, batches: int = 1) -> None:
        """Begin a training of ``epochs`` epochs of ``batches`` batches with the rate ``lr``."""
        self.end_schedule()
        check_int(epochs, type(self).__name__, "epochs", 1)
        self._schedule = (self.lr, epochs, batches)

    def set_progress(self, epoch: int, batch: int = 0) -> None:
        """Set ``lr`` to the rate for this batch of this epoch, both counted from 0."""
        if self._schedule is None:
            return
        base, epochs, batches = self._schedule
        if self.decay_each == "batch":
            self.lr = self._rate(base, epoch * batches + batch, epochs * batches, batches)
        else:
            self.lr = self._rate(base, epoch, epochs, 1)

    def end_schedule(self) -> None:
        """Set ``lr`` to what it was before ``start_schedule``."""
        if self._schedule is not None:
            self.lr = self._schedule[0]
            self._schedule = None

    def _rate(self, base: float, index: int, count: int, per_epoch: int) -> float:
        """Return the rate number ``index`` of ``count``."""
        warmup = min(self.warmup * per_epoch, count)
        if index < warmup:
            return base * (index + 1) / (warmup + 1)
        steps = count - 1 - warmup
        f = (index - warmup) / steps if steps > 0 else 0.0
        if self.decay_type == "exponential":
            return float(base * (self.final_lr / base) ** f)
        if self.decay_type == "linear":
            return base + (self.final_lr - base) * f
        if self.decay_type == "cosine":
            return self.final_lr + (base - self.final_lr) * (1 + math.cos(math.pi * f)) / 2
        return base

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
                grads = [grad * (self.clip_norm / norm) for grad in grads]
        return grads

    def _update_rule(self, **kwargs: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _update_rule or step")


def global_norm(arrays: Iterable[Array]) -> float:
    """Return the Euclidean norm of all numbers in ``arrays`` together, summed in float64.

    Examples
    --------
    >>> global_norm([np.array([3.0]), np.array([[4.0]])])
    5.0
    """
    parts = (as_number_array(part, "global_norm", "arrays") for part in arrays)
    return math.sqrt(sum(float(np.sum(np.square(part, dtype=np.float64))) for part in parts))


def _limit(value: object, owner: str, name: str) -> float | None:
    return None if value is None else check_real(value, owner, name, 0.0, low_open=True)


def _singular(slot: str) -> str:
    return "velocity" if slot == "velocities" else slot.removesuffix("s")


class SGD(Optimizer):
    """Stochastic gradient descent: ``param -= lr * grad``.

    Parameters
    ----------
    lr, final_lr, decay_type, **options
        As in Optimizer.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit.

    Notes
    -----
    Book, chapter 3.

    Examples
    --------
    >>> SGD(lr=0.1)
    SGD(lr=0.1)
    """

    def _update_rule(self, **kwargs: Any) -> None:
        kernels.sgd_update(kwargs["param"], kwargs["grad"], self.lr)


class SGDMomentum(Optimizer):
    """Gradient descent with momentum: each step remembers the ones before.

    ``velocity = momentum * velocity + lr * grad``, ``param -= velocity``; with Nesterov's
    look-ahead ``param -= momentum * velocity + lr * grad``.

    Parameters
    ----------
    lr, final_lr, decay_type, **options
        As in Optimizer.
    momentum : float
        The share of the velocity that is kept; 0 <= momentum < 1.
    nesterov : bool

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit.

    Notes
    -----
    Book, chapter 4; Nesterov's form as in Sutskever et al., 2013.

    Examples
    --------
    >>> SGDMomentum(lr=0.1, momentum=0.9, final_lr=0.05, decay_type="linear")
    SGDMomentum(lr=0.1, final_lr=0.05, decay_type='linear')
    """

    slots = ("velocities",)

    def __init__(
        self,
        lr: float = 0.01,
        final_lr: float = 0,
        decay_type: str | None = None,
        momentum: float = 0.9,
        nesterov: bool = False,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(lr, final_lr, decay_type, **options)
        name = "SGDMomentum"
        self.momentum = check_real(momentum, name, "momentum", 0.0, 1.0, high_open=True)
        self.nesterov = check_flag(nesterov, name, "nesterov")

    def _update_rule(self, **kwargs: Any) -> None:
        kernels.sgd_momentum_update(
            kwargs["param"],
            kwargs["grad"],
            kwargs["velocity"],
            self.lr,
            self.momentum,
            self.nesterov,
        )


class AdaGrad(Optimizer):
    """A learning rate for each number, which falls where gradients were large.

    ``sum_square += eps + grad**2``, ``param -= lr * grad / sqrt(sum_square)``.

    Parameters
    ----------
    lr : float
        The learning rate.
    final_lr_exp, final_lr_linear : float
        The book's way to ask for an exponential or a linear decay to that rate.
    final_lr, decay_type, **options
        As in Optimizer.
    eps : float
        Keeps the division possible; eps > 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit, or more than one final rate is given.

    Notes
    -----
    Duchi, Hazan and Singer, 2011; book, chapter 6.

    Examples
    --------
    >>> AdaGrad(lr=0.1, final_lr_linear=0.01).decay_type
    'linear'
    """

    slots = ("sum_squares",)

    def __init__(
        self,
        lr: float = 0.01,
        final_lr_exp: float = 0,
        final_lr_linear: float = 0,
        final_lr: float = 0,
        decay_type: str | None = None,
        eps: float = 1e-7,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        final_lr_exp = check_real(final_lr_exp, "AdaGrad", "final_lr_exp", 0.0)
        final_lr_linear = check_real(final_lr_linear, "AdaGrad", "final_lr_linear", 0.0)
        final_lr = check_real(final_lr, "AdaGrad", "final_lr", 0.0)
        if sum(bool(rate) for rate in (final_lr_exp, final_lr_linear, final_lr)) > 1:
            raise ValueError("AdaGrad: give one of final_lr_exp, final_lr_linear and final_lr")
        if final_lr_exp or final_lr_linear:
            if decay_type is not None:
                raise ValueError("AdaGrad: decay_type goes with final_lr")
            decay_type = "exponential" if final_lr_exp else "linear"
        super().__init__(lr, final_lr_exp or final_lr_linear or final_lr, decay_type, **options)
        self.eps = check_real(eps, "AdaGrad", "eps", 0.0, low_open=True)

    def _update_rule(self, **kwargs: Any) -> None:
        kernels.adagrad_update(
            kwargs["param"], kwargs["grad"], kwargs["sum_square"], self.lr, self.eps
        )


class RMSProp(Optimizer):
    """AdaGrad that forgets: a running mean of squares instead of their sum.

    ``mean_square = decay * mean_square + (1 - decay) * grad**2``,
    ``param -= lr * grad / (sqrt(mean_square) + eps)``.

    Parameters
    ----------
    lr, final_lr, decay_type, **options
        As in Optimizer.
    decay : float
        The share of the mean that is kept; 0 <= decay < 1.
    eps : float
        Keeps the division possible; eps > 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit.

    Notes
    -----
    Tieleman and Hinton, 2012.

    Examples
    --------
    >>> RMSProp(lr=0.001)
    RMSProp(lr=0.001)
    """

    slots = ("mean_squares",)

    def __init__(
        self,
        lr: float = 0.01,
        final_lr: float = 0,
        decay_type: str | None = None,
        decay: float = 0.9,
        eps: float = 1e-8,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(lr, final_lr, decay_type, **options)
        self.decay = check_real(decay, "RMSProp", "decay", 0.0, 1.0, high_open=True)
        self.eps = check_real(eps, "RMSProp", "eps", 0.0, low_open=True)

    def _update_rule(self, **kwargs: Any) -> None:
        kernels.rmsprop_update(
            kwargs["param"], kwargs["grad"], kwargs["mean_square"], self.lr, self.decay, self.eps
        )


class Adam(Optimizer):
    """Momentum over a running root mean square of the gradient.

    With the running means of grad and of grad**2, both corrected for their start from zero:
    ``param -= lr * mean / (sqrt(mean_square) + eps)``.

    Parameters
    ----------
    lr, final_lr, decay_type, **options
        As in Optimizer.
    beta1, beta2 : float
        The shares of the two means that are kept; 0 <= beta < 1.
    eps : float
        Keeps the division possible; eps > 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit.

    Notes
    -----
    Kingma and Ba, 2015.

    Examples
    --------
    >>> Adam()
    Adam(lr=0.001)
    """

    slots = ("means", "mean_squares")

    def __init__(
        self,
        lr: float = 0.001,
        final_lr: float = 0,
        decay_type: str | None = None,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(lr, final_lr, decay_type, **options)
        name = type(self).__name__
        self.beta1 = check_real(beta1, name, "beta1", 0.0, 1.0, high_open=True)
        self.beta2 = check_real(beta2, name, "beta2", 0.0, 1.0, high_open=True)
        self.eps = check_real(eps, name, "eps", 0.0, low_open=True)

    def _update_rule(self, **kwargs: Any) -> None:
        self._adam_step(kwargs, weight_decay=0.0)

    def _adam_step(self, kwargs: dict[str, Any], weight_decay: float) -> None:
        kernels.adam_update(
            kwargs["param"],
            kwargs["grad"],
            kwargs["mean"],
            kwargs["mean_square"],
            self.t,
            self.lr,
            self.beta1,
            self.beta2,
            self.eps,
            weight_decay,
        )


class AdamW(Adam):
    """Adam with weight decay apart from the gradient.

    ``param -= lr * (mean / (sqrt(mean_square) + eps) + weight_decay * param)``; biases and the
    scales of normalization layers do not decay.

    Parameters
    ----------
    lr, final_lr, decay_type, beta1, beta2, eps, **options
        As in Adam.
    weight_decay : float
        weight_decay >= 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit.

    Notes
    -----
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

    Examples
    --------
    >>> AdamW(weight_decay=0.1)
    AdamW(lr=0.001)
    """

    penalizes = True

    def __init__(
        self,
        lr: float = 0.001,
        final_lr: float = 0,
        decay_type: str | None = None,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(lr, final_lr, decay_type, beta1, beta2, eps, **options)
        self.weight_decay = check_real(weight_decay, "AdamW", "weight_decay", 0.0)

    def _update_rule(self, **kwargs: Any) -> None:
        self._adam_step(kwargs, self.weight_decay if kwargs["penalized"] else 0.0)


class RegularizedSGD(Optimizer):
    """Gradient descent on the loss plus ``alpha / 2 * sum(weights**2)``.

    ``param -= lr * (grad + alpha * param)``; biases and the scales of normalization layers are not
    penalized. (The book leaves lr out of the penalty's step and shrinks biases too.)

    Parameters
    ----------
    lr : float
        The learning rate.
    alpha : float
        The strength of the penalty; alpha >= 0.
    final_lr, decay_type, **options
        As in Optimizer.

    Raises
    ------
    TypeError, ValueError
        If an argument is unfit.

    Notes
    -----
    Ridge regression's penalty (Hoerl and Kennard, 1970); the book's repository has the class.

    Examples
    --------
    >>> RegularizedSGD(lr=0.1, alpha=0.001)
    RegularizedSGD(lr=0.1)
    """

    penalizes = True

    def __init__(
        self,
        lr: float = 0.01,
        alpha: float = 0.1,
        final_lr: float = 0,
        decay_type: str | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(lr, final_lr, decay_type, **options)
        self.alpha = check_real(alpha, "RegularizedSGD", "alpha", 0.0)

    def _update_rule(self, **kwargs: Any) -> None:
        alpha = self.alpha if kwargs["penalized"] else 0.0
        kernels.sgd_update(kwargs["param"], kwargs["grad"], self.lr, alpha)
