"""Layers made of layers: nested networks are networks, in everything that a network can do.

Networks are drawn, nested to any depth, and must have all properties of a chain.
"""

import copy
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlfs
from dlfs import datasets
from dlfs.activations import ReLU, Sigmoid, Tanh
from dlfs.backend import available_backends, use_backend
from dlfs.base import Operation
from dlfs.dense import WeightMultiply
from dlfs.gradcheck import check_gradients
from dlfs.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Layer,
    LayerBlock,
    LSTMLayer,
    Parallel,
    Residual,
)
from dlfs.losses import MeanSquaredError
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD, Adam, SGDMomentum
from dlfs.train import Trainer
from tests.support.files import scratch_file
from tests.support.nested import nested_networks


def data(seed: int = 0, rows: int = 5, features: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, features))


# --- the formulas ---


def test_a_residual_adds_its_input_forward_and_its_gradient_backward() -> None:
    inner = Dense(3, Tanh())
    residual = Residual([inner])
    x, grad = data(), data(1)
    output = residual.forward(x)
    assert np.array_equal(output, x + inner.forward(x))
    assert np.array_equal(residual.backward(grad), grad + inner.backward(grad))


def test_parallel_branches_are_added_or_put_side_by_side() -> None:
    x = data()
    for merge in ("add", "concat"):
        one, other = Dense(4, Tanh()), Dense(4, Sigmoid())
        both = Parallel([[one], [other]], merge)
        output = both.forward(x)
        parts = [one.forward(x), other.forward(x)]
        wanted = parts[0] + parts[1] if merge == "add" else np.concatenate(parts, axis=1)
        assert np.array_equal(output, wanted)
        grad = data(1, *output.shape)
        arrived = both.backward(grad)
        halves = (grad, grad) if merge == "add" else (grad[:, :4], grad[:, 4:])
        wanted = one.backward(np.ascontiguousarray(halves[0]))
        wanted = wanted + other.backward(np.ascontiguousarray(halves[1]))
        assert np.array_equal(arrived, wanted)


def test_an_empty_branch_passes_the_input_on() -> None:
    x, inner = data(), Dense(3)
    assert np.array_equal(Parallel([[], [inner]]).forward(x), x + inner.forward(x))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: Residual([Dense(4)]), r"keep the shape.*\(5, 3\).*\(5, 4\)"),
        (lambda: Parallel([[Dense(4)], [Dense(5)]]), r"one shape.*\(5, 4\).*\(5, 5\)"),
        (lambda: Parallel([[], [dlfs.Reshape((3, 1))]], "concat"), "one shape but for axis 1"),
    ],
)
def test_outputs_that_do_not_fit_are_named(layer, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layer().forward(data())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Residual(Dense(3)),
        lambda: Residual([]),
        lambda: Residual([Dense]),
        lambda: Residual(["Dense"]),
        lambda: Parallel([]),
        lambda: Parallel(Dense(3)),
        lambda: Parallel([Dense(3)]),
        lambda: Parallel([[Dense(3)]], merge="multiply"),
    ],
)
def test_what_is_no_list_of_layers_is_refused(make) -> None:
    with pytest.raises((TypeError, ValueError), match=r"Residual|Parallel|LayerBlock"):
        make()


def test_the_same_layer_cannot_stand_in_two_places_at_any_depth() -> None:
    layer = Dense(3)
    with pytest.raises(ValueError, match="two places"):
        NeuralNetwork([layer, Residual([Parallel([[layer], []])])])


# --- nested networks, drawn ---


@given(nested_networks())
def test_gradients_of_nested_networks_are_right(drawn) -> None:
    net, X, y = drawn
    check_gradients(net, X, y=y).raise_if_failed()


