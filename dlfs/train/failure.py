"""What to do and say when a training meets NaN or infinity: where the first such numbers are."""

import math
from collections.abc import Iterator

import numpy as np

from dlfs.network import NeuralNetwork
from dlfs.types import Array

CURE = "A smaller learning rate, another weight_init or gradient clipping (clip_norm) often helps"


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite: training cannot go on.

    Examples
    --------
    >>> from dlfs import SGD, Dense, NeuralNetwork, Trainer
    >>> X = np.full((8, 1), 1e200)
    >>> try:
    ...     Trainer(NeuralNetwork([Dense(1)]), SGD()).fit(X, X, epochs=1, verbose=0)
    ... except NonFiniteLossError as error:
    ...     print("stopped")
    stopped
    """


class RunningStatistics:
    """The arrays besides parameters that training changes, put back where a batch spoils them."""

    def __init__(self, net: NeuralNetwork) -> None:
        self._operations = [op for op in net.all_operations() if op.state()]
        self._before: list[dict[str, Array]] = []

    def remember(self) -> None:
        """Keep copies of the arrays."""
        self._before = [
            {name: array.copy() for name, array in operation.state().items()}
            for operation in self._operations
        ]

    def are_spoiled(self) -> bool:
        """Return whether an array that was finite no longer is."""
        return any(
            not np.isfinite(array).all() and bool(np.isfinite(kept).all())
            for array, kept in self._arrays()
        )

    def put_back(self) -> None:
        """Give the arrays the numbers that they had."""
        for array, kept in self._arrays():
            np.copyto(array, kept)

    def _arrays(self) -> Iterator[tuple[Array, Array]]:
        for operation, before in zip(self._operations, self._before, strict=True):
            for name, array in operation.state().items():
                yield array, before[name]


def failure(net: NeuralNetwork, what: str) -> NonFiniteLossError:
    """Return an error that names the first layer with numbers that are not finite.

    Parameters
    ----------
    net : NeuralNetwork
        As it is after the pass that failed.
    what : str
        What became NaN or infinite, and when.
    """
    # The first layer inside a block comes before the block itself.
    blocks = [(path, layer) for path, layer in net.walk() if path and layer.layers]
    for path, layer in net.leaves() + blocks:
        states = [array for op in layer.operations for array in op.state().values()]
        places = {
            "parameters are": layer.params,
            "output is": [layer.output],
            "running statistics are": states,
        }
        for place, arrays in places.items():
            size = sum(array.size for array in arrays)
            bad = size - sum(int(np.isfinite(array).sum()) for array in arrays)
            if bad:
                return NonFiniteLossError(
                    f"{what}; the first layer whose {place} not finite is {_place(path)}, "
                    f"{layer!r} ({bad} of {size} numbers). {CURE}"
                )
    prediction = net.layers[-1].output
    largest = float(np.abs(prediction).max())
    if largest > math.sqrt(float(np.finfo(prediction.dtype).max) / prediction.size):
        return NonFiniteLossError(
            f"{what}: predictions of up to {largest:.1e} are too large for {net.loss!r}. {CURE}"
        )
    return NonFiniteLossError(
        f"{what}, although every layer's output is finite: look at {net.loss!r} and the targets"
    )


def failure_in_evaluation(
    net: NeuralNetwork, X_test: Array, batch_size: int | None, what: str
) -> NonFiniteLossError:
    """Return an error that names the layer where the observation with the worst result fails."""
    prediction = net.predict(X_test, batch_size)
    # For argmax, NaN is the largest number.
    worst = int(np.abs(prediction).reshape(len(X_test), -1).max(axis=1).argmax())
    with net.fresh_start():
        net.forward(X_test[worst : worst + 1], inference=True)
    return failure(net, what)


def _place(path: str) -> str:
    """Return the number of a layer, or its place inside other layers."""
    number = path.removeprefix("layers.")
    return f"layer {number}" if number.isdigit() else path
