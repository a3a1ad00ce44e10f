"""GradientReport: the result of a gradient check, in words."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlfs.gradcheck.behaviour import Finding
from dlfs.gradcheck.compare import MOST_SKIPPED, GradientResult
from dlfs.gradcheck.display import figure, html

_VERDICTS = {"right": "passed", "wrong": "FAILED", "undecided": "UNDECIDED"}
_NEXT = {
    "wrong": "Next: correct backward where it is wrong, and check again.",
    "undecided": "Next: check again with other values; nothing is known to be wrong.",
}
# As many places are listed.
_LISTED = 4


class GradientError(AssertionError):
    """Raised when a gradient check fails; the message is the report.

    Examples
    --------
    >>> from dlfs import ReLU
    >>> from dlfs.testing import arrays_NF, assert_gradients
    >>> class Wrong(ReLU):
    ...     def _input_grad(self, output_grad):
    ...         return -output_grad
    >>> try:
    ...     assert_gradients(Wrong, arrays_NF(), examples=5)
    ... except GradientError as error:
    ...     print("Gradient check of Wrong" in str(error))
    True
    """


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
    file : str
        The file or cell of the line that the hint would change, if it would change one.

    Examples
    --------
    >>> from dlfs import Tanh
    >>> from dlfs.gradcheck import check_gradients
    >>> class Wrong(Tanh):
    ...     def _input_grad(self, output_grad):
    ...         return -output_grad * (1 - self.output**2)
    >>> x = np.linspace(-1, 1, 12).reshape(3, 4)
    >>> [hint.kind for hint in check_gradients(Wrong(), x).hints]
    ['sign']
    """

    kind: str
    message: str
    variable: str = ""
    file: str = ""

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
        Causes. Each is what backward computes instead, or a change that makes the gradient right.
    facts : list of Hint
        What is known about a wrong gradient whose cause is not.
    backend, dtype : str

    Examples
    --------
    >>> from dlfs import Dense, Tanh
    >>> from dlfs.gradcheck import check_gradients
    >>> report = check_gradients(Dense(2, activation=Tanh()), np.ones((3, 4)))
    >>> bool(report), report.passed, len(report.results)
    (True, True, 3)
    """

    target: str
    kind: str
    backend: str
    dtype: str
    results: dict[str, GradientResult]
    findings: list[Finding]
    hints: list[Hint] = field(default_factory=list)
    facts: list[Hint] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """Whether the gradients are "right" or "wrong", or the check is "undecided"."""
        if self.findings or any(result.verdict == "wrong" for result in self.results.values()):
            return "wrong"
        decided = all(result.passed for result in self.results.values())
        return "right" if decided else "undecided"

    @property
    def passed(self) -> bool:
        """Whether every gradient is correct and there are no findings."""
        return self.verdict == "right"

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
        verdict = _VERDICTS[self.verdict]
        title = f"{self.target} ({self.backend}, {self.dtype}): {verdict}"
        return figure(title, self.results.values())

    def _repr_html_(self) -> str:
        return html(
            f"{self.target}: gradient check {_VERDICTS[self.verdict].lower()}",
            f"{self.backend} backend, {self.dtype}",
            self.passed,
            [finding.message for finding in self.findings],
            list(map(str, [*self.hints, *self.facts])),
            [(result, _describe(result)) for result in self.results.values()],
        )

    def __str__(self) -> str:
        verdict = _VERDICTS[self.verdict]
        backend = "" if self.kind == "functions" else f"{self.backend} backend, "
        where = f"{backend}{self.dtype}"
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
            lines += ["", *wrapped(f"Found: {finding.message}")]
        if self.hints:
            lines += ["", "Likely causes" + (", the most likely first" * (len(self.hints) > 1))]
            for number, hint in enumerate(self.hints, 1):
                lines += wrapped(f"{number}. {hint}", "  ", "     ")
        for number, fact in enumerate(self.facts):
            lines += ["", "What is known"] if number == 0 else []
            lines += wrapped(f"- {fact}", "  ", "    ")
        if not self.results and any(finding.kind == "finite" for finding in self.findings):
            lines += ["", "Next: correct forward, or check with values for which it is finite."]
        elif self.verdict in _NEXT:
            lines += ["", _NEXT[self.verdict]]
        return "\n".join(lines)


def _describe(result: GradientResult) -> list[str]:
    """Describe the result for one variable in a few lines."""
    checked = _checked(result)
    if result.verdict == "passed":
        return [f"passed  {checked}{_worst_of(result)}", *_skipped(result)]
    if result.verdict == "empty":
        return ["UNDECIDED  there are no entries to compare: give at least one row"]
    if result.verdict == "skipped":
        return [
            f"UNDECIDED  {result.skipped} of {result.analytic.size} are too close to a kink",
            f"or to the end of forward's domain (at most {MOST_SKIPPED:.0%} may be):",
            f"{_places(result)}.",
            "Choose other values there, for example x + 0.1 * random numbers.",
        ]
    if result.verdict == "rough":
        return [
            f"UNDECIDED  differences are too imprecise at {_places(result)}.",
            "Choose values where forward is less steep (further from the end of its domain), or in",
            "float64. Does forward compute in a lower precision, or with random numbers?",
        ]
    if result.shared is not None:
        total, low, high = result.shared
        between = f"{low:.6g}" if np.isclose(low, high) else f"from {low:.6g} to {high:.6g}"
        return [
            f"FAILED  entries in a tie (such as equal numbers in a maximum): {_places(result)}",
            f"together get {total:.6g} from backward; by differences it is {between}.",
            "Give the gradient to one of them, or share it.",
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
    return [*lines, *_skipped(result)]


def _checked(result: GradientResult) -> str:
    if result.directions:
        return (
            f"{_all(result.analytic.size, result.skipped)} entries along {result.directions} "
            f"random directions, {result.checked} of them singly"
        )
    return f"{_all(result.checked + result.skipped, result.skipped)} entries"


def _all(size: int, skipped: int) -> str:
    return f"{size - skipped}" if skipped else f"all {size}"


def _worst_of(result: GradientResult) -> str:
    worst = result.worst
    if worst is None:
        return ""
    return f"; worst error {result.error[worst]:.1g}, allowed {result.tolerance[worst]:.1g}"


def _skipped(result: GradientResult) -> list[str]:
    if not result.skipped:
        return []
    return [f"{result.skipped} skipped, too close to a kink: {_places(result)}"]


def _places(result: GradientResult) -> str:
    """List the first of the entries that a verdict is about."""
    indices = [np.unravel_index(place, result.shape) for place in result.places[:_LISTED]]
    listed = ", ".join(f"[{', '.join(map(str, index))}]" for index in indices)
    return listed + (", ..." if len(result.places) > _LISTED else "")


def wrapped(text: str, first: str = "", others: str = "  ", width: int = 96) -> list[str]:
    """Wrap words, to keep a report readable in a terminal."""
    lines, line = [], first
    for word in text.split():
        if len(line) + len(word) + 1 > width and line.strip():
            lines.append(line.rstrip())
            line = others
        line += word + " "
    return [*lines, line.rstrip()]
