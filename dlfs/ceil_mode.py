"""Pooling with ceil_mode: the last pixels are pooled, too, by a window that is not full.

The images are enlarged until that window is full.
"""

import numpy as np

from dlfs.backend import kernels
from dlfs.reference.sliding import pad
from dlfs.types import Array
from dlfs.windows import Window, ceil_rest


def enlarged(images: Array, window: Window, value: float) -> Array:
    """Return images with the missing rows and columns added, filled with ``value``."""
    missing = ceil_rest(images.shape[2:], window)
    if not any(missing):
        return images
    return np.pad(images, [(0, rest) for rest in (0, 0, *missing)], constant_values=value)


def shares(images: Array, window: Window, count_include_pad: bool) -> Array:
    """Return the number of a kernel's pixels divided by the number that count, for each window.

    Added pixels do not count. They are 0, so the mean over the full window, times this factor, is
    the mean over the pixels that count.
    """
    missing = ceil_rest(images.shape[2:], window)
    counted = np.ones((1, 1, *images.shape[2:]), dtype=images.dtype)
    counted = pad(counted, window, float(count_include_pad))
    counted = np.pad(counted, [(0, rest) for rest in (0, 0, *missing)])
    return 1 / kernels.avg_pool2d(counted, window.kernel, window.stride)
