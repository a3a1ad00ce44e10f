"""The optimizers' updates. These, and only these, write into what they are given.

Each changes the parameter and the optimizer's memory of it in place, so that every Operation that
holds the parameter sees the new one. No two of the arrays may share memory.

Where a rule squares the gradient, numbers of the gradient beyond ``2**63`` in float32 (``2**511``
in float64) count as that, with their sign: their squares would overflow, be infinite in the
optimizer's memory, and let no step pass from there on. An infinite gradient stays infinite.
"""

import itertools

import numpy as np

from dlfs.checks import (
    check_flag,
    check_float_array,
    check_int,
    check_real,
    check_same_dtype,
    check_shape,
)
from dlfs.types import Array


def sgd_update(param: Array, grad: Array, lr: float, weight_decay: float = 0.0) -> None:
    """Step down the gradient: ``param -= lr * (grad + weight_decay * param)``.

    Parameters
    ----------
    param : ndarray, changed in place
    grad : ndarray, the same shape
    lr : float
        The learning rate.
    weight_decay : float
        The strength of an L2 penalty ``weight_decay / 2 * sum(param**2)``.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If the shapes differ, param is read-only or a number is not finite.

    Notes
    -----
    Book, chapters 2 and 3.

    Examples
    --------
    >>> param = np.array([1.0])
    >>> sgd_update(param, np.array([2.0]), lr=0.1)
    >>> param
    array([0.8])
    """
    _check("sgd_update", param, grad)
    lr = check_real(lr, "sgd_update", "lr")
    weight_decay = check_real(weight_decay, "sgd_update", "weight_decay")
    param -= lr * (grad + weight_decay * param)


