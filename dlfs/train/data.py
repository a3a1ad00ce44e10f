"""The data of a training, checked and converted once, before the first batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dlfs.advice import warn_of_unprepared_images
from dlfs.checks import as_array, check_finite, retold
from dlfs.network import NeuralNetwork
from dlfs.types import Array, Shape


@dataclass(frozen=True)
class Data:
    """What to train with, and what to evaluate with: inputs, and targets as the loss uses them."""

    X_train: Array
    y_train: Array
    X_test: Array | None = None
    y_test: Array | None = None


def checked_data(net: NeuralNetwork, X: object, y: object, part: str = "") -> tuple[Array, Array]:
    """Check data, convert them once, and set the network up if it is not.

    Parameters
    ----------
    net : NeuralNetwork
    X, y : array_like, batch axis first
    part : {"", "_train", "_test"}, default ""
        How the arguments' names end.

    Returns
    -------
    inputs, targets : ndarray

    Raises
    ------
    TypeError, ValueError
        If there are no observations, a number is NaN or infinite, or the shapes or labels do not
        suit the network, its loss or each other.
    """
    X_name, y_name, owner = f"X{part}", f"y{part}", "Trainer"
    inputs = net.as_data(X)
    if len(inputs) < 1:
        raise ValueError(f"{owner}: {X_name} has no observations (shape {inputs.shape})")
    check_finite(inputs, owner, X_name)
    if part == "_train":
        warn_of_unprepared_images(net.layers, inputs)
    targets = as_array(y, owner, y_name)
    if targets.ndim < 1 or len(targets) != len(inputs):
        raise ValueError(
            f"{owner}: {X_name} and {y_name} need the same number of rows, "
            f"got shapes {inputs.shape} and {targets.shape}"
        )
    if targets.dtype.kind == "f":
        check_finite(targets, owner, y_name)
    shape = (len(inputs), *_output_shape(net, inputs, X_name))
    with retold({"target": y_name}):
        targets = net.loss.as_target(targets, shape, net.dtype)
    net.loss.check_targets(targets, shape)
    return inputs, targets


def _output_shape(net: NeuralNetwork, inputs: Array, X_name: str) -> Shape:
    """Return the shape of one prediction, by that of the last batch or a pass of one row."""
    if _output_is_known(net, inputs):
        return net.output.shape[1:]
    # An error must speak of the user's data, not of the one row.
    words = {f"{(1, *inputs.shape[1:])}": f"{inputs.shape}"}
    note = f" (in the forward pass of one row of {X_name}, whose shape is {inputs.shape})"
    with net.fresh_start(), retold(words, note):
        prediction = net.forward(inputs[:1], inference=True)
        # What a layer that was just set up carries from this batch is not for training.
        net.reset_state()
    return tuple(prediction.shape[1:])


def _output_is_known(net: NeuralNetwork, inputs: Array) -> bool:
    last = getattr(net, "input_", None)
    same = last is not None and last.shape[1:] == inputs.shape[1:]
    # The last layer may have been exchanged since.
    return same and net.built and net.output is getattr(net.layers[-1], "output", None)


@contextmanager
def kept_if_refused(net: NeuralNetwork) -> Iterator[None]:
    """Put a trained network back if the data of its next training are refused."""
    before = [(layer, dict(vars(layer))) for _, layer in net.walk()]
    try:
        yield
    except BaseException:
        for layer, attributes in before:
            vars(layer).update(attributes)
        raise
