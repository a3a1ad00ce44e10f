"""The accuracy of Winograd convolution: its float32 error, and PyTorch's."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

import dlfs_ext
from benchmarks.kernels import CONVOLUTIONS, Convolution
from dlfs import reference
from dlfs.types import Array


@dataclass(frozen=True)
class Accuracy:
    """Median and largest error of a forward pass, relative to the largest output."""

    name: str
    errors: dict[str, tuple[float, float]]


def measure() -> list[Accuracy]:
    """Compare each 3x3 convolution in float32 with the same convolution in float64."""
    return [compare(size) for size, *_ in CONVOLUTIONS if size.weights[2:] == (3, 3)]


def compare(size: Convolution) -> Accuracy:
    x, W, _ = size.arrays("float32")
    exact = reference.conv2d(x.astype(np.float64), W.astype(np.float64), 1, size.padding)
    turned = torch.from_numpy(np.ascontiguousarray(W.transpose(1, 0, 2, 3)))
    theirs = F.conv2d(torch.from_numpy(x), turned, padding=size.padding).numpy()
    outputs = {
        "dlfs": dlfs_ext.conv2d(x, W, 1, size.padding),
        "PyTorch": theirs,
        "reference": reference.conv2d(x, W, 1, size.padding),
    }
    return Accuracy(size.name, {name: error(out, exact) for name, out in outputs.items()})


def error(found: Array, exact: Array) -> tuple[float, float]:
    """Return the median and the largest error, relative to the largest output."""
    errors = np.abs(found - exact) / np.abs(exact).max()
    return float(np.median(errors)), float(errors.max())
