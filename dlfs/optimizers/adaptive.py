"""Optimizers that adapt the learning rate of each number."""

from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import ClassVar

import numpy as np

from dlfs.backend import kernels
from dlfs.checks import FRACTION, NOT_NEGATIVE, POSITIVE, check_real
from dlfs.optimizers.base import Optimizer
from dlfs.types import Array


@dataclass(eq=False, repr=False)
class _BookRates:
    """AdaGrad's first arguments, as in the book: a dataclass begins with those of its last base."""

    lr: float = 0.01
    final_lr_exp: InitVar[float] = 0
    final_lr_linear: InitVar[float] = 0


@dataclass(eq=False, repr=False)
class AdaGrad(Optimizer, _BookRates):
    """A learning rate for each number, which falls where gradients were large.

    ``sum_square += eps + grad**2``, ``param -= lr * grad / sqrt(sum_square)``.

    Duchi, Hazan and Singer, 2011; book, chapter 6. The other arguments are those of Optimizer.

    Parameters
    ----------
    final_lr_exp, final_lr_linear : float, default 0
        The book's way to ask for an exponential or a linear decay to that rate; only one of the
        three final rates may be given.
    eps : float, default 1e-7
        Keeps the division possible; eps > 0.

    Examples
    --------
    >>> AdaGrad(lr=0.1, final_lr_linear=0.01).decay_type
    'linear'
    """

    slots: ClassVar[dict[str, str]] = {"sum_squares": "sum_square"}

    eps: float = field(default=1e-7, metadata={"range": POSITIVE})

    def __post_init__(self, final_lr_exp: float, final_lr_linear: float) -> None:
        final_lr_exp = check_real(final_lr_exp, "AdaGrad", "final_lr_exp", 0.0)
        final_lr_linear = check_real(final_lr_linear, "AdaGrad", "final_lr_linear", 0.0)
        final_lr = check_real(self.final_lr, "AdaGrad", "final_lr", 0.0)
        if sum(bool(rate) for rate in (final_lr_exp, final_lr_linear, final_lr)) > 1:
            raise ValueError("AdaGrad: give one of final_lr_exp, final_lr_linear and final_lr")
        if final_lr_exp or final_lr_linear:
            if self.decay_type is not None:
                raise ValueError("AdaGrad: decay_type goes with final_lr")
            self.decay_type = "exponential" if final_lr_exp else "linear"
            self.final_lr = final_lr_exp or final_lr_linear
        super().__post_init__()

    def _update_rule(self, param: Array, grad: Array, sum_square: Array) -> None:
        kernels.adagrad_update(param, grad, sum_square, self.lr, self.eps)


@dataclass(eq=False, repr=False)
class RMSProp(Optimizer):
    """AdaGrad with a running mean of squares instead of their sum (Tieleman and Hinton, 2012).

    ``mean_square = decay * mean_square + (1 - decay) * grad**2``,
    ``param -= lr * grad / (sqrt(mean_square) + eps)``. The other arguments are those of Optimizer.

    Parameters
    ----------
    decay : float, default 0.9
        The share of the mean that is kept; 0 <= decay < 1.
    eps : float, default 1e-8
        Keeps the division possible; eps > 0.

    Examples
    --------
    >>> RMSProp(lr=0.001)
    RMSProp(lr=0.001)
    """

    slots: ClassVar[dict[str, str]] = {"mean_squares": "mean_square"}

    decay: float = field(default=0.9, metadata={"range": FRACTION})
    eps: float = field(default=1e-8, metadata={"range": POSITIVE})

    def _update_rule(self, param: Array, grad: Array, mean_square: Array) -> None:
        kernels.rmsprop_update(param, grad, mean_square, self.lr, self.decay, self.eps)


