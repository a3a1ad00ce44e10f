"""Cases of losses, with every kind of target that they accept."""

from collections.abc import Callable

from dlfs.gradcheck.cases.sketch import Case, Sketch
from dlfs.losses import (
    BinaryCrossEntropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)


def _pair(sketch: Sketch) -> None:
    shape = (sketch.choose.integer(1, 4), *sketch.sizes(sketch.choose.choice((1, 1, 2)), 1, 4))
    sketch.normal("x", *shape)
    sketch.any_layout("x")
    sketch.normal("y", *shape)


def _mean_squared_error(sketch: Sketch) -> Case:
    if sketch.choose.choice((False, True)):
        batch, classes = sketch.choose.integer(1, 4), sketch.choose.integer(2, 4)
        # Sums far from 0: quotients with a denominator near 0 are too steep to measure.
        sketch.uniform("x", 0.5, 1.5, batch, classes)
        sketch.any_layout("x")
        sketch.normal("y", batch, classes)
        return sketch.case(MeanSquaredError, normalize=True)
    _pair(sketch)
    return sketch.case(MeanSquaredError)


def _mean_absolute_error(sketch: Sketch) -> Case:
    _pair(sketch)
    return sketch.case(MeanAbsoluteError)


def _huber(sketch: Sketch) -> Case:
    _pair(sketch)
    return sketch.case(Huber, delta=sketch.choose.choice((1.0, 0.3)))


def _binary_cross_entropy(sketch: Sketch) -> Case:
    shape = (sketch.choose.integer(1, 4), *sketch.sizes(sketch.choose.choice((1, 1, 2)), 1, 4))
    sketch.normal("x", *shape, scale=2.0)
    sketch.any_layout("x")
    if sketch.choose.choice((True, False)):
        sketch.integers("y", 2, *shape)
    else:
        sketch.uniform("y", 0.0, 1.0, *shape)
    return sketch.case(BinaryCrossEntropy)


def _softmax_cross_entropy(sketch: Sketch) -> Case:
    classes = sketch.choose.choice((3, 2, 4, 1))
    time = sketch.sizes(sketch.choose.choice((0, 0, 1)), 1, 3)
    leading = (sketch.choose.integer(1, 4), *time)
    sketch.normal("x", *leading, classes, scale=2.0)
    sketch.any_layout("x")
    if classes == 1:
        sketch.integers("y", 2, *leading)
    elif sketch.choose.choice(("labels", "probabilities")) == "labels":
        sketch.integers("y", classes, *leading)
    else:
        sketch.simplex("y", *leading, classes)
    smoothing = sketch.choose.choice((0.0, 0.0, 0.2))
    return sketch.case(SoftmaxCrossEntropy, label_smoothing=smoothing)


RECIPES: dict[str, Callable[[Sketch], Case]] = {
    "MeanSquaredError": _mean_squared_error,
    "MeanAbsoluteError": _mean_absolute_error,
    "Huber": _huber,
    "BinaryCrossEntropy": _binary_cross_entropy,
    "SoftmaxCrossEntropy": _softmax_cross_entropy,
}
