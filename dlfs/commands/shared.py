"""Functions shared by the commands that train on images and on text."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlfs import optimizers
from dlfs.optimizers import Optimizer
from dlfs.train.callbacks import Callback, CSVLogger
from dlfs.train.history import History

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": optimizers.SGD,
    "momentum": optimizers.SGDMomentum,
    "adagrad": optimizers.AdaGrad,
    "rmsprop": optimizers.RMSProp,
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
}


def make_optimizer(
    arguments: argparse.Namespace, rates: Mapping[str, float], fall: float, **options: Any
) -> Optimizer:
    """Return the requested optimizer, with a rate that falls to lr / fall, linearly by default.

    The default is the first entry of ``rates``.
    """
    name = next(iter(rates)) if arguments.optimizer is None else arguments.optimizer
    lr = rates[name] if arguments.lr is None else arguments.lr
    final_lr = lr / fall if arguments.final_lr is None else arguments.final_lr
    options = {"decay_type": "linear", "decay_each": "batch", **options}
    return OPTIMIZERS[name](lr=lr, final_lr=final_lr, **options)


def logging(arguments: argparse.Namespace) -> list[Callback]:
    """Return what writes the history into the file of --log, if there is one."""
    return [] if arguments.log is None else [CSVLogger(arguments.log)]


def draw_curve(history: History, losses: list[float], folder: Path) -> None:
    """Draw the losses into the folder."""
    from dlfs.plots import plot_history  # noqa: PLC0415 - matplotlib is an extra

    plot_history(history, str(folder / "curve.png"), losses)
    print(f"Drew {folder / 'curve.png'}")
