"""Bad input of every public name of dlfs.autograd: the error names what is wrong."""

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dlfs.autograd
from dlfs.autograd import (
    ArrayWithGrad,
    NumberWithGrad,
    apply,
    concatenate,
    conv2d,
    ensure_number,
    log_softmax,
    max_pool2d,
    maximum,
    softmax,
    softmax_cross_entropy,
)

Row = tuple[Callable[[], Any], type[Exception], str]


def ones(*shape: int) -> ArrayWithGrad:
    return ArrayWithGrad(np.ones(shape))


def half(x):
    return x / 2, (lambda g: g / 2,)


def forgot_the_gradient(x):
    return x / 2


def one_gradient_of_two(x, y):
    return x + y, (lambda g: g,)


number = NumberWithGrad(2)

# name, or class.method: call, error, what the message must say
FUNCTIONS: dict[str, list[Row]] = {
    "ArrayWithGrad": [
        (lambda: ArrayWithGrad("abc"), TypeError, "ArrayWithGrad: array .* real numbers"),
        (lambda: ArrayWithGrad(None), TypeError, "ArrayWithGrad: array .* real numbers"),
        (lambda: ArrayWithGrad([1j]), TypeError, "ArrayWithGrad: array .* complex128"),
        (lambda: ArrayWithGrad([[1.0], [1.0, 2.0]]), ValueError, "ArrayWithGrad: .*rectangular"),
        (lambda: ArrayWithGrad(ones(2)), TypeError, "got an ArrayWithGrad"),
        (lambda: np.asarray(ones(2)), TypeError, r"ArrayWithGrad: .*\.array"),
    ],
    "NumberWithGrad": [
        (lambda: NumberWithGrad("2"), TypeError, "NumberWithGrad: num must be a real number"),
        (lambda: NumberWithGrad(2j), TypeError, "NumberWithGrad: num must be a real number"),
        (lambda: NumberWithGrad(np.ones(2)), TypeError, "use ArrayWithGrad for arrays"),
        (lambda: NumberWithGrad(1, creation_op="plus"), ValueError, "creation_op .*'plus'"),
        (lambda: NumberWithGrad(1, [number], "add"), ValueError, "2 numbers .*'add', got 1"),
        (lambda: NumberWithGrad(1, [1, 2], "add"), TypeError, "depends_on .*got int"),
        (lambda: NumberWithGrad(1, 3, "neg"), TypeError, "depends_on .*got int"),
    ],
    "apply": [
        (lambda: apply(3, ones(2)), TypeError, "apply: rule must be a function .*got int"),
        (lambda: apply(half), ValueError, "half: must have at least one operand"),
        (lambda: apply(half, "a"), TypeError, "half: an operand .*real numbers"),
        (lambda: apply(forgot_the_gradient, ones(2)), TypeError, "must return .*got ndarray"),
        (lambda: apply(one_gradient_of_two, ones(2), ones(2)), TypeError, "2 functions.*got 1"),
    ],
    "concatenate": [
        (
            lambda: concatenate(ones(2)),
            TypeError,
            "concatenate: arrays must be a list .*ArrayWithGrad",
        ),
        (lambda: concatenate([]), ValueError, "concatenate: .*at least one array"),
        (lambda: concatenate([ones(2, 3), ones(2)]), ValueError, r"concatenate: .*\(2, 3\)"),
        (lambda: concatenate([ones(2, 3), ones(3, 2)]), ValueError, "concatenate: .*along axis 0"),
        (lambda: concatenate([ones(2)], axis=4), ValueError, "concatenate: axis.* 4 "),
        (lambda: concatenate([ones(2)], axis="a"), TypeError, "concatenate: axis .*'a'"),
    ],
    "conv2d": [
        (lambda: conv2d(ones(2, 3), ones(1, 1, 3, 3)), ValueError, "conv2d: x .*4 dimensions"),
        (lambda: conv2d(ones(1, 2, 5, 5), ones(1, 1, 3, 3)), ValueError, "conv2d: .*2 channels"),
        (
            lambda: conv2d(ones(1, 1, 5, 5), ones(1, 1, 3, 3), stride=0),
            ValueError,
            "conv2d: stride",
        ),
        (lambda: conv2d("a", ones(1, 1, 3, 3)), TypeError, "conv2d: an operand"),
    ],
    "ensure_number": [
        (lambda: ensure_number("2"), TypeError, "must be a real number, got '2'"),
        (lambda: ensure_number(None), TypeError, "must be a real number, got None"),
        (lambda: ensure_number(np.ones(2)), TypeError, "use ArrayWithGrad for arrays"),
    ],
    "log_softmax": [
        (lambda: log_softmax(np.ones(3)), TypeError, "log_softmax: x must be an ArrayWithGrad"),
        (lambda: log_softmax(ones(3), axis=2), ValueError, r"log_softmax: axis .*got 2 .*\(3,\)"),
        (
            lambda: log_softmax(ones(3, 0)),
            ValueError,
            r"log_softmax: axis -1 .*empty, got .*\(3, 0\)",
        ),
        (lambda: log_softmax(ones()), ValueError, "log_softmax: axis .*got -1"),
    ],
    "max_pool2d": [
        (lambda: max_pool2d(ones(2, 3), 2), ValueError, "max_pool2d: x .*4 dimensions"),
        (lambda: max_pool2d(ones(1, 1, 4, 4), 0), ValueError, "max_pool2d: kernel size .*got 0"),
        (lambda: max_pool2d("a", 2), TypeError, "max_pool2d: an operand"),
    ],
    "maximum": [
        (lambda: maximum(ones(2), ones(3)), ValueError, r"maximum: .*\(2,\) \(3,\)"),
        (lambda: maximum(ones(2), "a"), TypeError, "maximum: an operand"),
    ],
    "softmax": [
        (lambda: softmax("a"), TypeError, "softmax: x must be an ArrayWithGrad, got str"),
        (lambda: softmax(ones(3), axis="a"), TypeError, "softmax: axis .*'a'"),
        (lambda: softmax(ones(3), axis=1), ValueError, "softmax: axis .*got 1"),
    ],
    "softmax_cross_entropy": [
        (
            lambda: softmax_cross_entropy(np.ones((2, 3)), [0, 1]),
            TypeError,
            "softmax_cross_entropy: prediction must be an ArrayWithGrad",
        ),
        (lambda: softmax_cross_entropy(ones(3), [0]), ValueError, "softmax_cross_entropy: predict"),
        (
            lambda: softmax_cross_entropy(ones(1, 3), [[0], [1, 2]]),
            ValueError,
            "^softmax_cross_entropy: target is not a rectangular array",
        ),
        (lambda: softmax_cross_entropy(ones(2, 3), [0, 3]), ValueError, r"labels .*0\.\.2, got"),
        (lambda: softmax_cross_entropy(ones(2, 3), [0.0, 1.0]), TypeError, "labels .*integers"),
        (lambda: softmax_cross_entropy(ones(2, 3), [0]), ValueError, r"target .*\(2,\)"),
        (lambda: softmax_cross_entropy(ones(2, 3), np.ones((2, 4))), ValueError, r"\(2, 4\)"),
    ],
}

