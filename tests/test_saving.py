"""Save and load restore the same network, to the bit, and leave no other files."""

import os
import re
import stat
import sys

import numpy as np
import pytest

import dlfs
from dlfs import activations, losses
from dlfs.attention import Attention_Op, RotaryPositions
from dlfs.base import Operation
from dlfs.dropout import Dropout
from dlfs.embedding import SinusoidAdd
from dlfs.layers import (
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    OperationLayer,
    Residual,
)
from dlfs.network import NeuralNetwork
from dlfs.normalization import BatchNorm_Op, GroupNorm_Op, LayerNorm_Op, RMSNorm_Op
from dlfs.optimizers import SGD, Adam
from dlfs.saving import known_classes
from dlfs.saving.format import read_file, write_file
from dlfs.train import Trainer
from tests.support.files import read
from tests.support.training import classification, classifier, same, weights

RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(6, 2, 7, 6))
ROWS = RNG.normal(size=(6, 4))
SEQUENCES = RNG.normal(size=(6, 3, 9))
CHARACTERS = RNG.integers(0, 11, size=(6, 5))

ACTIVATIONS = [
    dlfs.ELU(0.7),
    dlfs.GELU(),
    dlfs.GELU(tanh=True),
    dlfs.LeakyReLU(0.2),
    dlfs.Linear(),
    dlfs.ReLU(),
    dlfs.SiLU(),
    dlfs.Sigmoid(),
    dlfs.Softmax(),
    dlfs.Softplus(),
    dlfs.Tanh(),
    dlfs.SELU(),
    dlfs.Mish(),
    dlfs.HardSwish(),
    dlfs.LogSoftmax(),
]

# name: layers, input. Together they name every class that a file may name; a test checks that.
NETWORKS = {
    "nested": lambda: (
        [
            dlfs.Residual([dlfs.LayerBlock([Dense(4, dlfs.Tanh()), Dense(4)])]),
            dlfs.Parallel([[], [Dense(3, dropout=0.5)]], merge="concat"),
        ],
        ROWS,
    ),
    "activations": lambda: (
        [layer for act in ACTIVATIONS for layer in (Dense(4, activation=act), type(act)())],
        ROWS,
    ),
    "dense": lambda: (
        [Dense(5, dlfs.Sigmoid(), conv_in=True, dropout=0.6, weight_init="he"), Dense(2)],
        IMAGES,
    ),
    "conv2d": lambda: (
        [
            Conv2D(
                4, (3, 2), dropout=0.9, weight_init="glorot", activation=dlfs.Tanh(), stride=(2, 1),
                padding=((1, 0), (2, 1)), dilation=(1, 2), groups=2, bias=False,
            ),
            Conv2D(3, 2, padding="valid", flatten=True),
            Dense(2),
        ],
        IMAGES,
    ),
    "conv1d": lambda: (
        [
            *(dlfs.MaxPool1D(2, 1, padding=1, dilation=2), dlfs.AvgPool1D(2, 1, ceil_mode=True)),
            *(Conv1D(4, 3, padding=(1, 2), stride=2), Conv1D(2, 2, flatten=True, dilation=2)),
        ],
        SEQUENCES,
    ),
    "conv transpose": lambda: (
        [
            ConvTranspose2D(4, (3, 2), stride=2, padding=1, output_padding=(1, 0), groups=2),
            dlfs.GlobalAvgPool2D(),
        ],
        IMAGES,
    ),
    "pooling": lambda: (
        [
            Conv2D(4, 3),
            dlfs.MaxPool2D((2, 3), stride=(1, 2), padding=1, dilation=(2, 1), ceil_mode=True),
            dlfs.AvgPool2D(2, padding="same", ceil_mode=True),
            dlfs.Flatten(),
            Dense(3),
        ],
        IMAGES,
    ),
    "shapes": lambda: (
        [dlfs.Flatten(), dlfs.Reshape((3, -1)), Dense(2), dlfs.Dropout(0.5)],
        IMAGES,
    ),
    "normalization of rows": lambda: (
        [
            *(Dense(5), dlfs.PReLU(0.1), dlfs.PReLU(shared=True)),
            *(BatchNorm(0.3, 1e-3), LayerNorm(1e-4)),
            *(BatchNorm_Op(0.2), LayerNorm_Op(), dlfs.RMSNorm(1e-3), RMSNorm_Op(), Dense(1)),
        ],
        ROWS,
    ),
    "normalization of images": lambda: (
        [
            *(Conv2D(3, 3), BatchNorm(), BatchNorm_Op(), dlfs.GroupNorm(3), GroupNorm_Op(1)),
            *(dlfs.Upsample2D((2, 1)), dlfs.GlobalMaxPool2D(), Dense(2)),
        ],
        IMAGES,
    ),
    "characters": lambda: (
        [Embedding(11, 4), Dense(6, dlfs.Tanh()), dlfs.Flatten(), Dense(2)],
        CHARACTERS,
    ),
    "attention": lambda: (
        [
            *(dlfs.PositionEmbedding(5), SinusoidAdd(4), dlfs.SelfAttention(3, True, dropout=0.9)),
            *(RotaryPositions(1), Attention_Op(1, dropout=0.8)),
            *(dlfs.FeedForward(2, dlfs.SwiGLU()), Dense(4), dlfs.SwiGLU()),
            dlfs.TransformerBlock(1, 3, 0.9, dlfs.ReLU(), rotary=True),
        ],
        RNG.normal(size=(6, 3, 18)),
    ),
    "tied": lambda: (
        [dlfs.TiedEmbedding(11, 4, [dlfs.PositionEmbedding(8, True), dlfs.TransformerBlock(2)])],
        CHARACTERS,
    ),
    "recurrent": lambda: (
        [
            *(dlfs.RNNLayer(4, vocabulary_size=11, carry=False), dlfs.LSTMLayer(3, output_size=2)),
            *(dlfs.Bidirectional(dlfs.LSTMLayer(2)), dlfs.Reverse()),
            *(dlfs.GRULayer(2, reset="after"), dlfs.GRULayer(3, weight_scale=0.5)),
            *(dlfs.LastStep(), Dense(2)),
        ],
        CHARACTERS,
    ),
}  # fmt: skip

