"""Derivatives by differences, with an estimate of their error.

The central difference ``D(h) = (f(x + h) - f(x - h)) / (2 h)`` has an error that is a series
in ``h**2``, plus round-off, which grows as ``1 / h``. Two differences cancel the first term of the
series, three the second (Richardson extrapolation). The distance between the results before the
last cancellation bounds the remaining error.

    T(h) = (4 D(h/2) - D(h)) / 3                error of order h**4
    R(h) = (16 T(h/2) - T(h)) / 15              error of order h**6

The result is ``R``; the last two ``T`` differ by more than its error. So neither a step nor a
tolerance has to be guessed: steps of 0.01 give twelve digits.

All functions here work along a line: ``line(t)`` is the output at distance t from the point, or
None where it cannot be used (a kink lies between, or the output is not finite). ``weights`` is the
output gradient; the function differentiated is ``sum(weights * line(t))``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from dlfs.types import Array

Line: TypeAlias = Callable[[float], Array | None]

EPS = float(np.finfo(np.float64).eps)

# The error is taken this many times as large as the plain estimate of round-off.
_CAUTION = 8.0
# The number of longest steps that prove no kink: a smooth function may bend as sharply.
_COARSE = 10


@dataclass(frozen=True)
class Estimate:
    """A derivative along a line.

    Attributes
    ----------
    value : float
        The derivative of ``sum(weights * line(t))`` at t = 0.
    error : float
        A bound of its error.
    column : ndarray
        The derivative of ``line(t)`` itself.
    step : float
        The largest step used; 0 for an exact method.
    """

    value: float
    error: float
    column: Array
    step: float


@dataclass(frozen=True)
class Study:
    """A sweep over many steps, made where a gradient looks wrong.

    Attributes
    ----------
    best : Estimate or None
        The estimate with the smallest error.
    steps, differences : list of float
        The plain central differences D(h), to see how they vary with h.
    jump : float
        The slope on the right minus the slope on the left if the point is on a kink, where it does
        not vanish with the step; 0 where the function is smooth.
    left, right : float
        The one-sided slopes at the smallest usable step.
    """

    best: Estimate | None
    steps: list[float]
    differences: list[float]
    jump: float
    left: float
    right: float


def quick(line: Line, weights: Array, step: float, smallest: float, size: float) -> Estimate | None:
    """Differentiate with three steps, the largest that the line allows.

    Parameters
    ----------
    step, smallest : float
        The first step, and the smallest one tried when kinks are near.
    size : float
        The magnitude of the variable, which sets its round-off.

    Returns
    -------
    Estimate or None
        None where not even the smallest step can be used.
    """
    while step >= smallest:
        pairs: list[tuple[Array, Array]] = []
        for h in (step, step / 2, step / 4):
            pair = _both_sides(line, h)
            if pair is None:
                break
            pairs.append(pair)
        if len(pairs) == 3:
            return _richardson(pairs, weights, step, size)
        step /= 4
    return None


def study(line: Line, weights: Array, step: float, smallest: float, size: float) -> Study:
    """Differentiate with many steps, and determine whether the point is on a kink."""
    center = line(0.0)
    sampled: list[tuple[float, tuple[Array, Array]]] = []
    h = 8 * step
    while h >= smallest:
        pair = _both_sides(line, h)
        if pair is None:
            sampled.clear()  # only steps shorter than the distance to the kink are evidence
        else:
            sampled.append((h, pair))
        h /= 2
    estimates = [
        _richardson([pair for _, pair in sampled[k : k + 3]], weights, sampled[k][0], size)
        for k in range(len(sampled) - 2)
    ]
    best = _most_certain(estimates)
    steps = [h for h, _ in sampled]
    differences = [_weigh(weights, (up - down) / (2 * h)) for h, (up, down) in sampled]
    left = right = jump = 0.0
    if center is not None and best is not None:
        left, right, jump = _one_sided(sampled, center, weights)
    return Study(best, steps, differences, jump, left, right)


def kink(line: Line, weights: Array, size: float) -> Study | None:
    """Return both slopes if the point is exactly on a kink, by seven evaluations; else None.

    The slopes differ by the same amount at steps of 1e-3, 1e-5 and 1e-7. If they do not, `study`
    can still find out why a difference is wrong.
    """
    center = line(0.0)
    if center is None:
        return None
    jumps = []
    left = right = noise = 0.0
    for step in (size * 2.0**-10, size * 2.0**-17, size * 2.0**-24):
        pair = _both_sides(line, step)
        if pair is None:
            return None
        right = _weigh(weights, (pair[0] - center) / step)
        left = _weigh(weights, (center - pair[1]) / step)
        noise = _CAUTION * EPS * _noise(weights, center) / step
        jumps.append(right - left)
    jump = jumps[-1]
    alike = max(jumps) - min(jumps) <= 0.05 * abs(jump)
    return Study(None, [], [], jump, left, right) if alike and abs(jump) > 100 * noise else None


def complex_step(line: Callable[[complex], Array], weights: Array) -> Estimate:
    """Differentiate an analytic function exactly: ``imag(f(x + ih)) / h`` subtracts nothing.

    Squire and Trapp, "Using complex variables to estimate derivatives of real functions", 1998.
    """
    h = 1e-30
    column = np.imag(line(1j * h)) / h
    value = _weigh(weights, column)
    error = _CAUTION * EPS * float(np.sum(np.abs(weights * column)))
    return Estimate(value, error, column, 0.0)


def _both_sides(line: Line, h: float) -> tuple[Array, Array] | None:
    up = line(h)
    if up is None:
        return None
    down = line(-h)
    return None if down is None else (up, down)


def _richardson(
    pairs: Sequence[tuple[Array, Array]], weights: Array, step: float, size: float
) -> Estimate:
    columns = [(up - down) / (2 * step / 2**k) for k, (up, down) in enumerate(pairs)]
    once = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(columns)]
    column = (16 * once[1] - once[0]) / 15
    value = _weigh(weights, column)
    # Round-off: of the outputs, and of x + h itself.
    roundoff = EPS * (_noise(weights, pairs[-1][0]) + size * abs(value)) / (step / 4)
    error = abs(_weigh(weights, once[1] - once[0])) + _CAUTION * roundoff
    return Estimate(value, error, column, step)


def _most_certain(estimates: Sequence[Estimate]) -> Estimate | None:
    """Return the estimate with the smallest error, excluding errors that are small by chance.

    Halving the step doubles round-off, so the errors at the next steps bound this one's.
    """
    if not estimates:
        return None
    errors = [
        max(later.error / 2**k for k, later in enumerate(estimates[start : start + 4]))
        for start in range(len(estimates))
    ]
    best = min(range(len(errors)), key=errors.__getitem__)
    return replace(estimates[best], error=errors[best])


def _one_sided(
    sampled: Sequence[tuple[float, tuple[Array, Array]]], center: Array, weights: Array
) -> tuple[float, float, float]:
    """Return left and right slope, and their difference if it does not shrink with the step."""
    rows = []
    for h, (up, down) in sampled:
        right, left = _weigh(weights, (up - center) / h), _weigh(weights, (center - down) / h)
        noise = _CAUTION * EPS * _noise(weights, up) / h
        rows.append((right - left, noise, left, right))
    clear = [row for row in rows if abs(row[0]) > 100 * row[1]]
    if len(clear) < 5 or len(clear) < len(rows) // 2:
        return rows[-1][2], rows[-1][3], 0.0
    # Four halvings: the jump of a smooth function shrinks sixteenfold, that of a kink stays. If the
    # kink is beside the point, the jump stays until the steps are shorter than the distance.
    ends = [len(clear) - 1, *range(len(clear) - 2, _COARSE + 3, -1)]
    for last, before in ((clear[end], clear[end - 4]) for end in ends):
        if abs(last[0]) > 0.5 * abs(before[0]):
            return last[2], last[3], last[0]
    return clear[-1][2], clear[-1][3], 0.0


def _noise(weights: Array, output: Array) -> float:
    """Return the round-off of ``sum(weights * output)``, in units of EPS."""
    if output.ndim == 0:
        # A loss is a logarithm, or a difference, of numbers of order 1.
        return max(1.0, abs(float(output))) * abs(float(weights))
    terms = weights * output
    largest = float(np.max(np.abs(terms), initial=0.0))
    # Divided by the largest first: the square of 1e200 overflows.
    return largest * float(np.sqrt(np.sum((terms / (largest or 1.0)) ** 2)))


def _weigh(weights: Array, column: Array) -> float:
    return float(np.sum(weights * column, dtype=np.float64))
