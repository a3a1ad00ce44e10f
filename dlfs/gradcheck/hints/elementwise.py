"""Mistakes in the derivative of an activation, a mask or a normalization."""

from collections.abc import Iterator

import numpy as np

from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.report import Hint
from dlfs.gradcheck.subjects import Subject
from dlfs.types import Array

_CLOSE = 1e-6


def elementwise(evidence: Evidence) -> Iterator[Hint]:
    """Try derivatives that are missing, or evaluated at the wrong place."""
    if not evidence.is_input and evidence.subject.kind != "functions":
        return
    if evidence.output.shape != evidence.variable.shape:
        return
    # If the first explains the gradient, the others are less specific.
    for diagnose in (_masks, _normalization, _derivatives):
        found = list(diagnose(evidence))
        if found:
            yield from found
            return


def _masks(evidence: Evidence) -> Iterator[Hint]:
    if not evidence.elementwise:
        return
    slopes, grad, x = evidence.slopes(), evidence.output_grad, evidence.variable
    # One slope above 0 and another below: a ReLU, or one of its variants.
    above = slopes[(x > 0) & np.isfinite(slopes)]
    if not above.size or np.ptp(above) > _CLOSE or np.ptp(slopes[np.isfinite(slopes)]) < _CLOSE:
        return
    high = above[0]
    low = slopes[(x < 0) & np.isfinite(slopes)]
    flat = low[0] if low.size and np.ptp(low) <= _CLOSE else 0.0
    through = "every gradient passes, as if all inputs were above 0."
    if not flat:
        through += " (output >= 0) is always true after a ReLU; the mask is (input_ > 0)."
    masks = (
        (np.full(x.shape, high), through),
        (
            np.full(x.shape, flat or np.nan),
            "every gradient is multiplied by the slope below 0, whatever the input.",
        ),
        (
            np.where(x > 0, flat, high),
            "the mask is inverted: it passes gradients below 0, not above.",
        ),
        (
            np.where(grad > 0, high, flat),
            "the mask is taken from the sign of the output gradient; it must come from the input.",
        ),
        (
            np.where(x > 0, high, 0.0),
            "the gradient is 0 for inputs below 0, although the function has a slope there.",
        ),
        (
            np.where(grad * x > 0, high, flat),
            "the mask is computed from an array other than the input.",
        ),
    )
    for mask, message in masks:
        if evidence.explains(grad * mask):
            yield evidence.hint("relu_mask", message)
            return


def _derivatives(evidence: Evidence) -> Iterator[Hint]:
    grad, x, output = evidence.output_grad, evidence.variable, evidence.output
    if grad.shape == x.shape and evidence.explains(grad):
        yield evidence.hint(
            "derivative_forgotten",
            "the output gradient is returned unchanged: it must be multiplied by the derivative of "
            "the function (chain rule).",
        )
        return
    for value, what in ((output, "the output"), (x, "the input")):
        if evidence.explains(grad * value):
            yield evidence.hint(
                "times_function",
                f"the output gradient is multiplied by {what} instead of the derivative.",
            )
            return
    if not evidence.elementwise:
        return
    at_output = evidence.changed(lambda other: _move_to(other, evidence.name, output))
    if at_output is not None and evidence.explains(at_output):
        yield evidence.hint(
            "wrong_point",
            "the derivative is evaluated at the output: this formula needs the input.",
        )
        return
    sigmoid, tanh = x * (1 - x), 1 - x * x
    if evidence.explains(grad * sigmoid) or evidence.explains(grad * tanh):
        yield evidence.hint(
            "wrong_point",
            "the derivative is evaluated at the input: the formula output * (1 - output) of a "
            "sigmoid, or 1 - output**2 of a tanh, needs the output.",
        )
        return


def _move_to(subject: Subject, name: str, value: Array) -> None:
    subject.variables()[name][...] = value


def _normalization(evidence: Evidence) -> Iterator[Hint]:
    """Try leaving out the terms of a normalization's gradient that come from mean and variance."""
    x, output, grad = evidence.variable, evidence.output, evidence.output_grad
    choices = {(x.ndim - 1,), (0,), (0, *range(2, x.ndim))}
    for axes in sorted(choices):
        mean, var = output.mean(axis=axes), output.var(axis=axes)
        if np.abs(mean).max(initial=0.0) > 1e-6 or np.abs(var - 1).max(initial=0.0) > 0.3:
            continue
        count = int(np.prod([x.shape[axis] for axis in axes]))
        if count < 3:
            continue
        inverse = output.std(axis=axes, keepdims=True) / x.std(axis=axes, keepdims=True)
        along = (grad * output).mean(axis=axes, keepdims=True)
        center = grad.mean(axis=axes, keepdims=True)
        n = count / (count - 1)
        guesses = (
            (
                inverse * grad,
                (
                    "mean and variance are treated as constants: both depend on the input, and "
                    "each adds a term."
                ),
            ),
            (
                inverse * (grad - center),
                (
                    "the variance is treated as a constant: the term output * mean(output_grad * "
                    "output) is missing."
                ),
            ),
            (
                inverse * (grad - output * along),
                "the mean is treated as a constant: the term mean(output_grad) is missing.",
            ),
            (
                inverse * (grad - n * center - n * output * along),
                "the sums are divided by count - 1 in backward, but by count in forward.",
            ),
            (grad - center - output * along, "the factor 1 / standard deviation is missing."),
        )
        for guess, message in guesses:
            if evidence.explains(guess):
                yield evidence.hint("statistics", message)
                return
    yield from _root_mean_square(evidence)


def _root_mean_square(evidence: Evidence) -> Iterator[Hint]:
    """Try the same with a normalization that has no mean: x / sqrt(mean(x**2)), row by row."""
    x, output, grad = evidence.variable, evidence.output, evidence.output_grad
    if x.shape != output.shape or not x.ndim or x.shape[-1] < 3:
        return
    rms = np.sqrt((x**2).mean(axis=-1, keepdims=True))
    inverse = np.sqrt((output**2).mean(axis=-1, keepdims=True)) / np.where(rms == 0, 1.0, rms)
    if not np.allclose(output, x * inverse, rtol=1e-9, atol=0) or abs(output).max() > x.shape[-1]:
        return
    if evidence.explains(inverse * grad):
        yield evidence.hint(
            "statistics",
            "the root mean square is treated as a constant: the term output * mean(output_grad * "
            "output) is missing.",
        )
