"""Warnings of what trains, but badly: given where they are due, and nowhere else."""

import pytest

from dlfs import (
    BinaryCrossEntropy,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Linear,
    MeanSquaredError,
    NeuralNetwork,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
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
