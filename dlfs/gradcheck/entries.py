"""Numeric derivatives of one variable, entry by entry or along directions."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dlfs.gradcheck.derivative import (
    EPS,
    Estimate,
    Line,
    Study,
    complex_step,
    kink,
    quick,
    study,
)
from dlfs.gradcheck.kinks import KinkWatch
from dlfs.gradcheck.subjects import FunctionsSubject, Subject
from dlfs.types import Array

# Steps relative to the size of the variable. Steps of 1/128, 1/256 and 1/512 give an error of
# about 1e-12 and about the same round-off.
_STEP = 2.0**-7
_SMALLEST = 2.0**-24
# A numeric derivative worse than this is measured again with many steps.
_ROUGH = 1e-6
# After this number of entries that many steps have not made right, the gradient is wrong.
_HOPELESS = 3
_NEARBY = 24


@dataclass
class Numeric:
    """The numeric derivatives of one variable.

    Attributes
    ----------
    value, error : ndarray, the shape of the variable
        The derivatives and bounds of their errors; NaN where none was taken.
    magnitude : ndarray
        Each derivative with the terms of its sum made positive: the scale of its rounding.
    columns : dict of int to ndarray
        The derivative of the whole output with respect to an entry (by flat index).
    skipped : list of int
        Entries that were not compared, because they are too close to a kink.
    kinks : dict of int to Study
        Entries on a kink, with the slopes to the left and to the right.
    studies : set of int
        Entries that were measured again with many steps.
    """

    value: Array
    error: Array
    magnitude: Array
    columns: dict[int, Array]
    skipped: list[int]
    kinks: dict[int, Study]
    studies: set[int]


class Differentiator:
    """Computes numeric derivatives of a subject with respect to one of its variables."""

    def __init__(
        self, subject: Subject, name: str, weights: Array, watch: KinkWatch, method: str
    ) -> None:
        self.subject = subject
        self.name = name
        self.weights = weights
        self.watch = watch
        self.variable = subject.variables()[name]
        flat = self.variable.reshape(-1)
        largest = float(np.max(np.abs(flat), initial=0.0))
        # Divided by the largest first: the square of 1e200 overflows.
        rms = largest * float(np.sqrt(np.mean((flat / largest) ** 2))) if largest else 0.0
        self.size = max(rms, 0.05) if rms else 1.0
        self.complex = method == "complex" or (method == "auto" and self._is_analytic())

    def along(self, direction: Array, index: int | None = None) -> Estimate | None:
        """Differentiate along a direction, an array of the variable's shape.

        If it is that of one entry, give its index: a small entry gets small steps.
        """
        if self.complex:
            return complex_step(self._complex_line(direction), self.weights)
        size = self._size(index)
        return quick(self.line(direction), self.weights, _STEP * self.size, _SMALLEST * size, size)

    def study(self, direction: Array, index: int | None = None) -> Study:
        """Differentiate along a direction with many steps."""
        size = self._size(index)
        line = self.line(direction)
        return study(line, self.weights, _STEP * self.size, _SMALLEST * size, size)

    def slopes(self, direction: Array) -> tuple[Array, Array] | None:
        """Return the slopes of the output on the left and on the right, from one small step."""
        step = 2.0**-20 * self.size
        line = self.line(direction)
        down, center, up = (line(t) for t in (-step, 0.0, step))
        if down is None or center is None or up is None:
            return None
        return (center - down) / step, (up - center) / step

    def nearby(self, index: int, others: list[int]) -> list[float]:
        """Return slopes of one entry at points where other entries have moved a little."""
        rng, start = np.random.default_rng(0), self.variable.copy()
        slopes: list[float] = []
        for _ in range(_NEARBY):
            moved = start.copy()
            moved.flat[others] += rng.uniform(-1, 1, len(others)) * 2.0**-12 * self.size
            self.variable[...] = moved
            both = self.slopes(self.unit(index))
            self.variable[...] = start
            if both is not None:
                slopes.append(float(np.sum(self.weights * both[0])))
        return slopes

    def line(self, direction: Array) -> Line:
        """Return the output as a function of the distance along a direction."""
        variable, start = self.variable, self.variable.copy()

        def output(t: float) -> Array | None:
            variable[...] = start + t * direction
            try:
                with np.errstate(all="ignore"):  # a step may leave the domain of a logarithm
                    value = self.subject.output()
                crossed = self.watch.crossed()
            finally:
                variable[...] = start
            return None if crossed or not np.all(np.isfinite(value)) else value

        return output

    def unit(self, index: int) -> Array:
        """Return the direction of one entry."""
        direction = np.zeros(self.variable.shape)
        direction.reshape(-1)[index] = 1.0
        return direction

    def entries(self, indices: list[int], numeric: Numeric | None = None) -> Numeric:
        """Differentiate with respect to single entries; with ``numeric``, add them to it."""
        if numeric is None:
            shape = self.variable.shape
            value, error = np.full(shape, np.nan), np.full(shape, np.nan)
            numeric = Numeric(value, error, np.zeros(shape), {}, [], {}, set())
        for index in indices:
            estimate = self.along(self.unit(index), index)
            if estimate is None:
                numeric.skipped.append(index)
            else:
                self._note(numeric, index, estimate)
        return numeric

    def refine(self, numeric: Numeric, suspects: Callable[[Numeric], list[int]]) -> None:
        """Look at suspect or imprecise entries again, for kinks and for steps that are too long."""
        if self.complex:
            return
        confirmed = 0
        for index in suspects(numeric):
            if index in numeric.studies:
                continue
            found = kink(self.line(self.unit(index)), self.weights, self.size)
            if found is None and confirmed < _HOPELESS:
                numeric.studies.add(index)
                found = self.study(self.unit(index), index)
                if found.best is not None:  # the error of one estimate may be small by chance
                    self._note(numeric, index, found.best)
                confirmed += not found.jump and index in suspects(numeric)
            if found is not None and found.jump:
                numeric.kinks[index] = found
                numeric.value.flat[index] = numeric.error.flat[index] = np.nan
                numeric.skipped.append(index)

    def rough(self, numeric: Numeric) -> list[int]:
        """Return the entries whose derivative is not precise enough."""
        with np.errstate(invalid="ignore"):
            return [int(i) for i in np.flatnonzero(numeric.error > _ROUGH * self.scale(numeric))]

    def scale(self, numeric: Numeric) -> float:
        """Return the typical size of a derivative of this variable."""
        # If the output does not depend on the variable, its derivatives are all 0.
        natural = float(np.sum(np.abs(self.weights * self.subject.output()))) / self.size
        return max(float(np.max(numeric.magnitude, initial=0.0)), natural, EPS)

    def _note(self, numeric: Numeric, index: int, estimate: Estimate) -> None:
        numeric.value.flat[index] = estimate.value
        numeric.error.flat[index] = estimate.error
        numeric.magnitude.flat[index] = float(np.sum(np.abs(self.weights * estimate.column)))
        numeric.columns[index] = estimate.column

    def _size(self, index: int | None) -> float:
        """Return the size of one entry, which sets how short its steps may get."""
        size = 0.0 if index is None else abs(float(self.variable.flat[index]))
        return min(self.size, max(size, 2.0**-24 * self.size)) if size else self.size

    def _complex_line(self, direction: Array) -> Callable[[complex], Array]:
        subject = self.subject
        if not isinstance(subject, FunctionsSubject):
            raise ValueError(
                f"check_gradients: method 'complex' is for a pair of functions; {subject.name} "
                "takes real numbers only"
            )

        def line(t: complex) -> Array:
            with warnings.catch_warnings():
                # Storing a complex number in a real array only warns, and drops the derivative.
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return subject.forward_complex(self.name, self.variable + t * direction)

        return line

    def _is_analytic(self) -> bool:
        """Say whether the complex step and differences agree along one line."""
        if not isinstance(self.subject, FunctionsSubject) or self.variable.size == 0:
            return False
        direction = np.cos(np.arange(self.variable.size)).reshape(self.variable.shape)
        try:
            exact = complex_step(self._complex_line(direction), self.weights)
        except Exception:  # noqa: BLE001 - code for real numbers may fail in any way
            return False
        step, smallest = _STEP * self.size, _SMALLEST * self.size
        known = quick(self.line(direction), self.weights, step, smallest, self.size)
        if known is None or known.error > _ROUGH * float(np.sum(np.abs(known.column))):
            return False
        return abs(known.value - exact.value) <= known.error
