"""A student's source: which changes of it are tried, and how it runs with one.

``changes.txt`` lists the changes of the lines in ``sample_methods.py``, in their order. If it
changes, read it, and write it again: ``python -m tests.gradcheck.test_source``.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dlfs.activations import Tanh
from dlfs.base import Operation
from dlfs.gradcheck.source import (
    Holder,
    Material,
    Method,
    can_be_held,
    edits,
    methods_of,
    replacement,
    run_with,
    slots_of,
)
from dlfs.gradcheck.subjects import make_subject
from tests.gradcheck.sample_methods import Samples

PAGE = Path(__file__).with_name("changes.txt")
MATERIAL = Material(("self.output", "self.input_", "self.other"), ("f(x)",), ("7",), ("1:-1",))
X = np.ones((2, 3))


def methods(target: object) -> dict[str, Method]:
    return {method.name: method for method in methods_of(make_subject(target, X))}


SAMPLES = methods(Samples())


def changes(name: str) -> Iterator[str]:
    """Iterate over the changes of a method: their kind, and the lines that become others."""
    method = SAMPLES[name]
    old = ast.unparse(method.tree)
    for edit in edits([(method, MATERIAL)]):
        edit.slot.put(replacement(edit))
        new = ast.unparse(method.tree)
        compile(new, "<changed>", "exec")
        edit.slot.put(edit.slot.node)
        before, after = old.splitlines(), new.splitlines()
        assert len(before) == len(after)
        lines = [line.strip() for line, was in zip(after, before, strict=True) if line != was]
        where = f" (everywhere {' for '.join(edit.everywhere[::-1])})" if edit.everywhere else ""
        yield f"{name} | {edit.kind}{where} | {'; '.join(lines) or 'the same'}"
    assert ast.unparse(method.tree) == old


@pytest.mark.parametrize("name", SAMPLES)
def test_changes_of_a_method(name: str) -> None:
    page = PAGE.read_text("utf-8").splitlines()
    assert [*changes(name)] == [line for line in page if line.startswith(f"{name} | ")]


# --- methods ---


class Parent(Operation):
    """What a student wrote, and what the library did."""

    def __init__(self):
        super().__init__()
        self.weight = 2.0

    def _output(self):
        return self.weight * self.input_

    def _input_grad(self, output_grad):
        return self.weight * output_grad


def twice(method):
    @functools.wraps(method)
    def changed(self, *arguments):
        return 2 * method(self, *arguments)

    return changed


class Child(Parent):
    kinks = (7.0,)
    number = lambda self: 1  # noqa: E731

    def backwards(self):
        return 1

    @staticmethod
    def alone(x):
        return x

    @twice
    def _output(self):
        return super()._output() + 1


def test_methods_are_those_of_the_student_and_of_the_last_class_that_has_them() -> None:
    found = methods(Child())
    assert {name: method.is_backward for name, method in found.items()} == {
        "_output": False,
        "_input_grad": True,
        "backwards": True,
    }
    assert ast.unparse(found["_output"].tree).splitlines()[-1].strip() == (
        "return super()._output() + 1"
    )
    assert {method.position for method in found.values()} == {-1}
    assert methods_of(make_subject(Tanh(), X)) == []


def test_a_pair_of_functions_has_a_forward_and_a_backward() -> None:
    def sine(x):
        return np.sin(x)

    def slope(grad, x):
        return grad * np.cos(x)

    forward, backward = methods_of(make_subject((sine, slope), X))
    assert (forward.name, forward.position, forward.is_backward) == ("forward", 0, False)
    assert (backward.name, backward.position, backward.is_backward) == ("backward", 1, True)
    assert methods_of(make_subject((np.sin, lambda grad, x: grad * np.cos(x)), X)) == []


def test_a_place_is_the_method_and_the_line_of_the_file() -> None:
    method = methods(Parent())["_input_grad"]
    node = method.tree.body[0]
    assert isinstance(node, ast.Return)
    line = Parent._input_grad.__code__.co_firstlineno + 1
    assert method.place(node) == f"_input_grad, line {line}"
    assert method.place(node.value) == f"_input_grad, line {line}"
    assert method.place(ast.Load()) == "_input_grad, line ?"


def test_a_compiled_method_does_what_it_did() -> None:
    offset = 10.0

    class Closed(Parent):
        def _output(self, factor=3.0):
            return super()._output() * factor + offset + bonus()

    def bonus():
        return 0.5

    method = methods(Closed())["_output"]
    target = Closed()
    target.input_ = X
    np.testing.assert_array_equal(method.compiled()(target), 6 * X + 10.5)
    np.testing.assert_array_equal(method.compiled()(target, 1.0), 2 * X + 10.5)
    offset = 20.0
    np.testing.assert_array_equal(method.compiled()(target), 6 * X + 20.5)
    assert method.compiled().__name__ == "_output"


def test_a_compiled_method_sees_more_names() -> None:
    method = methods(Parent())["_output"]
    method.tree.body = ast.parse("return hidden(self.weight)").body
    function = method.compiled(hidden=lambda weight: weight + 5)
    assert function(Parent()) == 7.0
    assert "hidden" not in globals()


# --- runs with a change ---


def changed(target: object, name: str, code: str) -> list[tuple[Method, object]]:
    method = methods(target)[name]
    method.tree.body = ast.parse(code).body
    return [(method, method.compiled())]


def test_a_run_with_a_change_leaves_the_target_as_it_was() -> None:
    subject = make_subject(Parent(), X)
    target = subject.target
    change = changed(Parent(), "_output", "return 5 * self.input_")
    np.testing.assert_array_equal(run_with(subject, change, subject.output), 5 * X)
    assert subject.target is target
    assert type(target) is Parent
    np.testing.assert_array_equal(subject.output(), 2 * X)
    with pytest.raises(ZeroDivisionError):
        run_with(subject, changed(Parent(), "_output", "return 1 / 0"), subject.output)
    assert type(subject.target) is Parent
    seen = run_with(subject, change, lambda: type(subject.target))
    assert (seen.__name__, seen.__bases__) == ("Parent", (Parent,))


def test_a_pair_of_functions_runs_with_a_change_of_either() -> None:
    def sine(x):
        return np.sin(x)

    def slope(grad, x):
        return grad * np.cos(x)

    subject = make_subject((sine, slope), X)
    forward, backward = methods_of(subject)
    for method, code in ((forward, "return 3 * x"), (backward, "return 4 * grad")):
        method.tree.body = ast.parse(code).body
    pair = subject.target
    changes = [(backward, backward.compiled()), (forward, forward.compiled())]
    np.testing.assert_array_equal(run_with(subject, changes, subject.output), 3 * X)
    np.testing.assert_array_equal(
        run_with(subject, changes[:1], lambda: subject.pull(X)["x"]), 4 * X
    )
    assert subject.target is pair
    np.testing.assert_array_equal(subject.output(), np.sin(X))


# --- expressions that are held ---


class Steps(Operation):
    number = 2.0

    def _output(self):
        total = np.zeros_like(self.input_)
        for step in range(3):
            total = np.tanh(total + step * self.input_)
        self.kept = total[:, ::-1]
        return np.sum(self.kept, axis=1) * float(self.number) + [*self.kept][1][0]

    def _input_grad(self, output_grad):
        return output_grad


def test_what_can_be_held_are_expressions_that_may_be_arrays() -> None:
    method = methods(Steps())["_output"]
    held = [ast.unparse(slot.node) for slot in slots_of(method) if can_be_held(slot)]
    names = ("self", "np", "-1")  # harmless: only arrays and floats are kept
    assert [text for text in held if text not in names] == [
        "np.zeros_like(self.input_)",
        "total[:, ::-1]",
        "np.sum(self.kept, axis=1) * float(self.number) + [*self.kept][1][0]",
        "self.input_",
        "np.tanh(total + step * self.input_)",
        "total",
        "np.sum(self.kept, axis=1) * float(self.number)",
        "[*self.kept][1][0]",
        "total + step * self.input_",
        "np.sum(self.kept, axis=1)",
        "float(self.number)",
        "[*self.kept][1]",
        "total",
        "step * self.input_",
        "self.kept",
        "self.number",
        "[*self.kept]",
        "step",
        "self.input_",
        "self.kept",
    ]


def held(text: str) -> tuple[Steps, Holder]:
    """Return an Operation and the holder of one of its expressions, which is held."""
    method = methods(Steps())["_output"]
    slots = [slot for slot in slots_of(method) if can_be_held(slot)]
    number = next(n for n, slot in enumerate(slots) if ast.unparse(slot.node) == text)
    holder = Holder([method], slots)
    holder.held = {number}
    return Steps(), holder


def outputs(text: str, *factors: float) -> list[np.ndarray]:
    target, holder = held(text)
    subject = make_subject(target, X)
    found = []
    for factor in factors:
        subject.x = factor * X
        holder.next = {}
        found.append(run_with(subject, holder.changed, subject.output))
    return found


@pytest.mark.parametrize(
    "text", ["np.tanh(total + step * self.input_)", "total[:, ::-1]", "np.sum(self.kept, axis=1)"]
)
def test_a_held_expression_keeps_its_value_of_the_first_run(text: str) -> None:
    first, second = outputs(text, 1.0, 0.1)
    whole = outputs("np.zeros_like(self.input_)", 0.1)[0]
    assert not np.allclose(first, whole)
    if text.startswith("np.sum"):
        assert not np.allclose(first, second)  # the other summand moves
    else:
        np.testing.assert_array_equal(first, second)


def test_an_expression_in_a_loop_keeps_the_value_of_each_turn() -> None:
    _, holder = held("np.tanh(total + step * self.input_)")
    (number,) = holder.held
    given = [np.array([float(turn)]) for turn in range(3)]
    assert [holder.value(number, value)[0] for value in given] == [0, 1, 2]
    holder.next = {}
    for value in given:
        value += 5
    assert [holder.value(number, value)[0] for value in given] == [0, 1, 2]
    holder.value(number, given[0])[0] = 9  # a fourth turn
    holder.next = {}
    again = [holder.value(number, value) for value in given]
    again[1] += 100
    holder.next = {}
    assert [holder.value(number, value)[0] for value in given] == [0, 1, 2]


@pytest.mark.parametrize(("value", "other"), [(1.5, 2.5), (np.float64(1.5), np.float64(2.5))])
def test_a_held_number_is_kept_but_neither_integers_nor_what_is_not_held(value, other) -> None:
    _, holder = held("float(self.number)")
    (number,) = holder.held
    assert holder.value(number, value) == 1.5
    holder.next = {}
    assert holder.value(number, other) == 1.5
    holder.next = {}
    assert type(holder.value(number, other)) is type(value)
    assert holder.value(number + 1, other) == 2.5
    assert holder.value(number, 3) == 3
    assert holder.value(number, "text") == "text"


if __name__ == "__main__":
    PAGE.write_text("".join(f"{line}\n" for name in SAMPLES for line in changes(name)), "utf-8")
