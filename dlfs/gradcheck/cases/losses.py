"""Cases of losses, with every kind of target that they accept."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.gradcheck.cases.sketch import Case, Sketch
from dlfs.losses import (
    BinaryCrossEntropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
    SoftmaxCrossEntropy,
)
from dlfs.types import Array


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
    weight = sketch.choose.choice((None, 3.0, (2.0, 0.5, 1.5, 4.0)[: shape[-1]]))
    return sketch.case(BinaryCrossEntropy, pos_weight=weight)


def _softmax_cross_entropy(sketch: Sketch) -> Case:
    classes = sketch.choose.choice((3, 2, 4, 1))
    smoothing = sketch.choose.choice((0.0, 0.0, 0.2))
    return _classes(sketch, SoftmaxCrossEntropy, classes, label_smoothing=smoothing)


def _negative_log_likelihood(sketch: Sketch) -> Case:
    return _classes(sketch, NegativeLogLikelihood, sketch.choose.choice((3, 2, 4)))


def _classes(sketch: Sketch, kind: type[Any], classes: int, **options: Any) -> Case:
    axis = sketch.choose.choice((-1, -1, 1))
    time = sketch.sizes(sketch.choose.choice((0, 0, 1) if axis == -1 else (0, 1, 2)), 1, 3)
    batch = sketch.choose.integer(1, 4)
    shape = (batch, *time, classes) if axis == -1 else (batch, classes, *time)
    sketch.normal("x", *shape, scale=2.0)
    sketch.any_layout("x")
    labels: Array = np.zeros(1)
    if classes == 1:
        labels = sketch.integers("y", 2, batch, *time)
    elif axis == 1 or sketch.choose.choice(("labels", "probabilities")) == "labels":
        labels = sketch.integers("y", classes, batch, *time)
    else:
        sketch.simplex("y", *shape)
    weight = (0.5, 2.0, 1.0, 3.0)[:classes] if classes > 1 else None
    chosen: dict[str, Any] = {
        "class_weight": sketch.choose.choice((None, None, weight)),
        "ignore_index": sketch.choose.choice((None, None, 1 if (labels != 1).any() else None)),
        "reduction": sketch.choose.choice(("mean", "mean", "sum")),
    }
    return sketch.case(kind, axis=axis, **options, **chosen)


RECIPES: dict[str, Callable[[Sketch], Case]] = {
    "MeanSquaredError": _mean_squared_error,
    "MeanAbsoluteError": _mean_absolute_error,
    "Huber": _huber,
    "BinaryCrossEntropy": _binary_cross_entropy,
    "NegativeLogLikelihood": _negative_log_likelihood,
    "SoftmaxCrossEntropy": _softmax_cross_entropy,
}
