"""Owners: each layer belongs to one network, which knows where its weights come from.

Two networks that shared a layer would be one, with two names.
"""

import hashlib
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


class WeightsOwner:
    """A network that knows whether its weights are of its own making."""

    params: Any
    _any_set_up: Any
    _own_weights: bytes | None = None

    @property
    def given(self) -> bool:
        """Whether the weights come from elsewhere than this network's set-up or a Trainer.

        True for weights that were loaded, converted, assigned or trained by the user's own loop,
        and for layers that were set up before they came into this network; it stays True until
        ``reset()``. ``Trainer.fit`` and ``build`` discard such weights only on request.

        Examples
        --------
        >>> from dlfs import Dense, NeuralNetwork
        >>> net = NeuralNetwork([Dense(1)])
        >>> net.build((3,))
        >>> net.given
        False
        >>> for param in net.params():
        ...     param[...] = 0.5
        >>> net.given
        True
        """
        return self._any_set_up() and self._own_weights != self._weights_digest()

    def mark_weights_as_own(self) -> None:
        """Take the present weights for the network's own: ``given`` is False until they change."""
        self._own_weights = self._weights_digest()

    def _weights_digest(self) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for param in self.params():
            digest.update(param.tobytes())
        return digest.digest()