METHODS: dict[str, list[Row]] = {
    "ArrayWithGrad.backward": [
        (lambda: ones(2, 3).backward(), ValueError, r"backward: backward_grad .*\(2, 3\)"),
        (lambda: ones(2, 3).backward(np.ones(3)), ValueError, r"backward_grad .*\(2, 3\), got"),
        (lambda: ones(2).backward("a"), TypeError, "backward_grad .*real numbers"),
    ],
    "ArrayWithGrad.item": [(lambda: ones(2).item(), ValueError, r"item: .*\(2,\)")],
    "ArrayWithGrad.draw": [
        (lambda: ones(2).draw(path=3), TypeError, "draw: path .*got int"),
        (lambda: ones(2).draw(names={"a": ones(2)}), ValueError, r"draw: names\['a'\]"),
    ],
    "ArrayWithGrad.sum": [
        (lambda: ones(2).sum(axis=3), ValueError, "sum: axis.* 3 "),
        (lambda: ones(2, 2).sum(axis=(0, 0)), ValueError, "sum: repeated axis"),
        (lambda: ones(2).sum(axis="a"), TypeError, "sum: axis .*'a'"),
        (lambda: ones(2).sum(keepdims=3), TypeError, "sum: keepdims .*got 3"),
    ],
    "ArrayWithGrad.mean": [(lambda: ones(0).mean(), ValueError, r"mean: nothing|mean: .*\(0,\)")],
    "ArrayWithGrad.max": [
        (lambda: ones(0).max(), ValueError, r"max: .*\(0,\)"),
        (lambda: ones(2).max(axis=1.5), TypeError, r"max: axis .*1\.5"),
    ],
    "ArrayWithGrad.reshape": [
        (lambda: ones(2, 3).reshape(4), ValueError, r"reshape: 6 entries .*\(4,\)"),
        (lambda: ones(2, 3).reshape("a"), TypeError, "reshape: .*'a'"),
    ],
    "ArrayWithGrad.transpose": [
        (lambda: ones(2, 3).transpose(0, 0), ValueError, "transpose: repeated axis"),
        (lambda: ones(2, 3).transpose("a"), TypeError, "transpose: axis .*'a'"),
    ],
    "NumberWithGrad.backward": [
        (lambda: NumberWithGrad(1).backward("a"), TypeError, "backward_grad .*'a'"),
    ],
    "NumberWithGrad.draw": [(lambda: number.draw(path=3), TypeError, "draw: path .*got int")],
    "NumberWithGrad.log": [
        (lambda: NumberWithGrad(-1.0).log(), ValueError, r"log is not defined for -1\.0"),
    ],
    "NumberWithGrad.exp": [
        (lambda: NumberWithGrad(1e5).exp(), ValueError, "exp is not defined for 100000"),
    ],
}
# Their only argument is self, and they are defined for every array or number.
CANNOT_FAIL = {
    *(f"ArrayWithGrad.{name}" for name in ("describe", "zero_grad", "exp", "log", "tanh")),
    *(f"ArrayWithGrad.{name}" for name in ("relu", "sigmoid")),
    *(f"NumberWithGrad.{name}" for name in ("describe", "zero_grad", "relu", "sigmoid", "tanh")),
}
# Methods that `backward` and copies call on the nodes of a graph, with their own results.
WITHIN = {
    f"{kind}.{name}"
    for kind in ("ArrayWithGrad", "NumberWithGrad")
    for name in ("collect", "pull_back", "check_unchanged", "shared")
}

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge]