@given(nested_networks(), st.sampled_from(["float32", "float64"]))
def test_fast_and_reference_agree_on_nested_networks(drawn, dtype: str) -> None:
    net, X, y = drawn
    results = []
    for name in sorted({"reference", available_backends()[0]}):
        with use_backend(name):
            twin = NeuralNetwork(copy.deepcopy(net.layers), MeanSquaredError(), net.seed, dtype)
            twin.reset()
            loss = twin.train_batch(X, y)
            results.append([np.array(loss), *twin.param_grads])
    # A normalization of two rows cancels nearly all of a gradient: what is left is the rounding of
    # the larger ones around it.
    allowed = np.finfo(dtype).eps ** 0.5 * max(np.abs(array).max(initial=0) for array in results[0])
    for one, other in zip(*results, strict=True):
        assert np.abs(one - other).max(initial=0) <= allowed


@given(nested_networks())
def test_training_leaves_out_the_datas_gradient_and_nothing_else(drawn) -> None:
    net, X, y = drawn
    net.train_batch(X, y)
    grads = [grad.copy() for grad in net.param_grads]
    net.backward(net.loss.backward())
    assert all(np.array_equal(a, b) for a, b in zip(grads, net.param_grads, strict=True))


@given(nested_networks())
def test_everything_counts_the_same_parameters(drawn) -> None:
    net, X, y = drawn
    net.train_batch(X, y)
    operations = [op for _, layer in net.walk() for op in layer.operations if hasattr(op, "param")]
    assert [id(p) for p in net.params()] == [id(op.param) for op in operations]
    assert [id(g) for g in net.param_grads()] == [id(op.param_grad) for op in operations]
    assert net.penalized() == [op.penalized for op in operations]
    assert net.parameter_count() == sum(op.param.size for op in operations)
    assert f"{net.parameter_count():,} parameters" in repr(net)


@given(nested_networks())
def test_one_seed_gives_one_nested_network_and_no_two_equal_streams(drawn) -> None:
    net, X, _ = drawn
    twin = NeuralNetwork(copy.deepcopy(net.layers), seed=net.seed)
    twin.reset()
    assert np.array_equal(net.predict(X), twin.predict(X))
    keys = [layer.seed.spawn_key for _, layer in net.walk() if layer is not net]
    assert len(set(keys)) == len(keys)


@given(nested_networks())
def test_a_nested_network_is_saved_and_loaded(drawn) -> None:
    net, X, _ = drawn
    X = X.astype(net.dtype)
    before = net.predict(X)
    path = f"{scratch_file()}-nested"
    dlfs.save(net, path)
    loaded = dlfs.load(path)
    assert np.array_equal(loaded.predict(X), before)
    assert repr(loaded) == repr(net)


@given(nested_networks(), st.sampled_from([SGD, SGDMomentum, Adam]))
def test_a_nested_training_is_resumed_to_the_bit(drawn, optimizer) -> None:
    net, X, y = drawn
    whole, first, second = (
        NeuralNetwork(copy.deepcopy(net.layers), MeanSquaredError(), 3) for _ in range(3)
    )
    options = {"epochs": 3, "batch_size": 2, "verbose": 0, "restart": True}
    Trainer(whole, optimizer(0.01)).fit(X, y, **options)
    path = f"{scratch_file()}-nested"
    with pytest.raises(InterruptedError):
        Trainer(first, optimizer(0.01)).fit(
            X, y, checkpoint=path, callbacks=[FailInTheSecond()], **options
        )
    Trainer(second, optimizer(0.01)).fit(X, y, checkpoint=path, resume=True, **options)
    assert all(np.array_equal(a, b) for a, b in zip(whole.params, second.params, strict=True))


class FailInTheSecond(dlfs.Callback):
    def on_batch_end(self, trainer, epoch, batch, loss):
        if epoch == 1:
            raise InterruptedError


# --- one home for every parameter ---


