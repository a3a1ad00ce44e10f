"""Gradient descent: one learning rate for all numbers."""

from dataclasses import dataclass, field
from typing import ClassVar

from dlfs.backend import kernels
from dlfs.checks import FRACTION, NOT_NEGATIVE, check_flag
from dlfs.optimizers.base import Optimizer
from dlfs.types import Array


class SGD(Optimizer):
    """Stochastic gradient descent: ``param -= lr * grad`` (book, chapter 3).

    Its arguments are those of Optimizer.

    Examples
    --------
    >>> SGD(lr=0.1)
    SGD(lr=0.1)
    """

    def _update_rule(self, param: Array, grad: Array) -> None:
        kernels.sgd_update(param, grad, self.lr)


@dataclass(eq=False, repr=False)
class SGDMomentum(Optimizer):
    """Gradient descent with momentum: each step remembers the ones before.

    ``velocity = momentum * velocity + lr * grad``, ``param -= velocity``; with Nesterov's
    look-ahead ``param -= momentum * velocity + lr * grad``.

    Book, chapter 4; Nesterov's form as in Sutskever et al., 2013. The other arguments are those of
    Optimizer.

    Parameters
    ----------
    momentum : float, default 0.9
        The share of the velocity that is kept; 0 <= momentum < 1.
    nesterov : bool, default False

    Examples
    --------
    >>> SGDMomentum(lr=0.1, momentum=0.9, final_lr=0.05, decay_type="linear")
    SGDMomentum(lr=0.1, final_lr=0.05, decay_type='linear')
    """

    slots: ClassVar[dict[str, str]] = {"velocities": "velocity"}

    momentum: float = field(default=0.9, metadata={"range": FRACTION})
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.nesterov = check_flag(self.nesterov, "SGDMomentum", "nesterov")

    def _update_rule(self, param: Array, grad: Array, velocity: Array) -> None:
        kernels.sgd_momentum_update(param, grad, velocity, self.lr, self.momentum, self.nesterov)


@dataclass(eq=False, repr=False)
class _Penalty:
    """RegularizedSGD's first arguments: a dataclass begins with those of its last base."""

    lr: float = 0.01
    alpha: float = field(default=0.1, metadata={"range": NOT_NEGATIVE})


@dataclass(eq=False, repr=False)
class RegularizedSGD(Optimizer, _Penalty):
    """Gradient descent on the loss plus ``alpha / 2 * sum(weights**2)``.

    ``param -= lr * (grad + alpha * param)``; biases and the scales of normalization layers are not
    penalized. (The book leaves lr out of the penalty's step and shrinks biases too.)

    Ridge regression's penalty (Hoerl and Kennard, 1970); the book's repository has the class. The
    other arguments are those of Optimizer, but for weight_decay.

    Parameters
    ----------
    alpha : float, default 0.1
        The strength of the penalty; alpha >= 0.

    Examples
    --------
    >>> RegularizedSGD(lr=0.1, alpha=0.001)
    RegularizedSGD(lr=0.1)
    """

    penalizes = True
    weight_decay: float = field(init=False, default=0.0)  # alpha takes its place

    def _update_rule(self, param: Array, grad: Array, penalized: bool) -> None:
        kernels.sgd_update(param, grad, self.lr, self.alpha if penalized else 0.0)
