"""Kill a process while it saves, or trains with a checkpoint, and check its files.

    python -m tools.kills [--kills 500] [--seed 0]

Each child, a fork of this process, writes one file again and again, and is killed with SIGKILL at a
random moment. Then the file must be complete: the network of the last reported write, or of the
next. The first write of the next child must remove all temporary files left behind. Half of the
kills hit a child that calls ``dlfs.save``, half one that trains with a checkpoint and resumes.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

import dlfs

LONGEST_DELAY = 0.03
"""In seconds: the time of a few writes, so that a kill can hit any moment of a write."""


class TornError(Exception):
    """A file is incomplete, or a temporary file was not removed."""


def network() -> dlfs.NeuralNetwork:
    """Return a network whose file takes a while to write."""
    net = dlfs.NeuralNetwork([dlfs.Dense(400), dlfs.Dense(100)])
    net.build((300,))
    return net


def fill(net: dlfs.NeuralNetwork, number: int) -> None:
    """Fill a network with one number, so that a mixture of two writes is visible."""
    for param in net.params():
        param.fill(number)


def save(path: Path, number: int, report: Callable[[int], None]) -> None:
    """Save one network after another, each filled with the next number."""
    net = network()
    while True:
        number += 1
        fill(net, number)
        dlfs.save(net, path)
        report(number)


def train(path: Path, _: int, report: Callable[[int], None]) -> None:
    """Train with a checkpoint; at the end of each epoch the network is filled with its number."""

    class Fill(dlfs.Callback):
        def on_epoch_end(self, trainer: Any, row: dict[str, Any]) -> None:
            # The previous epoch has been written by now.
            report(row["epoch"] - 1)
            fill(trainer.net, row["epoch"])

    X, y = np.zeros((4, 300)), np.zeros((4, 100))
    dlfs.Trainer(network(), dlfs.Adam(1e-3)).fit(
        X, y, epochs=10**6, checkpoint=path, resume=True, verbose=0, callbacks=[Fill()]
    )


Work = Callable[[Path, int, Callable[[int], None]], None]


def start(work: Work, path: Path, number: int) -> tuple[int, IO[str]]:
    """Start a child, and return its id and its reports."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, os.fdopen(reading)
    try:
        # No threads after a fork.
        dlfs.use_backend("reference")
        work(path, number, lambda done: os.write(writing, f"{done}\n".encode()) and None)
    except BaseException:  # noqa: BLE001 - a fork must not continue its parent's work
        traceback.print_exc()
    finally:
        os._exit(1)


def kill_once(
    work: Work, path: Path, number: int, rng: np.random.Generator, longest: float = LONGEST_DELAY
) -> int:
    """Start a child, kill it while it writes, and return the number in the file.

    Raises
    ------
    TornError
        If the file is neither the last one reported nor the next, or if an earlier child's
        temporary files still exist after two writes.
    """
    before = beside(path)
    child, reports = start(work, path, number)
    with reports:
        try:
            said = [reports.readline() for _ in range(3)]
            swept = beside(path)
            time.sleep(rng.uniform(0, longest))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        said += reports.readlines()
    if before & swept:
        raise TornError(
            f"temporary files must be removed by the next write, got {min(before & swept)}"
        )
    reported = max((int(line) for line in said if line.endswith("\n")), default=None)
    if reported is None:
        raise TornError("the child wrote nothing")
    found = number_in(path)
    if found not in (reported, reported + 1):
        raise TornError(f"{path} must hold number {reported} or the next, got {found}")
    return found


def beside(path: Path) -> set[Path]:
    """Return the other files in a file's folder."""
    return set(path.parent.iterdir()) - {path}


def number_in(path: Path) -> int:
    """Return the number that fills all parameters of a file.

    Raises
    ------
    TornError
        If the file cannot be loaded, or holds several numbers.
    """
    try:
        net = dlfs.load(path)
    except ValueError as error:
        raise TornError(f"{path} is incomplete: {error}") from error
    numbers = {float(x) for param in net.params() for x in (param.min(), param.max())}
    if len(numbers) != 1:
        raise TornError(f"{path} mixes the numbers {sorted(numbers)}")
    return int(numbers.pop())


def kill(work: Work, kills: int, folder: Path, rng: np.random.Generator) -> int:
    """Kill ``kills`` children; return how many of them left a temporary file.

    Raises
    ------
    TornError
        If a file is torn, or a temporary file remained after the next write.
    """
    path, number, left = folder / "net.safetensors", 0, 0
    for _ in range(kills):
        number = kill_once(work, path, number, rng)
        left += bool(beside(path))
    # One more write, by a process that is not killed.
    dlfs.save(network(), path)
    if beside(path):
        raise TornError(
            f"temporary files must be removed by the last write, got {min(beside(path))}"
        )
    return left


def main(arguments: list[str] | None = None) -> int:
    """Kill processes, and print the results."""
    parser = argparse.ArgumentParser(description="Kill processes that save, or train, 500 times.")
    parser.add_argument("--kills", type=int, default=500, help="number of kills, half of each kind")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    works: dict[str, Work] = {"saving": save, "training": train}
    for i, (what, work) in enumerate(works.items()):
        count, begun = (options.kills + 1 - i) // 2, time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            left = kill(work, count, Path(folder), rng)
        found = {"kills while": what, "kills": count, "left a temporary file": left}
        found |= {"torn": 0, "left after the next write": 0}
        print(json.dumps(found | {"seconds": round(time.monotonic() - begun)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
