"""The networks: training steps and predictions, in dlfs, PyTorch and JAX.

Each network is described once, in dlfs. ``to_torch`` gives PyTorch's with the same weights, which
benchmarks.in_jax translates again: ``--check`` compares what the three compute.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.work import (
    COMPILED,
    FAST,
    JAX,
    REFERENCE,
    TORCH,
    Call,
    Contenders,
    Targets,
    Work,
    on_backend,
)  # fmt: skip
from dlfs import (
    BatchNorm,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    GRULayer,
    LayerNorm,
    LSTMLayer,
    PositionEmbedding,
    ReLU,
    RNNLayer,
    Sigmoid,
    Tanh,
    TransformerBlock,
)  # fmt: skip
from dlfs import optimizers as ours
from dlfs.losses import MeanSquaredError, SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.pooling import MaxPool1D, MaxPool2D
from dlfs.pytorch import to_torch
from dlfs.reshape import Flatten
from dlfs.types import Array

OPTIMIZERS: dict[str, tuple[type[ours.Optimizer], Callable[..., torch.optim.Optimizer]]] = {
    "SGDMomentum": (ours.SGDMomentum, partial(torch.optim.SGD, momentum=0.9)),
    "AdaGrad": (ours.AdaGrad, torch.optim.Adagrad),
    "Adam": (ours.Adam, torch.optim.Adam),
    "AdamW": (ours.AdamW, torch.optim.AdamW),
}
RATE = 0.001


@dataclass(frozen=True)
class Network:
    """A network and its recipe. The targets are PyTorch's time over ours: see Work.

    `layers` returns new layers. `shape` is that of one row of data: numbers, or characters if
    `vocabulary` is given. The network tells 10 classes apart, predicts the next character, or its
    own input ("copy"). `share` is the goal for its share of the machine's limit.
    """

    name: str
    layers: Callable[[], list[Any]]
    shape: tuple[int, ...]
    targets: Targets
    optimizer: str = "SGDMomentum"
    batch: int = 60
    vocabulary: int = 0
    copy: bool = False
    reference: bool = False
    against_reference: float | None = None
    jax_target: float = 1.0
    share: float | None = None

    @property
    def recipe(self) -> str:
        return f"batch {self.batch}, {self.optimizer}"

    def data(self, dtype: str, batch: int | None = None) -> tuple[Array, Array]:
        rng = np.random.default_rng(1)
        shape = (batch or self.batch, *self.shape)
        if self.vocabulary:
            return rng.integers(0, self.vocabulary, shape), rng.integers(0, self.vocabulary, shape)
        X = rng.standard_normal(shape).astype(dtype)
        return X, X if self.copy else rng.integers(0, 10, len(X))

    def network(self, dtype: str) -> NeuralNetwork:
        loss = MeanSquaredError() if self.copy else SoftmaxCrossEntropy()
        net = NeuralNetwork(self.layers(), loss, seed=1, dtype=dtype)
        net.build(self.shape)
        return net

    def trainer(self, dtype: str) -> Callable[[Array, Array], float]:
        """Return a training step: forward, loss, backward and update, as in a Trainer."""
        net, optim = self.network(dtype), OPTIMIZERS[self.optimizer][0](lr=RATE)
        optim.net = net

        def step(X: Array, y: Array) -> float:
            loss = net.train_batch(X, y)
            optim.step()
            return loss

        return step

    def step(self, dtype: str) -> Call:
        return partial(self.trainer(dtype), *self.data(dtype))

    def in_torch(
        self, dtype: str, batch: int | None = None
    ) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
        """Return PyTorch's network with the same weights, and its data.

        Around recurrent layers the time axis comes first, which is fastest for them.
        """
        net = to_torch(self.network(dtype)).train()
        X, y = self.data(dtype, batch)
        recurrent = [module for module in net.modules() if isinstance(module, nn.RNNBase)]
        for module in recurrent:
            module.batch_first = False
        if recurrent:
            X, y = X.T.copy(), y.T.copy()
        return net, torch.from_numpy(X), torch.from_numpy(y)

    def loss_in_torch(self, net: nn.Module) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        if self.copy:
            return lambda X, y: nn.functional.mse_loss(net(X), y, reduction="sum") / len(X)
        if self.vocabulary:
            return lambda X, y: nn.functional.cross_entropy(net(X).flatten(0, 1), y.flatten())
        return lambda X, y: nn.functional.cross_entropy(net(X), y)

    def torch_trainer(
        self, net: nn.Module, compiled: bool = False
    ) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        loss_of = self.loss_in_torch(net)
        if compiled:
            loss_of = torch.compile(loss_of)
        # `fused` is PyTorch's fastest update.
        optim = OPTIMIZERS[self.optimizer][1](net.parameters(), lr=RATE, fused=True)

        def step(X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            optim.zero_grad()
            loss = loss_of(X, y)
            loss.backward()
            optim.step()
            return loss.detach()

        return step

    def torch_step(self, dtype: str, compiled: bool = False) -> Call:
        net, X, y = self.in_torch(dtype)
        return partial(self.torch_trainer(net, compiled), X, y)

    def contenders(self, dtype: str) -> Contenders:
        return {
            FAST: on_backend("fast", lambda: self.step(dtype)),
            REFERENCE: on_backend("reference", lambda: self.step(dtype)),
            TORCH: self.torch_step(dtype),
        }

    def compilers(self, dtype: str) -> Contenders:
        """Return the same step compiled by JAX, if it is installed, and by PyTorch."""
        calls: Contenders = {}
        if find_spec("jax") is not None:
            from benchmarks.in_jax import training_step

            net, X, y = self.in_torch(dtype)
            calls[JAX] = training_step(net, self.optimizer, RATE, X, y, self.copy)
        # In float32 only, because it compiles for many seconds. It needs a C++ compiler.
        if dtype == "float32" and shutil.which(os.environ.get("CXX", "g++")):
            calls[COMPILED] = self.torch_step(dtype, compiled=True)
        return calls

    def prediction(self, batch: int, dtype: str) -> Contenders:
        net, X = self.network(dtype), self.data(dtype, batch)[0]
        theirs, theirs_X, _ = self.in_torch(dtype, batch)
        theirs.eval()

        def predict() -> torch.Tensor:
            with torch.inference_mode():
                return theirs(theirs_X)

        return {FAST: on_backend("fast", lambda: lambda: net.predict(X)), TORCH: predict}


def vgg(normalize: bool) -> list[Any]:
    def convolution(channels: int) -> list[Any]:
        if normalize:
            return [Conv2D(channels, 3), BatchNorm(), ReLU()]
        return [Conv2D(channels, 3, activation=ReLU())]

    return [
        *convolution(32), *convolution(32), MaxPool2D(2),
        *convolution(64), *convolution(64), MaxPool2D(2),
        Flatten(), Dense(256, activation=ReLU()), Dense(10),
    ]  # fmt: skip


def lenet() -> list[Any]:
    return [
        Conv2D(6, 5, activation=ReLU()), MaxPool2D(2),
        Conv2D(16, 5, activation=ReLU(), padding=0), MaxPool2D(2),
        Flatten(), Dense(120, activation=ReLU()), Dense(84, activation=ReLU()), Dense(10),
    ]  # fmt: skip


def autoencoder() -> list[Any]:
    half: dict[str, Any] = {"stride": 2, "padding": 1}
    return [
        Conv2D(16, 4, activation=ReLU(), **half), Conv2D(32, 4, activation=ReLU(), **half),
        ConvTranspose2D(16, 4, activation=ReLU(), **half),
        ConvTranspose2D(1, 4, activation=Sigmoid(), **half),
    ]  # fmt: skip


def convolutions_1d() -> list[Any]:
    return [
        Conv1D(32, 7, activation=ReLU()), MaxPool1D(2), Conv1D(64, 7, activation=ReLU()),
        MaxPool1D(2), Flatten(), Dense(10),
    ]  # fmt: skip


def gpt() -> list[Any]:
    blocks = [TransformerBlock(4, dropout=0.8) for _ in range(4)]
    return [
        Embedding(62, 128), PositionEmbedding(64), Dropout(0.8), *blocks, LayerNorm(), Dense(62)
    ]  # fmt: skip


TEXT: dict[str, Any] = {"shape": (25,), "vocabulary": 62, "batch": 32, "optimizer": "AdaGrad"}
BOOK: dict[str, Any] = {**TEXT, "reference": True, "share": 0.85}
IMAGES = (1, 28, 28)
MLP = Network(
    "MLP 784-512-512-10",
    lambda: [Dense(512, activation=ReLU()), Dense(512, activation=ReLU()), Dense(10)],
    (784,), (2.4, None), share=0.85,
)  # fmt: skip
LENET = Network("LeNet (6 and 16 5x5, Dense 120, 84, 10)", lenet, IMAGES, (2.8, None))
LSTM = Network(
    "LSTM 256 on an embedding of 64, 25 steps",
    lambda: [Embedding(62, 64), LSTMLayer(256), Dense(62)],
    targets=(1.6, None), share=0.85, **TEXT,
)  # fmt: skip
VGG = Network(
    "VGG-like (32-32-pool-64-64-pool-256), 3x32x32",
    lambda: vgg(normalize=False),
    (3, 32, 32), (2.0, 2.5), "Adam", 32,
)  # fmt: skip
GPT = Network(
    "GPT: 4 blocks, width 128, 4 heads, dropout 0.2, 64 steps",
    gpt, (64,), (2.5, 2.5), "AdamW", 32, vocabulary=62, jax_target=3.0,
)  # fmt: skip
NETWORKS = [
    Network(
        "MLP 784-89-10",
        lambda: [Dense(89, activation=Sigmoid()), Dense(10)],
        (784,), (2.7, 2.0), reference=True, share=0.85,
    ),
    MLP,
    Network(
        "the book's CNN (1->16 5x5, Tanh, Dense 10)",
        lambda: [Conv2D(16, 5, activation=Tanh(), flatten=True), Dense(10)],
        IMAGES, (3.0, 3.2), reference=True, against_reference=5.0, share=0.75,
    ),
    LENET,
    VGG,
    Network(
        f"{VGG.name}, batch norm", lambda: vgg(normalize=True), VGG.shape, (2.0, 2.5), "Adam", 32
    ),
    Network(
        "autoencoder: 4x4 stride 2, 16 and 32 channels, and back", autoencoder, IMAGES, (1.8, None),
        "Adam", copy=True,
    ),
    Network("1-D convolutions of 7: 32 and 64, 6x128", convolutions_1d, (6, 128), (1.8, None)),
    Network(
        "RNN 256, 62 characters, 25 steps",
        lambda: [RNNLayer(256, vocabulary_size=62), Dense(62)],
        targets=(2.0, 1.9), **BOOK,
    ),
    # reset="after" as in PyTorch, so that both compute the same sums
    Network(
        "GRU 256, 62 characters, 25 steps",
        lambda: [GRULayer(256, vocabulary_size=62, reset="after"), Dense(62)],
        targets=(1.8, 1.8), **BOOK,
    ),
    Network(
        "LSTM 256, 62 characters, 25 steps",
        lambda: [LSTMLayer(256, vocabulary_size=62), Dense(62)],
        targets=(1.25, 1.9), **BOOK,
    ),
    LSTM,
    GPT,
]  # fmt: skip


def works() -> Iterator[Work]:
    for network in NETWORKS:
        yield Work(
            network.name, network.recipe, network.contenders, network.targets,
            against_reference=network.against_reference, against_jax=network.jax_target,
            reference=network.reference, compilers=network.compilers, random=network is GPT,
            step=network.step, share=network.share,
            section="Training steps",
        )  # fmt: skip
    for network in (MLP, LENET, LSTM):
        for batch in (1, 32, 1000):
            make = partial(network.prediction, batch)
            yield Work(network.name, f"batch {batch:,}", make, (1.0, 1.0), section="Prediction")
