"""Defaults and numbers in the documentation are those of the code."""

import ast
import importlib
import inspect
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dlfs
from dlfs import initializers, optimizers, reference
from dlfs.configured import Configured
from dlfs.layers import GRULayer, LSTMLayer, RNNLayer
from dlfs.train.callbacks import ConvTesting
from tests.support.subjects_classes import CLASSES
from tests.test_docstrings import MODULES as ALL_MODULES

LEFT_OUT = ("dlfs.pytorch", "dlfs.commands", "dlfs.gradcheck")
MODULES = [name for name in ALL_MODULES if not name.startswith(LEFT_OUT)]
SIMPLE = (bool, int, float, str)


def public(module: Any) -> Iterator[tuple[str, Any]]:
    """Go through the documented classes and functions of a module, and the classes' methods."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield name, thing
        if inspect.isclass(thing):
            for method, function in inspect.getmembers(thing, inspect.isroutine):
                own = getattr(function, "__module__", None) == module.__name__
                if own and not method.startswith("_") and method in vars(thing):
                    yield f"{name}.{method}", function


def documented(doc: str) -> Iterator[tuple[list[str], str, str]]:
    """Go through the section Parameters: names, type, description."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n---|\Z)", doc, re.DOTALL | re.MULTILINE
    )
    if section is None:
        return
    waiting: list[str] = []
    for head, text in re.findall(
        r"^(\S[^\n]*)\n?((?:^ +[^\n]*\n?|^\n)*)", section[1], re.MULTILINE
    ):
        names, _, kind = head.partition(" : ")
        waiting += [name.strip("* ") for name in names.split(",")]
        if kind or text.strip():
            yield waiting, kind, text
            waiting = []


def said(kind: str, count: int) -> list[Any]:
    """Return the defaults that a type like "float, default 0.9 and 0.999" ends in."""
    _, found, text = kind.partition(", default ")
    values = [ast.literal_eval(value) for value in re.split(r", | and ", text)] if found else []
    return values * count if len(values) == 1 else values


@pytest.mark.parametrize("name", MODULES)
def test_a_documented_parameter_has_the_default_that_the_documentation_says(name: str) -> None:
    module = importlib.import_module(name)
    for owner, thing in public(module):
        for names, kind, text in documented(inspect.getdoc(thing) or ""):
            parameters = inspect.signature(thing).parameters
            defaults = [parameters[name].default if name in parameters else None for name in names]
            if not any(isinstance(default, SIMPLE) for default in defaults):
                continue
            if kind:
                assert said(kind, len(names)) == defaults, (owner, names, kind)
                continue
            like = re.search(r"As in `*([\w.]+)\b", text)
            assert like is not None, (owner, names, text)
            home, _, other = like[1].rpartition(".")
            home = importlib.import_module(home) if home else module
            base = inspect.signature(getattr(home, other)).parameters
            assert [base[name].default for name in names] == defaults, (owner, names, other)


KERNELS: dict[str, Callable[..., Any]] = {
    "sgd_momentum_update": optimizers.SGDMomentum,
    "adagrad_update": optimizers.AdaGrad,
    "rmsprop_update": optimizers.RMSProp,
    "adam_update": optimizers.Adam,
    "leaky_relu": dlfs.LeakyReLU,
    "leaky_relu_grad": dlfs.LeakyReLU,
    "elu": dlfs.ELU,
    "elu_grad": dlfs.ELU,
    "batch_norm": dlfs.BatchNorm,
    "batch_norm_inference": dlfs.BatchNorm,
    "batch_norm_inference_grad": dlfs.BatchNorm,
    "layer_norm": dlfs.LayerNorm,
    "huber": dlfs.Huber,
    "softmax_cross_entropy": dlfs.SoftmaxCrossEntropy,
    "gru": GRULayer,
    "gru_grad": GRULayer,
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_has_the_defaults_of_the_class_that_calls_it(name: str) -> None:
    of_class = inspect.signature(KERNELS[name]).parameters
    of_kernel = inspect.signature(getattr(reference, name)).parameters
    options = [name for name, given in of_kernel.items() if given.default is not given.empty]
    shared = [option for option in options if option in of_class]
    assert shared
    for option in shared:
        assert of_kernel[option].default == of_class[option].default


# --- numbers in the text ---


def text_of(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())


def number_in(thing: Any, pattern: str) -> float:
    """Return the number that the documentation has at the pattern's parentheses."""
    found = re.search(pattern, text_of(thing))
    assert found is not None, pattern
    return float(found[1])


@pytest.mark.parametrize("name", ["standard", "glorot", "he"])
def test_first_weights_have_the_spread_that_the_documentation_says(name: str) -> None:
    fans = {"fan_in": 5, "fan_out": 11}
    (formula,) = re.findall(rf"^    {name} +(\S.*?)  +\(", initializers.__doc__, re.MULTILINE)
    spread = eval(formula, {"sqrt": math.sqrt, **fans})
    drawn = initializers.draw_weights(
        name, np.random.default_rng(1), (5, 11), dtype=np.float64, **fans
    )
    np.testing.assert_array_equal(drawn, np.random.default_rng(1).normal(0, spread, (5, 11)))


@pytest.mark.parametrize("kind", [RNNLayer, LSTMLayer, GRULayer])
def test_recurrent_layers_start_as_the_documentation_says(kind: Any) -> None:
    formula = re.search(r"``([^`]*)`` unless given", text_of(RNNLayer))[1]
    spread = eval(formula, {"sqrt": math.sqrt, "hidden_size": 6})
    layers = [kind(6, output_size=2), kind(6, output_size=2, weight_scale=spread)]
    for layer in layers:
        layer.seed = 1
        layer.forward(np.zeros((1, 1, 3)))
    for left_out, given in zip(layers[0].params, layers[1].params, strict=True):
        np.testing.assert_array_equal(left_out, given)
    assert "Biases start at zero" in text_of(RNNLayer)
    expected = np.zeros_like(layers[0].params[1])
    if kind is LSTMLayer:
        expected[:, :6] = number_in(kind, r"forget gate's bias starts at (\d+)")
    np.testing.assert_array_equal(layers[0].params[1], expected)
    assert not layers[0].params[-1].any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: (dlfs.Dense(4), (3,)),
        lambda: (dlfs.Conv2D(4, 3), (2, 5, 5)),
        lambda: (dlfs.Conv1D(4, 3), (2, 5)),
        lambda: (dlfs.ConvTranspose2D(4, 3), (2, 5, 5)),
    ],
)
def test_biases_start_at_zero(make: Callable[[], Any]) -> None:
    assert "Biases start at zero." in " ".join(initializers.__doc__.split())
    layer, shape = make()
    layer.forward(np.ones((1, *shape)))
    weights, bias = layer.params
    assert weights.any()
    assert not bias.any()


