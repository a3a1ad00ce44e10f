"""Checkpoint: everything that a training needs to go on as if it had never been interrupted."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dlfs.checks import check_int, check_real, shortened, shown
from dlfs.layers import Layer
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.saving import network_config, network_remarks, network_states, network_tensors
from dlfs.saving.config import class_name, to_config, with_defaults
from dlfs.saving.format import read_file, write_file
from dlfs.saving.networks import known_classes
from dlfs.train.history import History
from dlfs.types import Array
from dlfs.utils.files import check_writable

ROWS = "history.rows"
"""The tensor that holds the history's rows: the bytes of their JSON."""


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
    epochs : int or None
        How many epochs the training was to have when its checkpoint was written.
    earlier : int
        How many epochs the network had been trained for before this training.
    base_lr : float or None
        The rate that the schedule multiplies, where a checkpoint says it: a callback may have set
        it.
    """

    history: History = field(default_factory=History)
    best: Snapshot | None = None
    best_loss: float = math.inf
    waited: int = 0
    epochs: int | None = None
    earlier: int = 0
    base_lr: float | None = None


class Checkpoint:
    """A file that is written after each epoch.

    Parameters
    ----------
    path : path
        The file; ``dlfs.load`` can read the network from it, too.
    settings : dict
        What must be the same for the training to be resumed; "epochs" may become more.
    net : NeuralNetwork
        Set up.
    optim : Optimizer

    Raises
    ------
    OSError
        If the file could not be written: no folder for it, a folder that is read-only, a name that
        is too long, a pipe or a device in its place.
    ValueError
        If the network or the optimizer cannot be written down.
    """

    def __init__(
        self, path: str | Path, settings: dict[str, Any], net: NeuralNetwork, optim: Optimizer
    ) -> None:
        self.path = Path(path)
        self.settings = settings
        # Said now, not when the first epoch is over.
        check_writable(path)
        self.network = network_config(net)
        self.optimizer = to_config(optim)
        try:
            json.dumps([self.settings, self.network, self.optimizer])
        except ValueError as error:  # an integer of thousands of digits
            raise ValueError(f"a checkpoint cannot hold these settings: {error}") from error

    def exists(self) -> bool:
        """Say whether there is something to resume from."""
        return self.path.exists()

    def write(self, net: NeuralNetwork, optim: Optimizer, standing: Standing) -> None:
        """Write down where a training stands, all of it or nothing."""
        history = History.of(standing.history.rows, standing.history.stopped)
        now = Snapshot.take(net, optim)
        tensors = network_tensors(net) | _slot_tensors("optimizer", now.slots)
        # Not in the header: that may not become as long as the history of many epochs.
        tensors[ROWS] = np.frombuffer(json.dumps(history.rows).encode(), dtype=np.uint8)
        training: dict[str, Any] = {
            "settings": self.settings,
            "optimizer": self.optimizer,
            "t": now.t,
            "stopped": history.stopped,
            "waited": standing.waited,
            "earlier": standing.earlier,
            "base_lr": optim.base_lr,
            "rngs": [layer.rng.bit_generator.state for layer in drawing_layers(net)],
            "best": None,
        }
        if standing.best is not None:
            training["best"] = {"loss": standing.best_loss, "t": standing.best.t}
            tensors |= {f"best.params.{i}": param for i, param in enumerate(standing.best.params)}
            tensors |= {f"best.{name}": array for name, array in standing.best.states.items()}
            tensors |= _slot_tensors("best.optimizer", standing.best.slots)
        metadata = {
            "network": self.network,
            **network_remarks(net),
            "training": training,
        }
        write_file(self.path, tensors, metadata)

    def read(self, net: NeuralNetwork, optim: Optimizer) -> Standing:
        """Put a network and an optimizer back to where the file was written.

        Raises
        ------
        ValueError
            If the file is damaged, or of another network, optimizer or training.
        """
        tensors, metadata = read_file(self.path)
        training = metadata.get("training")
        if not isinstance(training, dict):
            raise ValueError(f"{self.path} holds a network but no training to resume")
        known = {**known_classes(), class_name(type(optim)): type(optim)}
        pairs = {
            "network": (metadata.get("network"), self.network),
            "optimizer": (training.get("optimizer"), self.optimizer),
        }
        for what, (saved, now) in pairs.items():
            self._same(what, with_defaults(saved, known), with_defaults(now, known))
        epochs = self._same_settings(training.get("settings"))
        try:
            standing = _restore(net, optim, tensors, training)
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            reason = shortened(f"{type(error).__name__}: {error}", 500)
            raise ValueError(f"{self.path} is not a checkpoint, or is damaged: {reason}") from error
        standing.epochs = epochs
        history = standing.history
        early = history.stopped == "early"
        done = history.best_epoch if early and history.best_epoch else len(history)
        net.epochs_trained = standing.earlier + done
        return standing

    def _same_settings(self, saved: Any) -> int:
        """Check for the same settings, with at least as many epochs; return the saved number."""
        if not isinstance(saved, dict):
            raise ValueError(f"{self.path} is not a checkpoint, or is damaged: it has no settings")
        now = self.settings
        names = [name for name in {**now, **saved} if name != "epochs"]
        missing = object()
        other = [name for name in names if saved.get(name, missing) != now.get(name, missing)]
        before = {name: saved.get(name) for name in other}
        self._same("settings", before, {name: now.get(name) for name in other})
        epochs = saved.get("epochs")
        if type(epochs) is not int or not 1 <= epochs <= now["epochs"]:
            raise ValueError(
                f"{self.path} belongs to another training: its settings were epochs="
                f"{shown(epochs)}, now {now['epochs']}; they may become more, not fewer"
            )
        return epochs

    def _same(self, what: str, saved: Any, now: Any) -> None:
        if saved != now:
            verb = "were" if what == "settings" else "was"
            raise ValueError(
                f"{self.path} belongs to another training: its {what} {verb} {shown(saved, 400)}, "
                f"now {shown(now, 400)}"
            )


def drawing_layers(net: NeuralNetwork) -> list[Layer]:
    """Return the layers that have random numbers of their own: those not made of layers."""
    return [layer for _, layer in net.leaves()]


def _restore(
    net: NeuralNetwork, optim: Optimizer, tensors: dict[str, Array], training: dict[str, Any]
) -> Standing:
    names = [name for name in network_tensors(net) if ".params." in name]
    now = _snapshot(tensors, names, "", "optimizer", training["t"], net, optim)
    best, best_loss = None, math.inf
    if training["best"] is not None:
        best_loss = float(training["best"]["loss"])
        names = [f"best.params.{i}" for i in range(len(now.params))]
        t = training["best"]["t"]
        best = _snapshot(tensors, names, "best.", "best.optimizer", t, net, optim)
    history = History.of(json.loads(tensors[ROWS].tobytes()), training["stopped"])
    waited = check_int(training["waited"], "checkpoint", "waited", 0)
    earlier = check_int(training["earlier"], "checkpoint", "earlier", 0)
    base_lr = check_real(training["base_lr"], "checkpoint", "base_lr", 0.0)
    rngs = [np.random.PCG64() for _ in drawing_layers(net)]
    if not isinstance(training["rngs"], list) or len(training["rngs"]) != len(rngs):
        raise ValueError("it needs one random state for each layer")
    for rng, state in zip(rngs, training["rngs"], strict=True):
        rng.state = state
    # Everything is there and fits: only now is anything changed.
    now.restore(net, optim)
    for layer, rng in zip(drawing_layers(net), rngs, strict=True):
        layer.rng.bit_generator.state = rng.state
    return Standing(history, best, best_loss, waited, earlier=earlier, base_lr=base_lr)


def _slot_tensors(prefix: str, slots: dict[str, list[Array]]) -> dict[str, Array]:
    return {
        f"{prefix}.{slot}.{i}": array
        for slot, arrays in slots.items()
        for i, array in enumerate(arrays)
    }


def _snapshot(
    tensors: dict[str, Array],
    params: list[str],
    state_prefix: str,
    slot_prefix: str,
    t: object,
    net: NeuralNetwork,
    optim: Optimizer,
) -> Snapshot:
    """Gather what belongs together, all of the right shape and dtype."""
    like = list(net.params())
    steps = check_int(t, "checkpoint", "t", 0)
    return Snapshot(
        [_like(tensors[name], param) for name, param in zip(params, like, strict=True)],
        {
            name: _like(tensors[f"{state_prefix}{name}"], state)
            for name, state in network_states(net).items()
        },
        {
            slot: [_like(tensors[f"{slot_prefix}.{slot}.{i}"], p) for i, p in enumerate(like)]
            for slot in (optim.slots if steps else ())
        },
        steps,
    )


def _like(saved: Array, current: Array) -> Array:
    if saved.shape != current.shape or saved.dtype != current.dtype:
        raise ValueError(
            f"the checkpoint holds {saved.dtype} of shape {saved.shape} in the place of "
            f"{current.dtype} of shape {current.shape}"
        )
    return saved