ROWS = [
    pytest.param(*row, id=f"{name}-{position}")
    for name, rows in {**FUNCTIONS, **METHODS}.items()
    for position, row in enumerate(rows)
]


@pytest.mark.parametrize(("call", "error", "message"), ROWS)
def test_the_message_says_what_is_wrong(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("operation", [*ARITHMETIC, operator.matmul, *COMPARISONS])
def test_operators_of_arrays(operation) -> None:
    name = operation.__name__.rstrip("_")
    owner = "ArrayWithGrad" if operation in COMPARISONS else "div" if name == "truediv" else name
    with pytest.raises(ValueError, match=rf"^{owner}: .*shapes"):
        operation(ones(2, 3), ones(4, 2))
    with pytest.raises(TypeError, match=rf"^{owner}: an operand must be"):
        operation(ones(2, 3), "1")


@pytest.mark.parametrize("operation", [*ARITHMETIC, *COMPARISONS])
def test_operators_of_numbers(operation) -> None:
    for other in ("1", None, np.ones(2)):
        with pytest.raises(TypeError, match=r"^NumberWithGrad: .*must be a number"):
            operation(number, other)


def test_every_public_name_is_in_the_tables() -> None:
    assert set(FUNCTIONS) == set(dlfs.autograd.__all__)
    methods = {
        f"{kind.__name__}.{name}"
        for kind in (ArrayWithGrad, NumberWithGrad)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods == set(METHODS) | CANNOT_FAIL | WITHIN


@pytest.mark.parametrize("function", [np.sum, np.reshape, np.concatenate, np.where, np.dot])
def test_functions_of_numpy_are_refused_by_name(function) -> None:
    arguments = {np.concatenate: [[ones(2, 3)]], np.sum: [ones(2, 3)]}
    with pytest.raises(TypeError, match=rf"ArrayWithGrad: np.{function.__name__} would lose"):
        function(*arguments.get(function, [ones(2, 3), 1]))
