"""``dlfs train``: train a network on the user's data, or on those inside the package."""

import argparse
import importlib.util
from pathlib import Path

from dlfs import backend
from dlfs.commands import train_own, train_text
from dlfs.commands.preparation import kind_of, measured, read_text
from dlfs.commands.ranks import on_ranks
from dlfs.commands.recipes import MODELS, TEXT_MODELS
from dlfs.commands.shared import OPTIMIZERS, draw_curve, logging, make_optimizer
from dlfs.commands.train_own import Problem
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
    "Train a network on your data, or on those inside the package, show the progress, and print "
    "the result on the test data. Of your own data, a part is kept for the test."
)

EPOCHS, OWN_EPOCHS, BATCH_SIZE, FALL = 1, 30, 32, 50
RATES = {
    "momentum": 0.05,
    "sgd": 0.1,
    "adagrad": 0.02,
    "rmsprop": 0.001,
    "adam": 0.001,
    "adamw": 0.001,
}

OWN_RATES = {"adam": 0.002, **{name: rate for name, rate in RATES.items() if name != "adam"}}
"""For tables and images of the user."""

USUAL = {"mnist": "cnn", "sonnets": "gru", "images": "cnn", "table": "mlp", "text": "gru"}
"""The model for each kind of data, unless another is named."""

SUITING: dict[str, tuple[str, ...]] = {
    "mnist": tuple(MODELS),
    "images": tuple(MODELS),
    "table": ("mlp",),
    "sonnets": TEXT_MODELS,
    "text": TEXT_MODELS,
}
OWN_KINDS = {
    "images": "a folder of images",
    "table": "a CSV file",
    "text": "a text file (.txt)",
}
ONLY_FOR = {
    "target": ("table",),
    "missing": ("table",),
    "classify": ("table",),
    "size": ("images",),
    "colour": ("images",),
}
"""The options that only some kinds of data have."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    models = [*sorted(MODELS), *sorted(TEXT_MODELS)]
    add(
        "--model",
        choices=models,
        default=None,
        help="which network (images: cnn; tables: mlp; text: gru)",
    )
    add(
        "--data",
        default=None,
        help="what to train on: mnist, sonnets, a CSV file, a folder of images or a text file (the "
        "model's usual data; without a model mnist)",
    )
    add("--target", default=None, help="name of the column to predict, of a CSV file")
    add(
        "--missing",
        choices=["error", "drop", "fill"],
        default=None,
        help="missing values of a CSV file: an error, rows left out, or filled in (error)",
    )
    add("--classify", action="store_true", help="numbers in the target's column are classes")
    add(
        "--size",
        type=integer_option(1),
        default=None,
        help="height and width to which images are scaled (as they are)",
    )
    add("--colour", action="store_true", help="images with three channels, not grey")
    add(
        "--epochs",
        type=integer_option(1),
        default=None,
        help=f"passes over the training data ({EPOCHS}; text: {RECURRENT.epochs}; "
        f"gpt: {GPT.epochs}; own images and tables: {OWN_EPOCHS})",
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
        help="the optimizer (momentum; text, own images and tables: adam; gpt: adamw)",
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
        "--log",
        type=Path,
        default=None,
        help="where to write a row of losses after each epoch, as CSV",
    )
    add(
        "--plots",
        type=Path,
        default=None,
        help="folder for curve.png and, for a cnn, filters.png",
    )
    add("--quiet", action="store_true", help="no progress bar")
    add(
        "--ranks",
        type=integer_option(1),
        default=1,
        help="processes that share each batch, started by MPI (the extra mpi)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, report, save, draw, in one process or in several."""
    return on_ranks(arguments, _run)


def _run(arguments: argparse.Namespace) -> int:
    kind = _kind(arguments)
    if arguments.backend is not None:
        backend.use_backend(arguments.backend)
    if arguments.leads:
        _check_places(arguments)
    if kind == "sonnets":
        return train_text.run(arguments)
    if kind == "text":
        return train_text.run(arguments, read_text(Path(arguments.data)))
    print(f"Loading {arguments.data} ...", flush=True)
    own = kind != "mnist"
    problem = {"mnist": train_own.digits, "images": train_own.images, "table": train_own.rows}[
        kind
    ](arguments)
    net, what = problem.net, problem.what
    net.notes = {"data": problem.preparation.as_notes()}
    optim = make_optimizer(arguments, OWN_RATES if own else RATES, fall=FALL)
    net.build(problem.X.shape[1:])
    print(net)
    print(f"{optim!r}, {backend.backend_name()} backend, {len(problem.X):,} {what}", flush=True)
    losses, usual = BatchLosses(), OWN_EPOCHS if own else EPOCHS
    history = Trainer(net, optim, ranks=arguments.comm).fit(
        problem.X,
        problem.y,
        problem.X_test,
        problem.y_test,
        epochs=usual if arguments.epochs is None else arguments.epochs,
        eval_every=1,
        batch_size=BATCH_SIZE if arguments.batch_size is None else arguments.batch_size,
        seed=arguments.seed,
        early_stopping=False,
        callbacks=[losses, *logging(arguments)],
        verbose=2 if arguments.quiet else 1,
    )
    if not arguments.leads:
        return 0  # rank 0 reports, and writes the files
    if len(history):
        print(history)
        print(f"Training took {sum(history['seconds']):.1f} s.")
    if "test_loss" in history.columns:
        print(_said_of_test(problem, history))
    if arguments.save is not None:
        save(net, arguments.save)
        print(f"Saved to {arguments.save}")
    if arguments.plots is not None and len(history):
        _draw(net, history, losses.losses, arguments.plots)
    return 130 if history.stopped == "interrupted" else 0


def _kind(arguments: argparse.Namespace) -> str:
    """Return what kind of data to train on, and put in what is not given."""
    model = arguments.model
    if arguments.data is None:
        arguments.data = "sonnets" if model in TEXT_MODELS else "mnist"
    data: str = arguments.data
    kind = data if data in USUAL else kind_of(Path(data), "--data", "mnist, sonnets, ")
    if model is None:
        arguments.model = USUAL[kind]
    elif model not in SUITING[kind]:
        others = [name for name, models in SUITING.items() if model in models]
        needed = " or ".join(OWN_KINDS.get(name, name) for name in others)
        raise ValueError(f"--model {model} needs --data {needed}, got {data}")
    for option, kinds in ONLY_FOR.items():
        if getattr(arguments, option) and kind not in kinds:
            words = " or ".join(OWN_KINDS[name] for name in kinds)
            raise ValueError(f"--{option} needs --data {words}, got {data}")
    arguments.missing = arguments.missing or "error"
    return kind


def _said_of_test(problem: Problem, history: History) -> str:
    """Return how good the network is on the test data."""
    on = f"on {len(problem.X_test):,} {problem.what}"
    if "accuracy" in history.columns:
        return f"Test accuracy: {history['accuracy'][-1]:.2%} {on}"
    results = measured(
        problem.net, problem.preparation, problem.X_test, problem.test_answers, ("mae", "rmse")
    )
    said = ", ".join(f"{name} {value:.4g}" for name, value in results.items())
    return f"Test error: {said} {on}, in the units of the target"


def _check_places(arguments: argparse.Namespace) -> None:
    """Check before training that its results can be written."""
    plot = arguments.plots and arguments.plots / "curve.png"
    for path in (arguments.save, plot, arguments.log):
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
