"""The optimizers' updates against the formula for one number, over several steps."""

import inspect
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import reference as kernels
from tests.support.arrays import DTYPES, arranged, dtypes, seeds

writable = st.sampled_from(["C", "Fortran", "strided", "reversed", "transposed"])
STEPS = 4


def sgd(p: float, g: float, memory: dict, t: int) -> float:
    return p - 0.1 * (g + 0.3 * p)


def momentum(p: float, g: float, memory: dict, t: int) -> float:
    memory["velocity"] = 0.8 * memory["velocity"] + 0.1 * g
    return p - memory["velocity"]


def nesterov(p: float, g: float, memory: dict, t: int) -> float:
    memory["velocity"] = 0.8 * memory["velocity"] + 0.1 * g
    return p - (0.8 * memory["velocity"] + 0.1 * g)


def adagrad(p: float, g: float, memory: dict, t: int) -> float:
    memory["sum_squares"] += 1e-3 + g * g
    return p - 0.1 * g / memory["sum_squares"] ** 0.5


def rmsprop(p: float, g: float, memory: dict, t: int) -> float:
    memory["mean_square"] = 0.7 * memory["mean_square"] + 0.3 * g * g
    return p - 0.1 * g / (memory["mean_square"] ** 0.5 + 1e-3)


def adam(p: float, g: float, memory: dict, t: int) -> float:
    memory["mean"] = 0.8 * memory["mean"] + 0.2 * g
    memory["mean_square"] = 0.9 * memory["mean_square"] + 0.1 * g * g
    mean, square = memory["mean"] / (1 - 0.8**t), memory["mean_square"] / (1 - 0.9**t)
    return p - 0.1 * (mean / (square**0.5 + 1e-3) + 0.3 * p)


ADAM = {"beta1": 0.8, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.3}
RULES: dict[str, tuple[Any, Any, dict[str, Any], tuple[str, ...]]] = {
    "sgd": (kernels.sgd_update, sgd, {"weight_decay": 0.3}, ()),
    "momentum": (kernels.sgd_momentum_update, momentum, {"momentum": 0.8}, ("velocity",)),
    "nesterov": (
        kernels.sgd_momentum_update,
        nesterov,
        {"momentum": 0.8, "nesterov": True},
        ("velocity",),
    ),
    "adagrad": (kernels.adagrad_update, adagrad, {"eps": 1e-3}, ("sum_squares",)),
    "rmsprop": (kernels.rmsprop_update, rmsprop, {"decay": 0.7, "eps": 1e-3}, ("mean_square",)),
    "adam": (kernels.adam_update, adam, ADAM, ("mean", "mean_square")),
}


@pytest.mark.parametrize("name", RULES)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), seeds, dtypes, writable)
def test_several_steps_follow_the_formula(
    name: str, shape: list[int], seed: int, dtype, layout: str
) -> None:
    kernel, rule, options, slots = RULES[name]
    rng = np.random.default_rng(seed)
    param = arranged(rng.standard_normal(shape).astype(dtype), layout)
    memory = {slot: arranged(np.zeros(shape, dtype=dtype), layout) for slot in slots}
    expected = param.astype(np.float64)
    remembered = {slot: np.zeros(shape) for slot in slots}
    original = param
    for t in range(1, STEPS + 1):
        grad = arranged(rng.standard_normal(shape).astype(dtype), layout)
        kept = grad.copy()
        step = {"t": t} if name == "adam" else {}
        assert kernel(param, grad, **memory, **step, lr=0.1, **options) is None
        assert np.array_equal(grad, kept)
        for at in np.ndindex(*shape):
            numbers = {slot: float(remembered[slot][at]) for slot in slots}
            expected[at] = rule(float(expected[at]), float(grad[at]), numbers, t)
            for slot in slots:
                remembered[slot][at] = numbers[slot]
    assert param is original
    # A step of at most about 1 (lr times a ratio of at most 10) is rounded about ten times.
    tolerance = 16 * STEPS * np.finfo(dtype).eps
    np.testing.assert_allclose(param, expected, rtol=tolerance, atol=4 * tolerance)
    for slot in slots:
        np.testing.assert_allclose(memory[slot], remembered[slot], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", RULES)
def test_a_view_of_a_larger_array_is_changed_there(name: str) -> None:
    kernel, _, options, slots = RULES[name]
    whole = np.ones((3, 4))
    memory = {slot: np.zeros((3, 2)) for slot in slots}
    step = {"t": 1} if name == "adam" else {}
    kernel(whole[:, ::2], np.ones((3, 2)), **memory, **step, lr=0.1, **options)
    assert (whole[:, ::2] != 1).all()
    assert (whole[:, 1::2] == 1).all()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_read_only_arrays_are_refused_before_anything_changes(name: str, dtype) -> None:
    kernel, _, options, slots = RULES[name]
    step = {"t": 1} if name == "adam" else {}
    for frozen in ("param", *slots):
        arrays = {slot: np.ones(2, dtype=dtype) for slot in ("param", *slots)}
        arrays[frozen].flags.writeable = False
        with pytest.raises(ValueError, match=f"{frozen} is changed in place, but it is read-only"):
            kernel(**arrays, grad=np.ones(2, dtype=dtype), **step, lr=0.1, **options)
        assert all((array == 1).all() for array in arrays.values())


@pytest.mark.parametrize("name", RULES)
def test_arrays_that_share_memory_or_are_read_only_are_named_with_the_kernel(name: str) -> None:
    kernel, _, options, slots = RULES[name]
    step = {"t": 1} if name == "adam" else {}
    owner = kernel.__name__
    for first, second in itertools.combinations(("param", "grad", *slots), 2):
        arrays = {argument: np.ones(2) for argument in ("param", "grad", *slots)}
        arrays[second] = arrays[first]
        message = f"^{owner}: {first} and {second} must not share memory$"
        with pytest.raises(ValueError, match=message):
            kernel(**arrays, **step, lr=0.1, **options)
    arrays = {argument: np.ones(2) for argument in ("param", "grad", *slots)}
    arrays["param"].flags.writeable = False
    message = f"^{owner}: param is changed in place, but it is read-only$"
    with pytest.raises(ValueError, match=message):
        kernel(**arrays, **step, lr=0.1, **options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_of_squares_stays_finite(dtype) -> None:
    most = np.finfo(dtype).max
    sums = np.full(2, most, dtype)
    param = np.zeros(2, dtype)
    with np.errstate(over="ignore"):
        kernels.adagrad_update(param, np.full(2, np.sqrt(most), dtype), sums, lr=1.0)
    assert (sums == most).all()
    np.testing.assert_allclose(param, -0.5, rtol=1e-6)  # the gradient counts as half of that


@pytest.mark.parametrize("name", RULES)
def test_an_option_left_out_is_the_default_of_the_signature(name: str) -> None:
    kernel, _, _, slots = RULES[name]
    step = {"t": 1} if name == "adam" else {}
    defaults = {
        option: parameter.default
        for option, parameter in inspect.signature(kernel).parameters.items()
        if parameter.default is not parameter.empty
    }
    results = []
    for options in ({}, defaults):
        arrays = {argument: np.full(2, 0.5) for argument in ("param", "grad", *slots)}
        kernel(**arrays, **step, lr=0.1, **options)
        results.append(np.concatenate(list(arrays.values())))
    np.testing.assert_array_equal(*results)
