"""``dlfs evaluate``: how good a saved network is on data whose answers are known."""

import argparse
from pathlib import Path

from dlfs import datasets
from dlfs.commands import train_text
from dlfs.commands.preparation import ImagePreparation, kind_of, measured, preparation_of, read_text
from dlfs.optimizers import SGD
from dlfs.saving import load
from dlfs.text import load_writer, streams
from dlfs.train import Trainer
from dlfs.train.metrics import METRICS

HELP = "measure a saved network on data whose answers are known"
DESCRIPTION = (
    "Load a network saved by 'dlfs train --save FILE', and measure it on other data of the same "
    "form: a CSV file with the target's column, a folder of images with a folder for each class, "
    "or a text. 'mnist' stands for the test images of MNIST."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("network", type=Path, help="the file of the network")
    parser.add_argument("data", type=Path, help="mnist, a CSV file, a folder of images or a text")
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=list(METRICS),
        default=None,
        metavar="METRIC",
        help=f"what to measure (classes: accuracy; numbers: mae, rmse): {', '.join(METRICS)}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Load, prepare, measure, print."""
    kind = "images" if str(arguments.data) == "mnist" else kind_of(arguments.data, "data")
    if kind == "text":
        return _text(arguments)
    net = load(arguments.network)
    preparation = preparation_of(net, arguments.network)
    if isinstance(preparation, ImagePreparation) != (kind == "images"):
        trained = "images" if isinstance(preparation, ImagePreparation) else "a table"
        raise ValueError(f"data must be {trained}, as in training, got {arguments.data}")
    if str(arguments.data) == "mnist":
        mnist = datasets.mnist()
        X, y = mnist.X_test, mnist.y_test
    else:
        X, y = preparation.labelled(arguments.data, net.classes)
    usual = ["accuracy"] if preparation.target is None else ["mae", "rmse"]
    names = usual if arguments.metrics is None else list(dict.fromkeys(arguments.metrics))
    results = measured(net, preparation, X, y, names)
    print(f"{len(X):,} {'images' if kind == 'images' else 'rows'}")
    for name, value in results.items():
        print(f"{name}: {value:.6g}")
    return 0


def _text(arguments: argparse.Namespace) -> int:
    if arguments.metrics is not None:
        raise ValueError("--metrics must be left out for a text, whose loss is measured")
    net, vocabulary = load_writer(arguments.network)
    indices = vocabulary.encode(read_text(arguments.data))
    X, y = streams(indices, 1, train_text.LENGTH)
    loss = Trainer(net, SGD()).evaluate(X, y, batch_size=1)["loss"]
    print(f"{X.size:,} characters")
    print(f"loss: {loss:.6g} nats per character")
    return 0
