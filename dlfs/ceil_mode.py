"""Pooling with ceil_mode: pixels that are left over at the end make a window that lacks some.

The images are enlarged until no pixel is left over.
"""

import numpy as np

from dlfs.backend import kernels
from dlfs.reference.sliding import pad
from dlfs.types import Array
from dlfs.windows import Window, ceil_rest


def enlarged(images: Array, window: Window, value: float) -> Array:
    """Return images with the rows and columns that lack, made of ``value``."""
    lacking = ceil_rest(images.shape[2:], window)
    if not any(lacking):
        return images
    return np.pad(images, [(0, rest) for rest in (0, 0, *lacking)], constant_values=value)


def shares(images: Array, window: Window, count_include_pad: bool) -> Array:
    """Return the pixels of the kernel over those that count, for each window; what lacks does not.

    The mean over a whole window, with zeros for what lacks, times this, is that of what counts.
    """
    lacking = ceil_rest(images.shape[2:], window)
    counted = np.ones((1, 1, *images.shape[2:]), dtype=images.dtype)
    counted = pad(counted, window, float(count_include_pad))
    counted = np.pad(counted, [(0, rest) for rest in (0, 0, *lacking)])
    return 1 / kernels.avg_pool2d(counted, window.kernel, window.stride)
