"""The messages about a student's attempt."""

from collections.abc import Callable

import numpy as np
import pytest

from dlfs.activations import Sigmoid
from dlfs.base import Operation
from dlfs.exercises import ExerciseError, Verdict, check
from dlfs.gradcheck import check_gradients

X = np.array([[0.5, -1.0, 2.0]])


def said(capsys, *arguments, **options):
    verdict = check("name", *arguments, **options)
    out = capsys.readouterr().out
    assert out == f"{verdict}\n"
    assert bool(verdict) is (out == "name: right\n")
    return out


def empty(x):
    """Say what is to be done."""
    ...  # noqa: PIE790 - as a notebook has it


def passing(x):
    pass


def returns_dots(x):
    return ...


def raises_not_implemented(x):
    raise NotImplementedError


def half_done(x):
    slope = ...
    return slope * x


class EmptyMethod(Operation):
    def _output(self):
        return self.input_

    def _input_grad(self, output_grad): ...


GAPS = [..., [1, ...], (1.0, ...), {"a": ...}]
STUBS = [empty, passing, returns_dots, raises_not_implemented, half_done, EmptyMethod]


@pytest.mark.parametrize("attempt", [*GAPS, *STUBS])
def test_what_is_not_filled_in_is_not_yet_done(capsys, attempt) -> None:
    def test(attempt):
        return attempt(X) is not None

    assert said(capsys, attempt, test, hint="never shown") == "name: not yet done\n"


def test_a_value_may_be_not_yet_done_too(capsys) -> None:
    assert said(capsys, ..., 3.0) == "name: not yet done\n"


@pytest.mark.parametrize("verdict", [True, np.True_, None])
def test_right(capsys, verdict) -> None:
    assert said(capsys, lambda x: x, lambda f: verdict) == "name: right\n"


def test_wrong_says_the_hint(capsys) -> None:
    out = said(capsys, lambda x: x, lambda f: f(2) == 4, hint="Double it.")
    assert out == "name: not right yet\n  Hint: Double it.\n"


def test_wrong_says_the_reason(capsys) -> None:
    def test(f):
        assert f(2) == 4, "f(2) should be 4"

    assert "\n  f(2) should be 4\n" in said(capsys, lambda x: x, test)
    assert "\n  too large\n" in said(capsys, lambda x: x, lambda f: "too large")


def test_an_error_in_the_attempt_is_told_and_not_raised(capsys) -> None:
    out = said(capsys, lambda x: x / 0, lambda f: f(2) == 4, hint="Think.")
    assert out.splitlines()[1:] == [
        "  It raises ZeroDivisionError: division by zero",
        "  Hint: Think.",
    ]


def test_a_forgotten_return_is_told(capsys) -> None:
    def attempt(x):
        y = 2 * x  # noqa: F841

    assert "is there a return?" in said(capsys, attempt, lambda f: f(2) == 4)


def test_a_use_of_ellipsis_as_an_index_is_no_gap(capsys) -> None:
    assert said(capsys, lambda x: x[...], lambda f: f(X) is not None) == "name: right\n"


def test_gradients_explain_themselves(capsys) -> None:
    class Forgetful(Sigmoid):
        def _input_grad(self, output_grad):
            return output_grad

    def test(cls):
        return check_gradients(cls(), X, backend="reference")

    assert said(capsys, Sigmoid, test) == "name: right\n"
    out = said(capsys, Forgetful, test)
    assert out.startswith("name: not right yet\n")
    assert "FAILED" in out
    assert "derivative" in out


def test_a_report_calls_an_attempts_arguments_by_their_names(capsys) -> None:
    def product(a, b):
        return a * b

    def test(f):
        pair = f, lambda grad, a, b: (grad * b, grad * b)
        return check_gradients(pair, (X, X + 1.0), backend="reference")

    out = said(capsys, product, test)
    assert "Gradient check of name (float64): FAILED" in out
    assert "a  passed" in out
    assert "b  FAILED" in out


def test_values_are_compared(capsys) -> None:
    expected = np.array([1.0, 2.0, 1e-9])
    assert said(capsys, [1.0, 2.0, 0.0], expected) == "name: right\n"
    assert "Its shape must be (3,), got (2,)" in said(capsys, [1.0, 2.0], expected)
    assert "2 of 3 entries" in said(capsys, [0.0, 2.1, 0.0], expected)
    assert "1 of 3 entries" in said(capsys, [1.0, np.nan, 0.0], expected)
    assert said(capsys, 2.0, 1.0) == "name: not right yet\n"
    assert said(capsys, "dlfs", "dlfs") == "name: right\n"


