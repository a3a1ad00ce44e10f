"""The kernels, called as the layers call them."""

import functools
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

import dlfs_ext
from benchmarks.work import FAST, REFERENCE, TORCH, Call, Contenders, Work
from dlfs import reference
from dlfs.types import Array

BATCH = 60
IMAGES = (BATCH, 16, 28, 28)


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def without_graph(call: Call) -> Call:
    """Call PyTorch without recording a graph, because no backward pass follows."""

    def bare() -> None:
        with torch.inference_mode():
            call()

    return bare


def contenders(kernel: str, arguments: tuple, torch_call: Call) -> Contenders:
    return {
        FAST: functools.partial(getattr(dlfs_ext, kernel), *arguments),
        REFERENCE: functools.partial(getattr(reference, kernel), *arguments),
        TORCH: without_graph(torch_call),
    }


class Convolution:
    """The works on images, weights and gradients of one size, with "same" padding."""

    def __init__(self, channels: int, filters: int, kernel: int, side: int, batch: int) -> None:
        self.images = (batch, channels, side, side)
        self.weights = (channels, filters, kernel, kernel)
        self.output = (batch, filters, side, side)
        self.padding = kernel // 2
        self.multiply_adds = float(batch * filters * side**2 * channels * kernel**2)
        self.name = f"Conv2D {channels}->{filters} {kernel}x{kernel}, {side}x{side}, batch {batch}"

    def arrays(self, dtype: str) -> tuple[Array, Array, Array]:
        scale = 1 / np.sqrt(np.prod(self.weights[::2]))
        W = (numbers(self.weights, dtype, 1) * scale).astype(dtype)
        return numbers(self.images, dtype), W, numbers(self.output, dtype, 2)

    def torch_gradient(self, dtype: str, which: int) -> Call:
        """Call PyTorch's convolution_backward for one gradient: 0 images, 1 weights."""
        x, W, grad = self.arrays(dtype)
        W = np.ascontiguousarray(W.transpose(1, 0, 2, 3))
        x, W, grad = (torch.from_numpy(a) for a in (x, W, grad))
        pad, mask = [self.padding] * 2, [which == 0, which == 1, False]
        backward = torch.ops.aten.convolution_backward
        return lambda: backward(grad, x, W, None, [1, 1], pad, [1, 1], False, [0, 0], 1, mask)

    def forward(self, dtype: str) -> Contenders:
        x, W, _ = self.arrays(dtype)
        tx = torch.from_numpy(x)
        tw = torch.from_numpy(np.ascontiguousarray(W.transpose(1, 0, 2, 3)))
        return contenders(
            "conv2d", (x, W, 1, self.padding), lambda: F.conv2d(tx, tw, padding=self.padding)
        )

    def weight_gradient(self, dtype: str) -> Contenders:
        x, W, grad = self.arrays(dtype)
        arguments = (grad, x, W.shape, 1, self.padding)
        return contenders("conv2d_param_grad", arguments, self.torch_gradient(dtype, 1))

    def input_gradient(self, dtype: str) -> Contenders:
        x, W, grad = self.arrays(dtype)
        arguments = (grad, W, x.shape, 1, self.padding)
        return contenders("conv2d_input_grad", arguments, self.torch_gradient(dtype, 0))


CONVOLUTIONS = [
    (Convolution(1, 16, 5, 28, 60), (1.15, 2.3), (1.05, 2.7), (8.0, 1.4)),
    (Convolution(3, 16, 5, 32, 10), (1.2, 2.0), (1.25, 2.3), (3.8, 1.6)),
    # forward by Winograd's algorithm
    (Convolution(16, 32, 3, 28, 60), (1.35, 1.8), (1.0, 1.6), (1.0, 1.35)),
    (Convolution(64, 64, 3, 32, 32), (1.6, 1.6), (1.0, 1.3), (1.0, 1.3)),
]


def convolutions() -> Iterator[Work]:
    for size, forward, weights, images in CONVOLUTIONS:
        count = size.multiply_adds
        yield Work(size.name, "forward", size.forward, forward, count)
        yield Work(size.name, "weight gradient", size.weight_gradient, weights, count)
        yield Work(size.name, "input gradient", size.input_gradient, images, count)


def dense(dtype: str) -> Contenders:
    x, W, b = numbers((BATCH, 784), dtype), numbers((784, 89), dtype), numbers((1, 89), dtype)
    W = (W / 28).astype(dtype)
    # PyTorch keeps weights as (out, in).
    tx, tb = torch.from_numpy(x), torch.from_numpy(b[0])
    tw = torch.from_numpy(np.ascontiguousarray(W.T))
    return contenders("dense", (x, W, b, "sigmoid"), lambda: torch.sigmoid(F.linear(tx, tw, tb)))


def max_pool(dtype: str) -> Contenders:
    x = numbers(IMAGES, dtype)
    tx = torch.from_numpy(x)
    return contenders("max_pool2d", (x, (2, 2)), lambda: F.max_pool2d(tx, 2))


def max_pool_gradient(dtype: str) -> Contenders:
    x = numbers(IMAGES, dtype)
    output, positions = reference.max_pool2d(x, (2, 2))
    grad = numbers(output.shape, dtype, 1)
    tx, tgrad = torch.from_numpy(x), torch.from_numpy(grad)
    chosen = F.max_pool2d(tx, 2, return_indices=True)[1]
    backward = torch.ops.aten.max_pool2d_with_indices_backward
    return contenders(
        "max_pool2d_grad",
        (grad, positions, x.shape, (2, 2)),
        lambda: backward(tgrad, tx, [2, 2], [2, 2], [0, 0], [1, 1], False, chosen),
    )


def tanh(dtype: str) -> Contenders:
    x = numbers(IMAGES, dtype)
    tx = torch.from_numpy(x)
    return contenders("tanh", (x,), lambda: torch.tanh(tx))


def works() -> Iterator[Work]:
    yield from convolutions()
    count = float(BATCH * 784 * 89)
    yield Work("Dense 784->89, batch 60", "bias and sigmoid", dense, (1.3, 1.3), count)
    yield Work("MaxPool2D 2x2, 60x16x28x28", "forward", max_pool, (25.0, 10.0))
    yield Work("MaxPool2D 2x2, 60x16x28x28", "backward", max_pool_gradient, (2.0, 2.0))
    yield Work("tanh, 752,640 elements", "", tanh, (5.0, 4.0))
