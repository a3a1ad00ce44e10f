"""Two backends, one result: the same case on each, outputs and gradients compared."""

from collections.abc import Sequence

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
    """Say where two backends give different results; an empty text if nowhere.

    Each may round differently; how much that is, is measured as in a gradient check.
    """
    # One copy is set up, so that both backends start from the same parameters and random state.
    start = make_subject(case.target, case.x, case.y, case.inference)
    with use_backend(backends[-1]):
        output = start.prepare()
    output_grad = draw_output_grad(start, output, np.random.default_rng(0))
    outputs, grads, slack = [], [], []
    for backend in backends:
        with use_backend(backend):
            subject = make_subject(own_copy(start.target), case.x, case.y, case.inference)
            outputs.append(subject.output())
            subject = make_subject(own_copy(start.target), case.x, case.y, case.inference)
            grads.append(subject.pull(output_grad))
            shaken = rounding(subject, output_grad, grads[-1], np.random.default_rng(0), _SHAKES)
            slack.append({name: allowance(shaken[name], grads[-1][name]) for name in shaken})
    names = f"{backends[0]} and {backends[1]}"
    # Sums of a few dozen terms of the output's size, each rounded once.
    eps = 256 * float(np.finfo(start.dtype()).eps)
    largest = float(np.max(np.abs(outputs[0]), initial=1.0))
    apart = _apart(outputs[0], outputs[1], np.full(outputs[0].shape, eps * largest))
    if apart:
        return f"the outputs of {names} differ {apart}"
    for name, grad in grads[0].items():
        allowed = slack[0][name] + slack[1][name]
        apart = _apart(grad, grads[1][name], allowed)
        if apart:
            return f"the gradients of {name} of {names} differ {apart}"
    return ""


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
