"""MNIST: 70,000 images of handwritten digits."""

import os

import numpy as np
import numpy.typing as npt

from dlfs import checks
from dlfs.datasets import files
from dlfs.datasets.idx import MNIST, parse_idx, read_idx
from dlfs.datasets.prepare import one_hot as encode_one_hot
from dlfs.types import Array

CLASSES = 10
PIXEL_VALUES = 256


def mnist(
    *,
    flatten: bool = False,
    scaling: str = "unit",
    one_hot: bool = False,
    dtype: npt.DTypeLike | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> MNIST:
    """Return MNIST: 60,000 images of handwritten digits to train with and 10,000 to test with.

    Parameters
    ----------
    flatten : bool, default False
        False gives images, (batch, 1, 28, 28), for convolutions; True gives rows, (batch, 784),
        for dense layers.
    scaling : {"unit", "standard", "none"}, default "unit"
        With p a pixel from 0 (paper) to 255 (ink), "unit" gives p / 255; "standard" gives
        (p - mean) / std with the mean and the standard deviation of all training pixels, as the
        book does it; "none" gives p.
    one_hot : bool, default False
        False gives integer labels, (batch,); True gives rows of ten with a single 1, (batch, 10).
    dtype : dtype, optional
        float32 or float64: the type of the images and of one-hot labels. Default float32, which is
        exact for 8-bit pixels; with ``scaling="none"`` the images' default is uint8, as stored.
    folder : path, optional
        Where the four files of another data set in this form are, such as Fashion-MNIST's, to
        return it instead: images of 8 bits, of any size.

    Returns
    -------
    MNIST
        A named tuple ``(X_train, y_train, X_test, y_test)`` of new arrays. Integer labels are
        int64.

    Raises
    ------
    FileNotFoundError, ValueError
        A file of the package is missing or damaged; the message names it and the remedy.
    TypeError, ValueError
        An argument is wrong.

    Notes
    -----
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits"; licence
    CC BY-SA 3.0. The book uses it from chapter 4 on.

    Examples
    --------
    >>> from dlfs.datasets import mnist
    >>> X_train, y_train, X_test, y_test = mnist()
    >>> X_train.shape, X_test.shape
    ((60000, 1, 28, 28), (10000, 1, 28, 28))
    >>> y_train[:5].tolist()
    [5, 0, 4, 1, 9]
    """
    flatten = checks.check_flag(flatten, "mnist", "flatten")
    one_hot = checks.check_flag(one_hot, "mnist", "one_hot")
    checks.check_choice(scaling, ("unit", "standard", "none"), "mnist", "scaling")
    float_dtype = checks.check_float_dtype(np.float32 if dtype is None else dtype, "mnist")

    stored = stored_mnist() if folder is None else _stored_in(folder)
    if scaling == "none" and dtype is None:
        X_train, X_test = stored.X_train, stored.X_test
    else:
        # Every pixel is one of 256 values: scale those, then look each pixel up.
        table = _scaled_pixel_values(scaling, stored.X_train).astype(float_dtype)
        X_train, X_test = table[stored.X_train], table[stored.X_test]

    height, width = stored.X_train.shape[1:]
    shape = (-1, height * width) if flatten else (-1, 1, height, width)
    y_train, y_test = stored.y_train.astype(np.int64), stored.y_test.astype(np.int64)
    if one_hot:
        classes = CLASSES if folder is None else int(max(y_train.max(), y_test.max())) + 1
        y_train = encode_one_hot(y_train, classes, dtype=float_dtype)
        y_test = encode_one_hot(y_test, classes, dtype=float_dtype)
    return MNIST(X_train.reshape(shape), y_train, X_test.reshape(shape), y_test)


def stored_mnist() -> MNIST:
    """Return MNIST as stored: uint8 images, (batch, 28, 28), and uint8 labels."""
    return MNIST(
        _read("mnist/train-images-idx3-ubyte.gz"),
        _read("mnist/train-labels-idx1-ubyte.gz"),
        _read("mnist/t10k-images-idx3-ubyte.gz"),
        _read("mnist/t10k-labels-idx1-ubyte.gz"),
    )


def _stored_in(folder: str | os.PathLike[str]) -> MNIST:
    data: MNIST = read_idx(folder)
    if {array.dtype.name for array in data} != {"uint8"} or data.X_train.ndim != 3:
        got = ", ".join(f"{array.dtype} {array.shape}" for array in data)
        raise ValueError(
            f"mnist: folder must have images (count, height, width) and labels of 8 bits, got {got}"
        )
    if not all(array.size for array in data) or data.X_train.shape[1:] != data.X_test.shape[1:]:
        raise ValueError(
            f"mnist: folder must have training and test images of one size, got shapes "
            f"{data.X_train.shape} and {data.X_test.shape}"
        )
    return data


def _read(name: str) -> Array:
    return parse_idx(files.read(name), name)


def _scaled_pixel_values(scaling: str, X_train: Array) -> Array:
    values = np.arange(PIXEL_VALUES, dtype=np.float64)
    if scaling == "unit":
        return values / (PIXEL_VALUES - 1)
    if scaling == "standard":
        # Counting is exact; a sum over 47 million pixels would be rounded.
        counts = np.bincount(X_train.ravel(), minlength=PIXEL_VALUES)
        mean = counts @ values / X_train.size
        variance = counts @ (values - mean) ** 2 / X_train.size
        return np.asarray((values - mean) / np.sqrt(variance))
    return values
