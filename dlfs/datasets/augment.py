"""Augmentation: random changes of images that leave their class as it is.

Pass one, or a list of them, as ``transform`` to ``Trainer.fit``. Each takes a batch of images,
(batch, channels, height, width), and a ``numpy.random.Generator``, and returns new images of the
same shape; each image is changed in its own way. A network that never sees the same image twice
overfits less. SciPy does the interpolation.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from dlfs.checks import as_float_array, check_int, check_real
from dlfs.types import Array

__all__ = ["Crop", "Flip", "Rotate", "Shift"]


@dataclass(frozen=True)
class Shift:
    """Moves each image by a random distance, also by fractions of a pixel.

    Parameters
    ----------
    pixels : float, default 2.0
        The largest distance along each axis. What comes in from outside is ``fill``.
    fill : float, default 0.0

    Examples
    --------
    >>> images = np.ones((2, 1, 4, 4))
    >>> Shift(1.0)(images, np.random.default_rng(0)).shape
    (2, 1, 4, 4)
    """

    pixels: float = 2.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        check_real(self.pixels, "Shift", "pixels", 0)
        check_real(self.fill, "Shift", "fill")

    def __call__(self, X: Array, rng: np.random.Generator) -> Array:
        """Return the images, moved."""
        X = _images(X, "Shift")
        moves = rng.uniform(-self.pixels, self.pixels, (len(X), 2))
        result = np.empty_like(X)
        for image, moved, move in zip(X, result, moves, strict=True):
            ndimage.shift(image, (0, *move), moved, order=1, cval=self.fill)
        return result


@dataclass(frozen=True)
class Flip:
    """Mirrors images, left to right, or also top to bottom.

    Parameters
    ----------
    probability : float, default 0.5
        With which an image is mirrored, along each of the axes.
    vertical : bool, default False
        Whether also to turn images upside down, with the same probability.

    Examples
    --------
    >>> Flip(1.0)(np.array([[[[1.0, 2.0]]]]), np.random.default_rng(0))
    array([[[[2., 1.]]]])
    """

    probability: float = 0.5
    vertical: bool = False

    def __post_init__(self) -> None:
        check_real(self.probability, "Flip", "probability", 0, 1)

    def __call__(self, X: Array, rng: np.random.Generator) -> Array:
        """Return the images, some of them mirrored."""
        X = _images(X, "Flip")
        for axis in (-1, -2) if self.vertical else (-1,):
            chosen = rng.random(len(X)) < self.probability
            X = np.where(chosen[:, None, None, None], np.flip(X, axis), X)
        return X


@dataclass(frozen=True)
class Crop:
    """Pads each image, and cuts an image of the former size out of it, at a random place.

    Parameters
    ----------
    padding : int, default 2
        Pixels of ``fill`` at each side.
    fill : float, default 0.0

    Examples
    --------
    >>> images = np.ones((2, 1, 4, 4))
    >>> Crop(1)(images, np.random.default_rng(0)).shape
    (2, 1, 4, 4)
    """

    padding: int = 2
    fill: float = 0.0

    def __post_init__(self) -> None:
        check_int(self.padding, "Crop", "padding", 0)
        check_real(self.fill, "Crop", "fill")

    def __call__(self, X: Array, rng: np.random.Generator) -> Array:
        """Return cuts of the images."""
        X = _images(X, "Crop")
        height, width, p = *X.shape[2:], self.padding
        padded = np.pad(X, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=self.fill)
        corners = rng.integers(0, 2 * p + 1, (len(X), 2))
        return np.stack(
            [
                image[:, top : top + height, left : left + width]
                for image, (top, left) in zip(padded, corners, strict=True)
            ]
        )


@dataclass(frozen=True)
class Rotate:
    """Turns each image about its centre by a random angle.

    Parameters
    ----------
    degrees : float, default 10.0
        The largest angle, to either side. What comes in from outside is ``fill``.
    fill : float, default 0.0

    Examples
    --------
    >>> images = np.ones((2, 1, 4, 4))
    >>> Rotate(30.0)(images, np.random.default_rng(0)).shape
    (2, 1, 4, 4)
    """

    degrees: float = 10.0
    fill: float = 0.0

    def __post_init__(self) -> None:
        check_real(self.degrees, "Rotate", "degrees", 0, 180)
        check_real(self.fill, "Rotate", "fill")

    def __call__(self, X: Array, rng: np.random.Generator) -> Array:
        """Return the images, turned."""
        X = _images(X, "Rotate")
        angles = rng.uniform(-self.degrees, self.degrees, len(X))
        result = np.empty_like(X)
        options = {"axes": (-2, -1), "reshape": False, "order": 1, "cval": self.fill}
        for image, turned, angle in zip(X, result, angles, strict=True):
            ndimage.rotate(image, angle, output=turned, **options)
        return result


def _images(X: object, owner: str) -> Array:
    array = as_float_array(X, owner, "X")
    if array.ndim != 4:
        raise ValueError(
            f"{owner}: X must be images (batch, channels, height, width), got shape {array.shape}"
        )
    return array
