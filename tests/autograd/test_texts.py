"""How variables show themselves, and the whole text of errors."""

import copy
import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlfs.autograd import (  # the rules
    ArrayWithGrad,
    NumberWithGrad,
    apply,
    axes,
    concatenate,
    conv2d,
    images,
    log_softmax,
    max_pool2d,
    softmax,
    softmax_cross_entropy,
)


def ones(*shape: int, dtype: Any = np.float64) -> ArrayWithGrad:
    return ArrayWithGrad(np.ones(shape, dtype))


def test_a_number_shows_how_it_was_made_and_its_gradient() -> None:
    a = NumberWithGrad(3)
    b = 1 + a * 2.5
    assert repr(a) == "NumberWithGrad(3, grad=None)"
    assert repr(b) == "NumberWithGrad(8.5, creation_op='add', grad=None)"
    b.backward()
    assert repr(a) == "NumberWithGrad(3, grad=2.5)"
    assert repr(b.depends_on[0]) == "NumberWithGrad(1, creation_op='constant', grad=None)"


def test_an_array_shows_its_dtype_and_how_it_was_made() -> None:
    assert repr(ones(2)) == "ArrayWithGrad([1., 1.])"
    assert repr(ones(2, dtype=np.float32)) == "ArrayWithGrad([1., 1.], dtype=float32)"
    assert repr(ones(1, dtype=np.float32) * 2) == (
        "ArrayWithGrad([2.], dtype=float32, creation_op='mul')"
    )
    assert repr(ones(2, 1)) == "ArrayWithGrad([[1.],\n               [1.]])"


@pytest.mark.parametrize(
    ("num", "text"),
    [
        (7, "7"),
        (np.int64(-7), "-7"),
        (10**12 - 1, "999999999999"),
        (1 - 10**12, "-999999999999"),
        (10**12, "1e+12"),
        (-(10**12), "-1e+12"),
        (10**400, "> 1e308"),
        (-(10**400), "< -1e308"),
        (1 / 3, "0.33333"),
        (123456.7, "1.2346e+05"),
    ],
)
def test_a_number_in_a_drawing_is_short(num: Any, text: str) -> None:
    a = NumberWithGrad(num)
    assert a.describe() == [f"num = {text}"]
    a.backward(num)
    assert a.describe() == [f"num = {text}", f"grad = {text}"]


def test_an_array_in_a_drawing_shows_its_only_number_or_its_shape() -> None:
    loss = ArrayWithGrad([[1 / 3]])
    assert loss.describe() == ["0.33333"]
    loss.backward([[2 / 3]])
    assert loss.describe() == ["0.33333", "grad = 0.66667"]
    assert ones(2, 3, dtype=np.float32).describe() == ["2 × 3", "float32"]


def test_equality_and_truth() -> None:
    two, nought = NumberWithGrad(2), NumberWithGrad(0)
    assert two == NumberWithGrad(2.0)
    assert two == 2
    assert two != NumberWithGrad(3)
    assert two != 3
    assert (two == "2") is False
    assert (two == 2 + 0j) is False
    assert two
    assert not nought
    assert ones(1)
    assert not ones(1) * 0
    x = ArrayWithGrad([1.0, 2.0])
    np.testing.assert_array_equal(x != [1.0, 3.0], [False, True])
    np.testing.assert_array_equal(x == ArrayWithGrad([1.0, 3.0]), [True, False])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda a: a < 3, True),
        (lambda a: a < 2, False),
        (lambda a: a <= 2, True),
        (lambda a: a <= 1, False),
        (lambda a: a > 1, True),
        (lambda a: a > 2, False),
        (lambda a: a >= 2, True),
        (lambda a: a >= 3, False),
    ],
)
def test_comparisons_compare_the_number(call: Callable[[Any], Any], expected: bool) -> None:
    assert call(NumberWithGrad(2)) is expected
    assert call(NumberWithGrad(np.float64(2))) is expected


