"""Runs all diagnoses in turn, the most specific first."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from dlfs.base import Operation
from dlfs.gradcheck.compare import Tolerances
from dlfs.gradcheck.copies import own_copy, walk
from dlfs.gradcheck.hints.attention import attention
from dlfs.gradcheck.hints.behaviour import from_findings
from dlfs.gradcheck.hints.code import held_constant, repairs
from dlfs.gradcheck.hints.elementwise import elementwise
from dlfs.gradcheck.hints.evidence import Evidence
from dlfs.gradcheck.hints.factors import arithmetic, zero
from dlfs.gradcheck.hints.facts import facts
from dlfs.gradcheck.hints.losses import losses
from dlfs.gradcheck.hints.options import flipped_kernel, options
from dlfs.gradcheck.hints.sums import sums
from dlfs.gradcheck.report import GradientReport, Hint
from dlfs.gradcheck.subjects import Subject, make_subject
from dlfs.types import Array

_MOST_HINTS = 3
_QUICK = Tolerances(None, None, 60, "central")

# If two explain the same numbers, the earlier one is more specific.
_DIAGNOSES: tuple[Callable[[Evidence], Iterator[Hint]], ...] = (
    zero,
    attention,
    losses,
    elementwise,
    flipped_kernel,
    sums,
    arithmetic,
)


def find_hints(
    subject: Subject,
    report: GradientReport,
    output_grad: Array,
    check: Callable[..., GradientReport],
) -> list[Hint]:
    """Return the likely causes of a failure, the most likely first.

    Parameters
    ----------
    subject, report, output_grad
        The subject of the check, its report, and its output gradient.
    check : callable
        ``check_subject``.
    """
    if subject.kind in ("layer", "network"):
        found = list(_guilty_operations(subject, check))
        if found:
            return found[:_MOST_HINTS]
    found = list(from_findings(subject, report.findings, output_grad))
    precise = subject.precise()
    weights = output_grad.astype(np.float64)

    def passes(other: Subject, name: str) -> bool:
        again = check(other, 1, _QUICK, hints=False, prepared=True)
        return again.results[name].passed if name in again.results else again.passed

    for name, result in report.results.items():
        if result.verdict != "wrong" or result.on_kink or result.shared:
            continue
        kinks = result.places if result.skipped else ()
        evidence = Evidence(precise, name, weights, np.flatnonzero(result.wrong), kinks)
        if report.dtype == "float32" and not _wrong_in_float64(evidence):
            found.append(
                evidence.hint(
                    "precision",
                    "it is correct in float64: a step of the computation loses digits or "
                    "overflows in float32.",
                )
            )
            continue
        here = _quietly(held_constant, evidence)
        here = here or _confirmed(evidence)
        here = here or _quietly(repairs, evidence)
        here = here or _quietly(partial(options, check=passes), evidence)
        found += here
        if not here:
            report.facts.extend(_quietly(facts, evidence))
    return _without_repetition(found)[:_MOST_HINTS]


def _confirmed(evidence: Evidence) -> list[Hint]:
    """Run the diagnoses; a hint counts if a second point, too, leads to it."""
    for diagnose in _DIAGNOSES:
        found = _quietly(diagnose, evidence)
        again = {hint.kind for hint in _quietly(diagnose, evidence.second())} if found else set()
        found = [hint for hint in found if hint.kind in again]
        if found:
            return found
    return []


def _quietly(diagnose: Callable[[Evidence], Iterator[Hint]], evidence: Evidence) -> list[Hint]:
    try:
        with np.errstate(all="ignore"):
            return list(diagnose(evidence))
    except Exception:  # noqa: BLE001 - it may not fit the target; the report must still be made
        return []


def _wrong_in_float64(evidence: Evidence) -> bool:
    known = evidence.known
    apart = np.abs(evidence.analytic - evidence.numeric)[known]
    return bool(np.max(apart, initial=0.0) > 1e-9 * evidence.scale)


def _guilty_operations(subject: Subject, check: Callable[..., GradientReport]) -> Iterator[Hint]:
    """Check each inner Operation alone, with the input that it had."""
    inside = _inside(subject)
    guilty = False
    for operation in inside:
        alone = make_subject(own_copy(operation), np.array(operation.input_))
        again = check(alone, 0, _QUICK, hints=True)
        if again.verdict != "wrong":
            continue
        guilty = True
        name = type(operation).__name__
        for hint in again.hints:
            about = f"{name}, {hint.variable}" if hint.variable else name
            yield replace(hint, variable=about)
        if not again.hints:
            yield Hint("guilty", f"{name} is also wrong on its own: check it alone first.", name)
    if inside and not guilty:
        yield Hint(
            "chain",
            "each inner Operation is correct on its own: look at how backward chains them, in "
            "which order and with which gradients.",
        )


def _inside(subject: Subject) -> list[Operation]:
    """Return the inner Operations, each with its input; a user's own layer may have none."""
    subject.output()
    return [
        thing
        for thing in walk(subject.target)
        if isinstance(thing, Operation) and "input_" in thing.__dict__
    ]


def _without_repetition(hints: list[Hint]) -> list[Hint]:
    seen: set[Any] = set()
    kept = []
    for hint in hints:
        if (hint.kind, hint.message) not in seen:
            seen.add((hint.kind, hint.message))
            kept.append(hint)
    return kept
