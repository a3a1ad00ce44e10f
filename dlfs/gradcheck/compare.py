"""The verdict on one variable: analytic against numeric, within the error of both."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dlfs.gradcheck.derivative import EPS
from dlfs.gradcheck.entries import Differentiator, Numeric
from dlfs.gradcheck.rounding import allowance
from dlfs.types import Array, Shape

# A check that skips a larger share has compared too little for a verdict.
MOST_SKIPPED = 0.25
# A numeric derivative with a larger relative error proves nothing.
_TOO_ROUGH = 1e-3
_DIRECTIONS = 4


@dataclass(frozen=True)
class Tolerances:
    """The tolerances that the caller set."""

    rtol: float | None
    atol: float | None
    max_entries: int
    method: str


@dataclass(frozen=True)
class GradientResult:
    """The result for the input or one parameter.

    Attributes
    ----------
    name : str
        "input_", "param", or the Operation that holds the parameter.
    verdict : str
        "passed"; "wrong"; "skipped" (too many entries are close to a kink); "rough" (the output is
        too noisy for differences).
    analytic, numeric, tolerance : ndarray, the shape of the variable
        The result of backward, that of differences (NaN where none was taken), and how far the two
        may differ.
    checked, skipped : int
        The number of entries compared one by one, and of those too close to a kink.
    directions : int
        The number of random directions along which a large array was compared as a whole.
    on_kink : bool
        Whether the worst entry lies at an undeclared kink of the function.
    """

    name: str
    verdict: str
    analytic: Array
    numeric: Array
    tolerance: Array
    checked: int
    skipped: int
    directions: int = 0
    on_kink: bool = False
    columns: dict[int, Array] = field(default_factory=dict, repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether the gradient of this variable passed."""
        return self.verdict == "passed"

    @property
    def shape(self) -> Shape:
        """The shape of the variable."""
        return self.analytic.shape

    @property
    def error(self) -> Array:
        """The distance between analytic and numeric; NaN where no difference was taken."""
        return np.abs(self.analytic - self.numeric)

    @property
    def ratio(self) -> Array:
        """The error in units of its tolerance: above 1 is wrong. NaN where nothing was compared."""
        return self.error / np.maximum(self.tolerance, np.finfo(np.float64).tiny)

    @property
    def wrong(self) -> Array:
        """Where analytic and numeric disagree, as booleans."""
        with np.errstate(invalid="ignore"):
            wrong: Array = self.error > self.tolerance
        return wrong

    @property
    def worst(self) -> tuple[int, ...] | None:
        """The index of the entry that is furthest off, in units of its tolerance."""
        ratio = self.ratio
        if not np.any(np.isfinite(ratio)):
            return None
        index = np.unravel_index(int(np.nanargmax(ratio)), ratio.shape)
        return tuple(int(i) for i in index)


def compare(
    differentiator: Differentiator,
    analytic: Array,
    spread: Array,
    shake_more: Callable[[], Array],
    asked: Tolerances,
    rng: np.random.Generator,
) -> GradientResult:
    """Compare the analytic gradient of one variable with differences."""
    grad = analytic.astype(np.float64)
    allowed = _allowed(spread, analytic, asked)
    size, directions = grad.size, 0
    located: list[int] = []
    if size <= asked.max_entries:
        indices = list(range(size))
    else:
        directions, located = _along_directions(differentiator, grad, allowed, rng)
        # Also a few single entries, and more of them where a direction disagrees.
        count = asked.max_entries if located or not directions else min(16, asked.max_entries)
        indices = sorted({*located, *map(int, rng.choice(size, count, replace=False))})
    numeric = differentiator.entries(indices)

    def suspects(numeric: Numeric) -> list[int]:
        return [*_wrong(numeric, grad, allowed), *differentiator.rough(numeric)]

    differentiator.refine(numeric, suspects)
    if _wrong(numeric, grad, allowed):
        allowed = _allowed(np.maximum(spread, shake_more()), analytic, asked)
    on_kink = _forgive_kinks(numeric, grad, allowed)
    with np.errstate(invalid="ignore"):
        too_rough = bool(np.any(numeric.error > _TOO_ROUGH * differentiator.scale(numeric)))
    wrong = _wrong(numeric, grad, allowed)
    if wrong:
        verdict = "wrong"
    elif len(numeric.skipped) > MOST_SKIPPED * len(indices):
        verdict = "skipped"
    else:
        verdict = "rough" if too_rough else "passed"
    return GradientResult(
        differentiator.name,
        verdict,
        grad,
        numeric.value,
        np.where(np.isnan(numeric.error), allowed, _tolerance(numeric, allowed)),
        len(indices) - len(numeric.skipped),
        len(numeric.skipped),
        directions,
        bool(wrong) and wrong[0] in on_kink,
        numeric.columns,
    )


