"""An error of a student's code in words: its kind and message, its line, and the shapes there."""

from types import SimpleNamespace

import numpy as np
import pytest

from dlfs.dense import WeightMultiply
from dlfs.gradcheck.raised import describe

A, B = np.ones((2, 3)), np.ones((4, 5))


def caught(function) -> tuple[str, int]:
    """Return the description of a function's error, and the line at which the function begins."""
    try:
        function()
    except Exception as error:  # noqa: BLE001
        return describe(error), function.__code__.co_firstlineno
    raise AssertionError("nothing was raised")


def test_the_line_and_the_shapes_of_the_arrays_in_it() -> None:
    thing = SimpleNamespace(weights=B, text="t")

    def fails():
        a, number = A, 3
        return np.add(a * number, thing.weights + len(thing.text)).reshape(a.shape)

    said, line = caught(fails)
    assert said.startswith("ValueError: operands could not be broadcast")
    shapes = "a has shape (2, 3); thing.weights has shape (4, 5)"
    assert said.endswith(f" (in fails, line {line + 2}: {shapes})")


@pytest.mark.parametrize("words", ["", "some words"])
@pytest.mark.parametrize("kind", [AssertionError, ValueError, IndexError, KeyError, TypeError])
def test_shapes_are_told_where_they_may_be_the_reason(kind: type[Exception], words: str) -> None:
    def fails():
        a = A
        raise kind(*([words] if words else a[:0].tolist()))

    said, line = caught(fails)
    message = f": {kind(words)}" if words else ""
    shape = ": a has shape (2, 3)" if kind in (AssertionError, ValueError, IndexError) else ""
    assert said == f"{kind.__name__}{message} (in fails, line {line + 2}{shape})"


def test_a_condition_may_name_arrays() -> None:
    def fails():
        a = A
        if a > 0:
            return 1
        return 2

    said, line = caught(fails)
    assert said.endswith(f"(in fails, line {line + 2}: a has shape (2, 3))")


def test_a_part_of_a_statement_has_no_shapes() -> None:
    def fails():
        a = A
        return (
            a,
            int("x"),
        )

    said, line = caught(fails)
    assert said.endswith(f"(in fails, line {line + 4})")


def test_the_place_is_in_the_students_code_not_in_the_library() -> None:
    def fails():
        return WeightMultiply(A).forward(B)

    said, line = caught(fails)
    assert said.startswith("ValueError: ")
    assert said.endswith(f" (in fails, line {line + 1})")


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert describe(KeyError("k")) == "KeyError: 'k'"
    assert describe(MemoryError()) == "MemoryError"
