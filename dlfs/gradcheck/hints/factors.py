"""Wrong factors: the correct numbers with a factor, a sign, or in the wrong places."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.report import Hint
from dlfs.types import Array

_CLOSE = 1e-6
_POWERS = ((1.0, "{}"), (-1.0, "1 / {}"), (0.5, "sqrt({})"), (-0.5, "1 / sqrt({})"))


def zero(evidence: Evidence) -> Iterator[Hint]:
    """Look for a gradient without any number other than 0."""
    if np.all(evidence.analytic[evidence.known] == 0):
        yield evidence.hint(
            "zero",
            "the gradient is 0 everywhere. Is it computed but not stored, or does a mask block "
            "everything out?",
        )


def arithmetic(evidence: Evidence) -> Iterator[Hint]:
    """Try sign, factors, transposition and the like."""
    if np.all(np.abs(evidence.numeric[evidence.known]) <= 1e-9 * evidence.scale):
        yield evidence.hint(
            "no_influence",
            f"the output does not depend on {evidence.name}. Does forward use it at all? A step "
            "function (rounding, a comparison, integers) has the derivative 0.",
        )
        return
    factor = factor_between(evidence.analytic, evidence.numeric, evidence.known)
    if factor is not None:
        hint = _factor_hint(evidence, factor)
        if hint is not None:
            yield hint
        return
    yield from _rearranged(evidence)


def factor_between(analytic: Array, numeric: Array, known: Array) -> float | None:
    """Return c if analytic is c times numeric."""
    a, n = analytic[known], numeric[known]
    square = float(n @ n)
    if not square:
        return None
    c = float(a @ n) / square
    apart = float(np.max(np.abs(a - c * n), initial=0.0))
    return c if c and apart <= _CLOSE * float(np.max(np.abs(a))) else None


def _factor_hint(evidence: Evidence, factor: float) -> Hint | None:
    if np.isclose(factor, -1.0, rtol=_CLOSE):
        return evidence.hint(
            "sign", "every entry has the wrong sign. Is prediction - target the wrong way round?"
        )
    batch, other = evidence.batch, evidence.second()
    now = factor_between(other.analytic, other.numeric, other.known)
    if now is None or batch == 1 or batch == other.batch:
        return None
    if np.allclose([factor, now], [batch, other.batch], rtol=_CLOSE):
        return evidence.hint(
            "batch_factor",
            f"it is {factor:.4g} times too large, and the factor grows with the batch ({batch} "
            "now): forward averages over the batch, so backward must divide by its size.",
        )
    if np.allclose([factor, now], [1 / batch, 1 / other.batch], rtol=_CLOSE):
        return evidence.hint(
            "batch_factor",
            f"it is {1 / factor:.4g} times too small, and the factor grows with the batch "
            f"({batch} now): backward averages over the batch where it must sum. (The loss has "
            "already divided by the batch size.)",
        )
    return None


def factor_names(evidence: Evidence, factor: float) -> list[str]:
    """Return the sizes and options whose value, inverse or square root the factor is."""
    names = []
    for name, size in _numbers(evidence).items():
        for power, text in _POWERS:
            if size > 0 and np.isclose(abs(factor), size**power, rtol=_CLOSE):
                names.append(("minus " if factor < 0 else "") + text.format(name))
    return names


def _numbers(evidence: Evidence) -> dict[str, float]:
    """Return the numbers that could be the factor, by name."""
    numbers: dict[str, float] = {}
    for name, value in getattr(evidence.subject.target, "__dict__", {}).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            numbers[name] = float(value)
        elif isinstance(value, tuple) and all(isinstance(item, int) for item in value):
            numbers[f"the product of {name}"] = float(np.prod(value))
    arrays = {"input": evidence.subject.x, "output": evidence.output}
    for what, array in arrays.items():
        if isinstance(array, np.ndarray) and array.ndim > 1:
            numbers[f"the number of features of the {what}"] = float(array.shape[1])
            if array.ndim > 2:
                numbers[f"the number of pixels of the {what}"] = float(np.prod(array.shape[2:]))
                numbers[f"the size of one row of the {what}"] = float(np.prod(array.shape[1:]))
            numbers[f"the size of the {what}"] = float(array.size)
    return {name: number for name, number in numbers.items() if number not in (0.0, 1.0)}


def _rearranged(evidence: Evidence) -> Iterator[Hint]:
    """Try the correct numbers in other places."""
    numeric = evidence.numeric
    for one, other in combinations(range(numeric.ndim), 2):
        if numeric.shape[one] == numeric.shape[other] > 1 and evidence.explains(
            np.swapaxes(numeric, one, other)
        ):
            yield evidence.hint(
                "transposed",
                f"it is the correct gradient with axes {one} and {other} swapped: transposed.",
            )
            return
    if numeric.ndim > 2:
        for axes in ((2, 3), (2,), (3,)):
            if axes[-1] < numeric.ndim and evidence.explains(np.flip(numeric, axes)):
                yield evidence.hint(
                    "kernel_flipped",
                    "it is the correct gradient flipped: the kernel's positions are counted from "
                    "the wrong end. The kernel is flipped only in the input gradient of a "
                    "convolution.",
                )
                return
