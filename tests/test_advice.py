"""Warnings about networks that train badly: given exactly where they apply."""

import numpy as np
import pytest

from dlfs import (
    SGD,
    AvgPool2D,
    BatchNorm,
    BinaryCrossEntropy,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    LSTMLayer,
    MaxPool2D,
    MeanSquaredError,
    NeuralNetwork,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
    Trainer,
    datasets,
)
from dlfs.losses import Loss

# --- a sigmoid or softmax before a loss that has its own ---


class FromLogits(Loss):
    takes_logits = True


DOUBLED = {
    "activation of the last layer": lambda op: [Dense(3), Dense(2, activation=op)],
    "a layer of its own": lambda op: [Dense(2), op],
    "followed by Flatten": lambda op: [Conv2D(2, 3, activation=op), Flatten()],
    "followed by Reshape and Dropout": lambda op: [Dense(4), op, Reshape((2, 2)), Dropout(0.5)],
    "followed by Linear": lambda op: [Dense(4, activation=op), Linear()],
}


@pytest.mark.parametrize("layers", DOUBLED.values(), ids=DOUBLED)
@pytest.mark.parametrize("loss", [BinaryCrossEntropy, SoftmaxCrossEntropy, FromLogits])
@pytest.mark.parametrize("operation", [Sigmoid, Softmax])
def test_probabilities_for_a_loss_that_takes_logits_get_a_warning(layers, loss, operation) -> None:
    message = f"^NeuralNetwork: {loss.__name__} takes logits .* end in {operation.__name__}"
    with pytest.warns(UserWarning, match=message) as caught:
        NeuralNetwork(layers(operation()), loss())
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("layers", DOUBLED.values(), ids=DOUBLED)
@pytest.mark.parametrize("operation", [Sigmoid, Softmax])
def test_probabilities_for_a_loss_that_takes_them_are_right(layers, operation) -> None:
    NeuralNetwork(layers(operation()), MeanSquaredError())
    NeuralNetwork(layers(operation()))


@pytest.mark.parametrize("loss", [BinaryCrossEntropy, SoftmaxCrossEntropy])
def test_logits_get_no_warning(loss) -> None:
    for layers in (
        [Dense(4, activation=Sigmoid()), Dense(2)],
        [Dense(4), Sigmoid(), Dense(2, activation=Linear())],
        [Dense(4), Sigmoid(), Dense(2), Linear(), Dropout(0.5)],
        [Dense(4, activation=Tanh())],
        [Dense(4), ReLU()],
        [Flatten()],
    ):
        NeuralNetwork(layers, loss())


# --- images without preprocessing ---


def fit(layers: list, X: np.ndarray) -> None:
    net = NeuralNetwork(layers, seed=1)
    y = np.zeros((len(X), *net.predict(np.zeros((1, *X.shape[1:]))).shape[1:]))
    Trainer(net, SGD(1e-9)).fit(X, y, epochs=1, verbose=0)


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "layers",
    [
        lambda: [Conv2D(2, 3, flatten=True), Dense(1)],
        lambda: [AvgPool2D(1), Conv2D(2, 3, flatten=True), Dense(1)],
        lambda: [BatchNorm(), ReLU(), Conv2D(2, 3), Flatten(), Dense(1)],
    ],
)
def test_channels_last_get_a_warning(layers, channels: int) -> None:
    X = images(5, 8, 9, channels)
    with pytest.warns(UserWarning, match=r"8 channels of 9 x .*X\.transpose\(0, 3, 1, 2\)") as all_:
        fit(layers(), X)
    assert [warning.filename for warning in all_] == [__file__]
    fit(layers(), X.transpose(0, 3, 1, 2))


