"""The optimizers' updates. These, and only these, write into their arguments.

Each changes the parameter and the optimizer's memory of it in place, so that every Operation that
has the parameter sees the new one. No two of the arrays may share memory; all have one shape. lr is
the learning rate, and eps, above 0, keeps a division possible.

Where a rule squares the gradient, numbers of the gradient beyond ``2**63`` in float32 (``2**511``
in float64) count as that, with their sign: their squares would overflow, stay infinite in the
optimizer's memory, and stop every later step. An infinite gradient stays infinite.
"""

import itertools

import numpy as np

from dlfs.checks import FRACTION, POSITIVE, REAL, check_flag, check_int
from dlfs.named_axes import check_arrays
from dlfs.reference.kernel import kernel
from dlfs.types import Array


@kernel(lr=REAL, weight_decay=REAL)
def sgd_update(param: Array, grad: Array, lr: float, weight_decay: float = 0.0) -> None:
    """Step down the gradient: ``param -= lr * (grad + weight_decay * param)``.

    >>> param = np.array([1.0])
    >>> sgd_update(param, np.array([2.0]), lr=0.1)
    >>> param
    array([0.8])
    """
    _check_changed("sgd_update", param, grad)
    param -= lr * (grad + weight_decay * param)


@kernel(lr=REAL, momentum=REAL)
def sgd_momentum_update(
    param: Array,
    grad: Array,
    velocity: Array,
    lr: float,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> None:
    """Step with momentum: ``velocity = momentum * velocity + lr * grad``, ``param -= velocity``.

    With Nesterov's look-ahead ``param -= momentum * velocity + lr * grad``.

    >>> param, velocity = np.array([1.0]), np.array([1.0])
    >>> sgd_momentum_update(param, np.array([2.0]), velocity, lr=0.1, momentum=0.5)
    >>> velocity, param.round(6)
    (array([0.7]), array([0.3]))
    """
    _check_changed("sgd_momentum_update", param, grad, velocity=velocity)
    nesterov = check_flag(nesterov, "sgd_momentum_update", "nesterov")
    step = lr * grad
    velocity *= momentum
    velocity += step
    param -= momentum * velocity + step if nesterov else velocity


@kernel(lr=REAL, eps=POSITIVE)
def adagrad_update(
    param: Array, grad: Array, sum_squares: Array, lr: float, eps: float = 1e-7
) -> None:
    """Shrink the step where gradients were large: ``param -= lr * grad / sqrt(sum_squares)``.

    Before that, ``sum_squares += eps + grad**2``: eps is added at every step, as in the book.

    >>> param, sum_squares = np.array([1.0]), np.array([0.0])
    >>> adagrad_update(param, np.array([2.0]), sum_squares, lr=0.1)
    >>> param.round(6)
    array([0.9])
    """
    _check_changed("adagrad_update", param, grad, sum_squares=sum_squares)
    grad = _tame(grad)
    sum_squares += eps + grad * grad
    np.minimum(sum_squares, np.finfo(sum_squares.dtype).max, out=sum_squares)
    param -= lr * grad / np.sqrt(sum_squares)


@kernel(lr=REAL, decay=FRACTION, eps=POSITIVE)
def rmsprop_update(
    param: Array, grad: Array, mean_square: Array, lr: float, decay: float = 0.9, eps: float = 1e-8
) -> None:
    """Divide by the running root mean square: ``param -= lr * grad / (sqrt(mean_square) + eps)``.

    Before that, ``mean_square = decay * mean_square + (1 - decay) * grad**2``, 0 <= decay < 1.

    >>> param, mean_square = np.array([1.0]), np.array([0.0])
    >>> rmsprop_update(param, np.array([2.0]), mean_square, lr=0.1, decay=0.0)
    >>> param.round(6)
    array([0.9])
    """
    _check_changed("rmsprop_update", param, grad, mean_square=mean_square)
    grad = _tame(grad)
    mean_square *= decay
    mean_square += (1 - decay) * grad * grad
    param -= lr * grad / (np.sqrt(mean_square) + eps)


@kernel(lr=REAL, weight_decay=REAL, beta1=FRACTION, beta2=FRACTION, eps=POSITIVE)
def adam_update(
    param: Array,
    grad: Array,
    mean: Array,
    mean_square: Array,
    t: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> None:
    """Step by the running mean of the gradient over its running root mean square.

    ``mean = beta1 * mean + (1 - beta1) * grad`` and
    ``mean_square = beta2 * mean_square + (1 - beta2) * grad**2``, 0 <= beta < 1. Both start from
    zero and are corrected for that in step t = 1, 2, ... by ``1 - beta**t``; then
    ``param -= lr * (mean' / (sqrt(mean_square') + eps) + weight_decay * param)``.

    >>> param, mean, mean_square = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam_update(param, np.array([2.0]), mean, mean_square, t=1, lr=0.1)
    >>> param.round(6)
    array([0.9])
    """
    _check_changed("adam_update", param, grad, mean=mean, mean_square=mean_square)
    t = check_int(t, "adam_update", "t", 1, 2**53)
    grad = _tame(grad)
    mean *= beta1
    mean += (1 - beta1) * grad
    mean_square *= beta2
    mean_square += (1 - beta2) * grad * grad
    mean_corrected = mean / (1 - beta1**t)
    root = np.sqrt(mean_square / (1 - beta2**t))
    param -= lr * (mean_corrected / (root + eps) + weight_decay * param)


def _check_changed(owner: str, param: Array, grad: Array, **state: Array) -> None:
    arrays = {"param": param, "grad": grad, **state}
    check_arrays(owner, **{name: (array, "...") for name, array in arrays.items()})
    for name, array in arrays.items():
        if name != "grad" and not array.flags.writeable:
            raise ValueError(f"{owner}: {name} is changed in place, but it is read-only")
    for (name, array), (other_name, other) in itertools.combinations(arrays.items(), 2):
        if np.shares_memory(array, other):
            raise ValueError(f"{owner}: {name} and {other_name} must not share memory")


def _tame(grad: Array) -> Array:
    """Return the gradient, clipped to numbers that can be squared."""
    most = 2.0**63 if grad.dtype == np.float32 else 2.0**511
    return np.where(np.isfinite(grad), np.clip(grad, -most, most), grad)
