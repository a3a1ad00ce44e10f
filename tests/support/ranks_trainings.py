"""Whole trainings on any number of ranks; run under mpiexec, they write their results to a file."""

import hashlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from dlfs.activations import ReLU, Tanh
from dlfs.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Embedding,
    LayerNorm,
    LSTMLayer,
    PositionEmbedding,
    Residual,
    TransformerBlock,
)
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGD, Adam, Optimizer, SGDMomentum
from dlfs.pooling import GlobalAvgPool2D, MaxPool2D
from dlfs.reshape import Flatten
from dlfs.text import streams
from dlfs.train import Trainer

Results = dict[str, Any]


def trained(
    comm: Any, layers: list[Any], optim: Optimizer, data: Any, **options: Any
) -> tuple[Trainer, Results]:
    """Train, and return what must not depend on the number of ranks."""
    net = NeuralNetwork(layers, SoftmaxCrossEntropy(), seed=5)
    trainer = Trainer(net, optim, ranks=comm)
    history = trainer.fit(*data, verbose=0, **{"eval_every": 1, "early_stopping": False} | options)
    found = {name: np.array(history[name]) for name in history.columns if name != "seconds"}
    found["predictions"] = net.predict(data[2], options["batch_size"])
    found["params"] = np.concatenate([param.ravel() for param in net.params()])
    return trainer, found


def points(rows: int = 37) -> Any:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, size=rows + 23)
    X = rng.normal(size=(3, 4))[y] + rng.normal(size=(rows + 23, 4))
    return X[:rows], y[:rows], X[rows:], y[rows:]


def images(rows: int = 22) -> Any:
    X, y, X_test, y_test = points(rows)
    pattern = np.random.default_rng(4).normal(size=(4, 2 * 6 * 5))
    return (X @ pattern).reshape(-1, 2, 6, 5), y, (X_test @ pattern).reshape(-1, 2, 6, 5), y_test


def letters(length: int, count: int = 4) -> Any:
    text = np.random.default_rng(6).integers(0, 5, size=2 * 3 * count * length + 8)
    text[::2] = 1  # something to learn
    X, y = streams(text, count, length)
    return X[: 2 * count], y[: 2 * count], X[2 * count : 3 * count], y[2 * count : 3 * count]


def mlp(comm: Any) -> Results:
    """An uneven last batch, of fewer rows than ranks; clipping, warm-up, decay, early stopping."""
    optim = SGDMomentum(
        lr=0.4, final_lr=0.1, decay_type="linear", decay_each="batch", warmup=1, clip_norm=0.5
    )
    layers = [Dense(6, activation=Tanh()), Dense(3)]
    return trained(comm, layers, optim, points(), epochs=6, batch_size=17, early_stopping=1)[1]


def cnn(comm: Any) -> Results:
    """Dropout, in the convolution and in the dense layer."""
    layers = [
        Conv2D(3, 3, activation=ReLU(), dropout=0.9),
        MaxPool2D(2),
        Flatten(),
        Dense(5, activation=Tanh(), dropout=0.8),
        Dense(3),
    ]
    return trained(comm, layers, Adam(lr=0.01, clip_value=0.3), images(), epochs=2, batch_size=9)[1]


def resnet(comm: Any) -> Results:
    """Batch normalization, in batches of 3 rows for up to 4 ranks, and then one of 1 row."""
    inside = [Conv2D(4, 3, bias=False), BatchNorm(), ReLU(), Conv2D(4, 3, bias=False), BatchNorm()]
    layers = [
        Conv2D(4, 3, bias=False),
        BatchNorm(),
        Residual(inside),
        GlobalAvgPool2D(),
        Dense(3),
    ]
    return trained(comm, layers, SGD(lr=0.1), images(7), epochs=2, batch_size=3)[1]


def lstm(comm: Any) -> Results:
    """State that each sequence carries from batch to batch."""
    layers = [Embedding(5, 4), LSTMLayer(6, carry=True), Dense(5)]
    optim = Adam(lr=0.02, clip_norm=0.2)
    options = {"epochs": 2, "batch_size": 4, "shuffle": False}
    return trained(comm, layers, optim, letters(3), **options)[1]


def gpt(comm: Any) -> Results:
    """A transformer with dropout, and a cosine decay."""
    layers = [
        Embedding(5, 8),
        PositionEmbedding(6),
        TransformerBlock(2, expand=2, dropout=0.8),
        LayerNorm(),
        Dense(5),
    ]
    optim = Adam(lr=0.01, final_lr=0.001, decay_type="cosine")
    return trained(comm, layers, optim, letters(6), epochs=2, batch_size=5)[1]


TRAININGS: dict[str, Callable[[Any], Results]] = {
    function.__name__: function for function in (mlp, cnn, resnet, lstm, gpt)
}


def same(actual: Results, expected: Results) -> None:
    """Compare trainings: only the order of the sums may differ."""
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        if name == "params":
            largest = np.abs(array).max()
            np.testing.assert_allclose(actual[name], array, rtol=0, atol=1e-9 * largest)
        else:
            np.testing.assert_allclose(actual[name], array, rtol=1e-10, err_msg=name)


def bits(results: Results) -> str:
    """Return a digest of all bits."""
    whole = b"".join(np.ascontiguousarray(array).tobytes() for array in results.values())
    return hashlib.sha256(whole).hexdigest()


def main() -> None:
    """Run all trainings on all ranks, and let rank 0 write the results."""
    from mpi4py import MPI

    comm, found = MPI.COMM_WORLD, {}
    for name, training in TRAININGS.items():
        results = training(comm)
        digests = comm.allgather(bits(results))
        assert len(set(digests)) == 1, f"{name} ends in other bits on another rank"
        found |= {f"{name}.{key}": value for key, value in results.items()}
    if comm.rank == 0:
        np.savez(sys.argv[1], **found)


if __name__ == "__main__":
    main()
