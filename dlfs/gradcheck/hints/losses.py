"""Hints for losses whose gradient is that of another loss."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import special

from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.report import Hint
from dlfs.types import Array


def losses(evidence: Evidence) -> Iterator[Hint]:
    """Try the gradients of well-known losses."""
    if evidence.subject.kind != "loss":
        return
    prediction = evidence.variable
    target = _as_rows(getattr(evidence.subject, "y", None), prediction)
    if target is None:
        return
    batch = prediction.shape[0]
    sums = prediction.sum(axis=-1, keepdims=True)
    if np.all(sums != 0):
        normalized = prediction / sums
        for factor in (2.0, 1.0):
            if getattr(evidence.subject.target, "normalize", False) and evidence.explains(
                factor * (normalized - target) / batch
            ):
                yield evidence.hint(
                    "normalization_forgotten",
                    "it is the gradient with respect to the normalized prediction: the last step, "
                    "through the division by the sum, is missing (chain rule).",
                )
                return
    for name, gradient in _known(prediction, target).items():
        for factor, remark in ((1 / batch, ""), (1.0, ", not divided by the batch size")):
            if evidence.explains(factor * gradient):
                yield evidence.hint(
                    "other_loss",
                    "it is not the gradient of the loss that forward computes, but of "
                    f"{name}{remark}.",
                )
                return


def _as_rows(target: Any, prediction: Array) -> Array | None:
    """Return targets in the prediction's shape; labels become one-hot rows."""
    if target is None:
        return None
    array = np.asarray(target)
    if array.size == prediction.size:
        return array.reshape(prediction.shape).astype(np.float64)
    if array.dtype.kind in "iu" and array.shape == prediction.shape[:-1]:
        return np.eye(prediction.shape[-1])[array]
    return None


def _known(prediction: Array, target: Array) -> dict[str, Array]:
    error = prediction - target
    softmax = special.softmax(prediction, axis=-1)
    sigmoid = special.expit(prediction)
    known = {
        "softmax cross-entropy (softmax(prediction) - target)": softmax - target,
        "binary cross-entropy from logits (sigmoid(prediction) - target)": sigmoid - target,
        "the squared error": 2 * error,
        "half the squared error": error,
        "the absolute error": np.sign(error),
        "the cross-entropy of probabilities, without their softmax": -target / prediction,
        "softmax cross-entropy, without the softmax's derivative": -target / softmax,
        "the squared error after a sigmoid, without its derivative": 2 * (sigmoid - target),
        "the squared error after a softmax, without its derivative": 2 * (softmax - target),
    }
    return {name: gradient for name, gradient in known.items() if np.all(np.isfinite(gradient))}
