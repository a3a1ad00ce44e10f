"""Layers: their shapes and parameters, their set-up, random numbers, and what they pass back."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs import layers
from dlfs.activations import Linear, ReLU, Sigmoid, SwiGLU, Tanh
from dlfs.base import ParamOperation, backward_through
from dlfs.conv import Conv2D_Op
from dlfs.dense import BiasAdd, WeightMultiply
from dlfs.dropout import Dropout
from dlfs.network import NeuralNetwork
from dlfs.normalization import BatchNorm_Op
from dlfs.pooling import MaxPool2D
from dlfs.reshape import Flatten

SHAPES = {
    "dense": (lambda: layers.Dense(5), (4, 3), (4, 5), [(3, 5), (1, 5)]),
    "dense, images": (
        lambda: layers.Dense(5, conv_in=True),
        (4, 2, 3, 3),
        (4, 5),
        [(18, 5), (1, 5)],
    ),
    "dense, sequence": (lambda: layers.Dense(5), (4, 7, 3), (4, 7, 5), [(3, 5), (1, 5)]),
    "conv2d": (
        lambda: layers.Conv2D(6, (3, 4)),
        (4, 2, 5, 7),
        (4, 6, 5, 7),
        [(2, 6, 3, 4), (1, 6, 1, 1)],
    ),
    "conv2d, all options": (
        lambda: layers.Conv2D(
            6, 3, stride=(2, 1), padding=((1, 0), (0, 2)), dilation=(1, 2), groups=2, flatten=True
        ),
        (4, 2, 6, 7),
        (4, 6 * 3 * 5),
        [(1, 6, 3, 3), (1, 6, 1, 1)],
    ),
    "conv2d, no bias": (
        lambda: layers.Conv2D(6, 3, bias=False, padding="valid"),
        (4, 2, 6, 7),
        (4, 6, 4, 5),
        [(2, 6, 3, 3)],
    ),
    "conv1d": (
        lambda: layers.Conv1D(6, 4, stride=2),
        (4, 2, 7),
        (4, 6, 4),
        [(2, 6, 4), (1, 6, 1)],
    ),
    "transposed": (
        lambda: layers.ConvTranspose2D(6, 4, stride=(2, 3)),
        (4, 2, 5, 7),
        (4, 6, 10, 21),
        [(2, 6, 4, 4), (1, 6, 1, 1)],
    ),
    "embedding": (lambda: layers.Embedding(9, 5), (4, 7), (4, 7, 5), [(9, 5)]),
    "batch norm": (layers.BatchNorm, (4, 3), (4, 3), [(1, 3), (1, 3)]),
    "batch norm, images": (
        layers.BatchNorm,
        (4, 3, 5, 5),
        (4, 3, 5, 5),
        [(1, 3, 1, 1), (1, 3, 1, 1)],
    ),
    "self-attention": (
        lambda: layers.SelfAttention(2),
        (4, 7, 6),
        (4, 7, 6),
        [(6, 18), (1, 18), (6, 6), (1, 6)],
    ),
    "feed-forward": (
        lambda: layers.FeedForward(3),
        (4, 7, 6),
        (4, 7, 6),
        [(6, 18), (1, 18), (18, 6), (1, 6)],
    ),
    "feed-forward, gated": (
        lambda: layers.FeedForward(4, SwiGLU()),
        (4, 7, 6),
        (4, 7, 6),
        [(6, 24), (1, 24), (12, 6), (1, 6)],
    ),
    "positions": (lambda: layers.PositionEmbedding(9), (4, 7, 6), (4, 7, 6), [(9, 6)]),
    "sinusoids": (lambda: layers.PositionEmbedding(9, True), (4, 7, 6), (4, 7, 6), []),
    "rms norm": (layers.RMSNorm, (4, 7, 3), (4, 7, 3), [(1, 3)]),
    "group norm": (
        lambda: layers.GroupNorm(2),
        (4, 6, 5, 5),
        (4, 6, 5, 5),
        [(1, 6, 1, 1), (1, 6, 1, 1)],
    ),
    "layer norm": (layers.LayerNorm, (4, 7, 3), (4, 7, 3), [(1, 3), (1, 3)]),
    "pool": (lambda: layers.OperationLayer(MaxPool2D(2)), (4, 3, 6, 7), (4, 3, 3, 3), []),
}


def data(name: str, shape: tuple[int, ...], dtype: type = np.float64) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 9, shape) if name == "embedding" else rng.random(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SHAPES)
def test_shapes_parameters_and_gradients(name: str, dtype: type) -> None:
    make, shape, out, params = SHAPES[name]
    layer = make()
    layer.dtype = np.dtype(dtype)
    assert layer.first
    assert layer.params == []
    x = data(name, shape, dtype)
    output = layer.forward(x)
    assert not layer.first
    assert output.shape == out
    assert output.dtype == dtype
    assert layer.output is output
    assert layer.input_ is x
    assert [param.shape for param in layer.params] == params
    assert layer.parameter_count() == sum(int(np.prod(param)) for param in params)
    assert layer.backward(np.ones_like(output)).shape == shape
    assert [grad.shape for grad in layer.param_grads] == params
    assert all(array.dtype == dtype for array in (*layer.params, *layer.param_grads))


@pytest.mark.parametrize("name", SHAPES)
def test_without_the_inputs_gradient_the_others_are_the_same(name: str) -> None:
    make, shape, _, _ = SHAPES[name]
    layer, x = make(), data(name, shape)
    output = layer.forward(x)
    grad = np.random.default_rng(1).standard_normal(output.shape)
    layer.backward(grad)
    whole = [array.copy() for array in layer.param_grads]
    layer.forward(x)
    assert layer.backward(grad, input_grad=False) is None
    for mine, others in zip(layer.param_grads, whole, strict=True):
        assert np.array_equal(mine, others)


@pytest.mark.parametrize("name", SHAPES)
def test_a_layer_is_the_chain_of_its_operations(name: str) -> None:
    make, shape, _, _ = SHAPES[name]
    layer = make()
    x = data(name, shape)
    output = layer.forward(x, inference=True)
    through = x
    for operation in layer.operations:
        through = operation.forward(through, inference=True)
    # a fused chain may round otherwise: by eps times the numbers that it adds up
    tolerance = 64 * np.finfo(float).eps * max(np.abs(output).max(), 1)
    assert np.abs(output - through).max() <= tolerance


@pytest.mark.parametrize("name", [name for name in SHAPES if "batch" not in name])
def test_an_empty_batch_goes_through(name: str) -> None:
    make, shape, out, _ = SHAPES[name]
    layer = make()
    output = layer.forward(data(name, (0, *shape[1:])))
    assert output.shape == (0, *out[1:])
    assert layer.backward(output.copy()).shape == (0, *shape[1:])
    assert not any(grad.any() for grad in layer.param_grads)


# --- activations ---


def test_a_layer_works_with_a_copy_of_the_activation_that_it_is_given() -> None:
    given_to_it = Tanh()
    layer = layers.Dense(2, given_to_it)
    layer.forward(np.ones((1, 3)))
    assert type(layer.activation) is Tanh
    assert layer.activation is not given_to_it
    assert not hasattr(given_to_it, "output")
    assert type(layers.Dense(2).activation) is Linear


# --- seeds ---


@pytest.mark.parametrize("name", [name for name in SHAPES if SHAPES[name][3]])
def test_one_seed_gives_one_set_of_parameters(name: str) -> None:
    make, shape, _, _ = SHAPES[name]
    drawn = []
    for _ in range(2):
        layer = make()
        layer.seed = 5
        layer.forward(data(name, shape))
        drawn.append(layer.params)
    assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))


def test_dropout_in_a_layer_draws_from_the_layers_numbers_after_the_weights() -> None:
    masks = []
    for _ in range(2):
        layer = layers.Dense(50, dropout=0.5)
        layer.seed = 3
        layer.forward(np.ones((2, 3)))
        masks.append(layer.operations[-1].mask)
        assert layer.operations[-1].rng is layer.rng
    assert np.array_equal(*masks)


# --- dropout and flatten ---


def test_dropout_comes_last_and_only_if_asked_for() -> None:
    made = [
        (layers.Dense(2, Sigmoid(), dropout=0.5), np.ones((1, 3))),
        (layers.Dense(2, Sigmoid(), dropout=1.0), np.ones((1, 3))),
        (layers.Conv2D(2, 3, 0.5, "normal", ReLU(), True), np.ones((1, 1, 4, 4))),
        (layers.Conv2D(2, 3), np.ones((1, 1, 4, 4))),
    ]
    for layer, x in made:
        layer.forward(x)
    kinds = [[type(operation) for operation in layer.operations] for layer, _ in made]
    assert kinds == [
        [WeightMultiply, BiasAdd, Sigmoid, Dropout],
        [WeightMultiply, BiasAdd, Sigmoid],
        [Conv2D_Op, BiasAdd, ReLU, Flatten, Dropout],
        [Conv2D_Op, BiasAdd, Linear],
    ]


def test_dropout_is_left_out_of_inference() -> None:
    layer = layers.Dense(100, dropout=0.5, weight_init=lambda rng, shape, *_: np.ones(shape))
    x = np.ones((1, 3))
    assert set(layer.forward(x).ravel()) == {0.0, 6.0}
    assert set(layer.forward(x, inference=True).ravel()) == {3.0}


# --- set-up again ---


def test_build_starts_anew_from_the_same_seed() -> None:
    layer = layers.Dense(4, Tanh())
    layer.seed = 2
    x = np.ones((2, 3))
    before = layer.forward(x).copy()
    layer.params[0] += 1
    layer.set_up(x)
    assert np.array_equal(layer.forward(x), before)
    layer.set_up(np.ones((2, 5)))
    assert layer.forward(np.ones((2, 5))).shape == (2, 4)


def test_an_operation_in_a_layer_forgets_its_statistics_at_a_new_set_up() -> None:
    net = NeuralNetwork([BatchNorm_Op(), layers.Dense(1)], seed=1)
    rng = np.random.default_rng(0)
    net.forward(5 + rng.standard_normal((8, 3)))
    net.reset()
    net.forward(np.zeros((0, 3)), inference=True)
    (norm,) = net.layers[0].operations
    assert not norm.running_mean.any()


# --- which parameters decay ---


@pytest.mark.parametrize(
    ("make", "shape", "flags"),
    [
        (lambda: layers.Dense(2), (4, 3), [True, False]),
        (lambda: layers.Conv2D(2, 2), (4, 3, 4, 4), [True, False]),
        (lambda: layers.Conv1D(2, 2), (4, 3, 4), [True, False]),
        (layers.BatchNorm, (4, 3), [False, False]),
        (layers.LayerNorm, (4, 3), [False, False]),
        (lambda: layers.Embedding(9, 2), (4, 3), [True]),
        (lambda: layers.SelfAttention(1), (4, 3, 2), [True, False, True, False]),
        (lambda: layers.PositionEmbedding(4), (4, 3, 2), [True]),
        (layers.RMSNorm, (4, 3), [False]),
    ],
)
def test_weights_are_penalized_and_biases_and_scales_are_not(make, shape, flags) -> None:
    layer = make()
    layer.forward(
        np.ones(shape, dtype=int) if isinstance(layer, layers.Embedding) else np.ones(shape)
    )
    assert layer.penalized() == flags


# --- a layer's own backward ---


class Doubling(layers.Layer):
    """Keeps its parameter outside of Operations, and writes both ways itself."""

    def _setup_layer(self, input_: np.ndarray) -> None:
        self.params = [np.full((1, input_.shape[1]), 2.0)]

    def forward(self, input_: np.ndarray, inference: bool = False) -> np.ndarray:
        if self.first:
            self.set_up(input_)
        self.input_ = input_
        self.output = input_ * self.params[0]
        return self.output

    def backward(self, output_grad: np.ndarray) -> np.ndarray:
        self.param_grads = [(output_grad * self.input_).sum(axis=0, keepdims=True)]
        return output_grad * self.params[0]


def test_parameters_that_a_layer_keeps_itself_can_be_assigned_and_shown() -> None:
    net = NeuralNetwork([Doubling(), layers.Dense(1)])
    net.train_batch(np.ones((4, 3)), np.zeros((4, 1)))
    scale = np.array([[1.0, 2.0, 3.0]])
    net.params[0] = scale
    net.param_grads[0] = 2 * scale
    assert net.layers[0].params[0] is scale
    assert net.layers[0].param_grads[0].tolist() == [[2.0, 4.0, 6.0]]
    assert repr(net.params) == repr([scale, *net.layers[1].params])


class Third(ParamOperation):
    """An Operation with its own backward."""

    def _output(self) -> np.ndarray:
        return self.input_ * self.param

    def backward(self, output_grad: np.ndarray) -> np.ndarray:
        self.param_grad = np.full_like(self.param, 7.0)
        return output_grad * self.param


@pytest.mark.parametrize("first", [True, False])
def test_an_own_backward_is_called_wherever_the_layer_stands(first: bool) -> None:
    own, dense = Doubling(), layers.Dense(3)
    net = NeuralNetwork([own, dense] if first else [dense, own], seed=1)
    X, y = np.ones((4, 3)), np.zeros((4, 3))
    net.train_batch(X, y)
    assert own.param_grads[0].shape == (1, 3)
    assert net.penalized()[0] is (not first)
    loss_grad = net.loss.backward()
    came = dense.operations[0].input_ if first else own.input_
    assert came.shape == (4, 3)
    net.backward(loss_grad)
    assert len(list(net.param_grads())) == 3


def test_an_operations_own_backward_serves_its_parameter_too() -> None:
    operation = Third(np.ones((1, 3)))
    operation.forward(np.ones((4, 3)))
    backward_through([operation], np.ones((4, 3)), input_grad=False)
    assert (operation.param_grad == 7).all()


class Failing(Tanh):
    """Fails in backward on request."""

    fails = False

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        if self.fails:
            raise ArithmeticError
        return super()._input_grad(output_grad)


def test_a_backward_pass_that_fails_leaves_no_gradients_of_the_one_before() -> None:
    layer = layers.Dense(2, Failing())
    layer.forward(np.ones((4, 3)))
    layer.backward(np.ones((4, 2)))
    assert len(layer.param_grads) == 2
    layer.operations[-1].fails = True  # type: ignore[attr-defined]
    with pytest.raises(ArithmeticError):
        layer.backward(np.ones((4, 2)))
    assert list(layer.param_grads) == []


# --- how they show themselves ---


@given(st.integers(1, 99), st.sampled_from(["standard", "glorot", "he"]), st.floats(0.1, 1.0))
def test_the_repr_makes_an_equal_layer(neurons: int, init: str, dropout: float) -> None:
    layer = layers.Dense(neurons, Tanh(), dropout=dropout, weight_init=init)
    again = eval(repr(layer), {"Dense": layers.Dense, "Tanh": Tanh})
    assert repr(again) == repr(layer)
    assert (again.neurons, again.dropout, again.weight_init) == (neurons, dropout, init)


def test_a_number_that_python_does_not_write_is_named_by_its_type() -> None:
    with pytest.raises(ValueError, match="neurons must be at least 1, got a value of type int"):
        layers.Dense(-(10**5000))


def test_reprs_leave_out_what_nobody_asked_for() -> None:
    assert repr(layers.Dense(13)) == "Dense(13, activation=Linear())"
    conv = layers.Conv2D(16, 5, activation=ReLU(), weight_init="he")
    assert repr(conv) == "Conv2D(16, 5, weight_init='he', activation=ReLU())"
    assert repr(layers.Embedding(62, 8)) == "Embedding(62, 8)"
    assert repr(layers.OperationLayer(Flatten())) == "Flatten()"


def test_a_layer_with_nothing_in_it_passes_through() -> None:
    layer = layers.Layer()
    x = np.ones((2, 3))
    assert layer.forward(x) is x
    assert layer.backward(x) is x


@pytest.mark.parametrize("junk", [[[1.0]], None, "text", 3], ids=str)
@pytest.mark.parametrize("ready", [False, True], ids=["new", "set up"])
@pytest.mark.parametrize(
    "layer",
    [layers.Dense(3), layers.Conv2D(2, 3), layers.BatchNorm(), layers.GRULayer(3)],
    ids=lambda layer: type(layer).__name__,
)
def test_an_input_that_is_no_array_is_named(layer, ready: bool, junk) -> None:
    layer = copy.deepcopy(layer)
    if ready:
        shape = {"Conv2D": (2, 1, 4, 4), "GRULayer": (2, 3, 4)}.get(type(layer).__name__, (2, 3))
        layer.forward(np.ones(shape))
    with pytest.raises(TypeError, match=f"{type(layer).__name__}: the input must be a ndarray"):
        layer.forward(junk)
