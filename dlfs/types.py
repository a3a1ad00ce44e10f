"""Type names used in signatures."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array, floating unless stated otherwise."""

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
"""A NumPy array of integers: labels, indices."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of an array, batch axis first."""

Pair: TypeAlias = int | tuple[int, int]
"""One number for height and width, or (height, width)."""

Padding: TypeAlias = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] | str
"""n, (height, width), ((top, bottom), (left, right)), "same" or "valid"."""

Padding1D: TypeAlias = int | tuple[int, int] | str
"""n, (before, after), "same" or "valid"."""
