"""Training steps: forward, loss, backward, optimizer, as in a Trainer."""

from collections.abc import Callable, Iterator

import torch
from torch import nn

from benchmarks.work import FAST, REFERENCE, TORCH, Call, Contenders, Work, on_backend
from dlfs.commands.bench import BATCH, cnn_step, mlp_step


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 89), nn.Sigmoid(), nn.Linear(89, 10))


def cnn() -> nn.Module:
    convolution = nn.Conv2d(1, 16, 5, padding=2)
    return nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), nn.Linear(16 * 28 * 28, 10))


def torch_step(make: Callable[[], nn.Module], shape: tuple[int, ...], dtype: str) -> Call:
    kind = getattr(torch, dtype)
    net = make().to(kind)
    # `fused` is PyTorch's fastest update.
    optim = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)
    loss = nn.CrossEntropyLoss()
    X = torch.randn(BATCH, *shape, dtype=kind)
    y = torch.randint(0, 10, (BATCH,))

    def step() -> None:
        optim.zero_grad()
        loss(net(X), y).backward()
        optim.step()

    return step


def contenders(
    ours: Callable[[str], Call], theirs: Callable[[], nn.Module], shape: tuple[int, ...], dtype: str
) -> Contenders:
    return {
        FAST: on_backend("fast", lambda: ours(dtype)),
        REFERENCE: on_backend("reference", lambda: ours(dtype)),
        TORCH: torch_step(theirs, shape, dtype),
    }


def works() -> Iterator[Work]:
    # Matrix products alone: forward twice, weight gradient twice, input gradient of the second.
    dense = float(BATCH * (2 * 784 * 89 + 3 * 89 * 10))
    yield Work(
        "Training step, batch 60",
        "MLP 784-89-10",
        lambda dtype: contenders(mlp_step, mlp, (784,), dtype),
        (2.7, 2.0),
        dense,
    )
    pixels = 28 * 28
    conv = float(BATCH * (2 * pixels * 16 * 25 + 3 * pixels * 16 * 10))
    yield Work(
        "Training step, batch 60",
        "the book's CNN (1->16 5x5, Tanh, Dense 10)",
        lambda dtype: contenders(cnn_step, cnn, (1, 28, 28), dtype),
        (3.0, 3.2),
        conv,
        against_reference=5.0,
    )
