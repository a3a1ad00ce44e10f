"""Another check of every hand-written gradient, by automatic differentiation.

``formulas.py`` has the forward formula of each class. ArrayWithGrad derives the gradients, which
must equal those of the class up to rounding. Rounding is measured: all numbers are changed in their
last digits, and the gradients change according to their condition.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from dlfs import NeuralNetwork
from dlfs.activations import ReLU
from dlfs.autograd import ArrayWithGrad, concatenate
from dlfs.backend import available_backends, use_backend
from dlfs.base import Operation, ParamOperation
from dlfs.gradcheck.cases import RECIPES, Case, RandomChooser
from dlfs.layers import LayerBlock, OperationLayer, Parallel, Residual
from dlfs.losses import Loss
from dlfs.normalization import BatchNorm_Op, GroupNorm_Op, LayerNorm_Op, RMSNorm_Op
from dlfs.testing import library_cases
from tests.autograd import magnitudes
from tests.autograd.formulas import LOSSES, OPERATIONS

NAMES = sorted(RECIPES)


def operations(target) -> list[Operation]:
    if isinstance(target, Operation):
        return [target]
    return [operation for _, layer in target.walk() for operation in layer.operations]


def through(part, value, formulas, rest, found, variable):
    """Send a value through an Operation, or a layer and what is inside it, in the tree's order."""

    def chain(parts, value):
        for inner in parts:
            value = through(inner, value, formulas, rest, found, variable)
        return value

    if isinstance(part, Operation):
        own = [variable(next(rest))] if isinstance(part, ParamOperation) else []
        found += own
        return formulas[type(part)](part, value, *own)
    if isinstance(part, Residual):
        return value + chain(part.layers, value)
    if isinstance(part, Parallel):
        outputs = [chain([branch], value) for branch in part.layers]
        if part.merge == "concat":
            return concatenate(outputs, axis=part.axis % outputs[0].ndim)
        return sum(outputs[1:], outputs[0])
    return chain(part.layers or part.operations, value)


def derive(target, x, params, output_grad, shake, formulas=OPERATIONS, losses=LOSSES):
    """Return the gradients of the input and of each parameter by ArrayWithGrad, in float64."""

    def variable(array):
        return ArrayWithGrad(shake(array.astype(np.float64)))

    start = x if x.dtype.kind in "iu" else variable(x)
    value, found = start, []
    if isinstance(target, Loss):
        value = losses[type(target)](target, value)
    else:
        value = through(target, value, formulas, iter(params), found, variable)
        if isinstance(target, NeuralNetwork):
            value = losses[type(target.loss)](target.loss, value)
    value.backward(None if output_grad is None else shake(output_grad.astype(np.float64)))
    variables = found if start is x else [start, *found]
    return [np.zeros(v.shape) if v.grad is None else v.grad for v in variables]


def run(case, rng):
    """Run the class itself: return the output gradient, the parameters and all gradients."""
    target, x = case.target, case.x
    if isinstance(target, Loss):
        target.forward(x, case.y)
        return None, [], [target.backward()]
    if isinstance(target, NeuralNetwork):
        output_grad = None
        prediction = target.forward(x)
        target.loss.forward(prediction, case.y)
        input_grad = target.loss.backward()
        for layer in reversed(target.layers):
            input_grad = layer.backward(input_grad)
    else:
        output = target.forward(x, inference=case.inference)
        output_grad = rng.standard_normal(output.shape).astype(output.dtype)
        input_grad = target.backward(output_grad)
    own = [op for op in operations(target) if isinstance(op, ParamOperation)]
    grads = [op.param_grad for op in own]
    if x.dtype.kind == "f":
        grads.insert(0, input_grad)
    return output_grad, [op.param for op in own], grads


def check(case, backend) -> None:
    rng = np.random.default_rng(0)
    with use_backend(backend):
        output_grad, params, grads = run(case, rng)
    arguments = (case.target, case.x, params, output_grad)
    exact = derive(*arguments, lambda array: array)
    eps = np.finfo(grads[0].dtype).eps
    # At most as many roundings as terms of a sum.
    terms = 8 + max(case.x.size, *(p.size for p in params), 1)

    def shake(array):
        return array * (1 + eps * terms * rng.uniform(-1, 1, array.shape))

    moved = [derive(*arguments, shake, magnitudes.rounded(rng, eps)) for _ in range(4)]
    most = derive(*arguments, np.abs, magnitudes.OPERATIONS, magnitudes.LOSSES)
    assert len(grads) == len(exact)
    for i, (grad, expected) in enumerate(zip(grads, exact, strict=True)):
        spread = np.max([np.abs(other[i] - expected) for other in moved], axis=0)
        allowed = 4 * spread + 4 * np.median(spread) + 8 * eps * np.abs(expected)
        allowed += 4 * eps * np.abs(most[i])
        assert grad.shape == expected.shape
        assert np.all(np.abs(grad - expected) <= allowed + np.finfo(grad.dtype).tiny)


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10)
@given(data=st.data())
def test_gradients_are_those_of_the_chain_rule(name, backend, data) -> None:
    case = data.draw(library_cases(name, backend))
    note(case.code)
    # ArrayWithGrad refuses a mean over nothing.
    assume(all(size for size in case.x.shape))
    check(case, backend)


SATURATED = ("Softmax", "BinaryCrossEntropy", "SoftmaxCrossEntropy")


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*SATURATED, "network for digits"])
def test_gradients_of_sure_predictions(name, dtype, backend) -> None:
    """Differences of numbers near 1 lose digits that changing the inputs does not show."""
    for seed in range(6):
        chooser = RandomChooser(np.random.default_rng(seed))
        case = RECIPES[name].draw(chooser, dtype, backend)
        if name in SATURATED:
            if not all(case.x.shape):
                continue
            case = replace(case, x=8 * case.x)
        else:
            with use_backend(backend):
                case.target.build(case.x.shape[1:])
            weights = operations(case.target.layers[-1])[0]
            np.multiply(weights.param, 20, out=weights.param)
        check(case, backend)


NORMALIZATIONS = [
    (LayerNorm_Op(), (3, 5)),
    (RMSNorm_Op(), (3, 5)),
    (GroupNorm_Op(2), (3, 4, 2)),
    (BatchNorm_Op(), (5, 3)),
]


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("operation", "shape"), NORMALIZATIONS, ids=lambda value: str(value)[:9])
def test_gradients_of_normalization_that_nearly_vanish(operation, shape, dtype, backend) -> None:
    """A number beside zeros has no influence but through eps; numbers nearly alike lose digits."""
    layers = LayerBlock([OperationLayer(ReLU()), OperationLayer(operation)])
    for seed in range(8):
        rng = np.random.default_rng(seed)
        alone = np.where(rng.random(shape) < 0.3, rng.uniform(0.1, 2, shape), -1)
        alike = 10 ** rng.uniform(-1, 4) + rng.standard_normal(shape)
        for x in (alone, alike):
            check(Case(layers, x.astype(dtype), None, False, ""), backend)


def test_every_class_has_a_formula() -> None:
    known = {kind.__name__ for kind in (*OPERATIONS, *LOSSES)}
    wanted = {name for name, recipe in RECIPES.items() if recipe.kind in ("Operation", "Loss")}
    assert wanted == known, "tests/autograd/formulas.py must have each"
