"""``dlfs train``: train a network on the data inside the package."""

import argparse
import importlib.util
import os
from pathlib import Path

from dlfs import backend, datasets, optimizers
from dlfs.callbacks import BatchLosses
from dlfs.commands import train_text
from dlfs.history import History
from dlfs.layers import Conv2D
from dlfs.models import MODELS, WRITERS
from dlfs.network import NeuralNetwork
from dlfs.optimizers import Optimizer
from dlfs.saving import save
from dlfs.train import Trainer

HELP = "train a network and print its test accuracy"
DESCRIPTION = (
    "Train a network on data inside the package, show the progress, and print how well it does on "
    "the test data."
)

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": optimizers.SGD,
    "momentum": optimizers.SGDMomentum,
    "adagrad": optimizers.AdaGrad,
    "rmsprop": optimizers.RMSProp,
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
}
RATES = {"sgd": 0.1, "momentum": 0.05, "adagrad": 0.02, "rmsprop": 0.001, "adam": 0.001}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add("--model", choices=[*sorted(MODELS), *sorted(WRITERS)], default="cnn", help="which network")
    add("--data", choices=["mnist", "sonnets"], default=None, help="what suits the model")
    add("--epochs", type=int, default=1, help="how often to go through the training data")
    add("--batch-size", type=int, default=32, help="observations for each step")
    add("--optimizer", choices=sorted(OPTIMIZERS), default="momentum", help="how to step")
    add("--lr", type=float, default=None, help="learning rate (its own for each optimizer)")
    add(
        "--final-lr",
        type=float,
        default=None,
        help="where the learning rate ends, falling after every batch (a fiftieth of --lr)",
    )
    add("--backend", choices=list(backend.PACKAGES), default=None, help="fast if it is compiled")
    add("--dtype", choices=["float32", "float64"], default="float32", help="of all numbers")
    add("--seed", type=int, default=1, help="one seed gives one result")
    add("--save", type=Path, default=None, help="where to save the network")
    add("--plots", type=Path, default=None, help="folder for filters.png and curve.png")
    add("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Train, report, save, draw."""
    if arguments.backend is not None:
        backend.use_backend(arguments.backend)
    _check_places(arguments)
    data_name = "sonnets" if arguments.model in WRITERS else "mnist"
    if arguments.data not in (None, data_name):
        raise ValueError(f"--model {arguments.model} needs --data {data_name}")
    if arguments.model in WRITERS:
        return train_text.run(arguments)
    net = MODELS[arguments.model](seed=arguments.seed, dtype=arguments.dtype)
    optim = _optimizer(arguments)
    print(f"Loading {data_name} ...", flush=True)
    data = datasets.mnist(dtype=arguments.dtype)
    net.build(data.X_train.shape[1:])
    print(net)
    print(f"{optim!r}, {backend.backend_name()} backend, {len(data.X_train):,} images", flush=True)
    losses = BatchLosses()
    history = Trainer(net, optim).fit(
        data.X_train,
        data.y_train,
        data.X_test,
        data.y_test,
        epochs=arguments.epochs,
        eval_every=1,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        early_stopping=False,
        callbacks=[losses],
        verbose=2 if arguments.quiet else 1,
    )
    if len(history):
        print(history)
        print(f"Training took {sum(history['seconds']):.1f} s.")
    if "accuracy" in history.columns:
        print(f"Test accuracy: {history['accuracy'][-1]:.2%} on {len(data.X_test):,} images")
    if arguments.save is not None:
        save(net, arguments.save)
        print(f"Saved to {arguments.save}")
    if arguments.plots is not None and len(history):
        _draw(net, history, losses.losses, arguments.plots)
    return 130 if history.stopped == "interrupted" else 0


def _check_places(arguments: argparse.Namespace) -> None:
    """Find out before the training whether its result can be written."""
    if arguments.save is not None and arguments.save.is_dir():
        raise ValueError(f"--save needs the name of a file, and {arguments.save} is a folder")
    for folder in (arguments.save and arguments.save.parent, arguments.plots):
        if folder is None:
            continue
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is not a folder")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise ValueError(f"nothing can be written into {folder}")
    if arguments.plots is not None and importlib.util.find_spec("matplotlib") is None:
        raise ImportError("--plots needs matplotlib: pip install 'dlfs[plots]'")


def _optimizer(arguments: argparse.Namespace) -> Optimizer:
    name = arguments.optimizer
    lr = RATES.get(name, 0.001) if arguments.lr is None else arguments.lr
    final_lr = lr / 50 if arguments.final_lr is None else arguments.final_lr
    return OPTIMIZERS[name](lr=lr, final_lr=final_lr, decay_type="linear", decay_each="batch")


def _draw(net: NeuralNetwork, history: History, losses: list[float], folder: Path) -> None:
    from dlfs.plots import plot_filters, plot_history  # noqa: PLC0415 - matplotlib is an extra

    plot_history(history, str(folder / "curve.png"), losses)
    print(f"Drew {folder / 'curve.png'}")
    first = net.layers[0]
    if isinstance(first, Conv2D):
        plot_filters(first.params[0], str(folder / "filters.png"))
        print(f"Drew {folder / 'filters.png'}")
