"""Single layers, forward and backward, in dlfs and PyTorch; and an optimizer's step."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.kernels import numbers
from benchmarks.work import FAST, TORCH, Call, Contenders, Targets, Work, on_backend
from dlfs import (
    GELU,
    Adam,
    BatchNorm,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    NeuralNetwork,
    RMSNorm,
    SiLU,
    Softmax,
)
from dlfs.attention import Attention_Op
from dlfs.pooling import AvgPool2D
from dlfs.pytorch import to_torch
from dlfs.types import Array, Shape


class Piece(NamedTuple):
    """A layer and the shape of its input; integers below `vocabulary` if that is given.

    `whole` times forward and backward together.
    """

    name: str
    make: Callable[[], Any]
    shape: Shape
    vocabulary: int = 0
    whole: bool = False
    targets: Targets = (1.5, 1.3)

    def ours(self, dtype: str) -> tuple[Any, Array, Array]:
        """Return the layer, with the input and a gradient of the output."""
        net = NeuralNetwork([self.make()], seed=1, dtype=dtype)
        net.build(self.shape[1:])
        x = numbers(self.shape, dtype)
        if self.vocabulary:
            x = np.random.default_rng(1).integers(0, self.vocabulary, self.shape)
        return net.layers[0], x, numbers(net.layers[0].forward(x).shape, dtype, 2)

    def theirs(self, dtype: str) -> tuple[Call, Callable[..., torch.Tensor]]:
        """Return PyTorch's forward pass, and its gradients of an output."""
        net = NeuralNetwork([self.make()], seed=1, dtype=dtype)
        net.build(self.shape[1:])
        module = to_torch(net).train()
        _, x, grad = self.ours(dtype)
        tx, tgrad = torch.from_numpy(x), torch.from_numpy(grad)
        wanted = [*([] if self.vocabulary else [tx.requires_grad_()]), *module.parameters()]

        def gradients(output: torch.Tensor, keep: bool = True) -> torch.Tensor:
            return torch.autograd.grad(output, wanted, tgrad, retain_graph=keep)[0]

        return partial(module, tx), gradients

    def forward(self, dtype: str) -> Contenders:
        def ours() -> Call:
            layer, x, _ = self.ours(dtype)
            return partial(layer.forward, x)

        return {FAST: on_backend("fast", ours), TORCH: self.theirs(dtype)[0]}

    def backward(self, dtype: str) -> Contenders:
        def ours() -> Call:
            layer, x, grad = self.ours(dtype)
            layer.forward(x)
            return lambda: self.gradient(layer, grad)

        forward, gradients = self.theirs(dtype)
        return {FAST: on_backend("fast", ours), TORCH: partial(gradients, forward())}

    def both(self, dtype: str) -> Contenders:
        def ours() -> Call:
            layer, x, grad = self.ours(dtype)

            def call() -> Array:
                layer.forward(x)
                return self.gradient(layer, grad)

            return call

        forward, gradients = self.theirs(dtype)
        return {FAST: on_backend("fast", ours), TORCH: lambda: gradients(forward(), False)}

    def gradient(self, layer: Any, grad: Array) -> Array:
        """Run the layer backward; return the gradient of its input, or of its table."""
        x_grad = layer.backward(grad, input_grad=not self.vocabulary)
        return layer.param_grads[0] if self.vocabulary else x_grad


POSITIONS = 2048  # 32 sequences of 64 characters
attention = partial(Attention_Op, 4, causal=True)
PIECES = [
    Piece("BatchNorm, 32x64x16x16", BatchNorm, (32, 64, 16, 16)),
    Piece("LayerNorm, 2,048x128", LayerNorm, (POSITIONS, 128)),
    Piece("RMSNorm, 2,048x128", RMSNorm, (POSITIONS, 128)),
    Piece("GELU, 2,048x512", GELU, (POSITIONS, 512)),
    Piece("SiLU, 2,048x512", SiLU, (POSITIONS, 512)),
    Piece("Softmax, 2,048x256", Softmax, (POSITIONS, 256)),
    Piece("Dropout 0.2, 2,048x512", partial(Dropout, 0.8), (POSITIONS, 512)),
    Piece("AvgPool2D 2x2, 60x16x28x28", partial(AvgPool2D, 2), (60, 16, 28, 28)),
    Piece("Embedding 62->128, 32x64", partial(Embedding, 62, 128), (32, 64), vocabulary=62),
    Piece("Attention, 4 heads of 32, causal, 32x64", attention, (32, 64, 384), 0, True, (1.5, 1.5)),
    Piece("Attention, 4 heads of 32, causal, 4x512", attention, (4, 512, 384), 0, True, (1.5, 1.5)),
]


def adam(dtype: str) -> Contenders:
    net = NeuralNetwork([Dense(1024)], seed=1, dtype=dtype)
    net.build((1023,))
    theirs, optim = to_torch(net), Adam(lr=1e-6)
    optim.net = net
    for holder in net.param_holders():
        holder.param_grad = np.ones_like(holder.param)
    for param in theirs.parameters():
        param.grad = torch.ones_like(param)
    their_optim = torch.optim.Adam(theirs.parameters(), lr=1e-6, fused=True)

    def ours() -> Array:
        optim.step()
        return net.layers[0].params[0]

    def their_step() -> torch.Tensor:
        their_optim.step()
        return theirs[0].weight

    return {FAST: on_backend("fast", lambda: ours), TORCH: their_step}


def works() -> Iterator[Work]:
    for piece in PIECES:
        if piece.whole:
            yield Work(piece.name, "forward and backward", piece.both, piece.targets)
        else:
            random = isinstance(piece.make(), Dropout)
            yield Work(piece.name, "forward", piece.forward, piece.targets, random=random)
            yield Work(piece.name, "backward", piece.backward, piece.targets, random=random)
    yield Work("Adam's step, 1,048,576 parameters", "", adam, (1.5, 1.3))
