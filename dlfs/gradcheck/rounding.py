"""Measures how much rounding an analytic gradient contains.

The gradient is computed again at pairs of points slightly to either side. A gradient is smooth, so
the mean of each pair should be the gradient between them. The difference is rounding, which the
comparison must allow, in float32 or float64, with or without cancellation. A wrong gradient is as
smooth as a correct one, so this does not hide it.

After Vignes, "A stochastic arithmetic for reliable scientific computation", 1993.
"""

import numpy as np

from dlfs.gradcheck.kinks import KinkWatch
from dlfs.gradcheck.subjects import Subject
from dlfs.types import Array

# Larger moves in float32: where a sigmoid saturates, a small move changes no bit.
_FAR = 2.0**-6
_LARGEST = 1e-3
_PROPORTION = 64.0


def rounding(
    subject: Subject,
    output_grad: Array,
    grads: dict[str, Array],
    rng: np.random.Generator,
    repeats: int,
) -> dict[str, Array]:
    """Return, for each gradient, how far its entries are from the mean of their neighbours.

    Parameters
    ----------
    subject, output_grad, grads
        The subject, its output gradient, and the resulting gradients.
    rng : numpy.random.Generator
    repeats : int
        The number of pairs of points.
    """
    shaker = _Shaker(subject, output_grad, rng)
    spread = {name: np.zeros(grad.shape) for name, grad in grads.items()}
    shaken = 0
    for attempt in range(2 * repeats):
        # If every move crosses a kink (a tie in a max-pool), only output_grad is moved.
        everything = attempt < 2 * repeats - 2 or shaken > 0
        means = shaker.means(everything)
        if means is None:
            continue
        for name, grad in grads.items():
            np.maximum(spread[name], np.abs(means[name] - grad), out=spread[name])
        shaken += 1
        if shaken == repeats:
            break
    if subject.dtype() == np.float32:
        for _ in range(2):
            means = shaker.far_means()
            if means is None:
                continue
            for name, grad in grads.items():
                most = _LARGEST * float(np.max(np.abs(grad), initial=0.0))
                distance = np.minimum(np.abs(means[name] - grad), most)
                np.maximum(spread[name], distance, out=spread[name])
    return spread


def kept_rounding(
    subject: Subject,
    output_grad: Array,
    grads: dict[str, Array],
    rng: np.random.Generator,
    repeats: int,
) -> dict[str, Array]:
    """Return how far each gradient moves when the values kept for backward are rounded differently.

    The slope 1 - t² of a saturated tanh has an absolute error of eps, because t has one; a small
    move of the input may leave t unchanged. Only proportional moves count as rounding: a backward
    pass that compares outputs for equality jumps, and a jump must not excuse a wrong gradient. The
    parameters are those of `rounding`.
    """
    eps = float(np.finfo(subject.dtype()).eps)
    moved = []
    for size in (eps, _PROPORTION * eps):
        far = {name: np.zeros(grad.shape) for name, grad in grads.items()}
        for _ in range(repeats):
            for name, grad in subject.pull_rounded(output_grad, size, rng).items():
                distance = np.abs(grad.astype(np.float64) - grads[name])
                np.maximum(far[name], distance, out=far[name])
        moved.append(far)
    near, away = moved
    return {
        name: near[name] * bool(np.sum(away[name]) > _PROPORTION / 8 * np.sum(near[name]))
        for name in grads
    }


def allowance(spread: Array, grad: Array) -> Array:
    """Return how much rounding to allow for each entry, from the measured spread."""
    # The noise of one entry, from few samples, may be small by chance; that of all together is not.
    moving = spread[spread > 0]
    typical = float(np.median(moving)) if moving.size else 0.0
    eps = float(np.finfo(grad.dtype).eps)
    return 4 * spread + 4 * typical + 8 * eps * np.abs(grad.astype(np.float64))


class _Shaker:
    """Computes gradients at points around the point of the check."""

    def __init__(self, subject: Subject, output_grad: Array, rng: np.random.Generator) -> None:
        self.subject = subject
        self.output_grad = output_grad
        self.rng = rng
        self.watch = KinkWatch(subject)
        # Far enough for intermediate results to round differently, too near for curvature.
        self.near = float(np.sqrt(np.finfo(subject.dtype()).eps)) / 16

    def means(self, everything: bool) -> dict[str, Array] | None:
        """Return the mean of the gradients at two opposite points, or None if a kink is between."""
        names = [*self.subject.variables()] if everything else []
        pair = self._gradients(self._moves(self.near, names), (1, -1))
        if pair is None:
            return None
        return {name: (pair[0][name] + pair[1][name]) / 2 for name in pair[0]}

    def far_means(self) -> dict[str, Array] | None:
        """Return the same for points further away, four of them so that curvature cancels."""
        found = self._gradients(self._moves(_FAR, [*self.subject.variables()]), (1, -1, 2, -2))
        if found is None:
            return None
        a, b, c, d = found
        return {name: (4 * (a[name] + b[name]) - c[name] - d[name]) / 6 for name in a}

    def _moves(self, size: float, names: list[str]) -> dict[str, Array]:
        arrays = {"output_grad": self.output_grad, **self.subject.variables()}
        return {
            name: np.asarray(
                arrays[name] * self.rng.uniform(-size, size, arrays[name].shape),
                dtype=arrays[name].dtype,
            )
            for name in ["output_grad", *names]
        }

    def _gradients(
        self, moves: dict[str, Array], signs: tuple[int, ...]
    ) -> list[dict[str, Array]] | None:
        subject, kept_x = self.subject, self.subject.x
        arrays = {name: array for name, array in subject.variables().items() if name in moves}
        kept = {name: array.copy() for name, array in arrays.items()}
        found = []
        subject.shake = self.rng
        try:
            for sign in signs:
                for name, array in arrays.items():
                    moved = kept[name] + sign * moves[name]
                    if array is kept_x:
                        subject.x = moved
                    else:
                        array[...] = moved
                with np.errstate(all="ignore"):  # a move may leave forward's domain
                    grads = subject.pull(self.output_grad + sign * moves["output_grad"])
                if arrays and self.watch.crossed():
                    return None
                found.append({name: grad.astype(np.float64) for name, grad in grads.items()})
        finally:
            subject.x, subject.shake = kept_x, None
            for name, array in arrays.items():
                if array is not kept_x:
                    array[...] = kept[name]
        return found
