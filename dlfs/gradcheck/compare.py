"""The verdict on one variable: analytic against numeric, within the error of both."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dlfs.gradcheck.derivative import EPS
from dlfs.gradcheck.entries import Differentiator, Numeric
from dlfs.gradcheck.rounding import allowance
from dlfs.types import Array, Shape

# A check that skips a larger share has compared too little for a verdict. Half of the entries may
# well be 0, where a ReLU has its kink.
MOST_SKIPPED = 0.75
# A numeric derivative with a larger relative error proves nothing.
_TOO_ROUGH = 1e-3
_DIRECTIONS = 4
# After each round the entries found to be on kinks are left out of the directions.
_ROUNDS = 3


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
        ``"input_"``, ``"param"``, or the Operation that holds the parameter.
    verdict : str
        "passed"; "wrong"; or undecided: "skipped" (too many entries are close to a kink), "rough"
        (the differences, or the gradient itself, are too imprecise), "empty" (no entries).
    analytic, numeric, tolerance : ndarray, the shape of the variable
        The result of backward, that of differences (NaN where none was taken), and how far the two
        may differ.
    checked, skipped : int
        The number of entries compared one by one, and of those too close to a kink.
    directions : int
        The number of random directions along which a large array was compared as a whole.
    on_kink : bool
        Whether the worst entry lies at an undeclared kink of the function.
    places : tuple of int
        The flat indices of the skipped entries; of an imprecise gradient, of the imprecise ones.
    shared : tuple of float, or None
        Of entries on kinks that are wrong together (in a tie, each gets the whole gradient): their
        sum by backward, and the least and the largest sum by differences.

    Examples
    --------
    >>> from dlfs import Tanh
    >>> from dlfs.gradcheck import check_gradients
    >>> result = check_gradients(Tanh(), np.ones((3, 4))).results["input_"]
    >>> result.verdict, result.checked, result.analytic.shape
    ('passed', 12, (3, 4))
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
    places: tuple[int, ...] = ()
    shared: tuple[float, float, float] | None = None
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
    pull_positive: Callable[[], Array],
    asked: Tolerances,
    rng: np.random.Generator,
) -> GradientResult:
    """Compare the analytic gradient of one variable with differences.

    Parameters
    ----------
    differentiator, analytic, spread, asked, rng
        The source of differences, the gradient, its rounding, the caller's tolerances, and the
        source of random numbers.
    shake_more : callable
        Returns a better estimate of the rounding.
    pull_positive : callable
        Returns the gradient for the absolute values of the output gradient.
    """
    comparison = _Comparison(differentiator, analytic, spread, shake_more, asked)
    grad, directions, smooth = comparison.grad, 0, comparison.smooth
    if grad.size <= asked.max_entries:
        comparison.add(list(range(grad.size)))
    else:
        for _ in range(_ROUNDS):
            directions, located = _along_directions(comparison, rng)
            # Also a few single entries, and more of them where a direction disagrees.
            count = asked.max_entries if located or not directions else min(16, asked.max_entries)
            chosen = map(int, rng.choice(grad.size, min(count, grad.size), replace=False))
            comparison.add(sorted({*located, *chosen}))
            if comparison.wrong() or np.array_equal(smooth, comparison.smooth):
                break
            smooth = comparison.smooth
        if located and not comparison.wrong():
            directions = 0  # no direction agrees: the single entries alone are evidence
    return comparison.result(directions, pull_positive)


class _Comparison:
    """The entries of one variable that have been compared so far."""

    def __init__(
        self,
        differentiator: Differentiator,
        analytic: Array,
        spread: Array,
        shake_more: Callable[[], Array],
        asked: Tolerances,
    ) -> None:
        self.differentiator = differentiator
        self.analytic = analytic
        self.grad = analytic.astype(np.float64)
        self.spread = np.array(spread)
        self.shake_more = shake_more
        self.asked = asked
        self.allowed = _allowed(self.spread, analytic, asked)
        self.smooth = np.ones(analytic.shape, dtype=bool)
        self.numeric = differentiator.entries([])
        self.indices: list[int] = []

    def add(self, indices: list[int]) -> None:
        """Compare more entries."""
        new = sorted({*indices}.difference(self.indices))
        self.indices += new
        self.differentiator.entries(new, self.numeric)
        self.differentiator.refine(self.numeric, self._suspects)
        if self.wrong():
            np.maximum(self.spread, self.shake_more(), out=self.spread)
        # What is on a kink has companions of the same value: the zeros of an image. The gradient
        # jumps there, which is not rounding.
        variable = self.differentiator.variable
        self.smooth = ~np.isin(variable, variable.flat[[*self.numeric.kinks]])
        self.allowed = _allowed(self.spread * self.smooth, self.analytic, self.asked)

    def wrong(self) -> list[int]:
        """Return the entries that disagree, the worst first."""
        return _wrong(self.numeric, self.grad, self.allowed)

    def _suspects(self, numeric: Numeric) -> list[int]:
        found = [
            *_wrong(numeric, self.grad, self.allowed),
            *self.differentiator.rough(numeric),
            *self._imprecise(_TOO_ROUGH),
        ]
        return [*dict.fromkeys(found)]

    def _imprecise(self, most: float) -> list[int]:
        """Return the entries whose rounding is more than a share of the gradient's own size."""
        scale = most * self.differentiator.scale(self.numeric)
        known = np.isfinite(self.numeric.value)
        return [int(i) for i in np.flatnonzero(known & (self.allowed > scale))]

    def result(self, directions: int, pull_positive: Callable[[], Array]) -> GradientResult:
        """Return the verdict."""
        numeric, differentiator = self.numeric, self.differentiator
        off_kink = _no_slope(differentiator, numeric, self.grad, self.allowed)
        left_out = sorted({*numeric.skipped})
        if directions:
            companions = {*map(int, np.flatnonzero(~self.smooth))}.difference(off_kink)
            left_out = sorted({*left_out, *companions})
        shared = None if off_kink else _shared(differentiator, numeric, pull_positive)
        wrong = self.wrong()
        with np.errstate(invalid="ignore"):
            rough = np.flatnonzero(numeric.error > _TOO_ROUGH * differentiator.scale(numeric))
        places = (*left_out,)
        if wrong or shared:
            verdict = "wrong"
        elif not self.grad.size:
            verdict = "empty"
        elif (
            len(numeric.skipped) > MOST_SKIPPED * len(self.indices)
            or len(left_out) > MOST_SKIPPED * self.grad.size
        ):
            verdict = "skipped"
        else:
            unsure = sorted({*map(int, rough), *self._imprecise(1.0)})
            verdict = "rough" if unsure else "passed"
            places = (*unsure,) if unsure else places
        return GradientResult(
            differentiator.name,
            verdict,
            self.grad,
            numeric.value,
            np.where(np.isnan(numeric.error), self.allowed, _tolerance(numeric, self.allowed)),
            len(self.indices) - len(numeric.skipped),
            len(left_out),
            directions,
            bool(wrong) and wrong[0] in off_kink,
            places,
            shared,
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


def _no_slope(
    differentiator: Differentiator, numeric: Numeric, grad: Array, allowed: Array
) -> list[int]:
    """Return the entries on a kink whose gradient is neither slope, nor between them.

    They are no longer skipped, but compared with the nearer slope. In a tie of three, as in a sort,
    there are more slopes than two: those found when the other entries move a little.
    """
    wrong = []
    for index, found in numeric.kinks.items():
        slack = abs(found.jump) * 1e-3 + float(allowed.flat[index])
        low, high = sorted((found.left, found.right))
        value = float(grad.flat[index])
        if not low - slack <= value <= high + slack:
            nearby = differentiator.nearby(index, [*numeric.kinks])
            low, high = min([low, *nearby]), max([high, *nearby])
        if not low - slack <= value <= high + slack:
            numeric.value.flat[index] = low if value < low else high
            numeric.error.flat[index] = slack
            numeric.skipped.remove(index)
            wrong.append(index)
    return wrong


def _shared(
    differentiator: Differentiator, numeric: Numeric, pull_positive: Callable[[], Array]
) -> tuple[float, float, float] | None:
    """Move all entries on kinks together: the sum of their gradients must be a slope, too.

    If two numbers of a maximum are equal, each slope is 0 on one side and 1 on the other, but both
    moved together move the maximum by 1. A backward that gives each a 1 pays twice.
    """
    kinks = [*numeric.kinks]
    if len(kinks) < 2:
        return None
    direction = np.zeros(differentiator.variable.shape)
    direction.flat[kinks] = 1.0
    slopes = differentiator.slopes(direction)
    if slopes is None:
        return None
    # With positive weights, the sum over the outputs of their least and of their largest slopes.
    weights = np.abs(differentiator.weights)
    low = float(np.sum(weights * np.minimum(*slopes)))
    high = float(np.sum(weights * np.maximum(*slopes)))
    gradients = pull_positive().reshape(-1)[kinks].astype(np.float64)
    slack = 1e-3 * (float(np.sum(np.abs(gradients))) + high - low)
    total = float(np.sum(gradients))
    return None if low - slack <= total <= high + slack else (total, low, high)


def _along_directions(comparison: _Comparison, rng: np.random.Generator) -> tuple[int, list[int]]:
    """Compare a large gradient as a whole; if it is wrong, find a wrong entry."""
    differentiator, grad, allowed = (
        comparison.differentiator,
        comparison.grad,
        comparison.allowed,
    )
    usable = 0
    for _ in range(_DIRECTIONS):
        direction = rng.standard_normal(grad.shape) * comparison.smooth
        if not direction.any():
            break
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
