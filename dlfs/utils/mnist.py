"""MNIST in the form of the book's listings: rows of 784 pixels and the labels, as stored."""

from dlfs.datasets.digits import stored_mnist
from dlfs.types import Array


def load() -> tuple[Array, Array, Array, Array]:
    """Return MNIST as the book's code expects it, unscaled; ``dlfs.datasets.mnist`` offers more.

    Returns
    -------
    tuple of ndarray
        Training images (60000, 784), training labels (60000,), test images (10000, 784), test
        labels (10000,), all uint8.

    Raises
    ------
    FileNotFoundError, ValueError
        A file of the package is missing or damaged; the message names it and the remedy.

    Warnings
    --------
    uint8 arithmetic wraps around at 256: convert the images before computing with them, for
    instance by subtracting their mean, which the book's listings do first.

    Examples
    --------
    >>> from dlfs.utils import mnist
    >>> X_train, y_train, X_test, y_test = mnist.load()
    >>> X_train.shape, y_train.shape, X_test.shape, y_test.shape
    ((60000, 784), (60000,), (10000, 784), (10000,))
    """
    X_train, y_train, X_test, y_test = stored_mnist()
    return X_train.reshape(-1, 28 * 28), y_train, X_test.reshape(-1, 28 * 28), y_test
