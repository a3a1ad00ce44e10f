"""Snapshot: all that training changes, copied, so that it can be put back."""

from dataclasses import dataclass

import numpy as np

from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.types import Array


@dataclass(frozen=True)
class Snapshot:
    """The parameters and state of a network, and what its optimizer remembers.

    Attributes
    ----------
    params : list of ndarray
    states : dict
        The arrays of every Operation's ``state()``, by a name that says whose they are.
    slots : dict
        What the optimizer's ``state()`` returned, copied.
    t : int
        The number of steps that the optimizer had taken.
    """

    params: list[Array]
    states: dict[str, Array]
    slots: dict[str, list[Array]]
    t: int

    @classmethod
    def take(cls, net: NeuralNetwork, optim: Optimizer) -> "Snapshot":
        """Copy everything."""
        return cls(
            [param.copy() for param in net.params()],
            {name: array.copy() for name, array in network_states(net).items()},
            {slot: [array.copy() for array in arrays] for slot, arrays in optim.state().items()},
            optim.t,
        )

    def restore(self, net: NeuralNetwork, optim: Optimizer) -> None:
        """Put everything back, into the arrays that the network already has."""
        for param, saved in zip(net.params(), self.params, strict=True):
            np.copyto(param, saved)
        current = network_states(net)
        for name, saved in self.states.items():
            np.copyto(current[name], saved)
        optim.load_state(self.slots, self.t)


def network_states(net: NeuralNetwork) -> dict[str, Array]:
    """Return the arrays of every Operation's ``state()``, by a name that says whose they are."""
    return {
        f"{path}.operations.{j}.{name}": array
        for path, layer in net.walk()
        for j, operation in enumerate(layer.operations)
        for name, array in operation.state().items()
    }
