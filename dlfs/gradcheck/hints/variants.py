"""Variants: a gradient that is correct only for a batch of one, a square image, a stride of 1."""

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


def transposed_weights(evidence: Evidence) -> Iterator[Hint]:
    """Try the input gradient of a matrix product with the weights transposed."""
    param = evidence.subject.variables().get("param")
    if not evidence.is_input or param is None or param.ndim != 2:
        return
    if param.shape[0] != param.shape[1] or param.shape[0] < 2:
        return
    gradient = evidence.changed(_transpose)
    if gradient is not None and evidence.explains(gradient):
        yield evidence.hint(
            "transposed",
            "it is the gradient for transposed weights: forward multiplies by W, so backward must "
            "multiply by W.T.",
        )


def variants(evidence: Evidence, check: Check) -> Iterator[Hint]:
    """Simplify one option at a time, and see when the gradient becomes correct."""
    found: list[Hint] = []
    for kind, message, change in _changes(evidence.subject):
        if kind == "only_square" and found:
            continue  # a square image also changes stride and padding, which alone sufficed
        other = evidence.subject.precise()
        try:
            if not change(other):
                continue
            if check(other, evidence.name):
                found.append(evidence.hint(kind, message))
        except (TypeError, ValueError, IndexError, RuntimeError):
            continue
    # If nearly every change helps, none of them is the cause.
    if len(found) <= 2:
        yield from found


def where(evidence: Evidence) -> Iterator[Hint]:
    """Say where the wrong entries are, if all lie in one block and its neighbours are correct."""
    apart = np.abs(evidence.analytic - evidence.numeric) > 1e-9 * evidence.scale
    for axis in range(apart.ndim):
        size = apart.shape[axis]
        others = tuple(other for other in range(apart.ndim) if other != axis)
        wrong = np.flatnonzero(apart.any(axis=others))
        if not (wrong.size and 2 * wrong.size <= size > 2 and np.all(np.diff(wrong) == 1)):
            continue
        first, last = int(wrong[0]), int(wrong[-1])
        which = f"index {first}" if first == last else f"indices {first} to {last}"
        edge = ", the first" if first == 0 else ", the last" if last == size - 1 else ""
        yield evidence.hint(
            "one_slice",
            f"all wrong entries have {which} of {size} on axis {axis}{edge}; the others are "
            "correct. What is different there: another gate, a loop or a slice that ends too "
            "early?",
        )
        return


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
    yield (
        "only_square",
        (
            "it is correct only for square images and kernels: somewhere the height stands where "
            "the width belongs."
        ),
        _square,
    )
    yield (
        "only_batch_1",
        (
            "it is correct only for a batch of one: look at how the sums and reshapes treat the "
            "batch axis."
        ),
        _one_observation,
    )
    yield (
        "only_one_channel",
        (
            "it is correct only for a single channel: look at how the sums and reshapes treat the "
            "channel axes."
        ),
        _one_channel,
    )


def _flip(subject: Subject, axes: tuple[int, ...]) -> None:
    param = subject.target.param
    param[...] = np.flip(param, axes).copy()


def _transpose(subject: Subject) -> None:
    param = subject.target.param
    param[...] = param.T.copy()


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


def _square(subject: Subject) -> bool:
    x, target = subject.x, subject.target
    if not isinstance(x, np.ndarray) or x.ndim != 4:
        return False
    side = max(x.shape[2:])
    param = getattr(target, "param", None)
    kernel = getattr(target, "kernel_size", None)
    uneven = x.shape[2] != x.shape[3]
    for name in ("stride", "padding", "dilation", "output_padding"):
        value = getattr(target, name, None)
        if isinstance(value, tuple):
            setattr(target, name, (value[0], value[0]))
    # The shorter side is extended: a smaller image might not hold the kernel.
    subject.x = np.resize(x, (*x.shape[:2], side, side)).copy()
    if param is not None and param.ndim == 4:
        uneven = uneven or param.shape[2] != param.shape[3]
        size = max(param.shape[2:])
        target.param = np.resize(param, (*param.shape[:2], size, size)).copy()
    if isinstance(kernel, tuple):
        uneven = uneven or kernel[0] != kernel[1]
        target.kernel_size = (max(kernel), max(kernel))
    return bool(uneven)


def _one_observation(subject: Subject) -> bool:
    if not isinstance(subject.x, np.ndarray) or subject.x.ndim == 0 or len(subject.x) < 2:
        return False
    subject.x = subject.x[:1].copy()
    targets = getattr(subject, "y", None)
    if targets is not None:
        subject.y = targets[:1]  # type: ignore[attr-defined]
    return True


def _one_channel(subject: Subject) -> bool:
    x, target = subject.x, subject.target
    param = getattr(target, "param", None)
    if not isinstance(x, np.ndarray) or x.ndim < 2 or getattr(target, "groups", 1) > 1:
        return False
    if param is None:
        if x.shape[1] < 2:
            return False
        subject.x = x[:, :1].copy()
        return True
    if param.ndim < 3 or param.shape[:2] == (1, 1) or param.shape[0] != x.shape[1]:
        return False
    target.param = param[:1, :1].copy()
    subject.x = x[:, :1].copy()
    return True
