"""A fused chain gives what the chain gives: outputs, every gradient, and training to the bit.

The fused steps run here on the kernels of the reference, which do the same operations in the same
order as the unfused chain; so nothing may differ at all.
"""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from dlfs import reference
from dlfs.activations import GELU, Linear, ReLU, Sigmoid, Softmax, Tanh
from dlfs.backend import use_backend
from dlfs.base import Operation
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.embedding import Embedding_Op
from dlfs.layers import BatchNorm, Conv1D, Conv2D, ConvTranspose2D, Dense, Layer, LayerNorm
from dlfs.layers.fusion import (
    FusedBatchNorm,
    FusedBias,
    FusedDense,
    FusedLayerNorm,
    FusedLookup,
    fuse,
)
from dlfs.losses import MeanSquaredError
from dlfs.network import NeuralNetwork
from dlfs.normalization import (
    BatchNorm_Op,
    GroupNorm_Op,
    LayerNorm_Op,
    RMSNorm_Op,
    ScaleMultiply,
)
from dlfs.optimizers import SGDMomentum
from dlfs.train import Trainer

ACTIVATIONS = [Linear, Sigmoid, Tanh, ReLU, GELU, Softmax]


@pytest.fixture(autouse=True)
def _reference() -> Iterator[None]:
    with use_backend("reference"):
        yield