@dataclass(eq=False, repr=False)
class Adam(Optimizer):
    """Momentum over a running root mean square of the gradient (Kingma and Ba, 2015).

    With the running means of grad and of grad**2, both corrected for their start from zero:
    ``param -= lr * mean / (sqrt(mean_square) + eps)``. The other arguments are those of Optimizer.

    Parameters
    ----------
    lr : float, default 0.001
        The learning rate.
    beta1, beta2 : float, default 0.9 and 0.999
        The shares of the two means that are kept; 0 <= beta < 1.
    eps : float, default 1e-8
        Keeps the division possible; eps > 0.

    Examples
    --------
    >>> Adam()
    Adam(lr=0.001)
    """

    slots: ClassVar[dict[str, str]] = {"means": "mean", "mean_squares": "mean_square"}

    lr: float = field(default=0.001, metadata={"range": POSITIVE})
    beta1: float = field(default=0.9, metadata={"range": FRACTION})
    beta2: float = field(default=0.999, metadata={"range": FRACTION})
    eps: float = field(default=1e-8, metadata={"range": POSITIVE})

    def _update_rule(
        self, param: Array, grad: Array, mean: Array, mean_square: Array, weight_decay: float = 0.0
    ) -> None:
        rates = (self.lr, self.beta1, self.beta2, self.eps, weight_decay)
        kernels.adam_update(param, grad, mean, mean_square, self.t, *rates)


@dataclass(eq=False, repr=False)
class NAdam(Adam):
    """Adam with Nesterov's look-ahead: the next step's momentum counts already.

    With ``mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2)`` and the product M of all mu so far,
    Adam's corrected mean becomes
    ``mu_(t+1) * mean / (1 - M * mu_(t+1)) + (1 - mu_t) * grad / (1 - M)``.

    Dozat, "Incorporating Nesterov momentum into Adam", 2016. The other arguments are Adam's.

    Parameters
    ----------
    lr : float, default 0.002
        The learning rate.
    momentum_decay : float, default 0.004
        How fast the momentum rises from beta1 / 2 to beta1; momentum_decay >= 0.

    Examples
    --------
    >>> NAdam()
    NAdam(lr=0.002)
    """

    lr: float = field(default=0.002, metadata={"range": POSITIVE})
    momentum_decay: float = field(default=0.004, metadata={"range": NOT_NEGATIVE})

    def __post_init__(self) -> None:
        super().__post_init__()
        self._product = (0, 1.0)

    def _momentum(self, t: int) -> float:
        return self.beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))

    def _product_until(self, t: int) -> float:
        """Return the product of the momenta of steps 1 to t."""
        done, product = self._product if self._product[0] <= t else (0, 1.0)
        for step in range(done + 1, t + 1):
            product *= self._momentum(step)
        self._product = (t, product)
        return product

    def _update_rule(  # type: ignore[override]
        self, param: Array, grad: Array, mean: Array, mean_square: Array
    ) -> None:
        now, after = self._momentum(self.t), self._momentum(self.t + 1)
        product = self._product_until(self.t)
        mean += (1 - self.beta1) * (grad - mean)
        mean_square += (1 - self.beta2) * (grad * grad - mean_square)
        ahead = (after / (1 - product * after)) * mean + ((1 - now) / (1 - product)) * grad
        root = np.sqrt(mean_square / (1 - self.beta2**self.t))
        param -= self.lr * ahead / (root + self.eps)


@dataclass(eq=False, repr=False)
class AdamW(Adam):
    """Adam with weight decay apart from the gradient.

    ``param -= lr * (mean / (sqrt(mean_square) + eps) + weight_decay * param)``; biases and the
    scales of normalization layers do not decay.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019. The other arguments are
    Adam's.

    Parameters
    ----------
    weight_decay : float, default 0.01
        weight_decay >= 0.

    Examples
    --------
    >>> AdamW(weight_decay=0.1)
    AdamW(lr=0.001)
    """

    penalizes = True

    _: KW_ONLY
    weight_decay: float = field(default=0.01, metadata={"range": NOT_NEGATIVE})

    def _update_rule(  # type: ignore[override]
        self, param: Array, grad: Array, mean: Array, mean_square: Array, penalized: bool
    ) -> None:
        decay = self.weight_decay if penalized else 0.0
        super()._update_rule(param, grad, mean, mean_square, decay)
