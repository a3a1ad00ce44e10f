"""The table of layers on the page about conversions: the site's build tries each conversion."""

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import dlfs
from dlfs import NeuralNetwork, onnx
from tools.site.names import Public, public_names

ROWS = (3, 8)
SEQUENCE = (2, 5, 8)
SIGNAL = (2, 4, 9)
IMAGE = (2, 4, 6, 6)
INTEGERS = (2, 5)

# How to make one of each class, and the shape of its input; activations take rows.
MADE: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "Dense": (lambda: dlfs.Dense(3), ROWS),
    "Conv1D": (lambda: dlfs.Conv1D(3, 3), SIGNAL),
    "Conv2D": (lambda: dlfs.Conv2D(3, 3), IMAGE),
    "ConvTranspose2D": (lambda: dlfs.ConvTranspose2D(3, 3), IMAGE),
    "AvgPool2D": (lambda: dlfs.AvgPool2D(2), IMAGE),
    "MaxPool2D": (lambda: dlfs.MaxPool2D(2), IMAGE),
    "AvgPool1D": (lambda: dlfs.AvgPool1D(2), SIGNAL),
    "MaxPool1D": (lambda: dlfs.MaxPool1D(2), SIGNAL),
    "GlobalAvgPool2D": (dlfs.GlobalAvgPool2D, IMAGE),
    "GlobalMaxPool2D": (dlfs.GlobalMaxPool2D, IMAGE),
    "RNNLayer": (lambda: dlfs.RNNLayer(4), SEQUENCE),
    "LSTMLayer": (lambda: dlfs.LSTMLayer(4), SEQUENCE),
    "GRULayer": (lambda: dlfs.GRULayer(4, reset="after"), SEQUENCE),
    "Bidirectional": (lambda: dlfs.Bidirectional(dlfs.LSTMLayer(4)), SEQUENCE),
    "LastStep": (dlfs.LastStep, SEQUENCE),
    "Reverse": (dlfs.Reverse, SEQUENCE),
    "Upsample2D": (dlfs.Upsample2D, IMAGE),
    "Embedding": (lambda: dlfs.Embedding(7, 4), INTEGERS),
    "PositionEmbedding": (lambda: dlfs.PositionEmbedding(9), SEQUENCE),
    "TiedEmbedding": (lambda: dlfs.TiedEmbedding(7, 4, [dlfs.LayerNorm()]), INTEGERS),
    "SelfAttention": (lambda: dlfs.SelfAttention(2), SEQUENCE),
    "TransformerBlock": (lambda: dlfs.TransformerBlock(2), SEQUENCE),
    "FeedForward": (lambda: dlfs.FeedForward(16), SEQUENCE),
    "BatchNorm": (dlfs.BatchNorm, ROWS),
    "LayerNorm": (dlfs.LayerNorm, ROWS),
    "RMSNorm": (dlfs.RMSNorm, ROWS),
    "GroupNorm": (lambda: dlfs.GroupNorm(2), IMAGE),
    "Dropout": (lambda: dlfs.Dropout(0.9), ROWS),
    "Flatten": (dlfs.Flatten, IMAGE),
    "Reshape": (lambda: dlfs.Reshape((2, 4)), ROWS),
    "LayerBlock": (lambda: dlfs.LayerBlock([dlfs.Dense(3)]), ROWS),
    "Residual": (lambda: dlfs.Residual([dlfs.Dense(8)]), ROWS),
    "Parallel": (lambda: dlfs.Parallel([[dlfs.Dense(3)], [dlfs.Dense(3)]]), ROWS),
}
# Base classes, and what a network makes of an Operation by itself.
NOT_LAYERS = {"Layer", "OperationLayer", "PReLU_Op"}


def layers() -> list[Public]:
    """Return the classes that the table lists."""
    return [
        public
        for public in public_names()
        if public.group.slug in {"layers", "activations"} and public.name not in NOT_LAYERS
    ]


def network(public: Public) -> NeuralNetwork:
    """Return a network of one layer that has seen data."""
    make, shape = MADE.get(public.name, (public.value, ROWS))
    try:
        net = NeuralNetwork([make()], seed=1, dtype="float32")
        net.predict(np.ones(shape, int if shape == INTEGERS else "float32"))
    except (TypeError, ValueError) as error:
        raise LookupError(
            f"MADE in tools/site/conversions.py must say how to make {public.name}, and for which"
            f" input: {error}"
        ) from error
    return net


def conversions(net: NeuralNetwork) -> list[str]:
    """Try all conversions; return "yes", "no" or, without PyTorch, "not tried" for each."""
    found = ["not tried", "not tried", "no"]
    if find_spec("torch"):
        pytorch = import_module("dlfs.pytorch")
        found[:2] = ["no", "no"]
        try:
            with warnings.catch_warnings(action="ignore"):  # tied weights
                module = pytorch.to_torch(net)
            found[0] = "yes"
            pytorch.from_torch(module, input_shape=net.input_shape)
            found[1] = "yes"
        except ValueError:
            pass
    try:
        onnx.to_onnx(net)
        found[2] = "yes"
    except ValueError:
        pass
    return found


def table() -> str:
    """Return the table as Markdown."""
    lines = ["| Layer | `to_torch` | and back | `to_onnx` |", "|---|---|---|---|"]
    lines += [f"| `{p.name}` | {' | '.join(conversions(network(p)))} |" for p in layers()]
    return "\n".join([*lines, ""])
