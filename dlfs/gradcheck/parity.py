"""Compares the outputs and gradients of one case on several backends."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlfs.backend import use_backend
from dlfs.gradcheck.cases import Case
from dlfs.gradcheck.check import draw_output_grad
from dlfs.gradcheck.copies import own_copy
from dlfs.gradcheck.rounding import allowance, rounding
from dlfs.gradcheck.subjects import make_subject
from dlfs.types import Array

_SHAKES = 6


def disagreement(case: Case, backends: Sequence[str]) -> str:
    """Say where a backend's result differs from the last one's; an empty text if nowhere.

    Each may round differently; the rounding is measured as in a gradient check.
    """
    # All backends start from one copy: the same parameters and random state.
    start = make_subject(case.target, case.x, case.y, case.inference)
    with use_backend(backends[-1]):
        output = start.prepare()
    output_grad = draw_output_grad(start, output, np.random.default_rng(0))
    right = _Results(case, start.target, backends[-1], output_grad)
    # Sums of a few dozen terms of the size of the output, each rounded once.
    eps = 256 * float(np.finfo(start.dtype()).eps)
    allowed = np.full(output.shape, eps * float(np.max(np.abs(right.output), initial=1.0)))
    for backend in backends[:-1]:
        other = _Results(case, start.target, backend, output_grad)
        names = f"{backend} and {backends[-1]}"
        apart = _apart(other.output, right.output, allowed)
        if apart:
            return f"the outputs of {names} differ {apart}"
        for name, grad in other.grads.items():
            apart = _apart(grad, right.grads[name], other.allowed[name] + right.allowed[name])
            if apart:
                return f"the gradients of {name} of {names} differ {apart}"
    return ""


class _Results:
    """The results of one backend on a case, and the rounding of its gradients."""

    def __init__(self, case: Case, target: Any, backend: str, output_grad: Array) -> None:
        with use_backend(backend):
            subject = make_subject(own_copy(target), case.x, case.y, case.inference)
            subject.freeze()
            self.output = subject.output()
            self.grads = subject.pull(output_grad)
            rng = np.random.default_rng(0)
            spread = rounding(subject, output_grad, self.grads, rng, _SHAKES)
        self.allowed = {name: allowance(spread[name], self.grads[name]) for name in spread}


def _apart(one: Array, other: Array, allowed: Array) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"in shape or dtype: {one.dtype}{one.shape} and {other.dtype}{other.shape}"
    if one.size == 0:
        return ""
    distance = np.abs(one.astype(np.float64) - other)
    worst = np.unravel_index(int(np.argmax(distance - allowed)), one.shape)
    if distance[worst] <= allowed[worst]:
        return ""
    place = f"at [{', '.join(str(int(i)) for i in worst)}]" if worst else "in value"
    return f"{place}: {one[worst]:.9g} and {other[worst]:.9g}"
