"""check_gradients: the entry point of the gradient checker."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from dlfs import backend as backends
from dlfs.checks import check_choice, check_flag, check_int, check_real
from dlfs.gradcheck.behaviour import examine
from dlfs.gradcheck.compare import GradientResult, Tolerances, compare
from dlfs.gradcheck.entries import Differentiator
from dlfs.gradcheck.hints import find_hints
from dlfs.gradcheck.kinks import KinkWatch
from dlfs.gradcheck.report import GradientReport
from dlfs.gradcheck.rounding import kept_rounding, rounding
from dlfs.gradcheck.subjects import Subject, make_subject
from dlfs.types import Array

_SHAKES = 4
_MORE_SHAKES = 24


def check_gradients(
    target: Any,
    x: Any,
    *,
    y: Any = None,
    seed: int = 0,
    method: str = "auto",
    rtol: float | None = None,
    atol: float | None = None,
    max_entries: int | None = None,
    backend: str | None = None,
    inference: bool = False,
    hints: bool = True,
) -> GradientReport:
    """Check a backward pass against finite differences of its forward pass.

    With a random output gradient ``G``, every entry of the gradient of ``sum(G * output)`` is
    compared with central differences. Three step lengths are combined, which also gives an estimate
    of the error (Richardson extrapolation). The tolerance is this error plus the measured rounding
    of the analytic gradient. The target is not changed: a copy is checked.

    Parameters
    ----------
    target : Operation, Layer, Loss, NeuralNetwork or (forward, backward)
        Two functions are called as ``forward(*arrays)`` and ``backward(output_grad, *arrays)``; the
        latter returns one gradient for each array.
    x : ndarray of float32, float64 or (for an embedding) integers; for functions a tuple of arrays
        The input, the prediction of a loss, or the functions' arguments.
    y : array_like, optional
        The targets of a loss. With targets, a network's loss is checked, else its prediction.
    seed : int
        The seed of the output gradient and of all other random numbers.
    method : {"auto", "central", "complex"}
        Central differences, or the complex step, which is exact, for functions of complex numbers.
        "auto" uses the complex step where both agree.
    rtol, atol : float, optional
        The allowed difference between analytic and numeric is ``atol + rtol * |analytic|`` plus the
        error of the numeric derivative. By default it is derived from measured rounding.
    max_entries : int, optional
        Larger arrays are checked along random directions; if that fails, the wrong entry is
        searched for. Default 200.
    backend : {"fast", "reference"}, optional
        Default: the backend in use.
    inference : bool
        Whether to check the passes of inference instead of those of training.
    hints : bool
        Whether to look for the cause of a failure.

    Returns
    -------
    GradientReport
        True if the check passed. Printing it shows what was found.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value, or forward does not accept x.

    Notes
    -----
    A layer or network without parameters is built first. Parameters whose entries are all equal,
    such as new biases and scales, get random values: a missing factor does not show where it is 1.
    Entries too close to a kink, declared (``kinks``) or not, are skipped, counted and
    listed. A check is undecided, and does not pass, if it skips more than three quarters, if
    differences or the gradient are too imprecise, or if there are no entries. The gradients are
    explained in chapters 1 and 3 of the book.

    Examples
    --------
    >>> from dlfs.activations import Sigmoid, Tanh
    >>> x = np.random.default_rng(0).standard_normal((2, 3))
    >>> bool(check_gradients(Tanh(), x))
    True
    >>> class Forgetful(Sigmoid):
    ...     def _input_grad(self, output_grad):
    ...         return output_grad
    >>> report = check_gradients(Forgetful(), x)
    >>> report.passed, report.hints[0].kind
    (False, 'derivative_forgotten')
    """
    owner = "check_gradients"
    check_int(seed, owner, "seed", 0)
    check_choice(method, ("auto", "central", "complex"), owner, "method")
    rtol = None if rtol is None else check_real(rtol, owner, "rtol", 0.0)
    atol = None if atol is None else check_real(atol, owner, "atol", 0.0)
    most = 200 if max_entries is None else check_int(max_entries, owner, "max_entries", 1)
    check_flag(inference, owner, "inference")
    asked = Tolerances(rtol, atol, most, method)
    with nullcontext() if backend is None else backends.use_backend(backend):
        subject = make_subject(target, x, y, inference)
        return check_subject(subject, seed, asked, hints)


def check_subject(
    subject: Subject, seed: int, asked: Tolerances, hints: bool = False, prepared: bool = False
) -> GradientReport:
    """Check a subject made by ``make_subject``."""
    rng = np.random.default_rng(seed)
    if prepared:
        subject.given = np.array(subject.x)
    output = subject.output() if prepared else subject.prepare()
    if subject.kind in ("layer", "network") and not prepared:
        _move_constants(subject, rng)
    output_grad = draw_output_grad(subject, output, rng)
    grads, findings = examine(subject, output_grad, rng)
    results: dict[str, GradientResult] = {}
    if grads is not None:
        results = _compare_all(subject, output_grad, grads, asked, rng)
    report = GradientReport(
        subject.name,
        subject.kind,
        backends.backend_name(),
        subject.dtype().name,
        results,
        findings,
    )
    if hints and report.verdict == "wrong":
        report.hints.extend(find_hints(subject, report, output_grad, check_subject))
    if any(f.kind == "writes" and f.variable == "input_" for f in findings):
        subject.x[...] = subject.given  # the caller's array
    return report


def draw_output_grad(subject: Subject, output: Array, rng: np.random.Generator) -> Array:
    """Draw the output gradient; that of a loss is 1."""
    if subject.scalar:
        return np.ones(())
    # Away from 0, so that every entry of the output has a noticeable weight.
    size = rng.uniform(0.5, 1.5, output.shape)
    sign = rng.choice([-1.0, 1.0], output.shape)
    return np.asarray(size * sign, dtype=subject.dtype())


def _compare_all(
    subject: Subject,
    output_grad: Array,
    grads: dict[str, Array],
    asked: Tolerances,
    rng: np.random.Generator,
) -> dict[str, GradientResult]:
    spread = rounding(subject, output_grad, grads, rng, _SHAKES)
    more: dict[str, Array] = {}

    def shake_more(name: str) -> Array:
        if not more:
            kept = kept_rounding(subject, output_grad, grads, rng, _SHAKES)
            shaken = rounding(subject, output_grad, grads, rng, _MORE_SHAKES)
            more.update({name: np.maximum(shaken[name], kept[name]) for name in grads})
        return more[name]

    def pull_positive(name: str) -> Array:
        positive = subject.pull(np.abs(output_grad))[name]
        return np.asarray(positive)

    precise = subject.precise()
    weights = output_grad.astype(np.float64)
    watch = KinkWatch(precise)
    results = {}
    for name, grad in grads.items():
        differentiator = Differentiator(precise, name, weights, watch, asked.method)
        shake = partial(shake_more, name)
        pull = partial(pull_positive, name)
        result = compare(differentiator, grad, spread[name], shake, pull, asked, rng)
        if result.passed and isinstance(subject.x, np.ndarray) and not subject.x.size:
            # Every parameter's gradient is 0 then, whatever backward does.
            result = replace(result, verdict="empty")
        results[name] = result
    return results


def _move_constants(subject: Subject, rng: np.random.Generator) -> None:
    for name, param in subject._params().items():
        if param.size and np.all(param == param.flat[0]) and name != "input_":
            param += rng.uniform(0.25, 0.75, param.shape).astype(param.dtype)
