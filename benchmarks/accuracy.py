"""The accuracy of Winograd convolution: its float32 error, and PyTorch's."""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F

import dlfs_ext
from benchmarks.kernels import KNOWN, Convolution
from dlfs import reference
from dlfs.types import Array


@dataclass(frozen=True)
class Accuracy:
    """Median and largest error of a forward pass, relative to the largest output."""

    name: str
    errors: dict[str, tuple[float, float]]


def measure() -> list[Accuracy]:
    """Compare each 3x3 convolution in float32 with the same convolution in float64."""
    return [compare(size) for size, *_ in KNOWN if size.weights[2:] == (3, 3)]


def compare(size: Convolution) -> Accuracy:
    x, W, _ = size.arrays("float32")
    options = size.options
    exact = reference.conv2d(x.astype(np.float64), W.astype(np.float64), *options)
    theirs = F.conv2d(*size.tensors("float32")[:2], None, *options).numpy()
    outputs = {
        "dlfs": dlfs_ext.conv2d(x, W, *options),
        "PyTorch": theirs,
        "reference": reference.conv2d(x, W, *options),
    }
    return Accuracy(size.name, {name: error(out, exact) for name, out in outputs.items()})


def error(found: Array, exact: Array) -> tuple[float, float]:
    """Return the median and the largest error, relative to the largest output."""
    errors = np.abs(found - exact) / np.abs(exact).max()
    return float(np.median(errors)), float(errors.max())
