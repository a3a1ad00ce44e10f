"""Where a training begins; on several ranks: alike, and from what rank 0 has."""

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dlfs import backend
from dlfs.base import Operation
from dlfs.layers import Layer
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.ranks import Alone
from dlfs.train.accumulate import is_mean_over_rows
from dlfs.train.checkpoint import Checkpoint, Snapshot, Standing, drawing_layers
from dlfs.train.data import Data
from dlfs.train.output import Display
from dlfs.train.plan import Plan
from dlfs.types import Array


def begin(
    ranks: Alone,
    net: NeuralNetwork,
    optim: Optimizer,
    plan: Plan,
    data: Data,
    checkpoint: str | Path | None,
    resume: bool,
) -> tuple[Standing, Checkpoint | None]:
    """Return where a training stands, and the file that rank 0 writes after each epoch.

    Parameters
    ----------
    ranks : Alone or Ranks
    net, optim
        If there is a checkpoint to resume from, they are put back to where it was written.
    plan : Plan
    data : Data
    checkpoint : path or None
    resume : bool
    """
    standing, file = Standing(earlier=net.epochs_trained), None
    with ranks.all_or_none():
        if checkpoint is not None and ranks.rank == 0:
            file = Checkpoint(checkpoint, plan.settings(data), net, optim)
            if resume and file.exists():
                standing = file.read(net, optim)
    if ranks.size > 1:
        standing = begin_together(ranks, net, optim, plan, data, standing)
    return standing, file


def say_what_more_epochs_change(
    standing: Standing, plan: Plan, optim: Optimizer, display: Display
) -> None:
    """Say how the learning rate goes on where a training is resumed with more epochs."""
    before, decay = standing.epochs, optim.decay_type
    if before is not None and before < plan.epochs and decay is not None:
        display.say(
            f"Resumed with {plan.epochs} epochs instead of {before}: from epoch "
            f"{len(standing.history) + 1} on the learning rate follows the "
            f"{decay} decay over {plan.epochs} epochs"
        )


def begin_together(
    ranks: Alone,
    net: NeuralNetwork,
    optim: Optimizer,
    plan: Plan,
    data: Data,
    standing: Standing,
) -> Standing:
    """Check that all ranks train alike, and give all of them what rank 0 has.

    Parameters
    ----------
    ranks : Ranks
    net : NeuralNetwork
        Set up. Its parameters, state and random numbers become those of rank 0.
    optim : Optimizer
        So does what it remembers.
    plan : Plan
    data : Data
    standing : Standing
        Where the training stands on this rank; only rank 0 has read the checkpoint.

    Returns
    -------
    Standing, of rank 0

    Raises
    ------
    RanksError
        If version, backend, network, optimizer, arguments or data differ, on all ranks.
    ValueError
        If the network cannot be computed on parts of a batch.
    """
    ranks.compare(
        {
            "the version of dlfs": sys.modules["dlfs"].__version__,  # this module is a part of it
            "the version of NumPy": np.__version__,
            "the backend": backend.backend_name(),
            "the network": f"{net!r}\n{[layer for _, layer in net.leaves()]!r}",
            "the loss": f"{net.loss!r}",
            "the optimizer": f"{type(optim).__name__}({optim.arguments()})",
            **plan.settings(data),
        }
    )
    check_rows_are_separate(net, *next(data.train.epoch(plan.seed, 0)))
    states = [layer.rng.bit_generator.state for layer in drawing_layers(net)]
    mine = (standing, Snapshot.take(net, optim), states, net.epochs_trained)
    standing, snapshot, states, net.epochs_trained = ranks.of_first(mine)
    snapshot.restore(net, optim)
    for layer, state in zip(drawing_layers(net), states, strict=True):
        layer.rng.bit_generator.state = state
    return standing


def check_rows_are_separate(net: NeuralNetwork, X: Array, y: Array) -> None:
    """Refuse a user's own class that cannot work on a part of the rows as it works on all.

    Tried with a few rows of a batch, on a copy of the network. The classes of dlfs are known. A
    class that has the attribute ``ranks`` is trusted; during a step it holds the Ranks.

    Raises
    ------
    ValueError
        If the output for a row depends on the other rows, or on random numbers, or what is
        remembered from batch to batch would differ from rank to rank.
    """
    if any(getattr(layer, "carry", False) == "mean" for _, layer in net.walk()):
        raise ValueError(
            "Trainer: several ranks cannot share the rows of a batch if a recurrent layer starts "
            "from the mean of all rows' states: make it with carry=True or carry=False"
        )
    if not is_mean_over_rows(net.loss):
        raise ValueError(
            f"Trainer: with several ranks the loss must be a mean over the rows of a batch, but "
            f"{net.loss!r} divides by something else (class_weight, ignore_index, reduction)"
        )
    parts = [part for _, layer in net.walk() for part in (layer, *layer.operations)]
    if not any(_unknown(part) for part in (*parts, net.loss)) or len(X) < 2:
        return
    trial = copy.deepcopy(net)
    X, y = X[:4], y[:4]
    prediction = trial.forward(X, inference=True)
    for path, layer in trial.walk():
        for part in (layer, *layer.operations):
            if path and _unknown(part):
                _check_part(part, path)
    if _unknown(net.loss):
        whole = trial.loss.forward(prediction, y)
        pieces = [trial.loss.forward(prediction[rows], y[rows]) for rows in _pieces(X)]
        if not _same(whole, np.average(pieces, weights=[1, len(X) - 1]), trial.dtype):
            raise ValueError(
                f"Trainer: with several ranks the loss must be a mean over the rows of a batch, "
                f"but {net.loss!r} is not"
            )


def _check_part(part: Any, path: str) -> None:
    what = f"Trainer: several ranks cannot share the rows of a batch in {part!r} ({path}): "
    if isinstance(part, Operation) and part.state():
        raise ValueError(f"{what}what it remembers, state(), would differ from rank to rank")
    x = part.input_
    whole = part.forward(x)
    pieces = [part.forward(x[rows]) for rows in _pieces(x)]
    if len(whole) != len(x) or not _same(whole, np.concatenate(pieces), whole.dtype):
        raise ValueError(
            f"{what}the output for a row depends on the other rows, or on random numbers"
        )


def _unknown(part: Any) -> bool:
    """Return whether a class computes something that dlfs has not been tested with."""
    kind = type(part)
    if hasattr(part, "ranks") or kind.__module__.partition(".")[0] == "dlfs":
        return False
    # A layer that only lists Operations or layers computes nothing by itself.
    return not isinstance(part, Layer) or kind.forward not in (
        Layer.forward,
        NeuralNetwork.forward,
    )


def _pieces(x: Array) -> tuple[slice, slice]:
    return slice(0, 1), slice(1, len(x))


def _same(whole: Any, pieces: Any, dtype: Any) -> bool:
    return bool(np.allclose(whole, pieces, rtol=float(np.finfo(dtype).eps) ** 0.5, equal_nan=True))
