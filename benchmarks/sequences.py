"""Training steps of recurrent networks, with the book's settings for the sonnets."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from benchmarks.work import FAST, REFERENCE, TORCH, Call, Contenders, Work, on_backend
from dlfs.layers import Dense, GRULayer, Layer, LSTMLayer, RNNLayer
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import AdaGrad

HIDDEN, VOCABULARY, LENGTH, BATCH = 256, 62, 25, 32


def indices(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, VOCABULARY, (BATCH, LENGTH))


def layer(kind: str) -> Layer:
    if kind == "GRU":
        # As in PyTorch, so that both compute the same sums.
        return GRULayer(HIDDEN, vocabulary_size=VOCABULARY, reset="after")
    return {"RNN": RNNLayer, "LSTM": LSTMLayer}[kind](HIDDEN, vocabulary_size=VOCABULARY)


def our_step(kind: str, dtype: str) -> Call:
    net = NeuralNetwork([layer(kind), Dense(VOCABULARY)], SoftmaxCrossEntropy(), dtype=dtype)
    optim = AdaGrad(lr=0.01)
    optim.net = net
    net.build((LENGTH,))
    X, y = indices(1), indices(2)

    def step() -> None:
        net.train_batch(X, y)
        optim.step()

    return step


class Recurrent(nn.Module):
    """A recurrent layer, and a dense one at every time step."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.recurrent = getattr(nn, kind)(VOCABULARY, HIDDEN)
        self.dense = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(self.recurrent(x)[0])


def torch_step(kind: str, dtype: str) -> Call:
    """Its one-hot rows are made untimed, because PyTorch's recurrent layers take no integers.

    The time axis comes first, which is fastest for these layers.
    """
    dtype_ = getattr(torch, dtype)
    net = Recurrent(kind).to(dtype_)
    optim = torch.optim.Adagrad(net.parameters(), lr=0.01, fused=True)
    loss = nn.CrossEntropyLoss()
    X = nn.functional.one_hot(torch.from_numpy(indices(1).T.copy()), VOCABULARY).to(dtype_)
    y = torch.from_numpy(indices(2).T.copy()).flatten()

    def step() -> None:
        optim.zero_grad()
        loss(net(X).flatten(0, 1), y).backward()
        optim.step()

    return step


def contenders(kind: str, dtype: str) -> Contenders:
    return {
        FAST: on_backend("fast", lambda: our_step(kind, dtype)),
        REFERENCE: on_backend("reference", lambda: our_step(kind, dtype)),
        TORCH: torch_step(kind, dtype),
    }


def work(kind: str, gates: int, targets: tuple[float, float]) -> Work:
    rows = BATCH * LENGTH
    # Only the necessary matrix products: those of the state forward, of its gradient, of the
    # weights' gradient, and of the dense layer. The one-hot input needs none.
    count = float(rows * 3 * HIDDEN * (gates * HIDDEN + VOCABULARY))
    return Work(
        "Training step, characters, batch 32",
        f"{kind} 256, 62 characters, 25 steps",
        lambda dtype: contenders(kind, dtype),
        targets,
        count,
    )


def works() -> Iterator[Work]:
    yield work("RNN", 1, (2.0, 1.9))
    yield work("GRU", 3, (1.8, 1.8))
    yield work("LSTM", 4, (1.25, 1.9))
