"""Count the Python calls of one training step of the book's convolutional network.

    python -m tools.calls [--walk] [--backend fast]

A call counts if the function's file is in the package dlfs. ``--walk`` prints the calls in order,
indented by depth: the path of one batch through the library.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import dlfs

PACKAGE = Path(dlfs.__file__).parent


def book_network() -> dlfs.NeuralNetwork:
    """Return the network of the book's chapter 5: one convolution and two dense layers."""
    return dlfs.NeuralNetwork(
        [
            dlfs.Conv2D(16, 5, activation=dlfs.Tanh(), weight_init="glorot", flatten=True),
            dlfs.Dense(10, weight_init="glorot"),
        ],
        dlfs.SoftmaxCrossEntropy(),
        seed=1,
        dtype="float32",
    )


def calls(backend: str) -> list[tuple[int, str, str]]:
    """Return (depth, file, function) for each call of one step, after the network's set-up."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 1, 28, 28)).astype(np.float32)
    y = rng.integers(0, 10, 60)
    with dlfs.use_backend(backend):
        net, optim = book_network(), dlfs.SGDMomentum(lr=0.01)
        optim.net = net
        found: list[tuple[int, str, str]] = []
        depth = 0

        def watch(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal depth
            path = Path(frame.f_code.co_filename)
            if not path.is_relative_to(PACKAGE):
                return
            if event == "call":
                found.append((depth, str(path.relative_to(PACKAGE)), frame.f_code.co_qualname))
                depth += 1
            elif event == "return":
                depth -= 1

        for step in range(3):
            found.clear()
            sys.setprofile(watch if step == 2 else None)
            try:
                net.train_batch(X, y)
                optim.step()
            finally:
                sys.setprofile(None)
    return found


def main() -> None:
    """Print the counts, and with --walk the calls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--walk", action="store_true", help="print each call")
    parser.add_argument("--backend", choices=dlfs.available_backends(), help="only this one")
    options = parser.parse_args()
    for backend in [options.backend] if options.backend else ["fast", "reference"]:
        found = calls(backend)
        if options.walk:
            for depth, file, function in found:
                print(f"{'  ' * depth}{function}  ({file})")
        files = Counter(file for _, file, _ in found)
        print(f"{backend}: {len(found)} calls in {len(files)} files")
        for file, count in files.most_common():
            print(f"  {count:4d}  {file}")


if __name__ == "__main__":
    main()