LOSSES = [
    losses.MeanSquaredError(normalize=True),
    losses.MeanAbsoluteError(),
    losses.Huber(0.5),
    losses.BinaryCrossEntropy(pos_weight=[2, 0.5, 1]),
    losses.NegativeLogLikelihood(reduction="sum"),
    losses.SoftmaxCrossEntropy(0.0, 0.1, [1, 2.5, 0], ignore_index=-1, axis=1),
]


def trained(layers, X, dtype, loss=None):
    """Return a network after a few steps, so that all its state has changed."""
    net = NeuralNetwork(layers, loss, seed=3, dtype=dtype)
    shape = net.forward(X[:1], inference=True).shape[1:]
    target = np.random.default_rng(1).uniform(size=(len(X), *shape))
    Trainer(net, SGD(1e-3, clip_norm=1.0)).fit(X, target, epochs=2, batch_size=3, verbose=0)
    return net


def names_in(config):
    if isinstance(config, dict):
        yield config["class"]
        for value in config["arguments"].values():
            yield from names_in(value)
    elif isinstance(config, list):
        for item in config:
            yield from names_in(item)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_comes_back_to_the_bit(name, dtype, tmp_path):
    layers, X = NETWORKS[name]()
    net = trained(layers, X, dtype)
    path = tmp_path / "net.safetensors"
    dlfs.save(net, path)
    loaded = dlfs.load(path)
    assert same([loaded.predict(X)], [net.predict(X)])
    assert same(weights(loaded), weights(net))
    assert len(weights(net)) >= 1
    assert repr(loaded) == repr(net)
    assert loaded.dtype == dtype
    assert loaded.input_shape == net.input_shape == X.shape[1:]
    assert loaded.seed == net.seed
    # The loaded network can be saved again, with the same content.
    dlfs.save(loaded, tmp_path / "again.safetensors")
    (first, tensors), (second, again) = read(path), read(tmp_path / "again.safetensors")
    assert second == first
    assert list(again) == list(tensors)
    assert same(list(again.values()), list(tensors.values()))


