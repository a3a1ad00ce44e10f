"""Ties in pooling: how far pixels are from one. The gradient checker keeps away from such kinks."""

import numpy as np

from dlfs.reference.sliding import crop, pad, window_pixels
from dlfs.types import Array, Shape
from dlfs.windows import Window


def distance_to_ties(images: Array, window: Window, shape: Shape) -> Array:
    """Return how far each pixel is from a tie: from the largest other pixel of its windows.

    The images may have more rows and columns, at the end, than ``shape`` has.
    """
    padded = pad(images, window, -np.inf)
    seen = np.stack([pixels for _, _, pixels in window_pixels(padded, window)])
    distance = np.full(padded.shape, np.inf)
    if len(seen) > 1:
        for gap, (_, _, here) in zip(_gaps(seen), window_pixels(distance, window), strict=True):
            np.minimum(here, gap, out=here)
    return crop(distance, shape, window)


def _gaps(seen: Array) -> Array:
    """Return how far each of several numbers, along axis 0, is from a tie for the largest."""
    *_, second, largest = np.sort(seen, axis=0)
    rival = np.where(seen < largest, largest, second)
    # Two pixels move, so each may go half of the way.
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(rival), np.abs(seen - rival) / 2, np.inf)
