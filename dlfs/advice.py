"""Warnings of mistakes that raise no error: the network trains, only badly.

Each warning names the cure. None of these functions changes what it looks at.
"""

import warnings
from collections.abc import Sequence

from dlfs.activations import Linear, Sigmoid, Softmax
from dlfs.base import Operation
from dlfs.dropout import Dropout
from dlfs.layers import Layer
from dlfs.losses import Loss
from dlfs.reshape import Flatten, Reshape


def warn_of_doubled_probabilities(layers: Sequence[Layer], loss: Loss) -> None:
    """Warn of a sigmoid or softmax in front of a loss that takes logits.

    The loss computes the probabilities itself. It would take the probabilities that it gets for
    logits, all of them between 0 and 1: no class could become likely.

    Parameters
    ----------
    layers : sequence of Layer
    loss : Loss

    Examples
    --------
    >>> from dlfs.layers import Dense
    >>> from dlfs.losses import MeanSquaredError
    >>> warn_of_doubled_probabilities([Dense(1, activation=Sigmoid())], MeanSquaredError())
    """
    last = _last_operation(layers)
    if loss.takes_logits and isinstance(last, Sigmoid | Softmax):
        warnings.warn(
            f"NeuralNetwork: {type(loss).__name__} takes logits and computes the probabilities "
            f"itself, but the layers end in {last!r}: leave that out, or use Linear()",
            stacklevel=3,
        )


def _last_operation(layers: Sequence[Layer]) -> Operation | None:
    """Return the Operation that computes the predictions; what only moves or drops is no such."""
    for layer in reversed(layers):
        last = getattr(layer, "operation", getattr(layer, "activation", None))
        moves = isinstance(last, Flatten | Reshape | Dropout)
        if not moves and not (hasattr(layer, "operation") and isinstance(last, Linear)):
            return last
    return None