def test_sequences_with_their_channels_last_get_a_warning() -> None:
    X = images(5, 100, 3)
    with pytest.warns(UserWarning, match=r"100 channels of 3; .*X\.transpose\(0, 2, 1\)"):
        fit([Conv1D(2, 5, flatten=True), Dense(1)], X)
    fit([Conv1D(2, 5, flatten=True), Dense(1)], X.transpose(0, 2, 1))
    fit([LSTMLayer(2), Dense(1)], X)


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        (lambda: [Conv2D(2, 3, flatten=True), Dense(1)], (3, 9, 9)),
        (lambda: [Conv2D(2, 3, flatten=True), Dense(1)], (3, 4, 4)),
        (lambda: [Conv2D(2, 3, flatten=True), Dense(1)], (16, 4, 4)),
        (lambda: [Conv2D(2, 3, flatten=True), Dense(1)], (32, 9, 5)),
        (lambda: [Conv2D(2, (5, 1), flatten=True), Dense(1)], (22, 50, 1)),  # signals, as columns
        (lambda: [AvgPool2D((5, 1)), Flatten(), Dense(1)], (22, 50, 1)),
        (lambda: [Flatten(), Dense(1)], (28, 28, 3)),
        (lambda: [Reshape((3, 7, 8)), Conv2D(2, 3, flatten=True), Dense(1)], (7, 8, 3)),
        (lambda: [Conv1D(2, 3, flatten=True), Dense(1)], (9, 3)),
        (lambda: [Conv1D(2, 5, flatten=True), Dense(1)], (3, 4)),
    ],
)
def test_what_may_be_meant_gets_no_warning(layers, shape: tuple[int, ...]) -> None:
    fit(layers(), images(4, *shape))


def dense() -> list:
    return [Flatten(), Dense(2)]


def convolution() -> list:
    return [Conv2D(2, 3, flatten=True), Dense(2)]


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("layers", "X", "cure"),
    [
        (dense, pixels(200, 784), r"0 to 255, .* pass X / 255,"),
        (dense, pixels(200, 784).astype(np.float32), "X / 255"),
        (dense, pixels(9, 8, 8), "X / 255"),
        (convolution, pixels(9, 1, 8, 8), "X / 255"),
        (convolution, pixels(9, 3, 6, 6) * 0.33, "X / 255"),
        (convolution, pixels(9, 3, 6, 6) * 257.0, r"X / X_train.max\(\)"),
        (lambda: [Dropout(0.9), MaxPool2D(2), *dense()], pixels(9, 3, 6, 6), "X / 255"),
    ],
)
def test_raw_pixels_get_a_warning(layers, X: np.ndarray, cure: str) -> None:
    with pytest.warns(UserWarning, match=cure) as caught:
        fit(layers(), X)
    assert [warning.filename for warning in caught] == [__file__]
    fit(layers(), X / X.max())
    fit(layers(), (X - X.mean()) / X.std())


@pytest.mark.parametrize(
    ("layers", "X"),
    [
        (lambda: [BatchNorm(), *convolution()], pixels(9, 1, 8, 8)),
        (lambda: [Flatten(), BatchNorm(), Dense(1)], pixels(9, 1, 8, 8)),
        (dense, pixels(50, 5)),  # a table: ages, counts
        (dense, pixels(50, 80) * 0.9),
        (dense, pixels(50, 80) // 16),  # scikit-learn's digits: 0..16
        (dense, (pixels(50, 80) > 99).astype(int)),
        (dense, images(50, 80) * 100),
        (dense, np.abs(images(50, 80)) * 1000),
    ],
)
def test_numbers_that_may_be_meant_get_no_warning(layers, X: np.ndarray) -> None:
    fit(layers(), X)


def test_characters_are_no_pixels() -> None:
    X = np.random.default_rng(0).integers(0, 200, (6, 100))
    net = NeuralNetwork([Embedding(200, 3), LSTMLayer(3), Dense(200)], SoftmaxCrossEntropy())
    Trainer(net, SGD()).fit(X, X, epochs=1, verbose=0)


@pytest.mark.parametrize("scaling", ["unit", "standard", "none"])
def test_the_librarys_own_digits_get_one_where_they_are_not_scaled(scaling: str) -> None:
    X = datasets.mnist(scaling=scaling)[0][:50]
    if scaling == "none":
        with pytest.warns(UserWarning, match="X / 255"):
            fit(dense(), X)
    else:
        fit(dense(), X)
