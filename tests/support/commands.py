"""The command line in the tests' own process, on little data."""

import dataclasses

import numpy as np
import pytest

from dlfs import datasets
from dlfs.commands import cli, train_text
from dlfs.datasets import MNIST


def run(*arguments):
    """Run a command and return its status, also that of a usage error."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


def use_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command line train on 200 images that are easy to tell apart."""

    def mnist(**options):
        dtype = options.get("dtype", "float32")
        rng = np.random.default_rng(0)
        y = rng.integers(0, 10, size=300)
        X = rng.uniform(size=(300, 1, 28, 28))
        X[np.arange(300), 0, 2 * y, :] += 3
        X = X.astype(dtype)
        return MNIST(X[:200], y[:200], X[200:], y[200:])

    monkeypatch.setattr(datasets, "mnist", mnist)


def use_short_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command line train on 1,050 characters."""
    monkeypatch.setattr(datasets, "sonnets", lambda: "to be or not to be, \n" * 50)
    monkeypatch.setattr(train_text, "LENGTH", 16)
    for name in ("RECURRENT", "GPT"):
        recipe = dataclasses.replace(getattr(train_text, name), batch_size=2, epochs=2)
        monkeypatch.setattr(train_text, name, recipe)