def _allowed(spread: Array, analytic: Array, asked: Tolerances) -> Array:
    if asked.rtol is None and asked.atol is None:
        return allowance(spread, analytic)
    return (asked.atol or 0.0) + (asked.rtol or 0.0) * np.abs(analytic.astype(np.float64))


def _tolerance(numeric: Numeric, allowed: Array) -> Array:
    # The estimated error of one entry may be too small by chance; the typical one is not.
    known = numeric.error[np.isfinite(numeric.error)]
    typical = float(np.median(known)) if known.size else 0.0
    return numeric.error + typical + allowed


def _wrong(numeric: Numeric, grad: Array, allowed: Array) -> list[int]:
    """Return the entries that disagree, the worst first."""
    with np.errstate(invalid="ignore"):
        error = np.abs(grad - numeric.value).reshape(-1)
        tolerance = _tolerance(numeric, allowed).reshape(-1)
        found = np.flatnonzero(error > tolerance)
    ratio = error[found] / np.maximum(tolerance[found], np.finfo(np.float64).tiny)
    return [int(i) for i in found[np.argsort(-ratio, kind="stable")]]


def _forgive_kinks(numeric: Numeric, grad: Array, allowed: Array) -> set[int]:
    """Skip entries on a kink whose gradient is one of the two slopes, or between them.

    Returns the kinks where it is not.
    """
    wrong = set()
    disagreeing = set(_wrong(numeric, grad, allowed))
    for index, found in numeric.studies.items():
        if not found.jump or index not in disagreeing:
            continue
        slack = abs(found.jump) * 1e-3 + float(allowed.flat[index])
        low, high = sorted((found.left, found.right))
        if low - slack <= grad.flat[index] <= high + slack:
            numeric.value.flat[index] = numeric.error.flat[index] = np.nan
            numeric.skipped.append(index)
        else:
            wrong.add(index)
    return wrong


def _along_directions(
    differentiator: Differentiator, grad: Array, allowed: Array, rng: np.random.Generator
) -> tuple[int, list[int]]:
    """Compare a large gradient as a whole; if it is wrong, find a wrong entry."""
    usable = 0
    for _ in range(_DIRECTIONS):
        direction = rng.standard_normal(grad.shape)
        agrees = _agrees(differentiator, grad, allowed, direction)
        if agrees is None:
            continue
        usable += 1
        if not agrees:
            return usable, _locate(differentiator, grad, allowed, direction)
    return usable, []


def _agrees(
    differentiator: Differentiator, grad: Array, allowed: Array, direction: Array
) -> bool | None:
    estimate = differentiator.along(direction)
    if estimate is None:
        return None
    terms = grad * direction
    rounding = np.sqrt(np.sum((allowed * direction) ** 2)) + 8 * EPS * np.sum(np.abs(terms))
    if abs(np.sum(terms) - estimate.value) <= estimate.error + rounding:
        return True
    best = differentiator.study(direction).best
    if best is None:
        return None
    return bool(abs(np.sum(terms) - best.value) <= best.error + rounding)


def _locate(
    differentiator: Differentiator, grad: Array, allowed: Array, direction: Array
) -> list[int]:
    """Bisect the entries until one with a wrong gradient is left."""
    entries = np.flatnonzero(direction)
    while entries.size > 1:
        for half in np.array_split(entries, 2):
            part = np.zeros(grad.shape)
            part.reshape(-1)[half] = direction.reshape(-1)[half]
            if _agrees(differentiator, grad, allowed, part) is False:
                entries = half
                break
        else:
            break
    return [int(i) for i in entries[:16]]
