"""Checkpoint: everything that a training needs to go on as if it had never been interrupted."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlfs.configuration import to_config
from dlfs.history import History
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.saving import network_config, network_tensors, read_file, write_file
from dlfs.snapshot import Snapshot, network_states
from dlfs.types import Array


@dataclass
class Standing:
    """Where a training stands, besides the network and the optimizer themselves.

    Attributes
    ----------
    history : History
    best : Snapshot or None
        Of the evaluation with the smallest loss so far, if training may stop early.
    best_loss : float
    waited : int
        How many evaluations in a row were no better.
    """

    history: History = field(default_factory=History)
    best: Snapshot | None = None
    best_loss: float = math.inf
    waited: int = 0


class Checkpoint:
    """A file that is written after each epoch.

    Parameters
    ----------
    path : path
        The file; ``dlfs.load`` can read the network from it, too.
    settings : dict
        What must be the same for the training to be resumed.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any]) -> None:
        self.path = Path(path)
        self.settings = settings

    def exists(self) -> bool:
        """Say whether there is something to resume from."""
        return self.path.exists()

    def write(self, net: NeuralNetwork, optim: Optimizer, standing: Standing) -> None:
        """Write down where a training stands, all of it or nothing."""
        now = Snapshot.take(net, optim)
        tensors = network_tensors(net) | _slot_tensors("optimizer", now.slots)
        training: dict[str, Any] = {
            "settings": self.settings,
            "optimizer": to_config(optim),
            "t": now.t,
            "rows": standing.history.rows,
            "stopped": standing.history.stopped,
            "waited": standing.waited,
            "rngs": [layer.rng.bit_generator.state for layer in net.layers],
            "best": None,
        }
        if standing.best is not None:
            training["best"] = {"loss": standing.best_loss, "t": standing.best.t}
            tensors |= {f"best.params.{i}": param for i, param in enumerate(standing.best.params)}
            tensors |= {f"best.{name}": array for name, array in standing.best.states.items()}
            tensors |= _slot_tensors("best.optimizer", standing.best.slots)
        metadata = {"network": network_config(net), "training": training}
        write_file(self.path, tensors, metadata)

    def read(self, net: NeuralNetwork, optim: Optimizer) -> Standing:
        """Put a network and an optimizer back to where the file was written.

        Raises
        ------
        ValueError
            If the file is damaged, or of another network, optimizer or training.
        """
        tensors, metadata = read_file(self.path)
        try:
            return self._restore(net, optim, tensors, metadata)
        except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(f"{self.path} is no checkpoint, or damaged: {error!r}") from error

    def _restore(
        self,
        net: NeuralNetwork,
        optim: Optimizer,
        tensors: dict[str, Array],
        metadata: dict[str, Any],
    ) -> Standing:
        if "training" not in metadata:
            raise ValueError(f"{self.path} holds a network but no training to resume")
        training = metadata["training"]
        self._same("network", metadata["network"], network_config(net))
        self._same("optimizer", training["optimizer"], to_config(optim))
        self._same("settings", training["settings"], self.settings)
        params = list(net.params())
        now = Snapshot(
            _like([tensors[name] for name in network_tensors(net) if ".params." in name], params),
            {name: tensors[name] for name in network_states(net)},
            _slots(tensors, "optimizer", optim, len(params)),
            training["t"],
        )
        now.restore(net, optim)
        for layer, state in zip(net.layers, training["rngs"], strict=True):
            layer.rng.bit_generator.state = state
        best, best_loss = None, math.inf
        if training["best"] is not None:
            best_loss = float(training["best"]["loss"])
            best = Snapshot(
                _like([tensors[f"best.params.{i}"] for i in range(len(params))], params),
                {name: tensors[f"best.{name}"] for name in network_states(net)},
                _slots(tensors, "best.optimizer", optim, len(params)),
                training["best"]["t"],
            )
        history = History()
        history.rows, history.stopped = training["rows"], training["stopped"]
        return Standing(history, best, best_loss, training["waited"])

    def _same(self, what: str, saved: Any, now: Any) -> None:
        if saved != now:
            raise ValueError(
                f"{self.path} belongs to another training: its {what} were {saved}, now {now}"
            )


def _slot_tensors(prefix: str, slots: dict[str, list[Array]]) -> dict[str, Array]:
    return {
        f"{prefix}.{slot}.{i}": array
        for slot, arrays in slots.items()
        for i, array in enumerate(arrays)
    }


def _slots(
    tensors: dict[str, Array], prefix: str, optim: Optimizer, count: int
) -> dict[str, list[Array]]:
    return {slot: [tensors[f"{prefix}.{slot}.{i}"] for i in range(count)] for slot in optim.slots}


def _like(saved: list[Array], params: list[Array]) -> list[Array]:
    for array, param in zip(saved, params, strict=True):
        if array.shape != param.shape or array.dtype != param.dtype:
            raise ValueError(f"a parameter must be {param.dtype} of shape {param.shape}")
    return saved
