"""The kernels, called as the layers call them."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import dlfs_ext
from benchmarks.work import FAST, REFERENCE, TORCH, Call, Contenders, Targets, Work
from dlfs import reference
from dlfs.types import Array

BATCH = 60
IMAGES = (BATCH, 16, 28, 28)


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def without_graph(call: Call) -> Call:
    """Call PyTorch without recording a graph, because no backward pass follows."""

    def bare() -> Any:
        with torch.inference_mode():
            return call()

    return bare


def contenders(kernel: str, arguments: tuple[Any, ...], torch_call: Call) -> Contenders:
    """Return the calls of one kernel: its fast version, the reference's, and PyTorch's."""
    return {
        FAST: functools.partial(getattr(dlfs_ext, kernel), *arguments),
        REFERENCE: functools.partial(getattr(reference, kernel), *arguments),
        TORCH: without_graph(torch_call),
    }


class Convolution:
    """The works on images, weights and gradients of one size; padding is that of "same"."""

    def __init__(
        self, channels: int, filters: int, kernel: int, side: int, batch: int,
        stride: int = 1, dilation: int = 1, groups: int = 1,
    ) -> None:  # fmt: skip
        padding = (dilation * (kernel - 1) + 1) // 2 - (kernel % 2 == 0)
        out = (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        self.images = (batch, channels, side, side)
        self.weights = (channels // groups, filters, kernel, kernel)
        self.output = (batch, filters, out, out)
        self.options = (stride, padding, dilation, groups)
        self.multiply_adds = float(np.prod(self.output) * np.prod(self.weights) / filters)
        given = {"stride": (stride, 1), "dilation": (dilation, 1), "groups": (groups, 1)}
        special = [f", {name} {n}" for name, (n, usual) in given.items() if n != usual]
        self.name = (
            f"Conv2D {channels}->{filters} {kernel}x{kernel}{''.join(special)}, {side}x{side}, "
            f"batch {batch}"
        )

    def arrays(self, dtype: str) -> tuple[Array, Array, Array]:
        scale = 1 / np.sqrt(np.prod(self.weights[::2]))
        W = (numbers(self.weights, dtype, 1) * scale).astype(dtype)
        return numbers(self.images, dtype), W, numbers(self.output, dtype, 2)

    def tensors(self, dtype: str) -> list[torch.Tensor]:
        """Return PyTorch's arrays; its weights have the output channels first."""
        x, W, grad = self.arrays(dtype)
        return [torch.from_numpy(a) for a in (x, np.ascontiguousarray(W.swapaxes(0, 1)), grad)]

    def torch_gradient(self, dtype: str, which: int) -> Call:
        """Call PyTorch's convolution_backward for one gradient: 0 images, 1 weights."""
        x, W, grad = self.tensors(dtype)
        stride, padding, dilation, groups = self.options
        options = [stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], groups
        mask = [which == 0, which == 1, False]
        backward = torch.ops.aten.convolution_backward
        return lambda: backward(grad, x, W, None, *options, mask)[which]

    def forward(self, dtype: str) -> Contenders:
        x, W, _ = self.arrays(dtype)
        tx, tw, _ = self.tensors(dtype)
        return contenders(
            "conv2d", (x, W, *self.options), lambda: F.conv2d(tx, tw, None, *self.options)
        )

    def weight_gradient(self, dtype: str) -> Contenders:
        x, W, grad = self.arrays(dtype)
        arguments = (grad, x, W.shape, *self.options)
        return contenders("conv2d_param_grad", arguments, self.torch_gradient(dtype, 1))

    def input_gradient(self, dtype: str) -> Contenders:
        x, W, grad = self.arrays(dtype)
        arguments = (grad, W, x.shape, *self.options)
        return contenders("conv2d_input_grad", arguments, self.torch_gradient(dtype, 0))


Sized = list[tuple[Convolution, Sequence[Targets | None]]]
"""Sizes with the targets of the forward pass, the weight gradient and the input gradient."""

# These are compared with the reference, too.
KNOWN: Sized = [
    (Convolution(1, 16, 5, 28, 60), [(1.15, 2.3), (1.05, 2.7), (8.0, 1.4)]),
    (Convolution(3, 16, 5, 32, 10), [(1.2, 2.0), (1.25, 2.3), (3.8, 1.6)]),
    (Convolution(16, 32, 3, 28, 60), [(1.35, 1.8), (1.5, 1.6), (1.0, 1.35)]),
    (Convolution(64, 64, 3, 32, 32), [(1.6, 1.6), (1.5, 1.3), (1.0, 1.3)]),
]
SMALL_IMAGES, OTHER_KERNELS = [(1.1, 2.0)] * 3, [(1.1, 1.8)] * 3
FURTHER: Sized = [
    (Convolution(32, 32, 3, 32, 32), [None, (1.5, 1.3), None]),
    (Convolution(64, 64, 3, 16, 32), SMALL_IMAGES),
    (Convolution(128, 128, 3, 8, 32), SMALL_IMAGES),
    (Convolution(256, 256, 3, 8, 16), SMALL_IMAGES),
    (Convolution(256, 256, 3, 4, 64), SMALL_IMAGES),
    (Convolution(64, 128, 1, 28, 16), OTHER_KERNELS),
    (Convolution(64, 128, 3, 32, 16, stride=2), OTHER_KERNELS),
    (Convolution(32, 64, 4, 32, 16, stride=2), OTHER_KERNELS),
    (Convolution(3, 64, 7, 64, 16, stride=2), OTHER_KERNELS),
    (Convolution(64, 64, 3, 32, 16, groups=64), OTHER_KERNELS),
    (Convolution(32, 32, 3, 32, 16, dilation=2), OTHER_KERNELS),
]


def convolutions() -> Iterator[Work]:
    for size, targets in [*KNOWN, *FURTHER]:
        makes = size.forward, size.weight_gradient, size.input_gradient
        names = "forward", "weight gradient", "input gradient"
        for name, make, target in zip(names, makes, targets, strict=True):
            if target is not None:
                known = any(size is other for other, _ in KNOWN)
                yield Work(
                    size.name, name, make, target, size.multiply_adds, reference=known,
                    section="Convolutions",
                )  # fmt: skip


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
