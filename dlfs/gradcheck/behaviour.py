"""The checks of a backward pass that come before its numbers are compared.

The same call gives the same result twice. Arguments are not changed. Each gradient is finite and
has the shape and dtype of its variable. Earlier calls have no influence.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlfs.checks import takes
from dlfs.gradcheck.copies import walk
from dlfs.gradcheck.raised import describe
from dlfs.gradcheck.subjects import Subject
from dlfs.types import Array


@dataclass(frozen=True)
class Finding:
    """A fault other than a wrong number.

    Attributes
    ----------
    kind : str
        A short name: "raises", "shape", "dtype", "finite", "random", "writes", "accumulates",
        "varies", "stale" or "parameters alone".
    message : str
        One sentence for a student.
    variable : str
        The gradient concerned, if there is one.

    Examples
    --------
    >>> from dlfs import Operation
    >>> from dlfs.gradcheck import check_gradients
    >>> class Doubled(Operation):
    ...     def _output(self):
    ...         self.input_ *= 2
    ...         return self.input_.copy()
    ...
    ...     def _input_grad(self, output_grad):
    ...         return 2 * output_grad
    >>> report = check_gradients(Doubled(), np.ones((2, 3)))
    >>> [finding.kind for finding in report.findings][:1]
    ['writes']
    """

    kind: str
    message: str
    variable: str = ""


def examine(
    subject: Subject, output_grad: Array, rng: np.random.Generator
) -> tuple[dict[str, Array] | None, list[Finding]]:
    """Run the passes; return the gradients (None if there are none) and the findings."""
    findings: list[Finding] = []
    before = _snapshot(subject)
    first, second = subject.output(), subject.output()
    findings += _changes(before, subject, "forward")
    if not findings and not np.array_equal(first, second, equal_nan=True):
        findings.append(
            Finding(
                "random",
                "forward gives a different output each time for the same input: it draws random "
                "numbers, or keeps state from call to call. Random numbers must come from a "
                "numpy.random.Generator kept as an attribute, so that they can be repeated.",
            )
        )
        return None, findings
    if not np.all(np.isfinite(first)):
        findings.append(Finding("finite", "the output holds NaN or infinity."))
        return None, findings
    if not subject.scalar and first.dtype != subject.dtype() and subject.kind != "functions":
        findings.append(
            Finding(
                "dtype", f"the output is {first.dtype}, although everything is {subject.dtype()}."
            )
        )
    given = output_grad.copy()
    try:
        grads = subject.pull(output_grad)
    except Exception as error:  # noqa: BLE001 - whatever a student's backward raises is reported
        findings.append(Finding("raises", f"backward raises {describe(error)}"))
        return None, findings
    if not np.array_equal(given, output_grad):
        findings.append(
            Finding(
                "writes",
                "backward changes output_grad, its argument; the caller may still need it.",
            )
        )
        output_grad[...] = given
    known = {finding.variable for finding in findings if finding.kind == "writes"}
    findings += [f for f in _changes(before, subject, "backward") if f.variable not in known]
    findings += _form(subject, grads)
    if any(finding.kind in ("shape", "finite") for finding in findings):
        return None, findings
    if any(grad.dtype.kind != "f" for grad in grads.values()):
        return None, findings
    if not findings:
        findings += _memory(subject, output_grad, grads, rng)
        if findings and _different(grads, subject.pull(output_grad)):
            return None, findings
    return grads, findings


def _snapshot(subject: Subject) -> dict[str, Array]:
    arrays = dict(subject.variables())
    if isinstance(subject.x, np.ndarray):
        # Changes that forward made while the target was set up count, too.
        arrays["input_"] = subject.given
    return {name: array.copy() for name, array in arrays.items()}


def _changes(before: dict[str, Array], subject: Subject, who: str) -> list[Finding]:
    found = []
    now = {**subject.variables(), "input_": subject.x}
    for name, value in before.items():
        if not np.array_equal(value, now[name], equal_nan=True):
            found.append(Finding("writes", f"{who} changes {name}; it must only read it.", name))
            now[name][...] = value
    return found


def _form(subject: Subject, grads: dict[str, Any]) -> list[Finding]:
    found = []
    for name, variable in subject.variables().items():
        grad = grads[name]
        if grad.dtype == object or grad.shape != variable.shape:
            got = "None" if grad.dtype == object else f"shape {grad.shape}"
            found.append(
                Finding(
                    "shape",
                    f"the gradient of {name} must have its shape, {variable.shape}, got {got}.",
                    name,
                )
            )
        elif grad.dtype != variable.dtype:
            found.append(
                Finding(
                    "dtype",
                    f"the gradient of {name} is {grad.dtype}, although {name} is {variable.dtype}.",
                    name,
                )
            )
        elif not np.all(np.isfinite(grad)):
            found.append(Finding("finite", f"the gradient of {name} holds NaN or infinity.", name))
    return found


def _memory(
    subject: Subject, output_grad: Array, grads: dict[str, Array], rng: np.random.Generator
) -> list[Finding]:
    """Look for state that one call leaves behind for the next."""
    # Again, right after the first call: nothing may have been accumulated or used up.
    subject._restore()
    subject._forward()
    one, two, three = (subject.pull_again(output_grad) for _ in range(3))
    subject._restore()
    names = _different(one, two)
    if names:
        doubled = all(np.allclose(two[name], 2 * grads[name]) for name in names)
        what = "the double" if doubled else "something else"
        # An accumulated gradient grows by the same amount each time; random numbers do not.
        grows = all(np.allclose(three[name] - two[name], two[name] - one[name]) for name in names)
        return [
            Finding(
                "accumulates" if grows else "varies",
                f"backward called twice gives {what} the second time for {', '.join(names)}: it "
                + (
                    "adds to the result of the first call."
                    if grows
                    else "draws random numbers of its own, or changes what the first call stored."
                ),
            )
        ]
    stale: list[str] = []
    others = _other_inputs(subject, rng)
    for other in others:
        _run_quietly(subject, other)
        stale += _different(grads, subject.pull(output_grad))
    with np.errstate(all="ignore"):
        fresh = subject.fresh(others[0]) if others else None
    if fresh is not None:
        stale += _different(grads, fresh.pull(output_grad))
    if stale:
        return [
            Finding(
                "stale",
                f"the gradient of {', '.join(sorted(set(stale)))} depends on earlier calls: after "
                "a forward pass with another input, forward and backward with the first input no "
                "longer give the same.",
            )
        ]
    return _only_params(subject, output_grad, grads)


def _other_inputs(subject: Subject, rng: np.random.Generator) -> list[Array]:
    if not isinstance(subject.x, np.ndarray) or subject.x.ndim == 0:
        return []
    others = [subject.x[::-1].copy(), subject.x[:1].copy()]
    if subject.differentiable_input():
        others[0] = (subject.x + rng.standard_normal(subject.x.shape)).astype(subject.x.dtype)
    return others


def _run_quietly(subject: Subject, other: Array) -> None:
    """Pass another input through; an input that the target refuses is ignored."""
    kept = subject.x
    subject.x = other
    try:
        with np.errstate(all="ignore"):  # it may be outside forward's domain
            subject.output()
    except (TypeError, ValueError, ArithmeticError):
        pass
    finally:
        subject.x = kept
        subject._restore()


def _only_params(subject: Subject, output_grad: Array, grads: dict[str, Array]) -> list[Finding]:
    """Compare the gradients with and without that of the input."""
    backward = getattr(subject.target, "backward", None)
    if backward is None or not takes(type(subject.target).backward, "input_grad"):
        return []
    if subject.kind not in ("operation", "layer") or not subject._params():
        return []
    subject._restore()
    subject._forward()
    for thing in walk(subject.target):
        if isinstance(getattr(thing, "param_grad", None), np.ndarray):
            thing.param_grad = np.full_like(thing.param_grad, np.nan)
    backward(output_grad, input_grad=False)
    found = {name: np.array(grad) for name, grad in subject._param_grads().items()}
    subject._restore()
    names = _different({name: grads[name] for name in found}, found)
    if not names:
        return []
    return [
        Finding(
            "parameters alone",
            f"backward(output_grad, input_grad=False) gives a different gradient of "
            f"{', '.join(names)} than backward(output_grad).",
        )
    ]


def _different(one: dict[str, Array], other: dict[str, Array]) -> list[str]:
    return [name for name in one if not np.array_equal(one[name], other[name], equal_nan=True)]
