"""How much of an analytic gradient is rounding, measured and not guessed.

The gradient is computed a few more times with every number it is made of shaken in its last bit.
What then moves is what rounding alone can do to it: this is what a comparison has to allow, be it
float32 or float64, a well-behaved sum or one that cancels.

Vignes, "A stochastic arithmetic for reliable scientific computation", 1993.
"""

import numpy as np

from dlfs.gradcheck.kinks import KinkWatch
from dlfs.gradcheck.subjects import Subject
from dlfs.types import Array


def rounding(
    subject: Subject,
    output_grad: Array,
    grads: dict[str, Array],
    rng: np.random.Generator,
    repeats: int,
) -> dict[str, Array]:
    """Return, for each gradient, how far its entries move when everything is shaken.

    Parameters
    ----------
    subject, output_grad, grads
        What was run, with what, and what came out.
    rng : numpy.random.Generator
    repeats : int
        How often to shake.
    """
    watch = KinkWatch(subject)
    spread = {name: np.zeros(grad.shape) for name, grad in grads.items()}
    shaken = 0
    for attempt in range(2 * repeats):
        # Where every shake crosses a kink (a tie in a max-pool), only output_grad is shaken.
        everything = attempt < 2 * repeats - 2 or shaken > 0
        moved = _shake(subject, output_grad, rng, everything)
        if everything and watch.crossed():
            continue
        for name, grad in moved.items():
            difference = np.abs(grad.astype(np.float64) - grads[name])
            np.maximum(spread[name], difference, out=spread[name])
        shaken += 1
        if shaken == repeats:
            break
    return spread


def allowance(spread: Array, grad: Array) -> Array:
    """Return how far rounding may take each entry, from what the shaking showed."""
    # The noise of one entry from few samples may be small by luck; that of all together is not.
    moving = spread[spread > 0]
    typical = float(np.median(moving)) if moving.size else 0.0
    eps = float(np.finfo(grad.dtype).eps)
    allowed: Array = 10 * spread + 4 * typical + 8 * eps * np.abs(grad.astype(np.float64))
    return allowed


def _shake(
    subject: Subject, output_grad: Array, rng: np.random.Generator, everything: bool
) -> dict[str, Array]:
    kept_x = subject.x
    arrays = subject.variables() if everything else {}
    kept = {name: array.copy() for name, array in arrays.items()}
    for name, array in arrays.items():
        if array is kept_x:
            subject.x = _shaken(array, rng)
        else:
            array[...] = _shaken(kept[name], rng)
    try:
        return subject.pull(_shaken(output_grad, rng))
    finally:
        subject.x = kept_x
        for name, array in arrays.items():
            if array is not kept_x:
                array[...] = kept[name]


def _shaken(array: Array, rng: np.random.Generator) -> Array:
    if array.dtype.kind != "f":
        return array
    bits = rng.integers(-1, 2, size=array.shape)
    factor = 1 + bits * float(np.finfo(array.dtype).eps)
    return np.asarray(array * factor.astype(array.dtype))
