"""Checks a student's attempts at the notebooks' exercises."""

import dataclasses
import dis
import functools
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.checks import check_flag, check_real
from dlfs.gradcheck import GradientReport
from dlfs.gradcheck.raised import describe

_EMPTY = {"RESUME", "NOP", "LOAD_CONST", "LOAD_COMMON_CONSTANT", "RETURN_VALUE", "RETURN_CONST"}


RIGHT, OPEN, WRONG = "right", "not yet done", "not right yet"
"""The states of a verdict, in the words that ``check`` prints."""


class _NotYet(Exception):
    """A part of the attempt is still missing."""


class ExerciseError(AssertionError):
    """Raised by ``check(..., raises=True)`` for an attempt that is not right.

    Examples
    --------
    >>> try:
    ...     check("two", 3, 2, raises=True)
    ... except ExerciseError:
    ...     print("not right yet")
    not right yet
    """


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What ``check`` says about an attempt. True if the attempt is right.

    Attributes
    ----------
    name : str
        The name of the exercise.
    state : str
        "right", "not yet done" or "not right yet".
    reason : str
        What is wrong, in one line or more; may be empty.
    hint : str
        The exercise's hint, if the attempt is not right yet.
    cause : str
        If a gradient is wrong: the most likely cause that the gradient checker found, else hint.

    Examples
    --------
    >>> verdict = Verdict("double", "right")
    >>> bool(verdict), verdict.state
    (True, 'right')
    """

    name: str
    state: str
    reason: str = ""
    hint: str = ""
    cause: str = ""

    def __bool__(self) -> bool:
        return self.state == RIGHT

    @property
    def first_hint(self) -> str:
        """The most useful line: the cause, else the reason's first line, else the hint."""
        return self.cause or self.reason.partition("\n")[0] or self.hint

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.state}"]
        lines += [f"  {line}".rstrip() for line in self.reason.splitlines()]
        lines += [f"  Hint: {self.hint}"] * bool(self.hint)
        return "\n".join(lines)

    def _ipython_display_(self) -> None:
        """Show nothing: a notebook's cell that ends in ``check(...)`` has printed the verdict."""


def check(
    name: str,
    attempt: Any,
    test: Any,
    hint: str = "",
    rtol: float = 1e-6,
    raises: bool = False,
) -> Verdict:
    """Print whether an attempt at an exercise is correct, with a hint if it is not.

    Prints ``NAME: right``, ``NAME: not yet done``, or ``NAME: not right yet`` and the reason.
    Errors of the attempt are reported, not raised.

    Parameters
    ----------
    name : str
        The name of the exercise.
    attempt : object
        A value, a function or a class. It is not yet done if it is or contains ``...``, or if the
        function or a method of the class is empty (``...``, ``pass``), returns ``...`` or raises
        NotImplementedError.
    test : callable or array_like
        A function of the attempt that returns True, False, a text that says what is wrong, or a
        GradientReport; a failing assertion means False, with its message as the reason. Any other
        object is the expected value.
    hint : str, default ""
        Shown after the reason.
    rtol : float, default 1e-6
        The allowed error of a value, relative to the largest expected entry.
    raises : bool, default False
        Raise an error if the attempt is not right, as tools that grade notebooks expect.

    Returns
    -------
    Verdict

    Raises
    ------
    ExerciseError
        If raises is True and the attempt is not right; the message is what is otherwise printed.
    TypeError, ValueError
        If name or hint is not a string, name is empty or contains a colon, rtol is not a positive
        number, or test returns anything else.

    Examples
    --------
    >>> def double(x): ...
    >>> verdict = check("double", double, lambda f: f(3) == 6)
    double: not yet done
    >>> verdict = check("double", lambda x: 2 + x, lambda f: f(3) == 6, hint="Try 2 * x.")
    double: not right yet
      Hint: Try 2 * x.
    >>> bool(verdict), verdict.first_hint
    (False, 'Try 2 * x.')
    >>> verdict = check("double", lambda x: 2 * x, lambda f: f(3) == 6)
    double: right

    An Operation is best checked by its gradient:

    >>> from dlfs.base import Operation
    >>> from dlfs.gradcheck import check_gradients
    >>> class Square(Operation):
    ...     def _output(self):
    ...         return self.input_**2
    ...
    ...     def _input_grad(self, output_grad):
    ...         return output_grad * 2 * self.input_
    >>> verdict = check(
    ...     "square", Square, lambda cls: check_gradients(cls(), np.array([[1.0, 2.0]]))
    ... )
    square: right
    """
    for text, argument in ((name, "name"), (hint, "hint")):
        if not isinstance(text, str):
            raise TypeError(f"check: {argument} must be a string, got {type(text).__name__}")
    if not name or ":" in name:
        raise ValueError(f"check: name must not be empty or contain a colon, got {name!r}")
    rtol = check_real(rtol, "check", "rtol", 0.0)
    raises = check_flag(raises, "check", "raises")
    verdict = _verdict(name, attempt, test, hint, rtol)
    if raises and not verdict:
        raise ExerciseError(str(verdict))
    print(verdict)
    return verdict