@given(nested_networks(), st.data())
def test_a_parameter_assigned_anywhere_is_the_same_everywhere(drawn, choice) -> None:
    net, X, y = drawn
    net.train_batch(X, y)
    number = choice.draw(st.integers(0, len(net.params) - 1))
    owner = net.param_holders()[number]
    right = np.full_like(owner.param, 0.25)
    new = right.copy()
    how = choice.draw(st.sampled_from(["operation", "entry", "all", "in place"]))
    if how == "operation":
        owner.param = new
    elif how == "entry":
        net.params[number] = new
    elif how == "all":
        net.params = [new if i == number else param for i, param in enumerate(net.params)]
    else:
        net.params[number][...] = new
    assert np.array_equal(owner.param, right)
    assert np.array_equal(list(net.params())[number], right)
    path = f"{scratch_file()}-assigned"
    dlfs.save(net, path)
    assert np.array_equal(dlfs.load(path).predict(X), net.predict(X))
    optim = SGD(0.5)
    optim.net = net
    net.train_batch(X, y)
    grad = net.param_grads[number].copy()
    optim.step()
    assert np.array_equal(owner.param, right - 0.5 * grad)


def test_as_many_parameters_are_assigned_as_there_are() -> None:
    net = NeuralNetwork([Dense(2)])
    net.build((3,))
    with pytest.raises(ValueError, match="2 arrays are needed, got 1"):
        net.params = [np.ones((3, 2))]


def test_a_frozen_layer_keeps_its_parameters_and_the_rest_learns() -> None:
    frozen, X, y = Residual([Dense(3, Tanh())]), data(), data(1, 5, 2)
    net = NeuralNetwork([frozen, Dense(2)], seed=1)
    net.build((3,))
    frozen.trainable = False
    before = [param.copy() for param in net.params]
    for optimizer in (SGD(0.1), Adam(0.1), dlfs.AdamW(0.1, weight_decay=0.5), SGDMomentum(0.1)):
        optimizer.net = net
        net.train_batch(X, y)
        assert not any(grad.any() for grad in frozen.param_grads)
        optimizer.step()
    kept = [np.array_equal(a, b) for a, b in zip(before, net.params, strict=True)]
    assert kept == [True, True, False, False]
    frozen.trainable = True
    net.train_batch(X, y)
    assert all(grad.any() for grad in frozen.param_grads)


def test_what_is_frozen_has_no_part_in_the_norm_that_clips() -> None:
    X, y = data(), data(1, 5, 2)
    for first in (Dense(3), LayerBlock([Dense(3)])):
        net = NeuralNetwork([first, Dense(2)], seed=1)
        net.build((3,))
        net.layers[0].trainable = False
        optim = SGD(0.1, clip_norm=0.01)
        optim.net = net
        before = net.params[2].copy()
        net.train_batch(X, y)
        free = np.sqrt(sum(float(np.sum(grad**2)) for grad in net.param_grads[2:]))
        right = before - 0.1 * net.param_grads[2] * (0.01 / free)
        optim.step()
        np.testing.assert_allclose(net.params[2], right, rtol=1e-14)


class Tied(Layer):
    """The transpose is not taken: one weight matrix, used twice in a row."""

    def _setup_layer(self, input_: np.ndarray) -> None:
        W = self.rng.normal(size=(input_.shape[1], input_.shape[1]))
        self.operations = [WeightMultiply(W), Tanh(), WeightMultiply(W)]


def test_a_tied_weight_is_one_parameter_whose_gradients_add_up() -> None:
    net = NeuralNetwork([Tied(), Dense(2)], seed=1)
    X, y = data(), data(1, 5, 2)
    net.train_batch(X, y)
    assert len(net.params) == len(net.param_grads) == 3
    first, _, last = net.layers[0].operations
    assert np.array_equal(net.param_grads[0], first.param_grad + last.param_grad)
    check_gradients(net, X, y=y).raise_if_failed()
    optim = Adam(0.1)
    optim.net = net
    optim.step()
    assert first.param is last.param


# --- layers of a user's own ---


class Gated(Layer):
    """A composite with its own way through: input_ * sigmoid(block(input_))."""

    def __init__(self, neurons: int) -> None:
        super().__init__(neurons)
        self.layers = [Dense(neurons, Sigmoid()), Dense(neurons, Sigmoid())]

    def forward(self, input_: np.ndarray, inference: bool = False) -> np.ndarray:
        self.gate = super().forward(input_, inference)
        self.output = input_ * self.gate
        return self.output

    def backward(self, output_grad: np.ndarray) -> np.ndarray:
        return output_grad * self.gate + super().backward(output_grad * self.input_)


