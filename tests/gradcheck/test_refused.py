"""What check_gradients refuses, and in which words."""

from typing import Any

import numpy as np
import pytest

from dlfs.activations import Tanh
from dlfs.base import Operation
from dlfs.dense import BiasAdd
from dlfs.gradcheck import check_gradients
from dlfs.losses import Loss, MeanSquaredError

X = np.ones((2, 3))


class WithoutParam(Operation):
    def _output(self):
        return self.input_

    def _param_grad(self, output_grad):
        return output_grad


class Uncopied(Tanh):
    def __deepcopy__(self, memo):
        raise OSError("no copies")


class Returns:
    """Not an Operation, but with its methods."""

    def __init__(self, output: Any) -> None:
        self.given = output

    def forward(self, x):
        return self.given

    def backward(self, output_grad):
        return output_grad


class LossReturns(Loss):
    def __init__(self, output: Any) -> None:
        self.given = output

    def _output(self):
        return self.given

    def _input_grad(self):
        return np.zeros_like(self.prediction)


def one(a):
    return a


def two(a, b):
    return a * b


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "words"),
    [
        (
            (Tanh, X),
            {},
            TypeError,
            "target must be an instance, got the class Tanh; write Tanh(...) with its arguments",
        ),
        (
            ("x" * 100, X),
            {},
            TypeError,
            "target must be an Operation, a Layer, a Loss, a NeuralNetwork or a pair of functions "
            "(forward, backward), got '" + "x" * 79,
        ),
        (
            ((np.sin, 3), X),
            {},
            TypeError,
            (
                "target must be an Operation, a Layer, a Loss, a NeuralNetwork or a pair of "
                "functions (forward, backward), got (<ufunc 'sin'>, 3)"
            ),
        ),
        (
            (WithoutParam(), X),
            {},
            TypeError,
            "WithoutParam has no param: its __init__ must call super().__init__(param)",
        ),
        (
            (Uncopied(), X),
            {},
            TypeError,
            (
                "Uncopied cannot be checked: the check needs a copy, and copying fails with "
                "OSError: no copies"
            ),
        ),
        ((Tanh(), "text"), {}, TypeError, "x must be an array of numbers, got str"),
        ((Tanh(), [[1.0]]), {}, TypeError, "x must be an array of numbers, got list"),
        ((Tanh(), X > 0), {}, TypeError, "x must be an array of numbers, got bool"),
        ((Tanh(), X * 1j), {}, TypeError, "x must be an array of numbers, got complex128"),
        ((Tanh(), X * np.nan), {}, ValueError, "x must be finite, got NaN or infinity in it"),
        ((Tanh(), X * -np.inf), {}, ValueError, "x must be finite, got NaN or infinity in it"),
        (
            ((two, two), (X, X * np.inf)),
            {},
            ValueError,
            "x must be finite, got NaN or infinity in it",
        ),
        (
            (MeanSquaredError(), X),
            {},
            ValueError,
            (
                "MeanSquaredError is a loss and needs targets: check_gradients(loss, prediction, "
                "y=target)"
            ),
        ),
        ((Tanh(), X), {"y": X}, ValueError, "y is for losses and networks; Tanh takes none"),
        (
            ((one, two), X),
            {"y": X},
            ValueError,
            "y is for losses and networks; a pair of functions takes none",
        ),
        (
            ([one, two], [X, X]),
            {},
            TypeError,
            (
                "x must hold one array for each argument of forward, whose signature is (a); got 2 "
                "arrays"
            ),
        ),
        (
            ((two, one), X),
            {},
            TypeError,
            (
                "x must hold one array for each argument of forward, whose signature is (a, b); "
                "got 1 array"
            ),
        ),
        (
            (Returns("text"), X),
            {},
            TypeError,
            "Returns must return an array of numbers, got str",
        ),
        (
            (Returns(X * 1j), X),
            {},
            TypeError,
            "Returns must return an array of numbers, got ndarray",
        ),
        (
            (LossReturns(X), X),
            {"y": X},
            TypeError,
            "LossReturns must return one number, got shape (2, 3)",
        ),
        (
            (LossReturns(None), X),
            {"y": X},
            TypeError,
            "LossReturns must return one number, got NoneType",
        ),
        (
            (Tanh(), X),
            {"method": "complex"},
            ValueError,
            "method 'complex' is for a pair of functions; Tanh takes real numbers only",
        ),
        (
            (Tanh(), X),
            {"method": "forward"},
            ValueError,
            "method must be one of 'auto', 'central', 'complex'; got 'forward'",
        ),
        ((Tanh(), X), {"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ((Tanh(), X), {"seed": 0.5}, TypeError, "seed must be an integer, got 0.5"),
        (
            (Tanh(), X),
            {"rtol": -1e-9},
            ValueError,
            "rtol must be a finite number in [0, inf), got -1e-09",
        ),
        (
            (Tanh(), X),
            {"atol": -1e-9},
            ValueError,
            "atol must be a finite number in [0, inf), got -1e-09",
        ),
        ((Tanh(), X), {"max_entries": 0}, ValueError, "max_entries must be at least 1, got 0"),
        ((Tanh(), X), {"inference": 1}, TypeError, "inference must be True or False, got 1"),
        (
            (Tanh(), np.ma.masked_array(X, X > 0)),
            {},
            ValueError,
            (
                "x must have no masked entries, because the values below the mask would be used; "
                "replace them with x.filled(value), or leave their rows out"
            ),
        ),
    ],
)
def test_what_is_refused(arguments, options, kind, words) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        check_gradients(*arguments, **options)
    assert type(caught.value) is kind
    message = str(caught.value).removeprefix("check_gradients: ")
    assert message == words
    assert str(caught.value) != message or words.startswith("Uncopied")


def test_limits_of_options_are_allowed() -> None:
    report = check_gradients(
        Tanh(), X, seed=0, rtol=0, atol=0, max_entries=1, inference=np.bool_(True)
    )
    assert report.results["input_"].checked == 1


def test_a_loss_may_return_any_number() -> None:
    for number in (2.0, np.float32(2.0), np.float64(2.0), 2, np.array(2.0)):
        assert check_gradients(LossReturns(number), X, y=X)


def test_wrong_numbers_of_gradients_are_reported() -> None:
    report = check_gradients((two, lambda grad, a, b: (grad * b,)), (X, X))
    assert report.findings[0].message == (
        "backward raises ValueError: two: backward must return one gradient for each of the 2 "
        "arguments, got 1"
    )


# --- names ---


@pytest.mark.parametrize(
    ("forward", "arrays", "name", "names"),
    [
        (two, (X, X), "two", ["a", "b"]),
        (lambda left, right: left + right, (X, X), "a pair of functions", ["left", "right"]),
        (np.add, (X, X), "add", ["argument 0", "argument 1"]),
        (lambda *arrays: sum(arrays), (X, X), "a pair of functions", ["argument 0", "argument 1"]),
        (lambda a, b=None: a, X, "a pair of functions", ["a"]),
    ],
)
def test_arguments_of_functions_have_their_names(forward, arrays, name, names) -> None:
    report = check_gradients((forward, lambda grad, *given: (grad,) * len(given)), arrays)
    assert report
    assert report.target == name
    assert list(report.results) == names


def test_integers_among_the_arguments_have_no_gradient() -> None:
    def take(table, rows):
        return table[rows]

    def back(grad, table, rows):
        found = np.zeros_like(table)
        np.add.at(found, rows, grad)
        return found, None

    report = check_gradients((take, back), (X, np.array([0, 1, 1])))
    assert report
    assert list(report.results) == ["table"]


class Lists:
    """A layer as in the book: lists for methods, and a parameter without an Operation."""

    def __init__(self):
        self.operations = [BiasAdd(X[:1]), BiasAdd(2 * X[:1])]
        self.free = 3 * X[:1]
        self.layers = [Inner()]
        self.steps: list[Any] = [*self.operations, *self.layers]

    def forward(self, x):
        for step in self.steps:
            x = step.forward(x)
        return x + self.free

    def backward(self, grad):
        self.params_of_free = grad.sum(axis=0, keepdims=True)
        for step in self.steps[::-1]:
            grad = step.backward(grad)
        return grad

    @property
    def params(self):
        return [op.param for op in (*self.operations, *self.layers[0].operations)] + [self.free]

    @property
    def param_grads(self):
        inner = self.layers[0].operations
        return [op.param_grad for op in (*self.operations, *inner)] + [self.params_of_free]


class Scale(BiasAdd):
    pass


class Inner:
    def __init__(self):
        self.operations = [Scale(X[:1])]

    def forward(self, x):
        return self.operations[0].forward(x)

    def backward(self, grad):
        return self.operations[0].backward(grad)


def test_parameters_are_named_after_their_operations() -> None:
    report = check_gradients(Lists(), X)
    assert report
    assert report.kind == "layer"
    assert list(report.results) == ["input_", "BiasAdd[0]", "BiasAdd[1]", "Scale", "params[3]"]
