"""Copies and pickles of graphs, however deep; changes between a computation and its gradient."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs.autograd import (
    ArrayWithGrad,
    NumberWithGrad,
    apply,
    concatenate,
    conv2d,
    max_pool2d,
    maximum,
    softmax_cross_entropy,
)

MAKERS: dict[str, Callable[[], Any]] = {
    "number": lambda: NumberWithGrad(1.5),
    "array": lambda: ArrayWithGrad([1.5, -0.5]),
}


def chain(start: Any, length: int) -> Any:
    result = start
    for step in range(length):
        result = result + start * 0.5 if step % 2 else result * 0.999
    return result


def gradient(result: Any, variable: Any) -> Any:
    ones = 1 if isinstance(result, NumberWithGrad) else np.ones(result.shape)
    result.backward(ones)
    return variable.grad


# --- copies ---


@pytest.mark.parametrize("kind", MAKERS)
def test_a_deep_graph_is_copied_with_all_that_it_depends_on(kind: str) -> None:
    variable = MAKERS[kind]()
    result = chain(variable, 10_000)
    variable_copy, result_copy = copy.deepcopy([variable, result])
    assert variable_copy is not variable
    assert result_copy is not result
    expected = gradient(result, variable)
    assert variable_copy.grad is None
    assert np.array_equal(gradient(result_copy, variable_copy), expected)
    assert np.array_equal(variable.grad, expected), "the original is left alone"


@pytest.mark.parametrize("kind", MAKERS)
def test_a_part_of_a_graph_keeps_its_identity_in_a_copy(kind: str) -> None:
    variable = MAKERS[kind]()
    middle = variable * 2
    result = middle * middle
    below, top = copy.deepcopy((middle, result))
    assert top.depends_on[0] is below
    assert top.depends_on[1] is below
    top, below = copy.deepcopy((result, middle))
    assert top.depends_on[0] is below


@pytest.mark.parametrize("kind", MAKERS)
def test_a_shallow_copy_is_a_result_of_the_same_operands(kind: str) -> None:
    variable = MAKERS[kind]()
    result = chain(variable, 10_000)
    twin = copy.copy(result)
    assert twin is not result
    assert twin.depends_on[0] is result.depends_on[0]
    expected = gradient(result, variable)
    result.zero_grad()
    assert np.array_equal(gradient(twin, variable), expected)


def test_the_array_of_a_copied_variable_is_its_own() -> None:
    variable = ArrayWithGrad([1.0, 2.0])
    twin = copy.deepcopy(variable)
    twin.array += 1
    assert variable.array.tolist() == [1.0, 2.0]


def test_attributes_of_a_subclass_are_copied_too() -> None:
    class Named(NumberWithGrad):
        notes: list[str]

    number = Named(2.0)
    number.notes = ["a note"]
    twin = copy.deepcopy(number)
    assert type(twin) is Named
    assert twin.notes == ["a note"]
    assert twin.notes is not number.notes


# --- pickles ---


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", MAKERS)
def test_variables_are_pickled(kind: str, protocol: int) -> None:
    variable = MAKERS[kind]()
    chain(variable, 3).backward(1 if kind == "number" else np.ones(2))
    again = pickle.loads(pickle.dumps(variable, protocol))  # noqa: S301 - ours
    assert np.array_equal(again.grad, variable.grad)
    assert np.all(again == variable)
    assert np.array_equal(gradient(chain(again, 3), again), 2 * variable.grad)


@pytest.mark.parametrize("length", [1, 10_000])
@pytest.mark.parametrize("kind", MAKERS)
def test_pickles_of_results_are_refused_with_the_way_out(kind: str, length: int) -> None:
    result = chain(MAKERS[kind](), length)
    with pytest.raises(TypeError, match=r"a result cannot be pickled.*pickle the variables"):
        pickle.dumps(result)


# --- changes ---


def sine(x: np.ndarray) -> Any:
    return np.sin(x), (lambda g: g * np.cos(x),)


X = np.random.default_rng(0).uniform(0.5, 2.0, (1, 1, 4, 4))
OPERATIONS = {
    "add": lambda x: x + 1.0,
    "sub": lambda x: 1.0 - x,
    "mul": lambda x: x * x,
    "div": lambda x: 2.0 / x,
    "pow": lambda x: x**3,
    "rpow": lambda x: 2**x,
    "matmul": lambda x: x @ X,
    "neg": lambda x: -x,
    "abs": abs,
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": lambda x: x.sigmoid(),
    "relu": lambda x: x.relu(),
    "sum": lambda x: x.sum(axis=1),
    "mean": lambda x: x.mean(),
    "max": lambda x: x.max(axis=-1),
    "index": lambda x: x[0, :, 1:3],
    "reshape": lambda x: x.reshape(2, 8),
    "transpose": lambda x: x.T,
    "maximum": lambda x: maximum(x, 1.0),
    "concatenate": lambda x: concatenate([x, X]),
    "conv2d": lambda x: conv2d(x, np.ones((1, 2, 3, 3))),
    "max_pool2d": lambda x: max_pool2d(x, 2),
    "a rule of one's own": lambda x: apply(sine, x),
}


def add_one(array: np.ndarray) -> None:
    array += 1


def set_one_entry(array: np.ndarray) -> None:
    array[(0,) * array.ndim] = 7.5


def add_into(array: np.ndarray) -> None:
    np.add(array, 1, out=array)


def change_a_view(array: np.ndarray) -> None:
    view = array[...]
    view -= 0.25


CHANGES = [add_one, set_one_entry, add_into, change_a_view]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_change_before_backward_is_refused(name: str, change: Any) -> None:
    for changed in ("operand", "result"):
        x = ArrayWithGrad(X.copy())
        middle = x * 1.0
        result = OPERATIONS[name](middle)
        end = (result * result).sum()
        change(middle.array if changed == "operand" else result.array)
        with pytest.raises(RuntimeError, match="was changed in place after"):
            end.backward()
        assert x.grad is None
        assert end.grad is None


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_array_that_was_passed_is_noticed(change: Any) -> None:
    array, constant = X.copy(), X.copy()
    end = (ArrayWithGrad(array) * constant).sum()
    change(array)
    with pytest.raises(RuntimeError, match=r"operand 1 .* of 'mul' was changed in place"):
        end.backward()
    array[...] = X
    end.backward()
    change(constant)
    with pytest.raises(RuntimeError, match=r"operand 2 .* of 'mul' was changed in place"):
        end.backward()


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_change_after_backward_is_an_optimizers_step(name: str) -> None:
    x = ArrayWithGrad(X.copy())
    for _ in range(3):
        end = OPERATIONS[name](x).sum()
        x.grad = None
        end.backward()
        x.array -= 0.01 * x.grad
    fresh = ArrayWithGrad(x.array.copy())
    assert np.array_equal(OPERATIONS[name](fresh).array, OPERATIONS[name](x).array)


def test_indices_and_labels_may_be_changed() -> None:
    """They are copied: the gradient goes where the entries came from."""
    x, rows, labels = ArrayWithGrad(np.eye(3)), np.array([0, 1]), np.array([0, 1, 2])
    wanted, listed = [0, 1], [0, 1]
    end = (x[rows] + x[listed]).sum() + softmax_cross_entropy(x, labels)
    rows[:], labels[:] = 2, 0
    listed[:] = [2, 2]
    end.backward()
    y = ArrayWithGrad(np.eye(3))
    ((y[wanted] * 2).sum() + softmax_cross_entropy(y, [0, 1, 2])).backward()
    np.testing.assert_allclose(x.grad, y.grad, rtol=1e-14)


def test_a_change_of_a_deep_copys_original_is_noticed() -> None:
    x = ArrayWithGrad([1.0, 2.0])
    end = copy.deepcopy((x * x).sum())
    x.array += 1
    with pytest.raises(RuntimeError, match="was changed in place"):
        end.backward()


@given(st.floats(-5, 5), st.floats(-5, 5), st.sampled_from(["a", "b", "c", "e"]))
def test_numbers_that_changed_are_noticed(first: float, second: float, name: str) -> None:
    a, b = NumberWithGrad(first), NumberWithGrad(second)
    c = a * b
    e = c + b
    numbers = {"a": a, "b": b, "c": c, "e": e}
    numbers[name].num += 1
    with pytest.raises(RuntimeError, match="was changed in place"):
        e.backward()
    assert a.grad is None
    assert e.grad is None
    numbers[name].num -= 1
    if numbers["a"].num == first and numbers["b"].num == second and c.num == first * second:
        (a * b + b).backward()
        assert a.grad == second


def test_a_variable_may_change_between_computations() -> None:
    a = NumberWithGrad(2.0)
    (a * a).backward()
    a.num = 3.0
    a.grad = None
    (a * a).backward()
    assert a.grad == 6.0
