"""The demo's epoch: the network, data and recipe of `dlfs train`, in dlfs and in PyTorch."""

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks.work import on_threads
from dlfs import datasets
from dlfs.backend import use_backend
from dlfs.commands.recipes import cnn
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGDMomentum
from dlfs.train import Trainer

BATCH, RATE, FINAL_RATE = 32, 0.05, 0.001


@dataclass(frozen=True)
class Epoch:
    """Seconds of training and test accuracy, medians of several runs."""

    threads: int
    seconds: dict[str, float]
    accuracy: dict[str, float]

    @property
    def ratio(self) -> float:
        return self.seconds["PyTorch"] / self.seconds["dlfs fast"]


def new_network() -> NeuralNetwork:
    net = cnn(seed=1, dtype="float32")
    net.build((1, 28, 28))
    return net


def train_ours(data: datasets.MNIST) -> tuple[float, float]:
    with use_backend("fast"):
        net = new_network()
        optim = SGDMomentum(lr=RATE, final_lr=FINAL_RATE, decay_type="linear", decay_each="batch")
        history = Trainer(net, optim).fit(
            data.X_train, data.y_train, epochs=1, batch_size=BATCH, restart=False,
            early_stopping=False, verbose=0,
        )  # fmt: skip
        right = net.predict(data.X_test).argmax(axis=1) == data.y_test
    return sum(history["seconds"]), float(right.mean())


def train_torch(data: datasets.MNIST) -> tuple[float, float]:
    """Start from the same weights; shuffle, and report each batch's loss, as we do."""
    net = nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16 * 14 * 14, 10),
    )  # fmt: skip
    W1, b1, W2, b2 = (torch.from_numpy(np.array(param)) for param in new_network().params())
    with torch.no_grad():
        net[0].weight.copy_(W1.transpose(0, 1))
        net[0].bias.copy_(b1.flatten())
        net[4].weight.copy_(W2.T)
        net[4].bias.copy_(b2.flatten())
    X, y = torch.from_numpy(data.X_train), torch.from_numpy(data.y_train.astype(np.int64))
    optim = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, fused=True)
    loss_of = nn.CrossEntropyLoss()
    steps, total = -(-len(X) // BATCH), 0.0
    started = time.perf_counter()
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))
    for step, chosen in enumerate(order.split(BATCH)):
        optim.param_groups[0]["lr"] = RATE + (FINAL_RATE - RATE) * step / (steps - 1)
        optim.zero_grad()
        loss = loss_of(net(X[chosen]), y[chosen])
        loss.backward()
        optim.step()
        total += loss.item() * len(chosen)
    seconds = time.perf_counter() - started
    with torch.inference_mode():
        guess = torch.cat([net(part) for part in torch.from_numpy(data.X_test).split(1000)])
    right = guess.argmax(dim=1).numpy() == data.y_test
    return seconds, float(right.mean())


def measure(threads: int, runs: int = 3) -> Epoch:
    """Train in turns, A B A B."""
    data = datasets.mnist(dtype="float32")
    contenders = {"dlfs fast": train_ours, "PyTorch": train_torch}
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    with on_threads(threads):
        for _ in range(runs):
            for name, train in contenders.items():
                rows[name].append(train(data))
    return Epoch(
        threads,
        {name: statistics.median(row[0] for row in found) for name, found in rows.items()},
        {name: statistics.median(row[1] for row in found) for name, found in rows.items()},
    )