class Plain(Layer):
    """A composite that is a chain: it only lists its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [Dense(3, Tanh()), Residual([Dense(3)])]


@pytest.mark.parametrize("make", [lambda: Gated(3), Plain])
@pytest.mark.parametrize("first", [True, False])
def test_a_composite_of_ones_own_works_by_listing_its_layers(make, first: bool, tmp_path) -> None:
    layers = [make(), Dense(3)] if first else [Dense(3), make()]
    net, X, y = NeuralNetwork([*layers, Dense(2)], seed=2), data(), data(1, 5, 2)
    history = Trainer(net, Adam(0.01)).fit(X, y, epochs=20, verbose=0)
    assert history["train_loss"][-1] < history["train_loss"][0]
    check_gradients(net, X, y=y).raise_if_failed()
    assert net.built
    assert len(net.params) == 8
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net", custom={"Gated": Gated, "Plain": Plain})
    assert np.array_equal(loaded.predict(X), net.predict(X))


class Hiding(Layer):
    """Keeps a layer where no list names it: today's files would lose its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Dense(3)

    def forward(self, input_: np.ndarray, inference: bool = False) -> np.ndarray:
        self.first = False
        self.input_, self.output = input_, self.inner.forward(input_, inference)
        self.params = list(self.inner.params)
        return self.output

    def backward(self, output_grad: np.ndarray) -> np.ndarray:
        input_grad = self.inner.backward(output_grad)
        self.param_grads = list(self.inner.param_grads)
        return input_grad


def test_a_layer_that_no_list_names_is_refused_when_saving(tmp_path) -> None:
    net = NeuralNetwork([Hiding(), Dense(2)])
    net.predict(data())
    with pytest.raises(ValueError, match=r"Hiding.*inner.*self\.layers"):
        dlfs.save(net, tmp_path / "net")


# --- layers belong to one network ---


def test_layers_of_one_network_are_refused_by_another() -> None:
    layers = [Dense(3, ReLU()), Residual([Dense(3)])]
    net = NeuralNetwork(layers, seed=1)
    with pytest.raises(ValueError, match=r"belongs to another network.*deepcopy"):
        NeuralNetwork(layers, seed=2)
    assert [layer.seed.entropy for layer in net.layers] == [1, 1]
    NeuralNetwork(copy.deepcopy(layers), seed=2)
    assert LayerBlock(net.layers[:1]).forward(data()).shape == (5, 3)
    del net
    NeuralNetwork(layers, seed=2)


# --- fused steps hide nothing ---


@given(nested_networks())
def test_every_operation_shows_what_the_chain_gives_after_a_fused_pass(drawn) -> None:
    net, X, y = drawn
    values = []
    for name in sorted({"reference", available_backends()[0]}):
        with use_backend(name):
            net.train_batch(X, y)
            operations = [op for _, layer in net.walk() for op in layer.operations]
            values.append([(op.input_.copy(), op.output.copy()) for op in operations])
            grads = [op.backward(np.ones_like(op.output)) for op in operations]
            values[-1] += [(grad.copy(), grad.copy()) for grad in grads]
    allowed = np.finfo(net.dtype).eps ** 0.5
    for one, other in zip(*values, strict=True):
        for mine, others in zip(one, other, strict=True):
            scale = max(np.abs(others).max(initial=0), 1.0)
            assert np.abs(mine - others).max(initial=0) <= allowed * scale


def test_what_can_no_longer_be_known_says_so() -> None:
    if "fast" not in available_backends():
        pytest.skip("nothing is fused without the fast backend")
    layer = Dense(3, Tanh())
    with use_backend("fast"):
        layer.forward(data())
        assert layer.steps != layer.operations
        assert layer.steps[0].parts == tuple(layer.operations)
        layer.params[0][...] += 1
        with pytest.raises(RuntimeError, match=r"changed since.*reference"):
            _ = layer.operations[1].input_
        layer.forward(data())
        assert layer.operations[1].input_.shape == (5, 3)


