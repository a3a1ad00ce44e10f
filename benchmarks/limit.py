"""The least time that the machine allows for a training step.

It is the sum over the step's kernels of ``max(multiply-adds / peak, bytes / bandwidth)``. The
multiply-adds are those of the definitions: Winograd's algorithm, which needs fewer, may be faster.
A kernel must read its arguments and write its results once, at the speed of a copy of as many
bytes, which is higher for what fits into a cache. Added is an allowance for Python: for each call
of a kernel, the time it takes in a network whose arrays have one number.
"""

import functools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlfs import Dense, NeuralNetwork, backend
from dlfs.activations import Sigmoid
from dlfs.optimizers import SGDMomentum


def _conv(output: Any, shape: Sequence[int]) -> float:
    """Count for each output all weights of one of the output channels."""
    return output.size * math.prod(shape) / shape[1]


def _recurrent(z: Any, state: Any) -> float:
    return z.size * state.shape[-1]


# Of a kernel's arguments and its (first) result.
COUNTS: dict[str, Callable[[Sequence[Any], Any], float]] = {
    "dense": lambda a, out: a[0].size * a[1].shape[1],
    "weight_multiply": lambda a, out: a[0].size * a[1].shape[1],
    "weight_multiply_input_grad": lambda a, out: a[0].size * a[1].shape[0],
    "weight_multiply_param_grad": lambda a, out: a[1].size * a[0].shape[-1],
    "conv2d": lambda a, out: _conv(out, a[1].shape),
    "conv2d_bias_activation": lambda a, out: _conv(out, a[1].shape),
    "conv2d_input_grad": lambda a, out: _conv(a[0], a[1].shape),
    "conv2d_param_grad": lambda a, out: _conv(a[0], out.shape),
    "conv2d_bias_activation_param_grad": lambda a, out: _conv(a[0], out.shape),
    "conv1d": lambda a, out: _conv(out, a[1].shape),
    "conv1d_input_grad": lambda a, out: _conv(a[0], a[1].shape),
    "conv1d_param_grad": lambda a, out: _conv(a[0], out.shape),
    "conv_transpose2d": lambda a, out: a[0].size * a[1].size / len(a[1]),
    "conv_transpose2d_input_grad": lambda a, out: out.size * a[1].size / len(a[1]),
    "conv_transpose2d_param_grad": lambda a, out: a[1].size * out.size / len(out),
    "rnn": lambda a, out: _recurrent(a[0], a[1]),
    "lstm": lambda a, out: _recurrent(a[0], a[1]),
    "gru": lambda a, out: _recurrent(a[0], a[1]),
    "rnn_grad": lambda a, out: 2 * _recurrent(out, a[2]),
    "lstm_grad": lambda a, out: 2 * _recurrent(out, a[3]),
    "gru_grad": lambda a, out: 2 * _recurrent(out, a[2]),
    # Half of the scores are needed where attention is causal.
    "attention": lambda a, out: 2 * out.size * out.shape[1] / (1 + a[2]),
    "attention_grad": lambda a, out: 4 * a[2].size * a[2].shape[1] / (1 + a[4]),
}


@dataclass(frozen=True)
class Limit:
    """The kernels of a step: the multiply-adds and the bytes of each."""

    kernels: list[tuple[float, int]]

    @property
    def multiply_adds(self) -> float:
        return sum(count for count, _ in self.kernels)

    def seconds(self, peak: float) -> float:
        """Return the least time, for a peak in floating-point operations per second."""
        return sum(
            max(2 * count / peak, size / bandwidth(size.bit_length()))
            for count, size in self.kernels
        )

    def allowance(self) -> float:
        return len(self.kernels) * seconds_per_call()


def of_step(step: Callable[[], Any]) -> Limit:
    """Run a step once, and note the kernels it calls."""
    step()  # the first step sets the optimizer up
    with recorded() as kernels:
        step()
    return Limit(kernels)


@contextmanager
def recorded() -> Iterator[list[tuple[float, int]]]:
    """Note the multiply-adds and bytes of every call of a kernel in this block."""
    kernels: list[tuple[float, int]] = []

    class Recorder:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                result = getattr(original, name)(*args, **kwargs)
                kernels.append(work_of(name, (*args, *kwargs.values()), result))
                return result

            return call

    original = backend.kernels
    users = [
        module
        for name, module in sys.modules.items()
        if name.startswith("dlfs.") and getattr(module, "kernels", None) is original
    ]
    try:
        for module in users:
            module.kernels = Recorder()  # type: ignore[attr-defined]
        yield kernels
    finally:
        for module in users:
            module.kernels = original  # type: ignore[attr-defined]


def work_of(name: str, args: tuple[Any, ...], result: Any) -> tuple[float, int]:
    results = result if isinstance(result, tuple) else (result,)
    count = COUNTS[name](args, results[0]) if name in COUNTS else 0.0
    arrays = {id(array): array for array in (*args, *results) if isinstance(array, np.ndarray)}
    size = sum(array.nbytes for array in arrays.values())
    if name.endswith("_update"):
        size += size - args[1].nbytes  # all but the gradient are read and written
    return count, size


@functools.cache
def bandwidth(bits: int) -> float:
    """Return the bytes per second that a copy reads and writes: less than 2**bits in all."""
    size = 2 ** max(bits - 1, 14) // 8
    source, target = np.ones(size), np.ones(size)
    copies = max(2**20 // size, 1)  # the clock cannot measure a copy of a few kilobytes
    return 16 * size / _least(lambda: np.copyto(target, source), copies)


@functools.cache
def seconds_per_call() -> float:
    """Return the time per kernel of a training step with one number in each array."""
    net = NeuralNetwork([Dense(1, activation=Sigmoid()) for _ in range(8)], dtype="float32")
    net.build((1,))
    optim, one = SGDMomentum(), np.ones((1, 1), "float32")
    optim.net = net

    def step() -> None:
        net.train_batch(one, one)
        optim.step()

    return _least(step) / len(of_step(step).kernels)


def _least(call: Callable[[], Any], count: int = 1) -> float:
    """Return the processor time of a call, the least of many samples of `count` calls, in 50 ms."""
    times: list[float] = []
    end = time.thread_time() + 0.05
    while time.thread_time() < end or len(times) < 10:
        started = time.thread_time()
        for _ in range(count):
            call()
        times.append((time.thread_time() - started) / count)
    return min(times)