number = NumberWithGrad(2)
OPERAND = "the operand must be a number or a NumberWithGrad, got"
LOST = "ArrayWithGrad: conversion to a NumPy array would lose the gradient; use .array"
METHOD = "use a method (a.sum(), a.exp(), a.reshape(...)), a function of dlfs.autograd, or a.array"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: number < "3", TypeError, f"NumberWithGrad: <: {OPERAND} str"),
        (lambda: number <= "3", TypeError, f"NumberWithGrad: <=: {OPERAND} str"),
        (lambda: number > "3", TypeError, f"NumberWithGrad: >: {OPERAND} str"),
        (lambda: number >= "3", TypeError, f"NumberWithGrad: >=: {OPERAND} str"),
        (lambda: number + None, TypeError, f"NumberWithGrad: add: {OPERAND} NoneType"),
        (lambda: None + number, TypeError, f"NumberWithGrad: add: {OPERAND} NoneType"),
        (lambda: None - number, TypeError, f"NumberWithGrad: sub: {OPERAND} NoneType"),
        (lambda: None / number, TypeError, f"NumberWithGrad: div: {OPERAND} NoneType"),
        (lambda: None**number, TypeError, f"NumberWithGrad: pow: {OPERAND} NoneType"),
        (
            lambda: number * np.ones(2),
            TypeError,
            f"NumberWithGrad: mul: {OPERAND} ndarray; use ArrayWithGrad for arrays",
        ),
        (
            lambda: number / 0,
            ValueError,
            "NumberWithGrad: div is not defined for 2, 0: division by zero",
        ),
        (
            lambda: NumberWithGrad(-8.0) ** 0.5,
            ValueError,
            "NumberWithGrad: pow is not defined for -8.0, 0.5: the result is not a real number",
        ),
        (
            lambda: NumberWithGrad(True),
            TypeError,
            "NumberWithGrad: num must be a real number, got True",
        ),
        (
            lambda: NumberWithGrad(np.ones(1)),
            TypeError,
            (
                "NumberWithGrad: num must be a real number, got array([1.]); use ArrayWithGrad for "
                "arrays"
            ),
        ),
        (
            lambda: NumberWithGrad(1, 3, "neg"),
            TypeError,
            "NumberWithGrad: depends_on must be a list of NumberWithGrad, got int",
        ),
        (
            lambda: NumberWithGrad(1, [2], "neg"),
            TypeError,
            "NumberWithGrad: depends_on must hold NumberWithGrad, got int",
        ),
        (
            lambda: NumberWithGrad(1, [number, number], "neg"),
            ValueError,
            "NumberWithGrad: depends_on must hold 1 numbers for creation_op 'neg', got 2",
        ),
        (
            lambda: NumberWithGrad(1, [number]),
            ValueError,
            "NumberWithGrad: depends_on must hold 0 numbers for creation_op '', got 1",
        ),
        (
            lambda: NumberWithGrad(1, creation_op="plus"),
            ValueError,
            (
                "NumberWithGrad: creation_op must be '' or one of 'add', 'sub', 'mul', 'div', "
                "'pow', 'neg', 'abs', 'exp', 'log', 'tanh', 'sigmoid', 'relu'; got 'plus'"
            ),
        ),
        (lambda: np.asarray(ones(2)), TypeError, LOST),
        (
            lambda: np.concatenate([ones(2)]),
            TypeError,
            f"ArrayWithGrad: np.concatenate would lose the gradient; {METHOD}",
        ),
        (lambda: len(ones()), TypeError, "ArrayWithGrad: an array without axes has no length"),
        (
            lambda: ones(2).item(),
            ValueError,
            "ArrayWithGrad.item: the array must hold a single number, got shape (2,)",
        ),
        (
            lambda: ones(2).backward(),
            ValueError,
            (
                "ArrayWithGrad.backward: backward_grad must be given for an array of more than one "
                "number, got shape (2,)"
            ),
        ),
        (
            lambda: ones(2).backward(np.ones(3)),
            ValueError,
            (
                "ArrayWithGrad.backward: backward_grad must have the shape of the array, (2,), got "
                "(3,)"
            ),
        ),
        (
            lambda: ArrayWithGrad(ones(2)),
            TypeError,
            "ArrayWithGrad: array must be an array of numbers, got an ArrayWithGrad",
        ),
        (
            lambda: apply(3, ones(2)),
            TypeError,
            "apply: rule must be a function with a name, got int",
        ),
        (
            lambda: concatenate(3),
            TypeError,
            "concatenate: arrays must be a list of arrays, got int",
        ),
        (
            lambda: concatenate([]),
            ValueError,
            "concatenate: arrays must hold at least one array, got none",
        ),
        (
            lambda: ones(2) + ones(2, dtype=np.float32),
            TypeError,
            "add: all operands must have one dtype, got float32 and float64",
        ),
        (
            lambda: ones(2) @ ones(3),
            ValueError,
            (
                "matmul: the last axis of x must have the size of the second to last axis of y, "
                "got shapes (2,) and (3,)"
            ),
        ),
        (
            lambda: ones() @ ones(3),
            ValueError,
            "matmul: x and y must have at least 1 dimension, got shapes () and (3,)",
        ),
        (
            lambda: log_softmax(ones(3), axis=2),
            ValueError,
            "log_softmax: axis must be an axis of x, got 2 for shape (3,)",
        ),
        (
            lambda: log_softmax(ones(3, 0)),
            ValueError,
            "log_softmax: axis -1 of x must not be empty, got shape (3, 0)",
        ),
        *(
            (
                lambda shape=shape: softmax_cross_entropy(ones(*shape), [0]),
                ValueError,
                (
                    "softmax_cross_entropy: prediction must be (batch, classes) and not empty, got "
                    f"{shape}"
                ),
            )
            for shape in [(3,), (0, 2), (2, 0)]
        ),
        (
            lambda: softmax_cross_entropy(ones(2, 3), [0]),
            ValueError,
            (
                "softmax_cross_entropy: target must hold labels of shape (2,) or probabilities of "
                "shape (2, 3), got shape (1,)"
            ),
        ),
        (
            lambda: softmax_cross_entropy(ones(2, 3), [0.0, 1.0]),
            TypeError,
            "softmax_cross_entropy: labels must be integers, got float64",
        ),
        (
            lambda: softmax_cross_entropy(ones(2, 4, 3), np.zeros((2, 3), int)),
            ValueError,
            (
                "softmax_cross_entropy: target must hold labels of shape (2, 4) or probabilities "
                "of shape (2, 4, 3), got shape (2, 3)"
            ),
        ),
        (
            lambda: ones(2).mean(axis="a"),
            TypeError,
            "mean: axis must be an integer, several of them or None, got 'a'",
        ),
        (
            lambda: pickle.dumps(number + 1),
            TypeError,
            (
                "NumberWithGrad: a result cannot be pickled with all that it was computed from; "
                "pickle the variables and compute it again, or pickle only its value"
            ),
        ),
        *(
            (
                lambda labels=labels: softmax_cross_entropy(ones(2, 3), labels),
                ValueError,
                f"softmax_cross_entropy: labels must lie in 0..2, got {min(labels)}..{max(labels)}",
            )
            for labels in ([0, 3], [-1, 2])
        ),
        (
            lambda: softmax_cross_entropy(np.ones((2, 3)), [0, 1]),
            TypeError,
            "softmax_cross_entropy: prediction must be an ArrayWithGrad, got ndarray",
        ),
    ],
)
def test_the_whole_message(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_labels_of_sequences(dtype: Any) -> None:
    """Every row counts alike, and the labels' edges are allowed."""
    logits = ArrayWithGrad(np.arange(12.0).reshape(2, 2, 3) ** 2 / 10)
    labels = np.array([[0, 2], [1, 0]], dtype)
    of_one_class = softmax_cross_entropy(ArrayWithGrad(np.zeros((2, 3))), np.full(2, 2, dtype))
    assert of_one_class.item() == pytest.approx(math.log(3))
    loss = softmax_cross_entropy(logits, labels)
    shares = np.exp(logits.array) / np.exp(logits.array).sum(axis=2, keepdims=True)
    wanted = -np.log(np.take_along_axis(shares, labels[..., np.newaxis].astype(int), 2)).mean()
    assert loss.item() == pytest.approx(wanted, rel=1e-12)
    loss.backward()
    np.testing.assert_allclose(logits.grad, (shares - np.eye(3)[labels]) / 4, atol=1e-15)
    target = np.full((2, 2, 3), 1 / 3)
    again = softmax_cross_entropy(logits, ArrayWithGrad(target))
    assert again.item() == pytest.approx(-np.log(shares).mean(), rel=1e-12)


CHANGED = (
    "was changed in place after the result was computed, and its gradient would be wrong; compute "
    "the result again, or change a copy"
)


@pytest.mark.parametrize(
    ("place", "said"), [(0, "operand 1"), (1, "operand 2"), (None, "the result")]
)
def test_what_was_changed_is_named(place: int | None, said: str) -> None:
    numbers = NumberWithGrad(2.5), NumberWithGrad(3.5)
    product = numbers[0] * numbers[1]
    (product if place is None else numbers[place]).num = 4.5
    with pytest.raises(RuntimeError) as caught:
        product.backward()
    assert str(caught.value) == f"NumberWithGrad.backward: {said} of 'mul' {CHANGED}"
    arrays = ones(2), ones(2)
    result = arrays[0] * arrays[1]
    (result if place is None else arrays[place]).array[0] = 4.5
    with pytest.raises(RuntimeError) as caught:
        result.backward([1.0, 1.0])
    counted = "" if place is None else " (counted from 1)"
    assert str(caught.value) == f"ArrayWithGrad.backward: {said}{counted} of 'mul' {CHANGED}"


def test_an_equal_number_is_no_change() -> None:
    a = NumberWithGrad(1234.5)
    b = a * 2
    a.num = float("1234.5")
    b.backward()
    assert a.grad == 2


def test_a_deep_copy_of_a_result_shares_its_array() -> None:
    result = ones(2) * 3.0
    again = copy.deepcopy(result)
    assert again.array is result.array
    assert copy.deepcopy(ones(2)).array is not ones(2).array


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_softmax_subtracts_the_largest_of_each_line(axis: int) -> None:
    numbers = np.array([[1000.0, 1000.0, 999.0], [-1000.0, -1000.0, -1001.0], [0.0, 0.0, -1.0]])
    numbers = numbers if axis in (1, -1) else numbers.T
    wanted = np.exp([0.0, 0.0, -1.0]) / np.exp([0.0, 0.0, -1.0]).sum()
    shares = np.broadcast_to(wanted, (3, 3))
    shares = shares if axis in (1, -1) else shares.T
    x = ArrayWithGrad(numbers)
    np.testing.assert_allclose(softmax(x, axis).array, shares, rtol=1e-14)
    np.testing.assert_allclose(log_softmax(x, axis).array, np.log(shares), rtol=1e-12)


def test_axes_may_be_kept() -> None:
    x = ArrayWithGrad(np.arange(6.0).reshape(2, 3))
    for kept in (
        x.max(axis=1, keepdims=True),
        x.max(1, True),
        apply(axes.max_, x, axis=1, keepdims=True),
    ):
        assert kept.array.tolist() == [[2.0], [5.0]]
    assert x.max().array == 5
    assert apply(axes.max_, x).shape == ()
    assert apply(axes.mean, x).array == 2.5
    assert apply(axes.mean, x).shape == ()


def test_a_rule_has_the_defaults_of_its_function() -> None:
    generator = np.random.default_rng(0)
    x, W = generator.uniform(size=(1, 2, 6, 6)), generator.uniform(size=(2, 4, 3, 3))
    np.testing.assert_array_equal(apply(images.conv2d, x, W).array, conv2d(x, W).array)
    pooled = apply(images.max_pool2d, x, kernel_size=2).array
    np.testing.assert_array_equal(pooled, max_pool2d(x, 2).array)


def test_relu_of_minus_0_is_0() -> None:
    assert math.copysign(1, NumberWithGrad(-0.0).relu().num) == 1
