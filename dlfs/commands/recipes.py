"""The networks that the command line trains."""

from typing import Any

from dlfs.activations import ReLU, Tanh
from dlfs.base import Operation
from dlfs.checks import check_choice, check_flag, check_int
from dlfs.dropout import Dropout
from dlfs.layers import (
    Conv2D,
    Dense,
    Embedding,
    GRULayer,
    Layer,
    LayerNorm,
    LSTMLayer,
    PositionEmbedding,
    RNNLayer,
    TransformerBlock,
)
from dlfs.losses import MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.pooling import MaxPool2D
from dlfs.reshape import Flatten


def mlp(
    classes: int = 10, hidden: int = 89, seed: int = 1, dtype: Any = "float64"
) -> NeuralNetwork:
    """Return the book's network for digits: one hidden layer of 89 neurons.

    Parameters
    ----------
    classes, hidden : int
    seed, dtype
        As in NeuralNetwork.

    Notes
    -----
    Book, chapter 4. Input is images, which are flattened first, or (batch, features).

    Examples
    --------
    >>> net = mlp()
    >>> net.build((1, 28, 28))
    >>> net.parameter_count()
    70765
    """
    check_int(classes, "mlp", "classes", 1)
    layers: list[Layer | Operation] = [
        Flatten(),
        Dense(hidden, activation=Tanh()),
        Dense(classes),
    ]
    return NeuralNetwork(layers, SoftmaxCrossEntropy(), seed, dtype)


def cnn(
    classes: int = 10, channels: int = 16, seed: int = 1, dtype: Any = "float64"
) -> NeuralNetwork:
    """Return a network of one convolution: 5x5, ReLU, 2x2 pooling, and a dense layer.

    Parameters
    ----------
    classes, channels : int
    seed, dtype
        As in NeuralNetwork.

    Notes
    -----
    Book, chapter 5, with a pooling layer instead of dropout.

    Examples
    --------
    >>> net = cnn()
    >>> net.build((1, 28, 28))
    >>> net.parameter_count()
    31786
    """
    check_int(classes, "cnn", "classes", 1)
    layers: list[Layer | Operation] = [
        Conv2D(channels, 5, activation=ReLU()),
        MaxPool2D(2),
        Flatten(),
        Dense(classes),
    ]
    return NeuralNetwork(layers, SoftmaxCrossEntropy(), seed, dtype)


def for_table(
    outputs: int = 1,
    classify: bool = False,
    hidden: int = 64,
    seed: int = 1,
    dtype: Any = "float64",
) -> NeuralNetwork:
    """Return a network for rows of numbers: two hidden layers.

    Parameters
    ----------
    outputs : int
        The number of classes, or of numbers to predict.
    classify : bool
        Whether the outputs are classes.
    hidden : int
    seed, dtype
        As in NeuralNetwork.

    Examples
    --------
    >>> net = for_table()
    >>> net.build((13,))
    >>> net.parameter_count()
    5121
    """
    check_int(outputs, "for_table", "outputs", 1)
    check_flag(classify, "for_table", "classify")
    layers: list[Layer | Operation] = [
        Dense(hidden, activation=ReLU()),
        Dense(hidden, activation=ReLU()),
        Dense(outputs),
    ]
    loss = SoftmaxCrossEntropy() if classify else MeanSquaredError()
    return NeuralNetwork(layers, loss, seed, dtype)


def writer(
    kind: str = "lstm",
    characters: int = 62,
    hidden: int = 256,
    seed: int = 1,
    dtype: Any = "float64",
) -> NeuralNetwork:
    """Return a network that predicts the next character: embedding, recurrence, dropout, dense.

    Parameters
    ----------
    kind : {"rnn", "lstm", "gru"}
    characters, hidden : int
        The size of the vocabulary, and of the state.
    seed, dtype
        As in NeuralNetwork.

    Notes
    -----
    State is carried from batch to batch: train with ``dlfs.text.streams`` and ``shuffle=False``.
    Book, chapter 6, with an embedding instead of one-hot rows, and with dropout. The GRU resets
    after the product, as in PyTorch: after 16 epochs of the sonnets its test loss is 1.65 nats
    (natural logarithms) per character; the book's (``reset="before"``) overfits: 1.73.

    Examples
    --------
    >>> net = writer("gru", characters=62, hidden=256)
    >>> net.build((64,))
    >>> net.parameter_count()
    267198
    """
    check_choice(kind, WRITERS, "writer", "kind")
    check_int(characters, "writer", "characters", 1)
    options = {"reset": "after"} if kind == "gru" else {}
    layers: list[Layer | Operation] = [
        Embedding(characters, 64),
        WRITERS[kind](hidden, carry=True, **options),
        Dropout(0.6),
        Dense(characters),
    ]
    return NeuralNetwork(layers, SoftmaxCrossEntropy(), seed, dtype)


def gpt(
    characters: int = 62,
    context: int = 64,
    width: int = 128,
    heads: int = 4,
    blocks: int = 4,
    keep: float = 0.85,
    seed: int = 1,
    dtype: Any = "float64",
    rotary: bool = False,
) -> NeuralNetwork:
    """Return a transformer that predicts the next character.

    An embedding, learned positions, blocks of attention and two dense layers, a normalization, and
    a dense layer.

    Parameters
    ----------
    characters, context : int
        The size of the vocabulary, and the length of the longest sequence.
    width, heads, blocks : int
        The features of a position, how many parts of them attend on their own, and the blocks.
    keep : float, default 0.85
        The probability that a number is kept by Dropout.
    seed, dtype
        As in NeuralNetwork.
    rotary : bool, default False
        Whether attention also sees how far apart two positions are, as in SelfAttention.

    Notes
    -----
    Each sequence is one of its own: train with pieces from anywhere in the text, shuffled. Radford
    et al., "Language models are unsupervised multitask learners" (GPT-2), 2019, much smaller.

    Examples
    --------
    >>> net = gpt(characters=62)
    >>> net.build((64,))
    >>> net.parameter_count()
    817470
    """
    check_int(characters, "gpt", "characters", 1)
    check_int(blocks, "gpt", "blocks", 1)
    layers: list[Layer | Operation] = [
        Embedding(characters, width),
        PositionEmbedding(context),
        Dropout(keep),
        *(TransformerBlock(heads, dropout=keep, rotary=rotary) for _ in range(blocks)),
        LayerNorm(),
        Dense(characters),
    ]
    return NeuralNetwork(layers, SoftmaxCrossEntropy(), seed, dtype)


WRITERS: dict[str, Any] = {"gru": GRULayer, "lstm": LSTMLayer, "rnn": RNNLayer}
"""The recurrent layers, by their names in ``writer``."""

TEXT_MODELS = (*WRITERS, "gpt")
"""The models for text, by their names on the command line."""

MODELS = {"cnn": cnn, "mlp": mlp}
"""The models for images, by their names on the command line."""