def test_a_table_of_vectors_starts_as_the_documentation_says() -> None:
    init = re.search(r'"(\w+)" unless given', text_of(dlfs.Embedding))[1]
    tables = []
    for layer in (dlfs.Embedding(7, 3), dlfs.Embedding(7, 3, weight_init=init)):
        layer.seed = 1
        layer.forward(np.zeros((1, 1), dtype=int))
        tables.append(layer.params[0])
    np.testing.assert_array_equal(*tables)


def test_predictions_are_made_for_the_documented_number_of_rows_at_a_time() -> None:
    count = int(number_in(dlfs.NeuralNetwork.predict, r"(\d+) unless given"))
    assert number_in(dlfs.Trainer.evaluate, r"(\d+) unless given") == count
    sizes: list[int] = []

    class Size(dlfs.Operation):
        def _output(self):
            sizes.append(len(self.input_))
            return self.input_

    net = dlfs.NeuralNetwork([Size(), dlfs.Dense(1)])
    X = np.zeros((2 * count + 1, 1))
    dlfs.Trainer(net, dlfs.SGD()).evaluate(X, X)
    assert sizes[-3:] == [count, count, 1]


def test_the_books_clipping_cuts_off_where_the_documentation_says() -> None:
    value = number_in(dlfs.optimizers.Optimizer, r"``clip_value=(\d+)``")
    assert dlfs.SGD(gradient_clipping=True).clip_value == value


def test_conv_testing_reports_as_often_as_the_documentation_says() -> None:
    text = "Every (\\d+) batches the loss of the batch, every (\\d+) the accuracy"
    losses, accuracies = map(int, re.search(text, text_of(ConvTesting)).groups())
    rng, said = np.random.default_rng(0), []
    trainer = dlfs.Trainer(
        dlfs.NeuralNetwork([dlfs.Dense(2)], dlfs.SoftmaxCrossEntropy()), dlfs.SGD()
    )
    trainer.X_test, trainer.y_test = rng.standard_normal((4, 3)), np.array([0, 1, 0, 1])
    trainer.net.build((3,))
    trainer.say = said.append
    reporter = ConvTesting()
    for batch in range(2 * accuracies + 1):
        reporter.on_batch_end(trainer, 0, batch, 0.5)
    for what, step, first in (("loss", losses, 0), ("accuracy after", accuracies, accuracies)):
        reported = [int(re.search(r"\d+", line)[0]) for line in said if what in line]
        assert reported == list(range(first, 2 * accuracies + 1, step))


# --- what is left out ---

MADE = {
    subject.name: subject
    for subject in CLASSES
    if isinstance(subject.call, type) and issubclass(subject.call, Configured)
}


@pytest.mark.parametrize("name", MADE)
def test_an_argument_that_is_left_out_is_its_default(name: str) -> None:
    kind, valid = MADE[name].call, MADE[name].valid()
    options = {
        option: parameter.default
        for option, parameter in inspect.signature(kind).parameters.items()
        if isinstance(parameter.default, SIMPLE)
    }
    required = {option: value for option, value in valid.items() if option not in options}
    left_out = kind(**required).arguments()
    given = kind(**required, **options).arguments()
    for option in options.keys() & given.keys():
        assert left_out[option] == given[option]
