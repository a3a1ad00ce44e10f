"""The book's `mnist.load`, on the data of the package."""

import numpy as np

from dlfs import datasets
from dlfs.utils import mnist


def test_load_gives_the_four_arrays_of_the_book() -> None:
    X_train, y_train, X_test, y_test = mnist.load()
    expected = datasets.mnist(flatten=True, scaling="none")
    assert X_train.shape == (60000, 784)
    assert X_test.shape == (10000, 784)
    assert {array.dtype for array in (X_train, y_train, X_test, y_test)} == {np.dtype(np.uint8)}
    for got, want in zip((X_train, y_train, X_test, y_test), expected, strict=True):
        assert np.array_equal(got, want)


def test_the_books_preparation_of_the_data_works() -> None:
    X_train, y_train, X_test, _ = mnist.load()
    train_labels = np.zeros((len(y_train), 10))
    for i in range(len(y_train)):
        train_labels[i][y_train[i]] = 1
    assert np.array_equal(train_labels.argmax(axis=1), y_train)

    X_test = X_test - np.mean(X_train)
    X_test = X_test / np.std(X_train)
    prepared = datasets.mnist(flatten=True, scaling="standard", dtype=np.float64)
    # pairwise sums over 47 million pixels: log2 of that many roundings, each at most eps
    tolerance = 4 * np.log2(X_train.size) * np.finfo(np.float64).eps
    np.testing.assert_allclose(X_test, prepared.X_test, rtol=tolerance, atol=tolerance)
