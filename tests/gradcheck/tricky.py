"""Correct functions that are hard to differentiate numerically: kinks, ties, steep and flat parts.

Each has an input, forward and backward; all must pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

Function = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Tricky:
    """A correct pair of functions, and an input."""

    name: str
    x: np.ndarray
    forward: Function
    backward: Function


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def half_zeros(*shape: int) -> np.ndarray:
    return normal(*shape) * (normal(*shape, seed=1) > 0)


def ties(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).integers(-2, 3, shape).astype(float)


def positive(*shape: int) -> np.ndarray:
    return np.abs(normal(*shape)) + 0.1


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _softmax_back(g: np.ndarray, p: np.ndarray) -> np.ndarray:
    return p * (g - np.sum(g * p, axis=-1, keepdims=True))


def _at(shape: tuple[int, ...], index: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Put values at places along the last axis."""
    grad = np.zeros(shape)
    np.put_along_axis(grad, index, g, axis=-1)
    return grad


def elementwise(name: str, x: np.ndarray, f: Function, slope: Function) -> Tricky:
    return Tricky(name, x, f, lambda g, x: g * slope(x))


ZEROS, TIES = half_zeros(5, 6), ties(5, 6)
SMALL, LARGE = 1e-6 * normal(3, 4), 1e6 * normal(3, 4)
STEEP = np.array([[1e-6, 0.5, 2.0], [3e-5, 1e-3, 1.0]])

# --- kinks of each entry ---

KINKS = [
    elementwise("ReLU, half zeros", ZEROS, lambda x: np.maximum(x, 0), lambda x: x > 0),
    elementwise("ReLU, half zeros, >=", ZEROS, lambda x: np.maximum(x, 0), lambda x: x >= 0),
    elementwise(
        "ReLU, half zeros, 1/2", ZEROS, lambda x: np.maximum(x, 0), lambda x: np.heaviside(x, 0.5)
    ),
    elementwise(
        "ReLU of a large array, half zeros",
        half_zeros(9, 70),
        lambda x: np.maximum(x, 0),
        lambda x: x > 0,
    ),
    elementwise(
        "ReLU of pixels",
        np.round(positive(4, 64) * 2) / 2 - 0.5,
        lambda x: np.maximum(x, 0),
        lambda x: x > 0,
    ),
    elementwise(
        "leaky ReLU, half zeros",
        ZEROS,
        lambda x: np.where(x > 0, x, 0.1 * x),
        lambda x: np.where(x > 0, 1, 0.1),
    ),
    elementwise("|x|, half zeros", ZEROS, np.abs, np.sign),
    elementwise("|x - 1|, ties", TIES, lambda x: np.abs(x - 1), lambda x: np.sign(x - 1)),
    elementwise("ReLU6", ties(4, 6) * 3, lambda x: np.clip(x, 0, 6), lambda x: (x > 0) & (x < 6)),
    elementwise("clip at the ends", TIES, lambda x: np.clip(x, -1, 1), lambda x: np.abs(x) < 1),
    elementwise(
        "hard sigmoid",
        TIES * 1.5,
        lambda x: np.clip(x / 6 + 0.5, 0, 1),
        lambda x: (np.abs(x) < 3) / 6,
    ),
    elementwise(
        "hard swish",
        ties(4, 5) * 1.5,
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x: np.where(x >= 3, 1.0, np.where(x <= -3, 0.0, x / 3 + 0.5)),
    ),
    elementwise(
        "soft shrink",
        TIES / 2,
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
        lambda x: np.abs(x) > 0.5,
    ),
    elementwise(
        "SELU, half zeros",
        ZEROS,
        lambda x: np.where(x > 0, x, 1.7 * (np.exp(x) - 1)),
        lambda x: np.where(x > 0, 1, 1.7 * np.exp(x)),
    ),
    elementwise(
        "Huber, at its ends",
        TIES,
        lambda x: np.where(np.abs(x) <= 1, x**2 / 2, np.abs(x) - 0.5),
        lambda x: np.clip(x, -1, 1),
    ),
    elementwise(
        "hinge, at the margin", TIES, lambda x: np.maximum(0, 1 - x), lambda x: -1.0 * (x < 1)
    ),
    elementwise(
        "squared hinge",
        TIES,
        lambda x: np.maximum(0, 1 - x) ** 2,
        lambda x: -2 * np.maximum(0, 1 - x),
    ),
    elementwise("x |x|, half zeros", ZEROS, lambda x: x * np.abs(x), lambda x: 2 * np.abs(x)),
    elementwise(
        "|x|^1.5, half zeros",
        ZEROS,
        lambda x: np.abs(x) ** 1.5,
        lambda x: 1.5 * np.sign(x) * np.sqrt(np.abs(x)),
    ),
    elementwise(
        "triangle wave", TIES + 0.25, lambda x: np.abs(x % 2 - 1), lambda x: np.sign(x % 2 - 1)
    ),
    elementwise(
        "maximum of x and x squared",
        TIES,
        lambda x: np.maximum(x, x**2),
        lambda x: np.where((x > 0) & (x < 1), 1, 2 * x),
    ),
    elementwise("kinks next to the point", SMALL, np.abs, np.sign),
]

