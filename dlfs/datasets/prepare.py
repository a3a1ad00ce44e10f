"""Prepares data for training: one-hot rows, standardization, splitting."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from dlfs import checks
from dlfs.types import Array


def one_hot(
    labels: npt.ArrayLike, num_classes: int | None = None, dtype: npt.DTypeLike = np.float64
) -> Array:
    """Return a row for each label, 1 in the label's column and 0 elsewhere.

    Parameters
    ----------
    labels : array of integers, shape (n,)
        Each from 0 to ``num_classes - 1``.
    num_classes : int, optional
        The number of columns. Default: the largest label plus 1; set it if a class may be missing
        from these labels.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    ndarray, shape (n, num_classes)
        ``Y[i, labels[i]] = 1``.

    Raises
    ------
    TypeError
        The labels are not integers, or ``dtype`` is not floating.
    ValueError
        A label is negative or too large, ``labels`` does not have one dimension, or it is empty and
        ``num_classes`` is missing.

    Examples
    --------
    >>> from dlfs.datasets.prepare import one_hot
    >>> one_hot([2, 0], num_classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    array = checks.as_array(labels, "one_hot", "labels")
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"one_hot: labels must be integers, got {array.dtype}")
    if array.ndim != 1:
        raise ValueError(
            f"one_hot: labels must have 1 dimension, got {array.ndim} (shape {array.shape})"
        )
    dtype = checks.check_float_dtype(dtype, "one_hot")
    if num_classes is not None:
        num_classes = checks.check_int(num_classes, "one_hot", "num_classes", minimum=1)
    elif array.size:
        num_classes = int(array.max()) + 1
    else:
        raise ValueError("one_hot: num_classes must be given if labels is empty, got None")

    wrong = (array < 0) | (array >= num_classes)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"one_hot: labels must be from 0 to {num_classes - 1}, got {array[first]} "
            f"at index {first}"
        )
    rows = np.zeros((len(array), num_classes), dtype=dtype)
    rows[np.arange(len(array)), array.astype(np.intp)] = 1
    return rows


@dataclass(frozen=True, eq=False)
class Standardizer:
    """A shift and a scale that give each feature of the training data mean 0 and variance 1.

    Fit it to the training data only, then apply it to the training and the test data: statistics of
    the test set would make the generalization (the performance on new data) look too good.

    Attributes
    ----------
    mean : ndarray
        The mean of each feature, which is subtracted.
    scale : ndarray
        The divisor of each feature: its standard deviation, or 1 if it is constant.

    Examples
    --------
    >>> from dlfs.datasets.prepare import Standardizer
    >>> X_train = np.array([[1.0, 7.0], [3.0, 7.0]])
    >>> scaler = Standardizer.fit(X_train)
    >>> scaler.transform(X_train)
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> scaler.transform(np.array([[5.0, 8.0]]))
    array([[3., 1.]])
    """

    mean: Array
    scale: Array

    @classmethod
    def fit(cls, X: Array) -> Self:
        """Return the standardizer for the training data ``X``, of shape (n, ...), n at least 1.

        The mean is sum_i x_i / n and the scale sqrt(sum_i (x_i - mean)^2 / n), over the first axis.
        Both are computed in float64. A constant feature has exactly its value as the mean and the
        scale 1, so that it becomes 0 and is never divided by a rounding error.

        Raises
        ------
        TypeError, ValueError
            ``X`` is not an array of finite numbers, is empty, or its mean or variance overflows.
        """
        X = _check_table(X, "Standardizer.fit").astype(np.float64, copy=False)
        if len(X) == 0:
            raise ValueError(f"Standardizer.fit: X must have at least 1 row, got shape {X.shape}")
        smallest, largest = X.min(axis=0), X.max(axis=0)
        constant = smallest == largest
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.where(constant, smallest, X.mean(axis=0))
            # In units of the largest deviation, no square overflows or underflows.
            unit = np.where(constant, 1.0, np.maximum(largest - mean, mean - smallest))
            scale = np.where(constant, 1.0, unit * (((X - mean) / unit) ** 2).mean(axis=0) ** 0.5)
        if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
            raise ValueError(
                "Standardizer.fit: X must have a finite mean and variance, got an overflow"
            )
        return cls(mean, scale)

    def transform(self, X: Array) -> Array:
        """Return (X - mean) / scale, in the dtype of ``X`` (float64 for integers).

        Raises
        ------
        TypeError, ValueError
            ``X`` is not an array of finite numbers, or its features do not have the shape of the
            fitted ones.
        """
        X = self._check_features(X, "Standardizer.transform")
        return ((X - self.mean) / self.scale).astype(X.dtype, copy=False)

    def inverse(self, X: Array) -> Array:
        """Undo `transform`: return X scale + mean.

        Raises
        ------
        TypeError, ValueError
            The same as in `transform`.
        """
        X = self._check_features(X, "Standardizer.inverse")
        return (X * self.scale + self.mean).astype(X.dtype, copy=False)

    def _check_features(self, X: Array, owner: str) -> Array:
        X = _check_table(X, owner)
        if X.shape[1:] != self.mean.shape:
            raise ValueError(
                f"{owner}: X must have the shape (n, {', '.join(map(str, self.mean.shape))}) "
                f"of the fitted data, got {X.shape}"
            )
        return X