@pytest.fixture
def fusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Let the reference compute chains in one call, or not."""

    def switch(on: bool) -> None:
        monkeypatch.setattr(reference, "FUSES", on, raising=False)

    return switch


LAYERS: dict[str, tuple[Callable[[Operation], Layer], tuple[int, ...]]] = {
    "dense": (lambda activation: Dense(4, activation), (5, 3)),
    "dense on a sequence": (lambda activation: Dense(4, activation), (2, 5, 3)),
    "dense on images": (lambda activation: Dense(4, activation, conv_in=True), (2, 3, 4, 4)),
    "dense with dropout": (lambda activation: Dense(4, activation, dropout=0.5), (5, 3)),
    "dense on nothing": (lambda activation: Dense(4, activation), (0, 3)),
    "conv2d": (lambda activation: Conv2D(4, (2, 3), activation=activation), (2, 3, 4, 5)),
    "conv2d, flat": (lambda activation: Conv2D(4, 3, 0.5, "he", activation, True), (2, 3, 4, 5)),
    "conv2d, no bias": (
        lambda activation: Conv2D(4, 3, activation=activation, bias=False),
        (2, 3, 4, 5),
    ),
    "conv1d": (lambda activation: Conv1D(4, 3, activation=activation), (2, 3, 6)),
    "transposed": (
        lambda activation: ConvTranspose2D(4, 3, activation=activation, stride=2),
        (2, 3, 4, 5),
    ),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_layer_gives_the_same_fused(name: str, activation: type, dtype: type, fusing) -> None:
    make, shape = LAYERS[name]
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    results = []
    for on in (False, True):
        fusing(on)
        layer = make(activation())
        layer.seed = 3
        output = layer.forward(x)
        grad = np.random.default_rng(1).standard_normal(output.shape).astype(dtype)
        input_grad = layer.backward(grad)
        grads = [param_grad.copy() for param_grad in layer.param_grads]
        layer.backward(grad, input_grad=False)
        again = [param_grad.copy() for param_grad in layer.param_grads]
        inference = layer.forward(x, inference=True)
        results.append([output, input_grad, *grads, *again, inference])
    assert len(results[0]) == len(results[1])
    for plain, fused in zip(*results, strict=True):
        assert fused.dtype == plain.dtype == dtype
        assert np.array_equal(plain, fused)


NORMS: dict[str, tuple[Callable[[], Layer], tuple[int, ...]]] = {
    "layer norm": (LayerNorm, (5, 3)),
    "layer norm on a sequence": (LayerNorm, (2, 5, 3)),
    "layer norm on nothing": (LayerNorm, (0, 3)),
    "batch norm": (BatchNorm, (5, 3)),
    "batch norm on images": (BatchNorm, (2, 3, 4, 5)),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_normalization_gives_the_same_fused(name: str, dtype: type, fusing) -> None:
    make, shape = NORMS[name]
    rng = np.random.default_rng(0)
    x, other, grad = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
    results = []
    for on in (False, True):
        fusing(on)
        layer = make()
        found = []
        for batch in (x, other):
            found.append(layer.forward(batch))
            assert len(layer.steps) == (1 if on else 3)
            for param in layer.params:
                param += np.linspace(0.1, 0.7, param.size, dtype=dtype).reshape(param.shape)
        found += [layer.forward(x), layer.backward(grad)]
        found += [param_grad.copy() for param_grad in layer.param_grads]
        assert layer.backward(grad, input_grad=False) is None
        found += layer.param_grads
        state = layer.operations[0].state()
        found += [array.copy() for array in state.values()]
        # A part that is looked at has its own values, and the running statistics stay.
        found += [operation.output for operation in layer.operations]
        found += [layer.operations[0].backward(grad), *state.values()]
        found += [layer.forward(x, inference=True), layer.backward(grad)]
        results.append(found)
    assert len(results[0]) == len(results[1])
    for plain, fused in zip(*results, strict=True):
        assert fused.dtype == plain.dtype == dtype
        assert np.array_equal(plain, fused)


def test_which_normalizations_are_fused() -> None:
    gamma, images = np.ones((1, 4)), np.ones((1, 4, 1, 1))

    def chain(norm: Operation, gamma: np.ndarray, beta: np.ndarray) -> list[Operation]:
        return [norm, ScaleMultiply(gamma), BiasAdd(beta)]

    for norm, param, fused in (
        (LayerNorm_Op(), gamma, FusedLayerNorm),
        (BatchNorm_Op(), gamma, FusedBatchNorm),
        (BatchNorm_Op(), images, FusedBatchNorm),
    ):
        (step,) = fuse(chain(norm, param, param))
        assert type(step) is fused
    for operations in (
        chain(LayerNorm_Op(), images, images),
        chain(LayerNorm_Op(), gamma, np.ones((1, 1))),
        chain(BatchNorm_Op(), gamma, images),
        chain(RMSNorm_Op(), gamma, gamma),
        chain(GroupNorm_Op(2), gamma, gamma),
        chain(LayerNorm_Op(), gamma, gamma)[1:],
    ):
        assert fuse(operations) == operations


def test_a_batch_norm_over_time_with_a_scale_for_each_feature_runs_in_parts() -> None:
    """Its statistics have another shape than its scale, which no kernel takes."""
    x = np.random.default_rng(3).standard_normal((2, 5, 3))
    gamma = np.array([[1.0, 2.0, 3.0]])
    results = []
    for fused in (False, True):
        chain = [BatchNorm_Op(), ScaleMultiply(gamma), BiasAdd(gamma)]
        steps, output = fuse(chain) if fused else chain, x
        for step in steps:
            output = step.forward(output)
        grad = x
        for step in reversed(steps):
            grad = step.backward(grad)
        results.append([output, grad, chain[1].param_grad, chain[2].param_grad])
    for plain, fused in zip(*results, strict=True):
        assert np.array_equal(plain, fused)


def test_what_is_fused_and_what_is_not() -> None:
    W, B, images = np.ones((3, 4)), np.ones((1, 4)), np.ones((1, 4, 1, 1))
    multiply, bias, tanh = WeightMultiply(W), BiasAdd(B), Tanh()
    (step,) = fuse([multiply, bias, tanh])
    assert isinstance(step, FusedDense)
    assert (step.multiply, step.bias, step.activation) == (multiply, bias, tanh)
    assert isinstance(fuse([BiasAdd(images), tanh])[0], FusedBias)
    assert fuse([multiply, bias]) == [multiply, bias]
    assert fuse([multiply, tanh]) == [multiply, tanh]
    assert fuse([tanh, multiply, bias, gelu := GELU()]) == [tanh, multiply, bias, gelu]
    assert fuse([]) == []
    twice = fuse([multiply, bias, tanh, WeightMultiply(W.T), BiasAdd(np.ones((1, 3))), ReLU()])
    assert [type(step) for step in twice] == [FusedDense, FusedDense]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 5), (2, 1), (0, 3)])
def test_a_looked_up_row_gets_its_bias_before_or_after(shape, dtype) -> None:
    """Before, where the table is smaller than the batch: its 6 rows against 20 indices, or 2."""
    rng = np.random.default_rng(5)
    table, B = rng.standard_normal((6, 4)).astype(dtype), rng.standard_normal((1, 4)).astype(dtype)
    indices, grad = rng.integers(0, 6, shape), rng.standard_normal((*shape, 4)).astype(dtype)
    chain = [Embedding_Op(table), BiasAdd(B), Linear()]
    (step,) = fuse([Embedding_Op(table), BiasAdd(B), Linear()])
    assert isinstance(step, FusedLookup)
    x, output_grad = indices, grad
    for operation in chain:
        x = operation.forward(x)
    assert np.array_equal(step.forward(indices), x)
    for operation in reversed(chain):
        output_grad = operation.backward(output_grad)
    input_grad = step.backward(grad)
    assert np.array_equal(input_grad, output_grad)
    assert input_grad.dtype == dtype
    assert np.array_equal(step.embedding.param_grad, chain[0].param_grad)
    # The bias's gradient sums the same numbers in another order.
    terms = indices.size
    allowed = (terms + 1) * np.finfo(dtype).eps * np.abs(grad).sum(axis=(0, 1))
    assert np.all(np.abs(step.bias.param_grad - chain[1].param_grad) <= allowed)


@pytest.mark.parametrize(("shape", "rows"), [((4, 5), 6), ((2, 1), 2), ((1, 5), 5)])
def test_the_bias_of_a_look_up_passes_over_the_smaller_of_table_and_batch(
    shape, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(name: str) -> None:
        kernel = getattr(reference, name)

        def watched(x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
            seen.append((name, x.shape))
            return kernel(x, *rest)

        monkeypatch.setattr(reference, name, watched)

    (step,) = fuse([Embedding_Op(np.ones((6, 4))), BiasAdd(np.ones((1, 4))), Linear()])
    spy("bias_add")
    spy("bias_add_param_grad")
    step.forward(np.zeros(shape, dtype=int))
    step.backward(np.ones((*shape, 4)))
    assert seen == [("bias_add", (rows, 4)), ("bias_add_param_grad", (rows, 4))]


@pytest.mark.parametrize("shape", [(2, 5, 4), (3, 4), (0, 2, 4)])
def test_a_bias_that_nothing_is_fused_into_serves_all_steps_of_a_sequence(shape) -> None:
    rng = np.random.default_rng(7)
    x, grad, B = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal((1, 4))
    chain = [BiasAdd(B), Tanh()]
    (step,) = fuse([BiasAdd(B), Tanh()])
    assert isinstance(step, FusedBias)
    assert np.array_equal(step.forward(x), chain[1].forward(chain[0].forward(x)))
    right = chain[0].backward(chain[1].backward(grad))
    input_grad = step.backward(grad)
    assert input_grad.shape == shape
    assert np.array_equal(input_grad, right)
    del step.bias.param_grad
    step.backward(grad, input_grad=False)
    assert np.array_equal(step.bias.param_grad, chain[0].param_grad)


def test_a_fused_step_names_its_parts_which_have_no_values_before_a_pass() -> None:
    bias, activation = BiasAdd(np.ones((1, 4))), Tanh()
    (step,) = fuse([bias, activation])
    assert repr(step) == f"FusedBias({bias!r}, {activation!r})"
    with pytest.raises(AttributeError, match="'Tanh' object has no attribute 'output'"):
        activation.output  # noqa: B018


def test_a_subclass_is_never_fused_for_it_may_do_something_else() -> None:
    class Louder(Tanh):
        def _output(self) -> np.ndarray:
            return 2 * super()._output()

    class OtherBias(BiasAdd):
        pass

    W, B = np.ones((3, 4)), np.ones((1, 4))
    chain = [WeightMultiply(W), BiasAdd(B), Louder()]
    assert fuse(chain) == chain
    chain = [WeightMultiply(W), OtherBias(B), Tanh()]
    assert fuse(chain) == chain


def network() -> NeuralNetwork:
    layers = [
        Conv2D(3, 3, activation=Tanh(), flatten=True, weight_init="glorot"),
        LayerNorm(),
        Dense(6, ReLU(), dropout=0.7),
        Dense(2, Sigmoid()),
    ]
    return NeuralNetwork(layers, MeanSquaredError(), seed=4)


def test_training_is_the_same_to_the_bit(fusing) -> None:
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((12, 1, 5, 4)), rng.random((12, 2))
    params = []
    for on in (False, True):
        fusing(on)
        net = network()
        Trainer(net, SGDMomentum(0.05)).fit(X, y, X, y, epochs=3, batch_size=5, verbose=0)
        params.append([param.copy() for param in net.params()])
    assert all(np.array_equal(a, b) for a, b in zip(*params, strict=True))


def test_the_backward_pass_goes_where_the_forward_pass_went(fusing) -> None:
    """A backend that is changed in between does not mix them up."""
    x, grad = np.ones((2, 3)), np.ones((2, 4))
    for first, then in ((True, False), (False, True)):
        layer, right = Dense(4, Tanh()), Dense(4, Tanh())
        layer.seed = right.seed = 1
        fusing(first)
        layer.forward(x)
        fusing(then)
        right.forward(x)
        assert np.array_equal(layer.backward(grad), right.backward(grad))
        for mine, others in zip(layer.param_grads, right.param_grads, strict=True):
            assert np.array_equal(mine, others)


def test_a_copy_of_a_fused_layer_has_its_own_parameters(fusing) -> None:
    fusing(True)
    layer = Dense(4, Tanh())
    x = np.ones((2, 3))
    before = layer.forward(x)
    twin = copy.deepcopy(layer)
    for param in twin.params:
        param += 1
    assert np.array_equal(layer.forward(x), before)
    assert not np.array_equal(twin.forward(x), before)
    assert twin.operations[0].param is twin.params[0]
