"""``dlfs predict``: what a saved network says of a table, of images, or of arrays."""

import argparse
import csv
import io
import sys
from pathlib import Path

import numpy as np

from dlfs.commands.preparation import preparation_of
from dlfs.network import NeuralNetwork
from dlfs.saving import load
from dlfs.types import Array
from dlfs.utils.files import write_atomically

HELP = "predict with a saved network"
DESCRIPTION = (
    "Load a network saved by 'dlfs train --save FILE', prepare the data as in its training, and "
    "write its predictions as CSV: for a table a row for each row, for images the file and its "
    "class. A file of NumPy (.npy) holds inputs that are prepared already; any saved network takes "
    "these."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("network", type=Path, help="the file of the network")
    parser.add_argument("data", type=Path, help="a CSV file, an image, a folder of images, or .npy")
    parser.add_argument("--output", type=Path, default=None, help="where to write, instead of here")
    parser.add_argument("--proba", action="store_true", help="also the probability of each class")


def run(arguments: argparse.Namespace) -> int:
    """Load, prepare, predict, write."""
    net = load(arguments.network)
    if not arguments.data.exists():
        raise FileNotFoundError(f"there is no file {arguments.data}")
    header: list[str] = []
    names: list[str] = []
    if arguments.data.suffix == ".npy":
        X = np.load(arguments.data, mmap_mode="r", allow_pickle=False)
        answers = _of_arrays(net, X)
        titles = ["prediction"]
        if answers.ndim > 1:
            titles = [f"output{number}" for number in range(answers.shape[1])]
    else:
        preparation = preparation_of(net, arguments.network)
        X, names = preparation.unlabelled(arguments.data)
        header, title = preparation.names
        titles = [title]
        if preparation.target is None:
            answers = net.predict_classes(X)
        else:
            answers = preparation.target.scaler.inverse(net.predict(X))[:, 0]
    shares, titles_of_shares = _shares(net, X) if arguments.proba else (None, [])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, *titles, *titles_of_shares])
    for number, answer in enumerate(answers.reshape(len(answers), -1).tolist()):
        more = [] if shares is None else [f"{share:.6g}" for share in shares[number]]
        writer.writerow([*names[number : number + 1], *map(_shown, answer), *more])
    if arguments.output is None:
        sys.stdout.write(text.getvalue())
    else:
        write_atomically(arguments.output, text.getvalue().encode())
        print(f"Wrote {len(answers)} predictions to {arguments.output}")
    return 0


def _of_arrays(net: NeuralNetwork, X: Array) -> Array:
    """Return one answer for each row, or a row of numbers."""
    answers = net.predict_classes(X) if net.loss.takes_labels else net.predict(X)
    return answers if answers.ndim == 1 else answers.reshape(len(answers), -1)


def _shares(net: NeuralNetwork, X: Array) -> tuple[Array, list[str]]:
    shares = net.predict_proba(X)
    labels = range(shares.shape[-1]) if net.classes is None else net.classes.tolist()
    return shares.reshape(len(shares), -1), [f"p({label})" for label in labels]


def _shown(answer: object) -> str:
    return f"{answer:.6g}" if isinstance(answer, float) else str(answer)
