"""Cases of whole networks: layers that work alone must also work together."""

from collections.abc import Callable

from dlfs.activations import ReLU, Sigmoid, Tanh
from dlfs.dropout import Dropout
from dlfs.gradcheck.cases.sketch import Case, Sketch
from dlfs.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Embedding,
    GRULayer,
    LayerNorm,
    LSTMLayer,
    PositionEmbedding,
    RNNLayer,
    TiedEmbedding,
    TransformerBlock,
)
from dlfs.losses import Huber, MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.pooling import GlobalAvgPool2D, MaxPool2D
from dlfs.reshape import Flatten


def _regression(sketch: Sketch) -> Case:
    batch, features, hidden = sketch.sizes(3, 2, 4)
    sketch.normal("x", batch, features)
    sketch.normal("y", batch, 1)
    loss = sketch.choose.choice((MeanSquaredError(), Huber(0.5)))
    activation = sketch.choose.choice((Sigmoid(), Tanh()))
    layers = [Dense(hidden, activation=activation), Dense(1)]
    return sketch.network(NeuralNetwork, layers, loss=loss, dtype=sketch.dtype)


def _digits(sketch: Sketch) -> Case:
    batch, channels, classes = sketch.sizes(3, 2, 3)
    height, width = sketch.sizes(2, 4, 6)
    sketch.normal("x", batch, channels, height, width)
    sketch.integers("y", classes, batch)
    layers = [
        Conv2D(2, 3, activation=sketch.choose.choice((ReLU(), Tanh())), weight_init="he"),
        MaxPool2D(2),
        Flatten(),
        Dense(classes, dropout=sketch.choose.choice((1.0, 0.8)), weight_init="glorot"),
    ]
    return sketch.network(NeuralNetwork, layers, loss=SoftmaxCrossEntropy(), dtype=sketch.dtype)


def _normalized(sketch: Sketch) -> Case:
    batch, channels, classes = sketch.sizes(3, 2, 3)
    sketch.normal("x", batch, channels, *sketch.sizes(2, 3, 4))
    sketch.integers("y", classes, batch)
    layers = [
        Conv2D(3, 2, weight_init="he", bias=False),
        BatchNorm(),
        ReLU(),
        GlobalAvgPool2D(),
        Dense(classes, weight_init="glorot"),
    ]
    return sketch.network(NeuralNetwork, layers, loss=SoftmaxCrossEntropy(), dtype=sketch.dtype)


def _text(sketch: Sketch) -> Case:
    batch, time, letters = sketch.sizes(3, 2, 4)
    sketch.integers("x", letters, batch, time)
    sketch.integers("y", letters, batch, time)
    layers = [
        Embedding(letters, 3),
        LayerNorm(),
        Dense(4, activation=Tanh(), weight_init="glorot"),
        Dense(letters, weight_init="glorot"),
    ]
    return sketch.network(NeuralNetwork, layers, loss=SoftmaxCrossEntropy(), dtype=sketch.dtype)


def _stacked(sketch: Sketch) -> Case:
    batch, time, letters = sketch.sizes(3, 1, 4)
    sketch.integers("x", letters + 1, batch, time)
    sketch.integers("y", letters + 1, batch, time)
    kinds = (LSTMLayer, GRULayer, RNNLayer)
    first, second = sketch.choose.choice(kinds), sketch.choose.choice(kinds)
    layers = [
        Embedding(letters + 1, 2),
        first(3, weight_scale=0.6),
        Dropout(0.8),
        second(2, output_size=3, weight_scale=0.6),
        Dense(letters + 1, weight_init="glorot"),
    ]
    return sketch.network(NeuralNetwork, layers, loss=SoftmaxCrossEntropy(), dtype=sketch.dtype)


def _transformer(sketch: Sketch) -> Case:
    batch, time, letters = sketch.sizes(3, 2, 4)
    sketch.integers("x", letters, batch, time)
    sketch.integers("y", letters, batch, time)
    block = TransformerBlock(2, expand=2, dropout=sketch.choose.choice((1.0, 0.8)))
    inside = [PositionEmbedding(5), block, LayerNorm()]
    layers = [TiedEmbedding(letters, 6, inside)]
    return sketch.network(NeuralNetwork, layers, loss=SoftmaxCrossEntropy(), dtype=sketch.dtype)


RECIPES: dict[str, Callable[[Sketch], Case]] = {
    "network for regression": _regression,
    "network for digits": _digits,
    "network with normalization": _normalized,
    "network for text": _text,
    "network of stacked recurrent layers": _stacked,
    "network of a transformer": _transformer,
}
