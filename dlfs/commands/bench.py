"""``dlfs bench``: compare the speed of the backends on this machine."""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from dlfs import backend
from dlfs.activations import Sigmoid, Tanh
from dlfs.commands.stopwatch import interleaved, readable
from dlfs.layers import Conv2D, Dense
from dlfs.losses import SoftmaxCrossEntropy
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGDMomentum
from dlfs.types import Array
from dlfs.utils.options import integer_option, real_option

HELP = "compare the backends' speed"
DESCRIPTION = (
    "Time training steps and kernels on the fast backend and the reference, in turns. 'make bench' "
    "in the source tree also compares with PyTorch."
)
BATCH = 60

Call = Callable[[], Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    seconds = real_option(0.0, 3600.0, low_open=True)
    parser.add_argument("--seconds", type=seconds, default=1.0, help="seconds per line")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="of all")
    count = integer_option(1)
    parser.add_argument(
        "--threads", type=count, default=None, help="number of threads (the current setting)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each kind of work."""
    with ExitStack() as restore:
        if arguments.threads is not None:
            restore.callback(backend.set_num_threads, backend.get_num_threads())
            backend.set_num_threads(arguments.threads)
        # "plain" is for reading; timing it would take longer than everything else.
        names = [name for name in backend.available_backends() if name != "plain"]
        print(f"{arguments.dtype}, up to {backend.get_num_threads()} threads, batch {BATCH}")
        ratio = f"{'ratio':>8}" if len(names) > 1 else ""
        print(f"{'':<24}" + "".join(f"{name:>12}" for name in names) + ratio)
        for work, make in WORK.items():
            calls = {name: on_backend(name, make, arguments.dtype) for name in names}
            times = interleaved(calls, arguments.seconds, backend.get_num_threads())
            line = f"{work:<24}" + "".join(f"{readable(times[name]):>12}" for name in names)
            if len(names) > 1:
                line += f"{times['reference'] / times['fast']:>8.1f}"
            print(line, flush=True)
    if "fast" not in names:
        print(
            "Only the reference is installed: with a C compiler, installing dlfs compiles the "
            "fast backend."
        )
    return 0


def on_backend(name: str, make: Callable[[str], Call], dtype: str) -> Call:
    """Return work that is set up and run on a backend."""
    with backend.use_backend(name):
        call = make(dtype)

    def chosen() -> None:
        with backend.use_backend(name):
            call()

    return chosen


def mlp_step(dtype: str) -> Call:
    """Return a training step of the book's network for digits, 784-89-10."""
    layers = [Dense(89, activation=Sigmoid()), Dense(10)]
    return training_step(NeuralNetwork(layers, SoftmaxCrossEntropy(), dtype=dtype), (784,))


def cnn_step(dtype: str) -> Call:
    """Return a training step of the book's convolutional network."""
    first = Conv2D(16, 5, activation=Tanh(), flatten=True)
    net = NeuralNetwork([first, Dense(10)], SoftmaxCrossEntropy(), dtype=dtype)
    return training_step(net, (1, 28, 28))


def training_step(net: NeuralNetwork, shape: tuple[int, ...]) -> Call:
    """Return a step of SGD with momentum on a batch of random images."""
    X = numbers((BATCH, *shape), str(net.dtype))
    y = np.random.default_rng(1).integers(0, 10, BATCH)
    optim = SGDMomentum(lr=0.01)
    optim.net = net
    net.build(shape)

    def step() -> None:
        net.train_batch(X, y)
        optim.step()

    return step


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    """Return standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _dense(dtype: str) -> Call:
    x, W, b = (numbers(s, dtype) for s in ((BATCH, 784), (784, 89), (1, 89)))
    return lambda: backend.kernels.dense(x, W, b, "sigmoid")


def _conv(dtype: str) -> Call:
    x, W = (numbers(shape, dtype) for shape in ((BATCH, 16, 28, 28), (16, 32, 3, 3)))
    return lambda: backend.kernels.conv2d(x, W, padding=1)


def _max_pool(dtype: str) -> Call:
    x = numbers((BATCH, 16, 28, 28), dtype)
    return lambda: backend.kernels.max_pool2d(x, (2, 2), (2, 2), 0)


def _tanh(dtype: str) -> Call:
    x = numbers((BATCH, 16, 28, 28), dtype)
    return lambda: backend.kernels.tanh(x)


WORK: dict[str, Callable[[str], Call]] = {
    "MLP, a training step": mlp_step,
    "CNN, a training step": cnn_step,
    "Dense 784->89, sigmoid": _dense,
    "Conv2D 16->32, 3x3": _conv,
    "MaxPool2D 2x2": _max_pool,
    "tanh": _tanh,
}
"""The work timed: names, and functions that set it up for a dtype."""