def test_a_test_that_answers_nonsense_is_the_authors_fault() -> None:
    with pytest.raises(TypeError, match=r"check: test must return .*got float"):
        check("name", lambda x: x, lambda f: 1.0)


def test_a_name_must_fit_into_a_line() -> None:
    for name in ("", "exercise:name"):
        with pytest.raises(ValueError, match="name must not be empty or contain a colon"):
            check(name, 1, 1)


def test_an_attempt_that_returns_what_is_not_filled_in_is_not_yet_done(capsys) -> None:
    said_of = said(capsys, lambda x: [x, ...], lambda attempt: attempt(X) is not None)
    assert "not yet done" in said_of


def test_rows_of_different_lengths_are_no_array(capsys) -> None:
    out = said(capsys, [[1.0], [1.0, 2.0]], np.ones((2, 2)))
    assert "not right yet" in out
    assert "It is not an array: setting an array element with a sequence" in out


def test_a_bare_assertion_of_an_attempt_gets_the_shapes(capsys, tmp_path) -> None:
    # In a file of its own: pytest gives the assertions of this one a message.
    path = tmp_path / "attempt.py"
    path.write_text(
        "def backward(grad, a):\n"
        "    a_grad = grad.sum(axis=0)\n"
        "    assert a_grad.shape == a.shape\n"
        "    return a_grad\n"
    )
    names: dict[str, Callable[..., np.ndarray]] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    backward = names["backward"]
    reason = "AssertionError (in backward, line 3: a_grad has shape (3,); a has shape (1, 3))"
    out = said(capsys, backward, lambda f: check_gradients((np.sin, f), X))
    assert f"backward raises {reason}" in " ".join(out.split())
    out = said(capsys, backward, lambda f: f(X, X) is not None)
    assert f"It raises {reason}" in " ".join(out.split())


def test_a_bare_assertion_of_the_test_is_no_reason(capsys) -> None:
    def test(f):
        if f(3) != 6:
            raise AssertionError

    assert said(capsys, lambda x: x, test) == "name: not right yet\n"


# --- the verdict ---


def test_the_verdict_holds_what_is_printed(capsys) -> None:
    def wrong(f):
        return "too large\nby far"

    assert check("a", lambda x: x, lambda f: True) == Verdict("a", "right")
    assert check("b", ..., 3.0, hint="never shown") == Verdict("b", "not yet done")
    verdict = check("c", lambda x: x, wrong, hint="Halve it.")
    assert verdict == Verdict("c", "not right yet", "too large\nby far", "Halve it.")
    assert verdict.first_hint == "too large"
    assert check("d", 2.0, 1.0, hint="Halve it.").first_hint == "Halve it."
    assert check("e", 2.0, 1.0).first_hint == ""


def test_the_first_hint_of_a_gradient_is_its_cause(capsys) -> None:
    class Forgetful(Sigmoid):
        def _input_grad(self, output_grad):
            return output_grad

    class Odd(Sigmoid):
        def _input_grad(self, output_grad):
            return np.sqrt(np.abs(output_grad)) + 17.3

    def test(cls):
        return check_gradients(cls(), X, backend="reference")

    assert "derivative" in check("a", Forgetful, test, hint="s (1 - s)").first_hint
    assert check("b", Odd, test, hint="s (1 - s)").first_hint == "s (1 - s)"


@pytest.mark.parametrize(("attempt", "state"), [(2.0, "not right yet"), (..., "not yet done")])
def test_a_check_can_raise(capsys, attempt, state) -> None:
    with pytest.raises(ExerciseError, match=f"^name: {state}"):
        check("name", attempt, 1.0, raises=True)
    assert capsys.readouterr().out == ""
    assert check("name", 1.0, 1.0, raises=True)


def test_a_cell_that_ends_in_a_check_shows_it_once() -> None:
    display = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    assert display.format(Verdict("name", "right")) == ({}, {})


def test_a_repair_of_the_check_is_no_hint(capsys, tmp_path) -> None:
    # In files of their own, as cells of a notebook are.
    path = tmp_path / "attempt.py"
    path.write_text("def slope(x):\n    return 2 * 2 * x\n")
    names: dict[str, Callable[..., np.ndarray]] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)

    def forward(x):
        return x**2

    def test(slope):
        def backward(grad, x):
            return grad * slope(x)

        return check_gradients((forward, backward), X)

    verdict = check("square", names["slope"], test, hint="What is the slope?")
    assert verdict.first_hint == "What is the slope?"
    assert "in place of" not in verdict.reason
    report = test(lambda x: 2 * 2 * x)
    assert "in place of" in str(report)  # a repair exists, in backward
