"""Arrays of other libraries as arguments, and ours for them, through DLPack."""

from typing import Any

import numpy as np
import pytest

from dlfs import SGD, NeuralNetwork, Trainer
from dlfs.layers import Dense


class Foreign:
    """An array of another library, that NumPy reads through DLPack alone."""

    def __init__(self, array: np.ndarray, elsewhere: bool = False) -> None:
        self.array = array
        self.elsewhere = elsewhere

    def __dlpack__(self, **options: Any) -> Any:
        if self.elsewhere:
            raise BufferError("the array is on another device")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def network(dtype: str) -> NeuralNetwork:
    net = NeuralNetwork([Dense(4), Dense(1)], seed=1, dtype=dtype)
    net.build((3,))
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dlpack_goes_in_and_out(dtype: str) -> None:
    rng = np.random.default_rng(0)
    # Of every second column, so that the strides matter.
    X, y = rng.normal(size=(8, 6)).astype(dtype)[:, ::2], rng.normal(size=(8, 1)).astype(dtype)
    ours, theirs = network(dtype), network(dtype)
    histories = [
        Trainer(net, SGD()).fit(data, target, epochs=2, seed=0, verbose=0)
        for net, data, target in ((ours, X, y), (theirs, Foreign(X), Foreign(y)))
    ]
    assert histories[0]["train_loss"] == histories[1]["train_loss"]
    predicted = theirs.predict(Foreign(X))
    np.testing.assert_array_equal(predicted, ours.predict(X))
    for array in (predicted, *theirs.params()):
        shared = np.from_dlpack(array)
        assert np.shares_memory(shared, array)
        np.testing.assert_array_equal(shared, array)


def test_an_array_on_another_device_is_refused() -> None:
    with pytest.raises(TypeError, match="X cannot be read through DLPack: the array is on"):
        network("float64").predict(Foreign(np.ones((2, 3)), elsewhere=True))
