"""GradientReport: the result of a gradient check, in words."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlfs.gradcheck.behaviour import Finding
from dlfs.gradcheck.compare import MOST_SKIPPED, GradientResult
from dlfs.gradcheck.display import figure, html


class GradientError(AssertionError):
    """Raised when a gradient check fails; the message is the report."""


@dataclass(frozen=True)
class Hint:
    """A likely cause.

    Attributes
    ----------
    kind : str
        A short name, such as "transposed".
    message : str
        The cause and its remedy, for a student.
    variable : str
        The gradient explained.
    """

    kind: str
    message: str
    variable: str = ""

    def __str__(self) -> str:
        return f"{self.variable}: {self.message}" if self.variable else self.message


@dataclass(frozen=True)
class GradientReport:
    """The result of ``check_gradients``. True if everything is correct.

    Attributes
    ----------
    target : str
        The name of what was checked.
    results : dict of str to GradientResult
        One for the input and one for every parameter.
    findings : list of Finding
        Other faults: changed inputs, wrong shapes, results that depend on earlier calls.
    hints : list of Hint
        Likely causes, the most likely first.
    backend, dtype : str
    """

    target: str
    kind: str
    backend: str
    dtype: str
    results: dict[str, GradientResult]
    findings: list[Finding]
    hints: list[Hint] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every gradient is correct and there are no findings."""
        return not self.findings and all(result.passed for result in self.results.values())

    def __bool__(self) -> bool:
        return self.passed

    @property
    def worst_ratio(self) -> float:
        """The largest error in units of its tolerance; above 1 is wrong."""
        ratios = [
            float(np.nanmax(result.ratio))
            for result in self.results.values()
            if np.any(np.isfinite(result.ratio))
        ]
        return max(ratios, default=0.0)

    def raise_if_failed(self) -> None:
        """Raise GradientError, with the report as its message, unless the check passed."""
        if not self.passed:
            raise GradientError(f"\n{self}")

    def plot(self) -> Any:
        """Draw analytic and numeric gradients and their difference; needs matplotlib.

        Returns
        -------
        matplotlib.figure.Figure
        """
        verdict = "passed" if self.passed else "FAILED"
        title = f"{self.target} ({self.backend}, {self.dtype}): {verdict}"
        return figure(title, self.results.values())

    def _repr_html_(self) -> str:
        return html(
            f"{self.target}: gradient check {'passed' if self.passed else 'failed'}",
            f"{self.backend} backend, {self.dtype}",
            self.passed,
            [finding.message for finding in self.findings],
            list(map(str, self.hints)),
            [(result, _describe(result)) for result in self.results.values()],
        )

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        where = f"{self.backend} backend, {self.dtype}"
        lines = [f"Gradient check of {self.target} ({where}): {verdict}"]
        lines += [""] * bool(self.results)
        width = max((len(name) for name in self.results), default=0)
        for name, result in self.results.items():
            first, *others = _describe(result)
            lines.append(f"  {name:<{width}}  {first}")
            lines += [f"  {'':<{width}}  {other}" for other in others]
        if not self.results and not self.findings:
            lines += ["", "  nothing to check: no floating-point input and no parameters"]
        for finding in self.findings:
            lines += ["", *_wrapped(f"Found: {finding.message}")]
        if self.hints:
            lines += ["", "Likely causes" + (", the most likely first" * (len(self.hints) > 1))]
            for number, hint in enumerate(self.hints, 1):
                lines += _wrapped(f"{number}. {hint}", "  ", "     ")
        return "\n".join(lines)


def _describe(result: GradientResult) -> list[str]:
    """Describe the result for one variable in a few lines."""
    checked = _checked(result)
    if result.verdict == "passed":
        return [f"passed  {checked}{_worst_of(result)}{_skipped(result)}"]
    if result.verdict == "skipped":
        entries = result.checked + result.skipped
        return [
            f"UNDECIDED  {result.skipped} of {entries} entries are too close to a kink, or to the",
            f"end of forward's domain (at most {MOST_SKIPPED:.0%} may be); choose other values",
        ]
    if result.verdict == "rough":
        return [
            "UNDECIDED  the output is too noisy for differences:",
            "does forward compute in a lower precision, or with random numbers?",
        ]
    worst = result.worst
    count = int(result.wrong.sum())
    are = "is" if count == 1 else "are"
    if result.directions:
        of = f"the {result.checked} compared singly {are} wrong ({result.analytic.size} in all)"
    else:
        of = f"{checked.removeprefix('all ')} {are} wrong"
    lines = [f"FAILED  {count} of {of}"]
    if worst is None:
        return lines
    analytic, numeric = float(result.analytic[worst]), float(result.numeric[worst])
    place = f"worst at [{', '.join(map(str, worst))}]: "
    error, rounding = result.error[worst], result.tolerance[worst]
    indent = " " * len(place)
    lines += [
        f"{place}backward says     {analytic:+.8g}",
        f"{indent}differences say   {numeric:+.8g}",
        f"{indent}off by            {error:.2g}, where rounding explains {rounding:.1g}",
    ]
    if result.on_kink:
        lines.append("the function has a kink there, and backward gives neither of its slopes")
    return [*lines, *([_skipped(result).lstrip("; ")] if result.skipped else [])]


def _checked(result: GradientResult) -> str:
    if result.directions:
        return (
            f"all {result.analytic.size} entries along {result.directions} random directions, "
            f"{result.checked} of them singly"
        )
    return f"all {result.checked} entries" if not result.skipped else f"{result.checked} entries"


def _worst_of(result: GradientResult) -> str:
    worst = result.worst
    if worst is None:
        return ""
    return f"; worst error {result.error[worst]:.1g}, allowed {result.tolerance[worst]:.1g}"


def _skipped(result: GradientResult) -> str:
    return f"; {result.skipped} skipped, too close to a kink" if result.skipped else ""


def _wrapped(text: str, first: str = "", others: str = "  ", width: int = 96) -> list[str]:
    """Wrap words, to keep a report readable in a terminal."""
    lines, line = [], first
    for word in text.split():
        if len(line) + len(word) + 1 > width and line.strip():
            lines.append(line.rstrip())
            line = others
        line += word + " "
    return [*lines, line.rstrip()]
