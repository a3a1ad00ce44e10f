"""Wrong factors: the correct numbers with a factor, a sign, or in the wrong places."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from dlfs.gradcheck.hints.evidence import Evidence, columns_of
from dlfs.gradcheck.report import Hint
from dlfs.types import Array

_CLOSE = 1e-6


def arithmetic(evidence: Evidence) -> Iterator[Hint]:
    """Try zero, sign, factors, transposition and the like."""
    if np.all(evidence.analytic[evidence.known] == 0):
        yield evidence.hint(
            "zero",
            "the gradient is 0 everywhere. Is it computed but not stored, or does a mask block "
            "everything out?",
        )
        return
    if np.all(np.abs(evidence.numeric[evidence.known]) <= 1e-9 * evidence.scale):
        yield evidence.hint(
            "no_influence",
            f"the output does not depend on {evidence.name}. Does forward use it at all? A step "
            "function (rounding, a comparison, integers) has the derivative 0.",
        )
        return
    factor = _factor(evidence.analytic, evidence.numeric, evidence.known)
    if factor is not None:
        hint = _factor_hint(evidence, factor)
        if hint is not None:
            yield hint
        return
    yield from _rearranged(evidence)
    yield from _with_a_penalty(evidence)


def _factor(analytic: Array, numeric: Array, known: Array) -> float | None:
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
    batch = evidence.batch
    follows = _follows_batch(evidence, factor) if batch > 1 else None
    if follows == "grows":
        return evidence.hint(
            "batch_factor",
            f"it is {factor:.4g} times too large, and the factor grows with the batch ({batch} "
            "now): forward averages over the batch, so backward must divide by its size.",
        )
    if follows == "shrinks":
        return evidence.hint(
            "batch_factor",
            f"it is {1 / factor:.4g} times too small, and the factor grows with the batch "
            f"({batch} now): backward averages over the batch where it must sum. (The loss has "
            "already divided by the batch size.)",
        )
    if np.count_nonzero(evidence.numeric[evidence.known]) < 2:
        return None  # two single numbers always differ by a factor
    named = _name_factor(evidence, factor)
    return evidence.hint(
        "constant_factor",
        f"it is correct except for the constant factor {factor:.6g}{named}.",
    )


def _follows_batch(evidence: Evidence, factor: float) -> str | None:
    """Measure the factor again with one more observation."""
    other = evidence.subject.precise()
    if not isinstance(other.x, np.ndarray):
        return None
    extra = other.x[:1] + 0.25 if other.differentiable_input() else other.x[:1]
    other.x = np.concatenate([other.x, extra])
    targets = getattr(other, "y", None)
    if isinstance(targets, np.ndarray):
        other.y = np.concatenate([targets, targets[:1]])  # type: ignore[attr-defined]
    try:
        output = other.output()
        weights = np.ones(()) if other.scalar else np.cos(np.arange(output.size) + 1.0)
        weights = weights.reshape(output.shape)
        variable = other.variables()[evidence.name]
        indices = list(range(min(variable.size, 12)))
        columns = columns_of(other, evidence.name, weights, indices)
        analytic = other.pull(weights)[evidence.name].reshape(-1)
    except (TypeError, ValueError):
        return None
    numeric = np.array([np.sum(weights * column) for column in columns.values()])
    now = _factor(analytic[list(columns)], numeric, np.ones(len(numeric), dtype=bool))
    if now is None or np.isclose(now, factor, rtol=1e-4):
        return None
    growth, batch = now / factor, evidence.batch
    if np.isclose(growth, (batch + 1) / batch, rtol=1e-4):
        return "grows"
    return "shrinks" if np.isclose(growth, batch / (batch + 1), rtol=1e-4) else None


def _name_factor(evidence: Evidence, factor: float) -> str:
    """Say where the number occurs: in a shape, or among the target's own options."""
    names = []
    for name, size in _numbers(evidence).items():
        for sign, minus in ((1, ""), (-1, "minus ")):
            if np.isclose(factor, sign * size, rtol=_CLOSE):
                names.append(f"{minus}{name}")
            elif np.isclose(factor, sign / size, rtol=_CLOSE):
                names.append(f"{minus}1 / {name}")
    if np.isclose(abs(factor), (0.5, 2.0), rtol=_CLOSE).any():
        names.append("the 2 that comes from differentiating a square")
    return f", which is {' or '.join(names)}" if names else ""


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
    return {name: number for name, number in numbers.items() if number not in (0.0, 1.0)}


def _rearranged(evidence: Evidence) -> Iterator[Hint]:
    """Try the correct numbers in other places."""
    numeric, analytic = evidence.numeric, evidence.analytic
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
    for axis in range(1, numeric.ndim):
        for shift in (1, -1):
            if numeric.shape[axis] > 2 and _shifted(evidence, axis, shift):
                yield evidence.hint(
                    "shifted",
                    f"it is the correct gradient shifted by one along axis {axis}: an index is off "
                    "by one, or the padding is not cut off where it was added.",
                )
                return
    a, n = np.sort(analytic[evidence.known]), np.sort(numeric[evidence.known])
    if a.size > 3 and np.max(np.abs(a - n)) <= _CLOSE * evidence.scale and np.unique(n).size > 2:
        yield evidence.hint(
            "wrong_places",
            "it holds the correct numbers in the wrong places: an index, or the order of axes in "
            "a reshape, differs from the forward pass.",
        )


def _shifted(evidence: Evidence, axis: int, shift: int) -> bool:
    """Compare everything except the edge, which the shift fills with other numbers."""
    rolled = np.roll(evidence.numeric, shift, axis)
    inside = [slice(None)] * rolled.ndim
    inside[axis] = slice(1, None) if shift > 0 else slice(None, -1)
    one, other = rolled[tuple(inside)], evidence.analytic[tuple(inside)]
    known = np.isfinite(one)
    if not known.any() or np.max(np.abs(one[known])) <= _CLOSE * evidence.scale:
        return False
    return bool(np.max(np.abs(one - other)[known]) <= _CLOSE * evidence.scale)


def _with_a_penalty(evidence: Evidence) -> Iterator[Hint]:
    """Try the correct gradient plus a multiple of the variable."""
    extra = evidence.analytic - evidence.numeric
    if evidence.is_input and evidence.subject.kind == "operation":
        return
    factor = _factor(extra, evidence.variable, evidence.known)
    if factor is not None:
        yield evidence.hint(
            "penalty",
            f"it is the correct gradient plus {factor:.4g} times {evidence.name} itself: a penalty "
            "(weight decay) belongs in the optimizer, or in the loss as well.",
        )