def _verdict(name: str, attempt: Any, test: Any, hint: str, rtol: float) -> Verdict:
    reason = _reason(name, attempt, test, rtol)
    if reason is None:
        return Verdict(name, RIGHT)
    if reason is _NotYet:
        return Verdict(name, OPEN)
    cause = ""
    if isinstance(reason, GradientReport):
        causes = [*map(str, reason.hints), *(finding.message for finding in reason.findings), hint]
        cause = causes[0]
    return Verdict(name, WRONG, str(reason).rstrip("\n"), hint, cause)


def _reason(name: str, attempt: Any, test: Any, rtol: float) -> Any:
    """Return None for a correct attempt, _NotYet for an empty one, else what is wrong."""
    if _unfinished(attempt):
        return _NotYet
    if not callable(test):
        return _difference(attempt, test, rtol)
    wrapped = _watched(attempt) if callable(attempt) and not isinstance(attempt, type) else attempt
    try:
        verdict = test(wrapped)
    except (_NotYet, NotImplementedError):
        return _NotYet
    except AssertionError as error:
        if str(error) or (not isinstance(attempt, type) and not _fails_inside(error, attempt)):
            return str(error)
        return f"It raises {describe(error)}"
    except Exception as error:  # noqa: BLE001 - whatever a learner's code raises is an answer
        # `...` was used in a computation
        return _NotYet if "ellipsis" in str(error) else f"It raises {type(error).__name__}: {error}"
    if isinstance(verdict, GradientReport):
        return None if verdict else _about(attempt, name, verdict)
    if isinstance(verdict, str):
        return verdict
    if isinstance(verdict, bool | np.bool):
        return None if verdict else ""
    if verdict is None:  # no assertion failed
        return None
    raise TypeError(
        f"check: test must return a truth value, a string, a GradientReport or None, "
        f"got {type(verdict).__name__}"
    )


def _about(attempt: Any, name: str, report: GradientReport) -> GradientReport:
    """Return the report under the exercise's name, without repairs of other code than the attempt.

    A gradient may also be made right by changing the check, which is not what is wrong.
    """
    parts = vars(attempt).values() if isinstance(attempt, type) else [attempt]
    codes = [getattr(part, "__code__", None) for part in parts]
    files = {"", *(code.co_filename for code in codes if code is not None)}
    hints = [hint for hint in report.hints if hint.file in files]
    return dataclasses.replace(report, target=name, hints=hints)


def _fails_inside(error: BaseException, attempt: Any) -> bool:
    """Say whether an error was raised while the attempt ran, not by its test."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(frame.f_code is getattr(attempt, "__code__", None) for frame in frames)


def _unfinished(attempt: Any) -> bool:
    if attempt is ...:
        return True
    if isinstance(attempt, list | tuple):
        return any(map(_unfinished, attempt))
    if isinstance(attempt, dict):
        return any(map(_unfinished, attempt.values()))
    if isinstance(attempt, type):
        return any(map(_empty, vars(attempt).values()))
    return _empty(attempt)


def _empty(function: Any) -> bool:
    """Say whether a function's body is only ``...``, ``pass`` or ``return ...``."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    steps = list(dis.get_instructions(code))
    returned = [step.argval for step in steps if step.opname.endswith("_CONST")]
    return {step.opname for step in steps} <= _EMPTY and returned[-1:] in ([None], [...])


def _watched(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, which ends the check if it returns None or ``...``."""

    @functools.wraps(function)  # a gradient report takes its names from the attempt's arguments
    def watched(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if result is None:
            raise AssertionError("It returns None: is there a return?")
        if _unfinished(result):
            raise _NotYet
        return result

    return watched


def _difference(attempt: Any, expected: Any, rtol: float) -> str | None:
    """Return how the attempt differs from the expected value, without revealing it."""
    wanted = np.asarray(expected)
    try:
        got = np.asarray(attempt)
    except ValueError as error:
        return f"It is not an array: {error}"
    if got.shape != wanted.shape:
        return f"Its shape must be {wanted.shape}, got {got.shape}."
    if wanted.dtype.kind not in "fiuc" or got.dtype.kind not in "fiubc":
        return None if np.array_equal(got, wanted) else ""
    scale = float(np.max(np.abs(wanted), initial=0.0)) or 1.0
    wrong = ~(np.abs(got - wanted) <= rtol * scale)
    if not wrong.any():
        return None
    return "" if wrong.ndim == 0 else f"{wrong.sum()} of {wrong.size} entries are wrong."
