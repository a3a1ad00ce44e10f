"""The facts about a wrong gradient, from which hints are found."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dlfs.gradcheck.entries import Differentiator
from dlfs.gradcheck.kinks import KinkWatch
from dlfs.gradcheck.report import Hint
from dlfs.gradcheck.subjects import Subject
from dlfs.types import Array

# A larger Jacobian takes too long.
_MOST_ENTRIES = 600
_CLOSE = 1e-6


class Evidence:
    """One wrong gradient, in float64, with the arrays that could have entered it.

    Attributes
    ----------
    subject : Subject
        In float64.
    name : str
        The variable.
    variable, analytic, numeric : ndarray
        Its value, its gradient by backward and by differences (NaN where not known).
    output_grad, output : ndarray
    jacobian : ndarray, shape (output size, variable size), or None
        The derivative of every output; None if it would be too large.

    Parameters
    ----------
    wrong : iterable of int
        Entries (flat indices) that must be included where only some are looked at.
    skipped : iterable of int
        Entries on kinks, which say nothing.
    """

    def __init__(
        self,
        subject: Subject,
        name: str,
        output_grad: Array,
        wrong: Iterable[int] = (),
        skipped: Iterable[int] = (),
    ) -> None:
        self.subject = subject
        self.name = name
        self.output_grad = output_grad
        self.output = subject.output()
        self._second: Evidence | None = None
        self.variable = subject.variables()[name]
        self.analytic = subject.pull(output_grad)[name].astype(np.float64)
        size = self.variable.size
        indices = list(range(size))
        if size > _MOST_ENTRIES:
            chosen = np.random.default_rng(0).choice(size, _MOST_ENTRIES, replace=False)
            indices = sorted({*map(int, chosen), *map(int, wrong)})
        self.skipped = frozenset(skipped)
        indices = [index for index in indices if index not in self.skipped]
        columns = columns_of(subject, name, output_grad, indices)
        self.jacobian: Array | None = None
        if size <= _MOST_ENTRIES:
            self.jacobian = np.full((self.output.size, size), np.nan)
        self.numeric = np.full(self.variable.shape, np.nan)
        for index, column in columns.items():
            self.numeric.flat[index] = np.sum(output_grad * column)
            if self.jacobian is not None:
                self.jacobian[:, index] = column.reshape(-1)
        known = np.isfinite(self.numeric)
        self.known = known
        largest = [np.max(np.abs(a[known]), initial=0.0) for a in (self.analytic, self.numeric)]
        self.scale = float(max(largest)) or 1.0

    def second(self) -> "Evidence":
        """Return the same gradient at another point, if forward takes it with one more row."""
        if self._second is None:
            rng = np.random.default_rng(1)
            try:
                self._second = self._elsewhere(rng, longer=True)
            except Exception:  # noqa: BLE001 - forward may be made for one number of rows
                self._second = self._elsewhere(rng, longer=False)
        return self._second

    def _elsewhere(self, rng: np.random.Generator, longer: bool) -> "Evidence":
        other = self.subject.precise()
        if longer:
            add_a_row(other)
        for array in other.variables().values():
            # The signs stay, so that the point stays in forward's domain.
            array *= rng.uniform(0.9, 1.1, array.shape)
        grad = rng.uniform(0.5, 1.5, other.output().shape)
        if other.scalar:
            grad = self.output_grad
        # A new row is the last, so that the places are the same.
        return Evidence(other, self.name, grad, skipped=self.skipped)

    @property
    def batch(self) -> int:
        """The size of the batch."""
        x = self.subject.x
        return int(x.shape[0]) if isinstance(x, np.ndarray) and x.ndim else 1

    @property
    def x(self) -> Array:
        """The input."""
        return self.subject.x

    @property
    def is_input(self) -> bool:
        """Whether the variable is the input, not a parameter."""
        return self.name == "input_"

    @property
    def elementwise(self) -> bool:
        """Whether each output depends on a single input."""
        jacobian = self.jacobian
        if jacobian is None or jacobian.shape[0] != jacobian.shape[1]:
            return False
        off = jacobian - np.diag(np.diag(jacobian))
        return bool(np.nanmax(np.abs(off), initial=0.0) <= _CLOSE * np.nanmax(np.abs(jacobian)))

    def slopes(self) -> Array:
        """Return the Jacobian's diagonal, in the variable's shape."""
        if self.jacobian is None:
            raise ValueError("the Jacobian is missing")
        return np.diag(self.jacobian).reshape(self.variable.shape)

    def explains(self, prediction: Any) -> bool:
        """Say whether a mistake that gives this gradient explains the analytic one."""
        prediction = np.asarray(prediction, dtype=np.float64)
        if prediction.shape != self.analytic.shape:
            return False
        usable = self.known & np.isfinite(prediction)
        if not usable.any() or usable.sum() < self.known.sum() / 2:
            return False
        apart = np.abs(prediction - self.analytic)[usable]
        different = np.abs(self.numeric - self.analytic)[usable]
        return bool(apart.max() <= _CLOSE * self.scale and different.max() > apart.max())

    def from_jacobian(self, output_grad: Array) -> Array | None:
        """Return the correct gradient for another output gradient."""
        if self.jacobian is None:
            return None
        return (output_grad.reshape(-1) @ self.jacobian).reshape(self.variable.shape)

    def contributions(self) -> Array | None:
        """Return what each output contributes to each entry: (output size, variable size)."""
        if self.jacobian is None:
            return None
        return self.output_grad.reshape(-1, 1) * self.jacobian

    def changed(self, change: Callable[[Subject], None]) -> Array | None:
        """Return the correct gradient of a changed copy; None if the change cannot be made."""
        other = self.subject.precise()
        try:
            change(other)
            if other.output().shape != self.output.shape:
                return None
            size = other.variables()[self.name].size
            if size > _MOST_ENTRIES:
                return None
            columns = columns_of(other, self.name, self.output_grad, list(range(size)))
        except (TypeError, ValueError, IndexError):
            return None
        gradient = np.full(self.variable.shape, np.nan)
        for index, column in columns.items():
            gradient.flat[index] = np.sum(self.output_grad * column)
        return gradient

    def hint(self, kind: str, message: str) -> Hint:
        """Create a hint about this variable."""
        return Hint(kind, message, self.name)


def add_a_row(subject: Subject) -> None:
    """Give the input, and the targets of a loss, one more row."""
    if not isinstance(subject.x, np.ndarray):
        raise TypeError("functions of several arrays may share their sizes")
    extra = subject.x[:1] + 0.25 if subject.differentiable_input() else subject.x[:1]
    subject.x = np.concatenate([subject.x, extra])
    targets = getattr(subject, "y", None)
    if isinstance(targets, np.ndarray):
        subject.y = np.concatenate([targets, targets[:1]])  # type: ignore[attr-defined]


def columns_of(subject: Subject, name: str, weights: Array, indices: list[int]) -> dict[int, Array]:
    """Return the derivative of the whole output with respect to single entries of a variable."""
    watch = KinkWatch(subject)
    differentiator = Differentiator(subject, name, weights, watch, "central")
    numeric = differentiator.entries(indices)
    # Imprecise: a kink is nearer than the step.
    imprecise = differentiator.rough(numeric)
    return {index: col for index, col in numeric.columns.items() if index not in imprecise}
