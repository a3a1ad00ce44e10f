"""Gradients of parts of a batch add up to those of the batch: every case of the gradient suite."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from dlfs.gradcheck.cases import RECIPES, Case
from dlfs.layers import Layer
from dlfs.ranks import Ranks, combined_moments, skip_float32
from dlfs.testing import library_cases
from dlfs.train.accumulate import is_mean_over_rows
from dlfs.types import Array, IntArray
from tests.support.ranks import ThreadComm, on_threads

# Threads that wait for each other take time: a part of the examples of other properties.
FEW = settings(max_examples=max(2 * settings().max_examples // 5, 2))


class Cut(Ranks):
    """Ranks whose shares of a batch are any that are given."""

    def __init__(self, comm: ThreadComm, cuts: list[int]) -> None:
        super().__init__(comm)
        self.cuts = cuts

    def share(self, rows: IntArray) -> IntArray:
        return rows[self.cuts[self.rank] : self.cuts[self.rank + 1]]


def operations_of(target: Any) -> list[Any]:
    if not isinstance(target, Layer):
        return [target]
    return [operation for _, layer in target.walk() for operation in layer.operations]


def gradients(target: Any) -> list[Array]:
    if isinstance(target, Layer):
        return [holder.param_grad for holder in target.param_holders() if holder.trains]
    return [target.param_grad] if hasattr(target, "param") else []


def start_of(target: Any, rows: slice, count: int) -> None:
    """Leave a recurrence the states of these rows: those to start from, and those carried on."""
    for operation in operations_of(target):
        if hasattr(operation, "given"):
            operation.given = states_of(operation.given, rows, count)
            operation.carried = operation.carried and states_of(operation.carried, rows, count)


def states_of(states: tuple[Array | None, ...], rows: slice, count: int) -> Any:
    return tuple(
        state[rows] if state is not None and len(state) == count else state for state in states
    )


def near(actual: Any, expected: Any, terms: int, dtype: Any = np.float64) -> None:
    """Compare within the rounding of this many terms."""
    largest = float(np.abs(expected).max(initial=1))
    tolerance = 100 * (10 + terms) * float(np.finfo(dtype).eps) * largest
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES[name].kind != "Loss"])
@FEW
@given(data=st.data())
def test_the_gradients_of_parts_add_up(name: str, data: st.DataObject) -> None:
    case = data.draw(library_cases(name, "reference"))
    note(case.code)
    x, count, dtype = case.x, len(case.x), case_dtype(case)
    size = data.draw(st.integers(2, 4))
    inner = data.draw(st.lists(st.integers(0, count), min_size=size - 1, max_size=size - 1))
    cuts = [0, *sorted(inner), count]
    case.target.forward(x)  # sets a layer up
    whole, copies = copy.deepcopy(case.target), [copy.deepcopy(case.target) for _ in range(size)]
    if count == 0:
        return
    if case.y is not None:
        expected = whole.train_batch(x, case.y)
        losses = on_threads(size, lambda comm: train(copies[comm.rank], x, case.y, Cut(comm, cuts)))
        near(losses, [expected] * size, x.size, dtype)
        for part in copies:
            for actual, grad in zip(gradients(part), gradients(whole), strict=True):
                near(actual, grad, x.size, dtype)
        return
    output = whole.forward(x, inference=case.inference)
    output_grad = np.random.default_rng(size).normal(size=output.shape).astype(output.dtype)
    input_grad = whole.backward(output_grad)

    def on_rank(comm: ThreadComm) -> tuple[Array, Array]:
        ranks, part = Cut(comm, cuts), copies[comm.rank]
        places = ranks.share(np.arange(count))
        start_of(part, slice(cuts[comm.rank], cuts[comm.rank + 1]), count)
        with ranks.sharing(operations_of(part), x, places):
            output = part.forward(x[places], inference=case.inference)
            return output, part.backward(output_grad[places])

    outputs, input_grads = zip(*on_threads(size, on_rank), strict=True)
    near(np.concatenate(outputs), output, x.size, dtype)
    near(np.concatenate(input_grads), input_grad, x.size, dtype)
    for number, grad in enumerate(gradients(whole)):
        near(sum(gradients(part)[number] for part in copies), grad, x.size, dtype)
    for part in copies:
        for mine, its in zip(operations_of(part), operations_of(whole), strict=True):
            for key, array in its.state().items():
                near(mine.state()[key], array, x.size, dtype)


def case_dtype(case: Case) -> Any:
    """Return float32 where a case computes with it."""
    return getattr(case.target, "dtype", None) or (
        case.x.dtype if case.x.dtype.kind == "f" else np.dtype(np.float32)
    )


class Noted:
    noted = agreed = False


def train(net: Any, x: Array, y: Array, ranks: Ranks) -> float:
    return ranks.add_up(net, ranks.train_batch(net, x, y), Noted())


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES[name].kind == "Loss"])
@given(data=st.data())
def test_a_loss_is_a_mean_over_rows(name: str, data: st.DataObject) -> None:
    case = data.draw(library_cases(name, "reference"))
    if not is_mean_over_rows(case.target):
        return  # refused by the Trainer: tests/test_ranks.py
    count, dtype = len(case.x), case_dtype(case)
    cut = data.draw(st.integers(0, count))
    value, grad = case.target.forward(case.x, case.y), case.target.backward()
    values, grads = [], []
    for rows in (slice(0, cut), slice(cut, count)):
        if rows.stop > rows.start:
            weight = (rows.stop - rows.start) / count
            values.append(weight * case.target.forward(case.x[rows], case.y[rows]))
            grads.append(weight * case.target.backward())
    near(sum(values), value, count, dtype)
    near(np.concatenate(grads), grad, count, dtype)


@given(data=st.data(), offset=st.sampled_from([0.0, 1.0, 1e8]))
def test_moments_of_parts_are_those_of_all_numbers(data: st.DataObject, offset: float) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    parts = [
        offset + rng.normal(size=n) for n in data.draw(st.lists(st.integers(1, 9), min_size=1))
    ]
    numbers = np.concatenate(parts)
    nothing = (0, np.float64(np.nan), np.float64(np.nan))
    count, mean, var = combined_moments(
        [nothing, *((len(part), part.mean(), part.var()) for part in parts)]
    )
    assert count == len(numbers)
    eps = np.finfo(np.float64).eps
    assert abs(mean - numbers.mean()) <= 8 * len(parts) * eps * (1 + offset)
    # The mean's rounding enters the variance squared; that of the numbers themselves once.
    assert abs(var - numbers.var()) <= 8 * len(numbers) * eps * (10 + offset)


@given(counts=st.lists(st.integers(0, 9), max_size=6), seed=st.integers(0, 99))
def test_skipping_numbers_leaves_the_generator_where_drawing_does(
    counts: list[int], seed: int
) -> None:
    one, other = np.random.default_rng(seed), np.random.default_rng(seed)
    for number, count in enumerate(counts):
        drawn = one.random(count, dtype=np.float32)
        if number % 2:
            skip_float32(other, count)
        else:
            np.testing.assert_array_equal(other.random(count, dtype=np.float32), drawn)
    assert one.random() == other.random()
    assert one.random(dtype=np.float32) == other.random(dtype=np.float32)


def test_a_generator_that_cannot_skip_draws() -> None:
    one, other = (np.random.Generator(np.random.MT19937(3)) for _ in range(2))
    one.random(7, dtype=np.float32)
    skip_float32(other, 7)
    assert one.random() == other.random()
