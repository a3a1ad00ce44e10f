"""Subclasses of NumPy's arrays as arguments: masked arrays are refused, others are plain arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlfs
from dlfs import SGD, NeuralNetwork, Trainer, autograd, metrics, text
from dlfs.activations import Sigmoid
from dlfs.backend import kernels
from dlfs.checks import as_array, check_finite, plain_array
from dlfs.datasets import prepare as data
from dlfs.gradcheck import check_gradients
from dlfs.layers import Dense, Embedding
from dlfs.losses import MeanSquaredError, SoftmaxCrossEntropy
from dlfs.utils import np_utils

X = np.random.default_rng(0).standard_normal((6, 3))
Y = X[:, :1].copy()
LABELS = np.array([0, 1, 0, 1, 1, 0])


class Doubled(np.ndarray):
    """A subclass whose arithmetic means something else."""

    def __mul__(self, other: Any) -> Any:
        return super().__mul__(2 * other)

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        return 0.0


def network(seed: int = 1) -> NeuralNetwork:
    net = NeuralNetwork([Dense(4, Sigmoid()), Dense(1)], seed=seed)
    net.build((3,))
    return net


def sigmoid(backend: str, x: np.ndarray) -> np.ndarray:
    with dlfs.use_backend(backend):
        return kernels.sigmoid(x)


def seeded(layer: Dense) -> Dense:
    layer.seed = 1
    return layer


def backward(thing: Any, x: Any, grad: Any) -> Any:
    thing.forward(x)
    return thing.backward(grad)


def trained(x: Any, y: Any, *test: Any) -> Any:
    net = network()
    Trainer(net, SGD()).fit(x, y, *test, epochs=1, verbose=0)
    return np.concatenate([param.ravel() for param in net.params()])


def of_autograd(x: Any) -> Any:
    variable = autograd.ArrayWithGrad(x)
    (variable * variable).sum().backward()
    return variable.grad


# Each takes an array of this shape and dtype, and gives something to compare.
DOORS: dict[str, tuple[np.ndarray, Callable[[Any], Any]]] = {
    "predict": (X, lambda x: network().predict(x)),
    "predict, float32": (X, lambda x: NeuralNetwork([Dense(2)], dtype="float32").predict(x)),
    "network forward": (X, lambda x: network().forward(x)),
    "network backward": (Y, lambda g: backward(network(), X, g)),
    "forward_loss x": (X, lambda x: network().forward_loss(x, Y)),
    "forward_loss y": (Y, lambda y: network().forward_loss(X, y)),
    "train_batch": (X, lambda x: network().train_batch(x, Y)),
    "fit X_train": (X, lambda x: trained(x, Y)),
    "fit y_train": (Y, lambda y: trained(X, y)),
    "fit X_test": (X, lambda x: trained(X, Y, x, Y)),
    "fit y_test": (Y, lambda y: trained(X, Y, X, y)),
    "evaluate X": (X, lambda x: Trainer(network(), SGD()).evaluate(x, Y)["loss"]),
    "evaluate y": (Y, lambda y: Trainer(network(), SGD()).evaluate(X, y, ["mae"])["mae"]),
    "generate_batches": (X, lambda x: next(Trainer(network(), SGD()).generate_batches(x, Y))[0]),
    "embedding": (LABELS, lambda x: NeuralNetwork([Embedding(2, 3)]).predict(x)),
    "operation": (X, lambda x: Sigmoid().forward(x)),
    "operation backward": (X, lambda g: backward(Sigmoid(), X, g)),
    "parameter": (X[:3], lambda W: dlfs.base.ParamOperation(W).param),
    "layer": (X, lambda x: seeded(Dense(2, Sigmoid())).forward(x)),
    "layer backward": (X[:, :2].copy(), lambda g: backward(seeded(Dense(2)), X, g)),
    "loss prediction": (X, lambda p: MeanSquaredError().forward(p, X + 1)),
    "loss target": (X, lambda t: MeanSquaredError().forward(X + 1, t)),
    "loss labels": (LABELS, lambda t: SoftmaxCrossEntropy().forward(X, t)),
    "metrics y_true": (X, lambda y: metrics.rmse(y, X + 1)),
    "metrics y_pred": (X, lambda p: metrics.accuracy(LABELS, p)),
    "confusion_matrix": (LABELS, lambda y: metrics.confusion_matrix(y, X)),
    "windows": (np.arange(9), lambda row: text.windows(row, 3)[0]),
    "streams": (np.arange(9), lambda row: text.streams(row, 2, 2)[0]),
    "check_gradients": (X, lambda x: bool(check_gradients(Sigmoid(), x))),
    "check_gradients of a loss": (Y, lambda y: bool(check_gradients(MeanSquaredError(), Y, y=y))),
    "check_gradients of functions": (
        X,
        lambda x: bool(check_gradients((lambda a: a * a, lambda g, a: (2 * a * g,)), (x,))),
    ),
    "autograd": (X, of_autograd),
    "autograd constant": (X, lambda x: (autograd.ArrayWithGrad(X) * x).array),
    "autograd target": (
        LABELS,
        lambda t: autograd.softmax_cross_entropy(autograd.ArrayWithGrad(X), t).array,
    ),
    "to_2d": (X[:, 0].copy(), np_utils.to_2d),
    "softmax": (X, lambda x: np_utils.softmax(x, axis=1)),
    "permute_data": (X, lambda x: np_utils.permute_data(x, Y, seed=1)[0]),
    "generate_batch": (Y, lambda y: np_utils.generate_batch(X, y)[1]),
    "train_test_split": (X, lambda x: data.train_test_split(x, Y, seed=1)[0]),
    "one_hot": (LABELS, data.one_hot),
    "global_norm": (X, lambda x: dlfs.optimizers.global_norm([x])),
}


def subclasses(array: np.ndarray, folder: Path) -> list[np.ndarray]:
    stored = np.memmap(folder / "array", array.dtype, "w+", shape=array.shape)
    stored[...] = array
    kinds = [array.view(Doubled), np.ma.array(array), np.ma.array(array, mask=False), stored]
    if array.ndim == 2:
        kinds.append(array.view(np.matrix))
    return kinds


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", DOORS)
def test_a_subclass_is_used_as_the_array_that_it_is(name: str, tmp_path: Path) -> None:
    array, door = DOORS[name]
    expected = door(array)
    for given in subclasses(array, tmp_path):
        got = door(given)
        assert type(got) is type(expected), type(given)
        assert np.array_equal(got, expected), type(given)


@pytest.mark.parametrize("name", DOORS)
def test_what_is_masked_is_refused_with_the_cure(name: str) -> None:
    array, door = DOORS[name]
    masked = np.ma.array(array)
    masked[0] = np.ma.masked
    with pytest.raises(ValueError, match=r"must have no masked entries.*\.filled\(value\)"):
        door(masked)


@pytest.mark.parametrize(
    "rows",
    [
        [np.ma.array([1.0, 2.0], mask=[0, 1]), np.array([1.0, 2.0])],
        ([1.0, 2.0], [np.ma.masked, 2.0]),
        [1.0, np.ma.masked],
    ],
)
def test_masks_within_lists_are_found(rows: Any) -> None:
    with pytest.raises(ValueError, match="must have no masked entries"):
        as_array(rows, "f", "x")


def test_a_plain_array_shares_its_memory() -> None:
    array = np.zeros(3)
    assert plain_array(array, "f", "x") is array
    view = plain_array(array.view(Doubled), "f", "x")
    assert type(view) is np.ndarray
    assert np.shares_memory(view, array)
    assert plain_array([1.0], "f", "x") == [1.0]


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
def test_a_file_is_read_batch_by_batch(dtype: str, tmp_path: Path, monkeypatch) -> None:
    """Neither conversion nor checks copy the whole of a memmap, whatever its dtype."""
    stored = np.memmap(tmp_path / "array", dtype, "w+", shape=(50_000, 3))
    stored[...] = np.random.default_rng(0).uniform(0, 40, stored.shape)
    net = network()
    unread = net.as_data(stored)
    assert type(unread) is np.ndarray
    assert np.shares_memory(unread, stored)
    largest = 0
    forward = net.forward

    def watched(rows: np.ndarray, inference: bool = False) -> np.ndarray:
        nonlocal largest
        largest = max(largest, len(rows))
        return forward(rows, inference)

    monkeypatch.setattr(net, "forward", watched)
    predicted = net.predict(stored)
    assert largest == 1000
    assert np.array_equal(predicted, net.predict(np.array(stored)))
    y = np.zeros((len(stored), 1))
    weights = trained(stored, y)
    assert np.array_equal(weights, trained(np.array(stored), y))


@pytest.mark.parametrize("shape", [(3_000_000,), (1_500_000, 2), (3, 2), ()])
def test_the_first_of_many_bad_values_is_named(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape)
    check_finite(array, "f", "x")
    array[(-1,) * len(shape)] = np.nan
    where = tuple(size - 1 for size in shape)
    with pytest.raises(ValueError, match=r"got nan at index .* \(1 such values\)") as caught:
        check_finite(array, "f", "x")
    assert str(where) in str(caught.value)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("backend", dlfs.available_backends())
def test_kernels_refuse_what_is_no_plain_array(backend: str, tmp_path: Path) -> None:
    for given in (X.view(np.matrix), X.view(Doubled), np.ma.array(X)):
        name = type(given).__name__
        with pytest.raises(TypeError, match=f"must be a plain NumPy array, got {name}; np.asarray"):
            sigmoid(backend, given)
    with pytest.raises(ValueError, match="must have no masked entries"):
        sigmoid(backend, np.ma.array(X, mask=True))
    stored = np.memmap(tmp_path / "array", X.dtype, "w+", shape=X.shape)
    stored[...] = X
    assert np.array_equal(sigmoid(backend, stored), sigmoid(backend, X))
