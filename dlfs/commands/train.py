"""``dlfs train``: train a network on the data inside the package."""

import argparse
import importlib.util
from pathlib import Path

from dlfs import backend, datasets
from dlfs.commands import train_text
from dlfs.commands.recipes import MODELS, TEXT_MODELS
from dlfs.commands.shared import OPTIMIZERS, draw_curve, make_optimizer
from dlfs.commands.train_text import GPT, RECURRENT
from dlfs.layers import Conv2D
from dlfs.network import NeuralNetwork
from dlfs.saving import save
from dlfs.train import Trainer
from dlfs.train.callbacks import BatchLosses
from dlfs.train.history import History
from dlfs.utils.files import check_writable
from dlfs.utils.options import integer_option, real_option

HELP = "train a network and print its result on the test data"
DESCRIPTION = (
    "Train a network on data inside the package, show the progress, and print the result on "
    "the test data."
)

EPOCHS, BATCH_SIZE = 1, 32
RATES = {
    "momentum": 0.05,
    "sgd": 0.1,
    "adagrad": 0.02,
    "rmsprop": 0.001,
    "adam": 0.001,
    "adamw": 0.001,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    models = [*sorted(MODELS), *sorted(TEXT_MODELS)]
    add("--model", choices=models, default="cnn", help="which network")
    add("--data", choices=["mnist", "sonnets"], default=None, help="the model's usual data")
    add(
        "--epochs",
        type=integer_option(1),
        default=None,
        help=f"passes over the training data ({EPOCHS}; text: {RECURRENT.epochs}; "
        f"gpt: {GPT.epochs})",
    )
    add(
        "--batch-size",
        type=integer_option(1),
        default=None,
        help=f"observations per step ({BATCH_SIZE}; text: {RECURRENT.batch_size} streams; "
        f"gpt: {GPT.batch_size})",
    )
    add(
        "--optimizer",
        choices=sorted(OPTIMIZERS),
        default=None,
        help="the optimizer (momentum; text: adam; gpt: adamw)",
    )
    rate = real_option(0.0, low_open=True)
    add("--lr", type=rate, default=None, help="learning rate (depends on the optimizer)")
    add(
        "--final-lr",
        type=real_option(0.0),
        default=None,
        help="final learning rate; the rate falls after every batch (--lr / 50; text: almost 0; "
        "gpt: --lr / 100)",
    )
    add("--backend", choices=list(backend.PACKAGES), default=None, help="fast if it is compiled")
    add("--dtype", choices=["float32", "float64"], default="float32", help="type of all numbers")
    add("--seed", type=integer_option(0), default=1, help="one seed gives one result")
    add("--save", type=Path, default=None, help="where to save the network")
    add(
        "--plots",
        type=Path,
        default=None,
        help="folder for curve.png and, for a cnn, filters.png",
    )
    add("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    """Train, report, save, draw."""
    data_name = "sonnets" if arguments.model in TEXT_MODELS else "mnist"
    if arguments.data not in (None, data_name):
        raise ValueError(f"--model {arguments.model} needs --data {data_name}")
    if arguments.backend is not None:
        backend.use_backend(arguments.backend)
    _check_places(arguments)
    if arguments.model in TEXT_MODELS:
        return train_text.run(arguments)
    net = MODELS[arguments.model](seed=arguments.seed, dtype=arguments.dtype)
    optim = make_optimizer(arguments, RATES, fall=50)
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
        epochs=EPOCHS if arguments.epochs is None else arguments.epochs,
        eval_every=1,
        batch_size=BATCH_SIZE if arguments.batch_size is None else arguments.batch_size,
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
    """Check before training that its results can be written."""
    for path in (arguments.save, arguments.plots and arguments.plots / "curve.png"):
        if path is None:
            continue
        if path.parent.exists() and not path.parent.is_dir():
            raise ValueError(f"{path.parent} is not a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        check_writable(path)
    if arguments.plots is not None and importlib.util.find_spec("matplotlib") is None:
        raise ImportError("--plots needs matplotlib: pip install 'dlfs[plots]'")


def _draw(net: NeuralNetwork, history: History, losses: list[float], folder: Path) -> None:
    draw_curve(history, losses, folder)
    first = net.layers[0]
    if isinstance(first, Conv2D):
        from dlfs.plots import plot_filters  # noqa: PLC0415 - matplotlib is an extra

        plot_filters(first.params[0], str(folder / "filters.png"))
        print(f"Drew {folder / 'filters.png'}")
