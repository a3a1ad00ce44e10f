"""``dlfs train --data FILE``: the tables and images of the user, and those of the package."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlfs import datasets
from dlfs.commands.preparation import ImagePreparation, Preparation, Scaling, TablePreparation
from dlfs.commands.recipes import MODELS, for_table
from dlfs.datasets import Standardizer, train_test_split
from dlfs.network import NeuralNetwork
from dlfs.types import Array

TEST_SIZE = 0.2
"""The share of the rows or images that is kept for the test."""


@dataclass(frozen=True)
class Problem:
    """What to train, and with what.

    Parameters
    ----------
    net : NeuralNetwork
    X, y, X_test, y_test : ndarray
    preparation : Preparation
    what : str
        "images" or "rows".
    test_answers : ndarray
        The target of the test data as it is, in its units.
    """

    net: NeuralNetwork
    X: Array
    y: Array
    X_test: Array
    y_test: Array
    preparation: Preparation
    what: str
    test_answers: Array


def digits(arguments: argparse.Namespace) -> Problem:
    """Return MNIST with a network for it."""
    net = MODELS[arguments.model](seed=arguments.seed, dtype=arguments.dtype)
    data = datasets.mnist(dtype=arguments.dtype)
    preparation = ImagePreparation(data.X_train.shape[2:], False)
    return Problem(net, *data, preparation, "images", data.y_test)


def images(arguments: argparse.Namespace) -> Problem:
    """Return the images in a folder with a network for them.

    Folders named train and test have the classes' folders in them; without these, a part of the
    images is kept for the test.
    """
    folder = Path(arguments.data)
    options = {"size": arguments.size, "colour": arguments.colour, "dtype": arguments.dtype}
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        data = datasets.image_folder(folder / "train", **options)
        size = data.X.shape[2:]
        test = datasets.image_folder(folder / "test", **{**options, "size": size})
        if not set(test.classes) <= set(data.classes):
            new = sorted(set(test.classes) - set(data.classes))
            raise ValueError(f"--data: {folder / 'train'} must have the class {new[0]!r} as well")
        numbers = np.searchsorted(data.classes, test.classes)[test.y]
        X, y, X_test, y_test = data.X, data.y, test.X, numbers
    else:
        data = datasets.image_folder(folder, **options)
        X, X_test, y, y_test = train_test_split(data.X, data.y, TEST_SIZE, arguments.seed)
    if len(data.classes) < 2:
        raise ValueError(
            f"--data: {folder} must have a folder for each of 2 classes or more, got 1"
        )
    net = MODELS[arguments.model](
        classes=len(data.classes), seed=arguments.seed, dtype=arguments.dtype
    )
    net.classes = np.array(data.classes)
    height, width = X.shape[2:]
    preparation = ImagePreparation((height, width), arguments.colour)
    return Problem(net, X, y, X_test, y_test, preparation, "images", y_test)


def rows(arguments: argparse.Namespace) -> Problem:
    """Return the rows of a table with a network for them.

    A target of texts, or of true and false, is classified; so is one of numbers with --classify.
    """
    if arguments.target is None:
        raise ValueError("--data of a CSV file needs --target, the name of the column to predict")
    X, y, _, layout = datasets.table(arguments.data, arguments.target, arguments.missing)
    if arguments.classify and y.dtype.kind == "f":
        y = _whole_numbers(y, arguments.target)
    X, X_test, y, y_test = train_test_split(X, y, TEST_SIZE, arguments.seed)
    inputs, target, classes = Standardizer.fit(X), None, None
    X, X_test = inputs.transform(X), inputs.transform(X_test)
    answers = y_test
    if y.dtype.kind == "f":
        target = Standardizer.fit(y[:, np.newaxis])
        y, y_test = target.transform(y[:, np.newaxis]), target.transform(y_test[:, np.newaxis])
    else:
        classes = np.unique(np.concatenate([y, y_test]))
        if len(classes) < 2:
            raise ValueError(
                f"--target: {arguments.target} must have at least 2 different labels, got 1"
            )
    outputs = 1 if classes is None else len(classes)
    net = for_table(outputs, classes is not None, seed=arguments.seed, dtype=arguments.dtype)
    net.classes = classes
    preparation = TablePreparation(
        layout, Scaling(inputs), None if target is None else Scaling(target)
    )
    return Problem(net, X, y, X_test, y_test, preparation, "rows", answers)


def _whole_numbers(y: Array, target: str) -> Array:
    if (y != np.round(y)).any():
        raise ValueError(
            f"--classify needs whole numbers as classes, but the column {target} has "
            f"{y[y != np.round(y)][0]}"
        )
    return y.astype(np.int64)
