"""The data of a training, checked and converted: at once, or batch by batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlfs.advice import warn_of_unprepared_images
from dlfs.checks import as_array, as_float_array, check_finite, retold
from dlfs.labels import as_labels
from dlfs.losses import Weighted
from dlfs.network import NeuralNetwork
from dlfs.recurrent import check_streams, reads_streams
from dlfs.train.batches import Batches, Made, Place, Rows, Source, pair_of
from dlfs.train.fingerprint import fingerprint
from dlfs.types import Array, IntArray, Shape

_FIRST = 64
"""How many rows of a file are checked before a training begins, where both parts are in files."""


@dataclass(frozen=True)
class Data:
    """What to train with, and what to evaluate with: inputs, and targets as the loss uses them."""

    train: Source
    X_test: Array | None = None
    y_test: Array | None = None

    def prints(self) -> dict[str, Any]:
        """Return what tells these data from others, for a checkpoint."""
        test = {"X_test": self.X_test, "y_test": self.y_test}
        return {
            **self.train.prints(),
            **{name: None if a is None else fingerprint(a) for name, a in test.items()},
        }


def training_data(
    net: NeuralNetwork,
    X: object,
    y: object,
    sample_weight: object,
    X_test: Any,
    y_test: Any,
    size: int,
    shuffle: bool,
    seed: int,
) -> Data:
    """Return the data of a training, checked, with the network set up for them.

    Parameters
    ----------
    net : NeuralNetwork
    X : array_like or Batches
        A memory-mapped array stays in its file: each batch is converted and checked when it is
        read. So are Batches. Any other array is converted and checked now, once.
    y : array_like, or None for Batches
    sample_weight : array_like or None
    X_test, y_test : array_like or None
        To evaluate on; both or none.
    size : int
        The number of rows in a batch.
    shuffle : bool
    seed : int

    Raises
    ------
    TypeError, ValueError
        As ``checked_data`` and ``checked_weights``; also if there are weights for data in a file or
        made batch by batch, or sequences go on in batches of different sizes.
    """
    source: Any = _source(net, X, y, size, shuffle, seed)
    if sample_weight is not None:
        if not isinstance(source, Rows) or source.prepare is not None:
            raise TypeError("Trainer: sample_weight needs X_train and y_train as arrays in memory")
        weights = checked_weights(net, sample_weight, source.X)
        source = replace(source, y=Weighted(source.y, weights))
    if X_test is not None:
        X_test, y_test = checked_data(net, X_test, y_test, "_test")
    if reads_streams(net):
        cure = "dlfs.text.streams arranges a text so that they are"
        X_train = source.X if isinstance(source, Rows) else None
        check_streams("Trainer.fit", size, cure, X_train=X_train, X_test=X_test)
    return Data(source, X_test, y_test)


def _source(
    net: NeuralNetwork, X: object, y: object, size: int, shuffle: bool, seed: int
) -> Source:
    """Return the source of a training's batches."""
    batches = as_batches(X, y, "X_train", "y_train")
    if batches is not None:
        source = Made(_Preparation(net, "of a batch"), batches)
        first = pair_of(next(batches.epoch(np.random.default_rng((seed, 0))), None), 0)
        # Sets the network up, and says now what is wrong.
        checked_data(net, *first, " of the first batch", training=True)
        return source
    if isinstance(X, np.memmap) or isinstance(y, np.memmap):
        return _in_file(net, X, y, size, shuffle)
    X, y = checked_data(net, X, y, "_train", find=True, training=True)
    return Rows(None, X, y, size, shuffle)


