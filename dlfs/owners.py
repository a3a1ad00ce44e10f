"""Owners: each layer belongs to one network. Two that shared it would be one, with two names."""

import weakref
from collections.abc import Iterable
from typing import Any

from dlfs.checks import check_instance
from dlfs.layers import Layer

_owners: "weakref.WeakKeyDictionary[Layer, weakref.ref[Any]]" = weakref.WeakKeyDictionary()


def claim(layers: Iterable[Layer], network: object) -> None:
    """Enter the owner of these layers, and refuse those that another network uses."""
    claimed, name = list(layers), type(network).__name__
    for layer in claimed:
        check_instance(layer, Layer, name, "layers")
        owner = _owners.get(layer, lambda: None)()
        if owner is not None:
            raise ValueError(
                f"{name}: {layer!r} belongs to another network; make a new layer, or take "
                "copy.deepcopy(layer). dlfs.LayerBlock looks at the layers of a network without "
                "taking them"
            )
    for layer in claimed:
        _owners[layer] = weakref.ref(network)