def standardize(X_train: Array, *others: Array) -> tuple[Array, ...]:
    """Return ``X_train`` with mean 0 and variance 1 per feature, and ``others`` scaled likewise.

    Parameters
    ----------
    X_train : ndarray, shape (n, ...)
        The data whose mean and standard deviation are used.
    *others : ndarray, shape (m, ...)
        Other data to scale in the same way, such as the test set.

    Returns
    -------
    tuple of ndarray
        One array per argument; a tuple even for one.

    Raises
    ------
    TypeError, ValueError
        The same as in `Standardizer`.

    Examples
    --------
    >>> from dlfs.datasets.prepare import standardize
    >>> X_train, X_test = standardize(np.array([[1.0], [3.0]]), np.array([[4.0]]))
    >>> X_train.ravel(), X_test.ravel()
    (array([-1.,  1.]), array([2.]))
    """
    scaler = Standardizer.fit(X_train)
    return tuple(scaler.transform(X) for X in (X_train, *others))


def train_test_split(
    X: Array, y: Array, test_size: float = 0.3, seed: int | None = None
) -> tuple[Array, Array, Array, Array]:
    """Split the observations at random into training and test data.

    Parameters
    ----------
    X, y : ndarray
        Features and target, of any shape with the same first axis.
    test_size : float, default 0.3
        The share of test data, between 0 and 1; the number of rows is rounded up.
    seed : int, optional
        From 0 to 2^32 - 1; the same seed gives the same split. None gives a new split each time.

    Returns
    -------
    tuple of ndarray
        ``X_train, X_test, y_train, y_test``, new arrays.

    Raises
    ------
    TypeError, ValueError
        ``X`` or ``y`` is not an array, their lengths differ, a part would be empty, or the seed or
        ``test_size`` is out of range.

    Notes
    -----
    An integer seed gives the split of scikit-learn's function of the same name with that
    ``random_state``, to reproduce the book's figures: chapter 3 uses ``test_size=0.3,
    random_state=80718``. Therefore NumPy's legacy generator is used here, in a separate instance:
    the global state is not changed.

    Examples
    --------
    >>> from dlfs.datasets import boston
    >>> from dlfs.datasets.prepare import train_test_split
    >>> X, y, _ = boston()
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, seed=80718)
    >>> len(X_train), len(X_test)
    (354, 152)
    """
    X, y = check_same_rows(X, y, "train_test_split")
    rows = len(X)
    test_size = checks.check_real(
        test_size, "train_test_split", "test_size", 0, 1, low_open=True, high_open=True
    )
    if seed is not None:
        seed = checks.check_int(seed, "train_test_split", "seed", minimum=0)
        if seed >= 2**32:
            raise ValueError(f"train_test_split: seed must be below 2**32, got {seed}")
    test_rows = math.ceil(test_size * rows)
    if not 0 < test_rows < rows:
        raise ValueError(
            f"train_test_split: both parts must have rows, got test_size {test_size} of {rows} rows"
        )
    order = np.random.RandomState(seed).permutation(rows)
    test, train = order[:test_rows], order[test_rows:]
    return X[train], X[test], y[train], y[test]


def check_same_rows(X: Array, y: Array, owner: str) -> tuple[Array, Array]:
    """Check that two arrays have the same length, and return them as plain arrays."""
    X, y = checks.plain_array(X, owner, "X"), checks.plain_array(y, owner, "y")
    for name, array in (("X", X), ("y", y)):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{owner}: {name} must be a NumPy array, got {type(array).__name__}")
        if array.ndim == 0:
            raise ValueError(f"{owner}: {name} must have at least 1 dimension, got none")
    if len(X) != len(y):
        raise ValueError(
            f"{owner}: X and y must have the same number of rows, got {len(X)} and {len(y)}"
        )
    return X, y


def _check_table(X: Array, owner: str) -> Array:
    array = checks.as_float_array(X, owner, "X")
    if array.ndim == 0:
        raise ValueError(f"{owner}: X must have at least 1 dimension, got none")
    checks.check_finite(array, owner, "X")
    return array
