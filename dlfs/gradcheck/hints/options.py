"""Options: a gradient that is correct only without stride, padding, dilation or groups."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.report import Hint
from dlfs.gradcheck.subjects import Subject

Check = Callable[[Subject, str], bool]

_OPTIONS = {
    "stride": ((1, 1), 1, "the stride"),
    "padding": ((0, 0), 0, "the padding"),
    "dilation": ((1, 1), 1, "the dilation"),
    "output_padding": ((0, 0), 0, "the output padding"),
}


def flipped_kernel(evidence: Evidence) -> Iterator[Hint]:
    """Try the input gradient of the convolution with the kernel flipped."""
    param = evidence.subject.variables().get("param")
    if not evidence.is_input or param is None or param.ndim < 3 or max(param.shape[2:]) < 2:
        return
    for axes in (tuple(range(2, param.ndim)), *((axis,) for axis in range(2, param.ndim))):
        gradient = evidence.changed(partial(_flip, axes=axes))
        if gradient is not None and evidence.explains(gradient):
            yield evidence.hint(
                "kernel_flipped",
                "it is the gradient for a flipped kernel. In the input gradient each output pixel "
                "goes back to where it came from, so the kernel's positions run opposite to "
                "forward: flip it exactly once.",
            )
            return


def options(evidence: Evidence, check: Check) -> Iterator[Hint]:
    """Take one option away at a time, and see when the gradient becomes correct."""
    found: list[Hint] = []
    for kind, message, change in _changes(evidence.subject):
        other = evidence.subject.precise()
        try:
            if change(other) and check(other, evidence.name):
                found.append(evidence.hint(kind, message))
        except (TypeError, ValueError, IndexError, RuntimeError):
            continue
    # If nearly every change helps, none of them is the cause.
    if len(found) <= 2:
        yield from found


def _changes(subject: Subject) -> Iterator[tuple[str, str, Callable[[Subject], bool]]]:
    target = subject.target
    for name, (two, one, what) in _OPTIONS.items():
        if hasattr(target, name):
            plain = two if isinstance(getattr(target, name), tuple) else one
            yield (
                f"{name}_ignored",
                (
                    f"it is correct without {what} ({name}={plain}) and wrong with it: backward "
                    f"treats {what} differently from forward, or not at all."
                ),
                partial(_set, name=name, value=plain),
            )
    yield (
        "groups_ignored",
        "it is correct only for groups=1: backward does not keep the groups' channels apart.",
        _one_group,
    )


def _flip(subject: Subject, axes: tuple[int, ...]) -> None:
    param = subject.target.param
    param[...] = np.flip(param, axes).copy()


def _set(subject: Subject, name: str, value: Any) -> bool:
    target = subject.target
    if getattr(target, name) == value:
        return False
    if name == "padding" and not hasattr(target, "output_padding"):
        _enlarge(subject)
    setattr(target, name, value)
    return True


def _enlarge(subject: Subject) -> None:
    """Replace the padding by pixels: without it, the kernel may be larger than the image."""
    x, target = subject.x, subject.target
    kernel = getattr(target, "kernel_size", None) or target.param.shape[2:]
    if isinstance(x, np.ndarray) and isinstance(kernel, tuple) and x.ndim == 2 + len(kernel):
        dilation = getattr(target, "dilation", 1)
        steps = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel)
        covered = [step * (size - 1) + 1 for step, size in zip(steps, kernel, strict=True)]
        sides = map(max, x.shape[2:], covered)
        subject.x = np.resize(x, (*x.shape[:2], *sides)).copy()


def _one_group(subject: Subject) -> bool:
    target = subject.target
    groups = getattr(target, "groups", 1)
    if groups < 2:
        return False
    target.groups = 1
    target.param = target.param[:, : target.param.shape[1] // groups].copy()
    subject.x = subject.x[:, : subject.x.shape[1] // groups].copy()
    return True
