"""assert_gradients: a property test of a gradient in one line."""

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dlfs.checks import check_instance, check_int
from dlfs.gradcheck import GradientError, Hint, check_gradients
from dlfs.types import Array


def assert_gradients(
    make_target: Callable[..., Any],
    cases: st.SearchStrategy[Any],
    *,
    examples: int | None = None,
    backend: str | None = None,
) -> None:
    """Check the gradients of many targets drawn by hypothesis, and shrink a failing case.

    Parameters
    ----------
    make_target : callable
        Returns the target to check: the class of an Operation, or a function.
    cases : hypothesis strategy
        Draws the input; or a dictionary with the input ``x``, the targets ``y`` of a loss, and the
        arguments of ``make_target`` by name.
    examples : int, optional
        The number of cases. Default: that of the hypothesis profile.
    backend : {"fast", "reference"}, optional

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or value.
    GradientError
        If a check fails. The message has the report of the smallest failing case, and its code.

    Examples
    --------
    >>> from dlfs.activations import Tanh
    >>> from dlfs.dense import WeightMultiply
    >>> from dlfs.testing import arrays_NF, assert_gradients, dense_cases
    >>> assert_gradients(Tanh, arrays_NF(), examples=5)
    >>> assert_gradients(WeightMultiply, dense_cases(), examples=5)
    """
    owner = "assert_gradients"
    if not callable(make_target):
        raise TypeError(
            f"{owner}: make_target must be a class or a function that returns a target, got "
            f"an instance of {type(make_target).__name__}"
        )
    check_instance(cases, st.SearchStrategy, owner, "cases")
    # The explain phase would run a hundred more cases, and only name lines of the checker.
    phases = [phase for phase in settings().phases if phase is not Phase.explain]
    chosen = settings(deadline=None, print_blob=False, phases=phases)
    if examples is not None:
        check_int(examples, owner, "examples", 1)
        chosen = settings(chosen, max_examples=examples)

    told: list[Hint] = []

    @chosen
    @given(cases)
    def check(case: Any) -> None:
        arguments = dict(case) if isinstance(case, Mapping) else {"x": case}
        x, y = arguments.pop("x"), arguments.pop("y", None)
        report = check_gradients(make_target(**arguments), x, y=y, backend=backend)
        empty = np.size(x) == 0 and report.verdict == "undecided"
        if not report.passed and not empty:
            code = as_code(make_target, x, y, arguments, backend)
            # A single number is too little for a hint; larger failing cases have more.
            known = report.hints or report.facts
            told.extend([] if told else known)
            larger = "" if known or not told else _larger(told)
            raise GradientError(
                f"\n{report}{larger}\n\nThe smallest failing case, as code:\n\n{code}"
            )

    check()


def _larger(hints: list[Hint]) -> str:
    lines = [
        textwrap.fill(f"{number}. {hint}", 96, initial_indent="  ", subsequent_indent="     ")
        for number, hint in enumerate(hints, 1)
    ]
    return "\n".join(["\n\nFrom a larger failing case", *lines])


def as_code(
    make_target: Callable[..., Any], x: Any, y: Any, arguments: dict[str, Any], backend: str | None
) -> str:
    """Return a case as a program."""
    arrays = {"x": x, **({} if y is None else {"y": y})}
    arrays |= {k: value for k, value in arguments.items() if isinstance(value, np.ndarray)}
    name = getattr(make_target, "__qualname__", repr(make_target)).replace(
        "<lambda>", "make_target"
    )
    given_ = [f"{k}={k if k in arrays else repr(value)}" for k, value in arguments.items()]
    options = ["x", *(["y=y"] if y is not None else [])]
    if backend is not None:
        options.append(f"backend={backend!r}")
    lines = [
        "import numpy as np",
        "",
        "from dlfs.gradcheck import check_gradients",
        "",
        *(f"{name} = {_array_code(array)}" for name, array in arrays.items()),
        f"target = {name.rsplit('.', 1)[-1]}({', '.join(given_)})",
        f"print(check_gradients(target, {', '.join(options)}))",
    ]
    return "\n".join(lines)


def _array_code(array: Array) -> str:
    if array.size == 0:
        return f'np.zeros({array.shape}, dtype="{array.dtype}")'
    plain = array.dtype in (np.float64, np.int64)
    # A number's float64 text is also exact in float32.
    return f"np.array({array.tolist()!r}" + (")" if plain else f', dtype="{array.dtype}")')
