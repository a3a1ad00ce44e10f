"""Fingerprint: whether two arrays are the same data, found out without reading all of them."""

import hashlib
from typing import Any

import numpy as np

from dlfs.types import Array, IntArray

ROWS, NUMBERS = 256, 256
"""How many rows are looked at, and how many numbers of each."""


def fingerprint(array: Array) -> dict[str, Any]:
    """Return what tells an array from others: its shape, its dtype and a digest of some rows.

    Parameters
    ----------
    array : ndarray, batch axis first
        A memmap is read only where the rows lie.

    Returns
    -------
    dict
        "shape", "dtype" and "sample", fit for JSON. At most 256 rows are read, evenly spaced from
        the first to the last, and 256 numbers of each. A larger array that differs only elsewhere
        has the same fingerprint.

    Examples
    --------
    >>> fingerprint(np.zeros((3, 2)))
    {'shape': [3, 2], 'dtype': 'float64', 'sample': '17b0761f87b081d5'}
    """
    digest = hashlib.sha256()
    for number, row in enumerate(_evenly(len(array), ROWS)):
        numbers = array[row : row + 1]
        # Other rows are read at other places, so that no column is left out everywhere.
        places = (_evenly(numbers.size, NUMBERS) + number) % max(numbers.size, 1)
        read = np.asarray(numbers.flat[places])
        digest.update(read.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "sample": digest.hexdigest()[:16],
    }


def _evenly(count: int, most: int) -> IntArray:
    """Return at most ``most`` of the numbers below ``count``, the first and the last included."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)