def checked_weights(net: NeuralNetwork, sample_weight: object, X: Array) -> Array:
    """Return the weights of observations, divided by their mean.

    Raises
    ------
    TypeError, ValueError
        If the loss takes none, their number differs from that of the observations, or they are
        negative, not finite, or all zero.
    """
    owner, name = "Trainer", "sample_weight"
    if not net.loss.takes_weights:
        raise TypeError(f"{owner}: {name} must be None for {net.loss!r}, which does not use it")
    weights = as_float_array(sample_weight, owner, name, net.dtype)
    if weights.ndim < 1 or len(weights) != len(X):
        raise ValueError(
            f"{owner}: {name} must have a number for each of the {len(X)} observations, got shape "
            f"{weights.shape}"
        )
    check_finite(weights, owner, name)
    if not weights.min() >= 0 or not weights.any():
        raise ValueError(
            f"{owner}: {name} must not be negative, nor zero everywhere, got "
            f"{weights.min()}..{weights.max()}"
        )
    return np.asarray(weights / weights.mean(dtype=np.float64), dtype=net.dtype)


def as_batches(X: object, y: object, X_name: str, y_name: str) -> Batches | None:
    """Return X as Batches if that is what it is; None if it is an array.

    Raises
    ------
    TypeError
        If there are targets besides Batches, or none besides an array.
    """
    if not isinstance(X, Batches):
        if y is not None:
            return None
        if isinstance(X, np.ndarray) or X is None or not hasattr(X, "__iter__"):
            raise TypeError(
                f"Trainer: {X_name} and {y_name} go together; without {y_name} {X_name} must be "
                f"dlfs.Batches, got {type(X).__name__}"
            )
        X = Batches(X)
    if y is not None:
        raise TypeError(
            f"Trainer: {y_name} must be left out where {X_name} is Batches, which have the targets"
        )
    return X


def given_test_data(X: object, y: object, metrics: object) -> tuple[Any, Any]:
    """Return test data as they were given, Batches as arrays; None and None if there are none.

    Raises
    ------
    TypeError, ValueError
        If one part is missing, or there are metrics to measure and no data.
    """
    X, y = (X, y) if X is None else gathered(X, y, "X_test", "y_test")
    if (X is None) != (y is None):
        raise ValueError("Trainer.fit: X_test and y_test go together, one of them is missing")
    if metrics and X is None:
        raise ValueError(
            "Trainer.fit: metrics are measured on test data: pass X_test and y_test, or leave "
            f"metrics={metrics!r:.80} out"
        )
    return X, y


def gathered(X: object, y: object, X_name: str, y_name: str) -> tuple[Any, Any]:
    """Return data as they were given; Batches, which are evaluated at once, as arrays."""
    batches = as_batches(X, y, X_name, y_name)
    if batches is None:
        return X, y
    rng = np.random.default_rng((0, 0))
    pairs = [pair_of(batch, number) for number, batch in enumerate(batches.epoch(rng))]
    if not pairs:
        raise ValueError("Batches: source must give at least one batch, got none")
    X, y = zip(*pairs, strict=True)
    return np.concatenate(X), np.concatenate(y)


def _in_file(net: NeuralNetwork, X: object, y: object, size: int, shuffle: bool) -> Source:
    """Return the source of data that stay in a file."""
    inputs = net.as_data(X)
    targets = as_array(y, "Trainer", "y_train")
    _check_rows(inputs, targets, "X_train", "y_train")
    if targets.ndim < 2 or not isinstance(y, np.memmap):
        # Few numbers compared with the inputs: checked at once, and labels are found.
        warn_of_unprepared_images(net.layers, inputs)
        targets = _targets(net, inputs, targets, "X_train", "y_train", find=True)
    else:
        checked_data(net, inputs[:_FIRST], targets[:_FIRST], "_train", training=True)
    return Rows(_Preparation(net, "_train"), inputs, targets, size, shuffle)