def sgd_momentum_update(
    param: Array,
    grad: Array,
    velocity: Array,
    lr: float,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> None:
    """Step with momentum: the velocity remembers the earlier steps.

    ``velocity = momentum * velocity + lr * grad`` and ``param -= velocity``; with Nesterov's
    look-ahead ``param -= momentum * velocity + lr * grad``.

    Parameters
    ----------
    param, velocity : ndarray, changed in place
    grad : ndarray, the same shape
    lr : float
        The learning rate.
    momentum : float
        The share of the velocity that is kept.
    nesterov : bool

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If the shapes differ, an array to change is read-only or a number is not finite.

    Notes
    -----
    Book, chapter 4; Nesterov's form as in Sutskever et al., 2013.

    Examples
    --------
    >>> param, velocity = np.array([1.0]), np.array([1.0])
    >>> sgd_momentum_update(param, np.array([2.0]), velocity, lr=0.1, momentum=0.5)
    >>> velocity, param.round(6)
    (array([0.7]), array([0.3]))
    """
    _check("sgd_momentum_update", param, grad, velocity=velocity)
    lr = check_real(lr, "sgd_momentum_update", "lr")
    momentum = check_real(momentum, "sgd_momentum_update", "momentum")
    nesterov = check_flag(nesterov, "sgd_momentum_update", "nesterov")
    step = lr * grad
    velocity *= momentum
    velocity += step
    param -= momentum * velocity + step if nesterov else velocity


def adagrad_update(
    param: Array, grad: Array, sum_squares: Array, lr: float, eps: float = 1e-7
) -> None:
    """Step with a learning rate that shrinks where gradients were large.

    ``sum_squares += eps + grad**2`` and ``param -= lr * grad / sqrt(sum_squares)``.

    Parameters
    ----------
    param, sum_squares : ndarray, changed in place
    grad : ndarray, the same shape
    lr : float
        The learning rate.
    eps : float
        Keeps the division possible; eps > 0.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If the shapes differ, an array to change is read-only or a number is out of range.

    Notes
    -----
    Duchi, Hazan and Singer, 2011; book, chapter 6, which adds eps at every step as here.

    Examples
    --------
    >>> param, sum_squares = np.array([1.0]), np.array([0.0])
    >>> adagrad_update(param, np.array([2.0]), sum_squares, lr=0.1)
    >>> param.round(6)
    array([0.9])
    """
    _check("adagrad_update", param, grad, sum_squares=sum_squares)
    lr = check_real(lr, "adagrad_update", "lr")
    eps = check_real(eps, "adagrad_update", "eps", 0.0, low_open=True)
    grad = _tame(grad)
    sum_squares += eps + grad * grad
    np.minimum(sum_squares, np.finfo(sum_squares.dtype).max, out=sum_squares)
    param -= lr * grad / np.sqrt(sum_squares)


def rmsprop_update(
    param: Array,
    grad: Array,
    mean_square: Array,
    lr: float,
    decay: float = 0.9,
    eps: float = 1e-8,
) -> None:
    """Step over a running root mean square of the gradient.

    ``mean_square = decay * mean_square + (1 - decay) * grad**2`` and
    ``param -= lr * grad / (sqrt(mean_square) + eps)``.

    Parameters
    ----------
    param, mean_square : ndarray, changed in place
    grad : ndarray, the same shape
    lr : float
        The learning rate.
    decay : float
        The share of the mean that is kept; 0 <= decay < 1.
    eps : float
        Keeps the division possible; eps > 0.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ.
    ValueError
        If the shapes differ, an array to change is read-only or a number is out of range.

    Notes
    -----
    Tieleman and Hinton, 2012.

    Examples
    --------
    >>> param, mean_square = np.array([1.0]), np.array([0.0])
    >>> rmsprop_update(param, np.array([2.0]), mean_square, lr=0.1, decay=0.0)
    >>> param.round(6)
    array([0.9])
    """
    _check("rmsprop_update", param, grad, mean_square=mean_square)
    lr = check_real(lr, "rmsprop_update", "lr")
    decay = check_real(decay, "rmsprop_update", "decay", 0.0, 1.0, high_open=True)
    eps = check_real(eps, "rmsprop_update", "eps", 0.0, low_open=True)
    grad = _tame(grad)
    mean_square *= decay
    mean_square += (1 - decay) * grad * grad
    param -= lr * grad / (np.sqrt(mean_square) + eps)


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

    ``mean = beta1 * mean + (1 - beta1) * grad``,
    ``mean_square = beta2 * mean_square + (1 - beta2) * grad**2``, both corrected for their start
    from zero by ``1 - beta**t``, and
    ``param -= lr * (mean' / (sqrt(mean_square') + eps) + weight_decay * param)``.

    Parameters
    ----------
    param, mean, mean_square : ndarray, changed in place
    grad : ndarray, the same shape
    t : int
        The number of this step; the first is 1.
    lr : float
        The learning rate.
    beta1, beta2 : float
        The shares of the means that are kept; 0 <= beta < 1.
    eps : float
        Keeps the division possible; eps > 0.
    weight_decay : float
        Decoupled from the gradient, as AdamW has it.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or they differ, or t is no integer.
    ValueError
        If the shapes differ, an array to change is read-only or a number is out of range.

    Notes
    -----
    Kingma and Ba, 2015; Loshchilov and Hutter, 2019.

    Examples
    --------
    >>> param, mean, mean_square = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam_update(param, np.array([2.0]), mean, mean_square, t=1, lr=0.1)
    >>> param.round(6)
    array([0.9])
    """
    owner = "adam_update"
    _check(owner, param, grad, mean=mean, mean_square=mean_square)
    t = check_int(t, owner, "t", 1, 2**53)
    lr = check_real(lr, owner, "lr")
    weight_decay = check_real(weight_decay, owner, "weight_decay")
    beta1 = check_real(beta1, owner, "beta1", 0.0, 1.0, high_open=True)
    beta2 = check_real(beta2, owner, "beta2", 0.0, 1.0, high_open=True)
    eps = check_real(eps, owner, "eps", 0.0, low_open=True)
    grad = _tame(grad)
    mean *= beta1
    mean += (1 - beta1) * grad
    mean_square *= beta2
    mean_square += (1 - beta2) * grad * grad
    mean_corrected = mean / (1 - beta1**t)
    root = np.sqrt(mean_square / (1 - beta2**t))
    step = mean_corrected / (root + eps) + weight_decay * param
    param -= lr * step


def _check(owner: str, param: Array, grad: Array, **state: Array) -> None:
    arrays = {"param": param, "grad": grad, **state}
    for name, array in arrays.items():
        check_float_array(array, owner, name)
        check_shape(array, param.shape, owner, name)
        if name != "grad" and not array.flags.writeable:
            raise ValueError(f"{owner}: {name} is changed in place, but it is read-only")
    check_same_dtype(owner, **arrays)
    for (name, array), (other_name, other) in itertools.combinations(arrays.items(), 2):
        if np.shares_memory(array, other):
            raise ValueError(f"{owner}: {name} and {other_name} must not share memory")


def _tame(grad: Array) -> Array:
    """Return the gradient, but no more of it than can be squared."""
    most = 2.0**63 if grad.dtype == np.float32 else 2.0**511
    return np.where(np.isfinite(grad), np.clip(grad, -most, most), grad)