def test_these_networks_have_every_class_that_can_be_saved(tmp_path):
    import json

    seen = set()
    for make in NETWORKS.values():
        layers, X = make()
        net = NeuralNetwork(layers)
        net.build(X.shape[1:])
        dlfs.save(net, tmp_path / "net")
        config = json.loads(read(tmp_path / "net")[0]["network"])
        for layer in config["layers"]:
            seen.update(names_in(layer))
    seen |= {f"dlfs.{type(loss).__name__}" for loss in LOSSES}
    assert set(known_classes()) == seen, "NETWORKS, ACTIVATIONS or LOSSES must have each"


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_loss_comes_back(loss, tmp_path):
    net = NeuralNetwork([Dense(3)], loss)
    net.build((4,))
    dlfs.save(net, tmp_path / "net")
    assert repr(dlfs.load(tmp_path / "net").loss) == repr(loss)


def test_a_loaded_network_trains_on_like_the_one_that_was_saved(tmp_path):
    data = classification()
    net = classifier()
    Trainer(net, Adam(0.01)).fit(*data, epochs=1, verbose=0)
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    # The random numbers of dropout start again, as documented: remove them.
    for network in (net, loaded):
        network.layers[0].operations.pop()
        network.layers[0]._fused = network.layers[0].operations
        Trainer(network, Adam(0.01)).fit(*data, epochs=2, restart=False, verbose=0)
    assert same(weights(net), weights(loaded))


def test_a_loaded_network_starts_anew_from_the_same_seed(tmp_path):
    data = classification()
    net = classifier()
    Trainer(net, Adam(0.01)).fit(*data, epochs=1, verbose=0)
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    for network in (net, loaded):
        Trainer(network, Adam(0.01)).fit(*data, epochs=2, restart=True, verbose=0)
    assert same(weights(net), weights(loaded))


def test_each_dropout_of_a_loaded_network_begins_a_stream_of_its_own(tmp_path):
    net = NeuralNetwork([Dropout(0.5), Dense(6, dropout=0.5), Dropout(0.5)], seed=3)
    net.build((6,))
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    loaded.forward(np.ones((20, 6)))
    masks = []
    for layer in loaded.layers:
        alone = Dropout(0.5)
        alone.rng = np.random.default_rng(layer.seed)
        alone.forward(np.ones((20, 6)))
        masks.append(layer.operations[-1].mask)
        assert np.array_equal(masks[-1], alone.mask)
    assert len({mask.tobytes() for mask in masks}) == 3


def test_what_is_frozen_is_frozen_in_the_loaded_network(tmp_path):
    net = NeuralNetwork([Residual([Dense(4), Dense(4)]), Dense(4), Dense(1)], seed=3)
    net.build((4,))
    net.layers[0].layers[1].trainable = net.layers[1].trainable = False
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    assert [layer.trainable for _, layer in loaded.walk()] == [True] * 3 + [False] * 2 + [True]
    before = weights(loaded)
    X = np.ones((5, 4))
    Trainer(loaded, SGD(0.1)).fit(X, X[:, :1] + 3, epochs=1, restart=False, verbose=0)
    changed = [not same([a], [b]) for a, b in zip(before, weights(loaded), strict=True)]
    assert changed == [True] * 2 + [False] * 4 + [True] * 2


def test_a_frozen_network_and_all_in_it_come_back(tmp_path):
    net = NeuralNetwork([Dense(1)])
    net.build((2,))
    net.trainable = False
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    assert not loaded.trainable
    assert loaded.layers[0].trainable


@pytest.mark.parametrize(
    "frozen", [7, "layers.0", [3], ["layers.9"], ["layers.0", None], {"layers.0": 1}, None]
)
def test_what_a_file_calls_frozen_must_be_layers_of_the_network(frozen, tmp_path):
    net = NeuralNetwork([Dense(1)])
    net.build((2,))
    net.layers[0].trainable = False
    path = tmp_path / "net"
    dlfs.save(net, path)
    tensors, metadata = read_file(path)
    assert metadata["network"]["frozen"] == ["layers.0"]
    metadata["network"]["frozen"] = frozen
    write_file(path, tensors, metadata)
    with pytest.raises(ValueError, match="frozen must be a list of the network's layers"):
        dlfs.load(path)