@dataclass(frozen=True)
class _Preparation:
    """Checks and converts one batch.

    Parameters
    ----------
    net : NeuralNetwork
    part : str
        How the arguments' names end.
    """

    net: NeuralNetwork
    part: str

    def inputs(self, X: Array, y: Array, place: Place) -> Array:
        """Return inputs as the network takes them; place says where they are from."""
        if isinstance(place, int):
            return _inputs(self.net, X, y, f" of batch {place}")[0]
        inputs = self.net.as_input(X)
        self._check_finite(inputs, place, "X")
        if y.dtype.kind == "f":
            self._check_finite(y, place, "y")
        return inputs

    def targets(self, X: Array, y: Array, place: Place) -> Array:
        """Return targets as the loss uses them."""
        if isinstance(place, int):
            return _targets(self.net, X, y, f"X of batch {place}", f"y of batch {place}")
        shape = (len(X), *_output_shape(self.net, X, f"X{self.part}"))
        targets = self.net.loss.as_target(y, shape, self.net.dtype)
        self.net.loss.check_targets(targets, shape)
        return targets

    def _check_finite(self, array: Array, rows: IntArray, name: str) -> None:
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if not finite.all():
            bad = int(np.argmin(finite))
            value = array[bad][~np.isfinite(array[bad])].flat[0]
            raise ValueError(
                f"Trainer: {name}{self.part} must be finite, got {value} in row {rows[bad]}"
            )


def checked_data(
    net: NeuralNetwork,
    X: object,
    y: object,
    part: str = "",
    find: bool = False,
    training: bool = False,
) -> tuple[Array, Array]:
    """Check data, convert them once, and set the network up if it is not.

    Parameters
    ----------
    net : NeuralNetwork
    X, y : array_like, batch axis first
    part : str, default ""
        How the arguments' names end: "_train", "_test".
    find : bool, default False
        Whether to find the classes in the labels, see ``NeuralNetwork.classes``.
    training : bool, default False
        Whether to warn of what makes a training worse.

    Returns
    -------
    inputs, targets : ndarray

    Raises
    ------
    TypeError, ValueError
        If there are no observations, a number is NaN or infinite, or the shapes or labels do not
        suit the network, its loss or each other.
    """
    inputs, targets = _inputs(net, X, y, part)
    if training:
        warn_of_unprepared_images(net.layers, inputs)
    return inputs, _targets(net, inputs, targets, f"X{part}", f"y{part}", find)


def _inputs(net: NeuralNetwork, X: object, y: object, part: str) -> tuple[Array, Array]:
    """Return inputs as the network takes them, and as many targets as they were given."""
    X_name, y_name, owner = f"X{part}", f"y{part}", "Trainer"
    inputs = net.as_data(X)
    _check_any(inputs, X_name)
    check_finite(inputs, owner, X_name)
    targets = as_array(y, owner, y_name)
    _check_rows(inputs, targets, X_name, y_name)
    return inputs, targets


def _check_any(inputs: Array, X_name: str) -> None:
    if len(inputs) < 1:
        raise ValueError(f"Trainer: {X_name} has no observations (shape {inputs.shape})")


def _check_rows(inputs: Array, targets: Array, X_name: str, y_name: str) -> None:
    _check_any(inputs, X_name)
    if targets.ndim < 1 or len(targets) != len(inputs):
        raise ValueError(
            f"Trainer: {X_name} and {y_name} need the same number of rows, "
            f"got shapes {inputs.shape} and {targets.shape}"
        )


def _targets(
    net: NeuralNetwork,
    inputs: Array,
    targets: Array,
    X_name: str,
    y_name: str,
    find: bool = False,
) -> Array:
    """Return targets as the loss uses them; labels become class numbers."""
    if targets.dtype.kind == "f":
        check_finite(targets, "Trainer", y_name)
    shape = (len(inputs), *_output_shape(net, inputs, X_name))
    if net.loss.takes_labels and _may_be_labels(targets, shape):
        targets = as_labels(targets, "Trainer", y_name)
        targets = net.as_class_numbers(targets, shape[-1], f"Trainer: {y_name}", find)
    with retold({"target": y_name}):
        targets = net.loss.as_target(targets, shape, net.dtype)
    net.loss.check_targets(targets, shape)
    return targets


def _may_be_labels(targets: Array, shape: Shape) -> bool:
    """Return whether targets are one label for each decision, not a row of numbers."""
    return targets.shape == shape[:-1] or (shape[-1] == 1 and targets.shape == shape)


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