# --- ties and sorting ---


def _sort_back(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    return _at(x.shape, np.argsort(x, axis=-1, kind="stable"), g)


def _top2(x: np.ndarray) -> np.ndarray:
    return np.argsort(-x, axis=-1, kind="stable")[:, :2]


def _shared(x: np.ndarray) -> np.ndarray:
    largest = x == x.max(axis=1, keepdims=True)
    return largest / largest.sum(axis=1, keepdims=True)


def _range_back(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    high, low = x.argmax(axis=1)[:, None], x.argmin(axis=1)[:, None]
    return _at(x.shape, high, g) - _at(x.shape, low, g)


def _maxout_back(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    a, b = x[:, :3], x[:, 3:]
    return np.hstack([g * (a >= b), g * (a < b)])


def _cummax_back(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    grad = np.zeros(x.shape)
    best = np.zeros(len(x), dtype=int)
    for t in range(x.shape[1]):
        best = np.where(x[:, t] > x[np.arange(len(x)), best], t, best)
        grad[np.arange(len(x)), best] += g[:, t]
    return grad


ORDER = [
    Tricky("sort", normal(3, 5), lambda x: np.sort(x, axis=-1), _sort_back),
    Tricky("sort, ties", TIES, lambda x: np.sort(x, axis=-1), _sort_back),
    Tricky(
        "the two largest",
        normal(3, 5),
        lambda x: np.take_along_axis(x, _top2(x), -1),
        lambda g, x: _at(x.shape, _top2(x), g),
    ),
    Tricky(
        "the two largest, ties",
        TIES,
        lambda x: np.take_along_axis(x, _top2(x), -1),
        lambda g, x: _at(x.shape, _top2(x), g),
    ),
    Tricky(
        "maximum, ties, to the first",
        TIES,
        lambda x: x.max(axis=1, keepdims=True),
        lambda g, x: _at(x.shape, x.argmax(axis=1)[:, None], g),
    ),
    Tricky(
        "maximum, ties, shared",
        TIES,
        lambda x: x.max(axis=1, keepdims=True),
        lambda g, x: g * _shared(x),
    ),
    Tricky(
        "maximum of zeros",
        np.vstack([np.zeros((2, 2)), normal(2, 2)]),
        lambda x: np.hstack([x.max(axis=1, keepdims=True), 3 * x, x**2]),
        lambda g, x: (
            _at(x.shape, x.argmax(axis=1)[:, None], g[:, :1]) + 3 * g[:, 1:3] + 2 * x * g[:, 3:]
        ),
    ),
    Tricky(
        "median",
        normal(4, 5),
        lambda x: np.median(x, axis=1, keepdims=True),
        lambda g, x: _at(x.shape, np.argsort(x, axis=1)[:, 2:3], g),
    ),
    Tricky(
        "largest minus smallest, ties",
        TIES,
        lambda x: np.ptp(x, axis=1, keepdims=True),
        _range_back,
    ),
    Tricky("maxout, ties", TIES, lambda x: np.maximum(x[:, :3], x[:, 3:]), _maxout_back),
    Tricky(
        "cumulative maximum, ties", TIES, lambda x: np.maximum.accumulate(x, axis=1), _cummax_back
    ),
    Tricky(
        "differences of neighbours, ties",
        TIES,
        lambda x: np.abs(np.diff(x, axis=1)),
        lambda g, x: (
            np.pad(g * np.sign(np.diff(x)), ((0, 0), (1, 0)))
            - np.pad(g * np.sign(np.diff(x)), ((0, 0), (0, 1)))
        ),
    ),
    Tricky(
        "ReLU of a maximum, ties",
        TIES,
        lambda x: np.maximum(x.max(axis=1, keepdims=True), 0),
        lambda g, x: _at(
            x.shape, x.argmax(axis=1)[:, None], g * (x.max(axis=1, keepdims=True) > 0)
        ),
    ),
]

# --- sums and products along an axis ---


def _cumprod_back(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    grad = np.zeros(x.shape)
    for t in range(x.shape[1]):
        for s in range(t + 1):
            others = np.delete(x[:, : t + 1], s, axis=1).prod(axis=1)
            grad[:, s] += g[:, t] * others
    return grad


def _prod_back(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    others = [np.delete(x, s, axis=1).prod(axis=1) for s in range(x.shape[1])]
    return g * np.stack(others, axis=1)


def _norm(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.sum(x**2, axis=1, keepdims=True))


def _safe(g: np.ndarray, x: np.ndarray, eps: float) -> np.ndarray:
    n = np.sqrt(np.sum(x**2, axis=1, keepdims=True) + eps)
    return g / n - x * np.sum(g * x, axis=1, keepdims=True) / n**3


def _layer_norm(x: np.ndarray, eps: float) -> np.ndarray:
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + eps)


def _layer_norm_back(g: np.ndarray, x: np.ndarray, eps: float) -> np.ndarray:
    y, s = _layer_norm(x, eps), np.sqrt(x.var(axis=1, keepdims=True) + eps)
    return (g - g.mean(axis=1, keepdims=True) - y * (g * y).mean(axis=1, keepdims=True)) / s


FLAT_ROW = np.vstack([normal(2, 5), np.full((1, 5), 2.0)])

SUMS = [
    Tricky(
        "cumulative sum",
        normal(3, 5),
        lambda x: np.cumsum(x, axis=1),
        lambda g, x: np.cumsum(g[:, ::-1], axis=1)[:, ::-1],
    ),
    Tricky("cumulative product", normal(3, 5), lambda x: np.cumprod(x, axis=1), _cumprod_back),
    Tricky(
        "cumulative product with zeros",
        half_zeros(4, 5),
        lambda x: np.cumprod(x, axis=1),
        _cumprod_back,
    ),
    Tricky(
        "product with zeros", half_zeros(4, 4), lambda x: x.prod(axis=1, keepdims=True), _prod_back
    ),
    Tricky("product of many", positive(3, 20), lambda x: x.prod(axis=1, keepdims=True), _prod_back),
    Tricky("norm", normal(3, 4), _norm, lambda g, x: g * x / _norm(x)),
    Tricky("norm near 0", SMALL, _norm, lambda g, x: g * x / _norm(x)),
    Tricky(
        "norm with a row of zeros",
        np.vstack([normal(4, 3), np.zeros((1, 3))]),
        _norm,
        lambda g, x: g * x / np.maximum(_norm(x), 1e-30),
    ),
    Tricky(
        "unit length near 0, with eps",
        SMALL,
        lambda x: x / np.sqrt(np.sum(x**2, axis=1, keepdims=True) + 1e-12),
        lambda g, x: _safe(g, x, 1e-12),
    ),
    Tricky(
        "unit length of large numbers", LARGE, lambda x: x / _norm(x), lambda g, x: _safe(g, x, 0.0)
    ),
    Tricky(
        "layer norm, one row constant",
        FLAT_ROW,
        lambda x: _layer_norm(x, 1e-5),
        lambda g, x: _layer_norm_back(g, x, 1e-5),
    ),
    Tricky(
        "layer norm of large numbers",
        LARGE,
        lambda x: _layer_norm(x, 1e-5),
        lambda g, x: _layer_norm_back(g, x, 1e-5),
    ),
    Tricky(
        "layer norm, large mean",
        normal(3, 6) + 1e4,
        lambda x: _layer_norm(x, 1e-5),
        lambda g, x: _layer_norm_back(g, x, 1e-5),
    ),
    Tricky(
        "sum of nearly nothing",
        normal(3, 4),
        lambda x: np.sum(x, axis=1, keepdims=True) * 1e-9,
        lambda g, x: g * 1e-9 * np.ones_like(x),
    ),
]

# --- softmaxes and masks ---


def _causal(x: np.ndarray) -> np.ndarray:
    return softmax(np.where(np.tril(np.ones(x.shape[-2:], dtype=bool)), x, -np.inf))


def _padded(x: np.ndarray) -> np.ndarray:
    return softmax(np.where(np.arange(x.shape[-1]) < 3, x, -np.inf))


def _lse(x: np.ndarray) -> np.ndarray:
    return special.logsumexp(x, axis=1, keepdims=True)


SOFTMAXES = [
    Tricky(
        "softmax, saturated", 30 * normal(3, 5), softmax, lambda g, x: _softmax_back(g, softmax(x))
    ),
    Tricky("causal softmax", normal(2, 4, 4), _causal, lambda g, x: _softmax_back(g, _causal(x))),
    Tricky(
        "softmax with padding", normal(3, 5), _padded, lambda g, x: _softmax_back(g, _padded(x))
    ),
    Tricky(
        "log-softmax, far apart",
        40 * normal(3, 5),
        lambda x: x - _lse(x),
        lambda g, x: g - softmax(x) * g.sum(axis=1, keepdims=True),
    ),
    Tricky("log of a sum of exponentials", 100 * normal(3, 4), _lse, lambda g, x: g * softmax(x)),
    Tricky("softmax of ties", TIES, softmax, lambda g, x: _softmax_back(g, softmax(x))),
    Tricky(
        "entropy",
        normal(3, 5),
        lambda x: -np.sum(softmax(x) * np.log(softmax(x)), axis=1, keepdims=True),
        lambda g, x: _softmax_back(-g * (np.log(softmax(x)) + 1), softmax(x)),
    ),
]

# --- steep, flat and far away ---

STEEPNESS = [
    elementwise("logarithm near 0", STEEP, np.log, lambda x: 1 / x),
    elementwise("square root near 0", STEEP, np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    elementwise("1 / x near 0", STEEP, lambda x: 1 / x, lambda x: -1 / x**2),
    elementwise("x log x near 0", STEEP, lambda x: x * np.log(x), lambda x: np.log(x) + 1),
    elementwise(
        "arcsin near its end",
        np.array([[0.999999, -0.5, 0.0]]),
        np.arcsin,
        lambda x: 1 / np.sqrt(1 - x**2),
    ),
    elementwise(
        "artanh near its end",
        np.array([[0.9999, -0.99, 0.1]]),
        np.arctanh,
        lambda x: 1 / (1 - x**2),
    ),
    elementwise(
        "logit of probabilities",
        np.array([[1e-5, 0.5, 1 - 1e-5]]),
        special.logit,
        lambda x: 1 / (x * (1 - x)),
    ),
    elementwise(
        "saturated sigmoid",
        15 * normal(3, 4),
        special.expit,
        lambda x: special.expit(x) * special.expit(-x),
    ),
    elementwise("saturated tanh", 8 * normal(3, 4), np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    elementwise(
        "softplus, far away", 40 * normal(3, 4), lambda x: np.logaddexp(0, x), special.expit
    ),
    elementwise("exponential of large numbers", 10 * normal(3, 4), np.exp, np.exp),
    elementwise("cubes of small numbers", SMALL, lambda x: x**3, lambda x: 3 * x**2),
    elementwise("squares of large numbers", LARGE, np.square, lambda x: 2 * x),
    elementwise(
        "sine, fast", normal(3, 4), lambda x: np.sin(50 * x), lambda x: 50 * np.cos(50 * x)
    ),
    elementwise(
        "sizes from 1e-6 to 1e6",
        10.0 ** np.arange(-6, 7)[None],
        np.sqrt,
        lambda x: 0.5 / np.sqrt(x),
    ),
    elementwise(
        "GELU, far away",
        6 * normal(3, 4),
        lambda x: x * special.ndtr(x),
        lambda x: special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
    ),
]

TRICKY = [*KINKS, *ORDER, *SUMS, *SOFTMAXES, *STEEPNESS]
