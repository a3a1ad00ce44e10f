"""Hints from findings other than wrong numbers, and from gradients of the wrong shape."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dlfs.gradcheck.behaviour import Finding
from dlfs.gradcheck.copies import walk
from dlfs.gradcheck.report import Hint
from dlfs.gradcheck.subjects import Subject
from dlfs.types import Array

_MESSAGES = {
    "stale": (
        "stale_cache",
        (
            "backward uses a value that forward computed only once, or in an earlier call: each "
            "forward must store everything that backward needs."
        ),
    ),
    "writes": (
        "in_place",
        (
            "an array is changed in place (+=, *=, out=, or x[mask] = ...) although it belongs to "
            "the caller: work on a copy."
        ),
    ),
}


def from_findings(subject: Subject, findings: list[Finding], output_grad: Array) -> Iterator[Hint]:
    """Yield the likely cause of each finding."""
    for finding in findings:
        if finding.kind == "accumulates":
            yield Hint(
                "accumulated",
                "the gradient is added to the previous one (+=): each backward must start from "
                "zero.",
            )
        elif finding.kind == "varies" and _draws_random_numbers(subject):
            yield Hint(
                "random_again",
                "backward draws random numbers of its own: it must use the mask that forward drew.",
            )
        elif finding.kind in _MESSAGES:
            kind, message = _MESSAGES[finding.kind]
            yield Hint(kind, message, finding.variable)
        elif finding.kind in ("raises", "shape"):
            yield from _wrong_shape(subject, output_grad)


def _draws_random_numbers(subject: Subject) -> bool:
    return any(isinstance(thing, np.random.Generator) for thing in walk(subject.target))


def _wrong_shape(subject: Subject, output_grad: Array) -> Iterator[Hint]:
    """Look at the gradients of the target's own methods, before any shape is checked."""
    subject._restore()
    subject._forward()
    for name, variable in subject.variables().items():
        method = {"input_": "_input_grad", "param": "_param_grad"}.get(name, "")
        gradient = _quietly(getattr(subject.target, method, None), subject, output_grad)
        if gradient is None:
            gradient = _from_functions(subject, name, output_grad)
        if gradient is None or gradient.shape == variable.shape:
            continue
        yield from _about_shape(name, variable, gradient, subject)


def _about_shape(name: str, variable: Array, gradient: Array, subject: Subject) -> Iterator[Hint]:
    if gradient.dtype == object:
        yield Hint("nothing_returned", "backward returns no gradient: is a return missing?", name)
        return
    shapes = f"got {gradient.shape} for {variable.shape}"
    x = subject.x
    batch = x.shape[0] if isinstance(x, np.ndarray) and x.ndim else 0
    if gradient.shape == variable.shape[::-1]:
        yield Hint("transposed", f"the gradient is transposed: {shapes}.", name)
    elif gradient.size == variable.size:
        yield Hint(
            "axis_dropped",
            f"the gradient has as many numbers in another shape: {shapes}. A sum without "
            "keepdims=True drops its axis.",
            name,
        )
    elif name != "input_" and gradient.ndim and gradient.shape[0] == batch > 1:
        yield Hint(
            "not_summed",
            f"the sum over the batch is missing from the gradient of a parameter: "
            f"{shapes}. Use np.sum(..., axis=0, keepdims=True).",
            name,
        )
    else:
        yield Hint(
            "wrong_sum",
            f"the gradient does not have the size of its variable ({shapes}): it is summed over "
            "the wrong axes, or over too few or too many.",
            name,
        )


def _quietly(method: Any, subject: Subject, output_grad: Array) -> Array | None:
    if method is None:
        return None
    try:
        return np.asarray(method() if subject.kind == "loss" else method(output_grad))
    except Exception:  # noqa: BLE001 - a student's code may fail in any way
        return None


def _from_functions(subject: Subject, name: str, output_grad: Array) -> Array | None:
    if subject.kind != "functions":
        return None
    try:
        subject.pull_again(output_grad)
        return np.asarray(subject._param_grads()[name])
    except Exception:  # noqa: BLE001
        return None
