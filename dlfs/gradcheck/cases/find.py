"""Finds every class of the library that has a gradient, so that none stays unchecked."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from dlfs.base import Operation, ParamOperation
from dlfs.gradcheck.cases.registry import RECIPES
from dlfs.layers import Layer
from dlfs.losses import Loss
from dlfs.network import NeuralNetwork

_PACKAGE = Path(__file__).parents[2]
_ABSTRACT = {"Operation", "ParamOperation", "Layer", "Loss", "KernelLoss"}
# Chapter 7 uses PyTorch's gradients, and two modules serve other libraries, which may be missing;
# fused steps are checked within their layers.
_ELSEWHERE = (
    "dlfs.pytorch",
    "dlfs.onnx",
    "dlfs.estimators",
    "dlfs.gradcheck",
    "dlfs.testing",
    "dlfs.__main__",
    "dlfs.layers.fusion",
)


def gradient_classes() -> dict[str, type[Any]]:
    """Return every public Operation, Layer and Loss that a module of dlfs defines, by name."""
    modules = [
        name
        for _, name, _ in pkgutil.walk_packages([str(_PACKAGE)], "dlfs.")
        if not name.startswith(_ELSEWHERE)
    ]
    found = {}
    for name in modules:
        module = importlib.import_module(name)
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Operation | ParamOperation | Layer | Loss)
                and not issubclass(value, NeuralNetwork)  # consists of layers, which are checked
                and value.__module__ == name
                and not value.__name__.startswith("_")
                and value.__name__ not in _ABSTRACT
            ):
                found[value.__name__] = value
    return found


def unregistered() -> list[str]:
    """Return the names of the classes that have a gradient but no recipe."""
    return sorted(set(gradient_classes()) - set(RECIPES))