# --- several threads ---


@pytest.mark.parametrize("backend", available_backends())
def test_predictions_of_several_threads_do_not_mix(backend: str) -> None:
    net = NeuralNetwork([LSTMLayer(8), Residual([Dense(8, Tanh())])], seed=1)
    inputs = [data(seed, 4, 12).reshape(4, 4, 3) for seed in range(6)]
    with use_backend(backend):
        right = [net.predict(x) for x in inputs]
    wrong: list[int] = []

    def work(number: int) -> None:
        with use_backend(backend):
            same = [np.array_equal(net.predict(inputs[number]), right[number]) for _ in range(50)]
            wrong.extend([number] * same.count(False))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_copy_of_a_network_has_a_lock_of_its_own() -> None:
    net = NeuralNetwork([Dense(2)], seed=1)
    before = net.predict(data())
    twin = copy.deepcopy(net)
    assert np.array_equal(twin.predict(data()), before)
    assert twin._lock is not net._lock


# --- a ResNet ---


def test_a_small_resnet_learns_mnist() -> None:
    X_train, y_train, X_test, y_test = datasets.mnist()

    def block(channels: int) -> Residual:
        inner = [Conv2D(channels, 3, weight_init="he"), BatchNorm(), ReLU()]
        return Residual([*inner, Conv2D(channels, 3), BatchNorm()])

    layers = [Conv2D(8, 3, stride=2), BatchNorm(), ReLU(), block(8), ReLU(), dlfs.MaxPool2D(2)]
    layers += [block(8), ReLU(), dlfs.GlobalAvgPool2D(), Dense(10)]
    net = NeuralNetwork(layers, dlfs.SoftmaxCrossEntropy(), seed=1, dtype="float32")
    optim = Adam(0.01, final_lr=0.0005, decay_type="linear", decay_each="batch")
    history = Trainer(net, optim).fit(
        X_train[:6000], y_train[:6000], X_test[:1000], y_test[:1000], epochs=4, verbose=0
    )
    assert history["accuracy"][-1] > 0.88


def test_a_block_that_looks_at_layers_of_a_network_does_not_change_their_first_weights() -> None:
    net = NeuralNetwork([Dense(4), ReLU(), Dense(1)], seed=1)
    net.build((3,))
    first = [param.copy() for param in net.params]
    LayerBlock(net.layers[:1])
    with pytest.raises(ValueError, match="belongs to another network"):
        NeuralNetwork([net.layers[0], Tanh()])
    net.reset()
    net.build((3,))
    for param, before in zip(net.params, first, strict=True):
        np.testing.assert_array_equal(param, before)


def test_gradients_can_be_called_as_in_the_book_before_there_are_any() -> None:
    net = NeuralNetwork([Dense(2)])
    net.build((3,))
    assert list(net.param_grads()) == []


class FailsInBackward(Layer):
    """Keeps its parameter itself, and fails in its backward pass."""

    def _setup_layer(self, input_: np.ndarray) -> None:
        self.params = [np.ones(1)]
        self.operations = [Fails()]

    def forward(self, input_: np.ndarray, inference: bool = False) -> np.ndarray:
        output = super().forward(input_, inference)
        self.param_grads = [np.ones(1)]
        return output


class Fails(Operation):
    def _output(self) -> np.ndarray:
        return self.input_

    def _input_grad(self, output_grad: np.ndarray) -> np.ndarray:
        raise ArithmeticError("on purpose")


def test_a_backward_pass_that_fails_leaves_no_gradient_of_a_layers_own_parameter() -> None:
    net = LayerBlock([FailsInBackward()])
    net.forward(np.ones((1, 2)))
    with pytest.raises(ArithmeticError):
        net.backward(np.ones((1, 2)))
    assert list(net.layers[0].param_grads) == []