def test_saving_changes_nothing(tmp_path):
    net = classifier()
    Trainer(net, SGD(0.01)).fit(*classification(), epochs=1, verbose=0)
    before, state = weights(net), net.layers[0].rng.bit_generator.state
    dlfs.save(net, tmp_path / "net")
    assert same(before, weights(net))
    assert net.layers[0].rng.bit_generator.state == state


def test_a_loaded_network_is_not_tied_to_its_file(tmp_path):
    net = NeuralNetwork([Dense(3)])
    net.build((2,))
    path = tmp_path / "net"
    dlfs.save(net, path)
    loaded, other = dlfs.load(path), dlfs.load(path)
    path.unlink()
    next(loaded.params())[...] = 7
    assert same(weights(other), weights(net))


def test_a_network_that_is_not_set_up_is_refused_and_nothing_is_written(tmp_path):
    net = NeuralNetwork([Dense(3)])
    said = "save: the network is not set up; train it, or call build(input_shape)"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        dlfs.save(net, tmp_path / "net")
    net.build((2,))
    net.input_shape = None
    said = (
        "save: the network has weights, but has seen no observation yet, and a file says the shape "
        "of one; call build(input_shape), which keeps the weights"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        dlfs.save(net, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("thing", [None, [Dense(1)], Dense(1), {"a": 1}])
def test_only_networks_can_be_saved(thing, tmp_path):
    with pytest.raises(TypeError, match="NeuralNetwork"):
        dlfs.save(thing, tmp_path / "net")


def test_a_function_that_drew_the_weights_has_done_its_work(tmp_path):
    net = NeuralNetwork([Dense(3, weight_init=lambda rng, shape, *_: rng.uniform(size=shape))])
    net.build((2,))
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    assert same(weights(loaded), weights(net))
    assert loaded.layers[0].weight_init is None  # type: ignore[attr-defined]


class Scale(Operation):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def _output(self):
        return self.input_ * self.factor

    def _input_grad(self, output_grad):
        return output_grad * self.factor


class Double(Layer):
    def _setup_layer(self, input_):
        self.operations = [Scale(2.0)]


def test_ones_own_classes_come_back_when_they_are_named(tmp_path):
    net = NeuralNetwork([Dense(3, activation=Scale(0.5)), Double(), Scale(3.0)])
    net.build((4,))
    path = tmp_path / "net"
    dlfs.save(net, path)
    with pytest.raises(
        ValueError, match=r"unknown class 'tests.test_saving.Scale'.*custom={'Scale': Scale}"
    ):
        dlfs.load(path)
    loaded = dlfs.load(path, custom={"Scale": Scale, "Double": Double})
    assert same([loaded.predict(ROWS)], [net.predict(ROWS)])


def test_an_argument_that_cannot_be_written_down_is_named(tmp_path):
    net = NeuralNetwork([Scale(np.ones(2))])
    net.build((2,))
    with pytest.raises(ValueError, match=r"Scale.*factor"):
        dlfs.save(net, tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_an_activation_with_an_argument_that_is_no_default(tmp_path):
    net = NeuralNetwork([Dense(3, activation=activations.LeakyReLU(0.3)), activations.ELU(2.0)])
    net.build((4,))
    dlfs.save(net, tmp_path / "net")
    loaded = dlfs.load(tmp_path / "net")
    assert repr(loaded) == repr(net)
    assert "0.3" in repr(loaded)
    assert isinstance(loaded.layers[1], OperationLayer)


@pytest.fixture
def net():
    net = NeuralNetwork([Dense(3)])
    net.build((2,))
    return net


def test_the_file_that_is_written_is_the_only_one(net, tmp_path):
    for _ in range(2):
        dlfs.save(net, str(tmp_path / "net.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_the_file_has_the_permissions_that_the_user_gives_new_files(net, tmp_path):
    mask = os.umask(0o027)
    try:
        dlfs.save(net, tmp_path / "net")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "net").stat().st_mode) == 0o640


def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(net, tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        dlfs.save(net, tmp_path / "nowhere" / "net")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="folder"):
        dlfs.save(net, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert list(folder.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(net, tmp_path, monkeypatch):
    path = tmp_path / "net"
    dlfs.save(net, path)
    before = path.read_bytes()
    next(net.params())[...] = 9

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        dlfs.save(net, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
