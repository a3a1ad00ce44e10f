"""What several ranks cost and gain: ``python -m benchmarks.scaling``, for docs/scaling.md.

It starts itself under mpiexec with 1 and 2 ranks, measures steps and messages there, fits the
model of a step,

    T(n) = T_1 / n + c + a * log2(n) + b * bytes,

and prints what the model predicts for more ranks on networks of stated latency and bandwidth.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dlfs.backend import set_num_threads
from dlfs.commands.recipes import cnn, gpt, mlp
from dlfs.network import NeuralNetwork
from dlfs.optimizers import SGDMomentum
from dlfs.ranks import Alone, Ranks
from dlfs.train.interrupt import PatientInterrupt

ROWS = 60
"""Rows of a batch."""

CABLES = {
    "same machine": (None, None),
    "100 Gbit/s": (3e-6, 12.5e9),
    "10 Gbit/s": (30e-6, 1.25e9),
}
"""Latency in seconds, and bytes per second, of one message; None: as measured here."""

COUNTS = (8, 32, 128, 1000)
"""The numbers of ranks to predict."""


def networks() -> dict[str, tuple[NeuralNetwork, Any]]:
    """Return each network with a function that makes rows of data."""
    rng = np.random.default_rng(0)

    def images(rows: int) -> Any:
        return rng.normal(size=(rows, 1, 28, 28)).astype("float32"), rng.integers(0, 10, rows)

    def text(rows: int) -> Any:
        return rng.integers(0, 62, (rows, 64)), rng.integers(0, 62, (rows, 64))

    return {
        "MLP": (mlp(dtype="float32"), images),
        "CNN": (cnn(dtype="float32"), images),
        "GPT": (gpt(62, 64, dtype="float32"), text),
    }


def measure(comm: Any) -> dict[str, Any]:
    """Measure steps of whole batches, and messages; on one rank without a communicator."""
    ranks = Alone() if comm is None else Ranks(comm)

    steps: dict[str, float] = {}
    for name, (net, data) in networks().items():
        for rows in (ROWS, 2 * ROWS):
            X, y = data(rows)
            optim, interrupt = SGDMomentum(lr=1e-6), PatientInterrupt(shared=comm is not None)
            optim.net = net

            def step(
                X: Any = X, y: Any = y, net: Any = net, optim: Any = optim, note: Any = interrupt
            ) -> None:
                ranks.add_up(net, ranks.train_batch(net, X, y), note)
                optim.step()

            steps[f"{name} {rows}"] = calls(step, comm, 6 if name == "GPT" else 400)
    found: dict[str, Any] = {"steps": steps}
    if comm is not None:
        messages = {}
        for count in (1, 1000, 10_000, 100_000, 1_000_000):
            sent, sums = np.ones(count, "float32"), np.empty(count, "float32")
            function = lambda sent=sent, sums=sums: comm.Allreduce(sent, sums)  # noqa: E731
            messages[4 * count] = calls(function, comm, 2000)
        found["messages"] = messages
    return found


def calls(function: Callable[[], Any], comm: Any, count: int) -> float:
    """Return the time of the fastest call: other programs use this machine, too."""
    times = []
    for _ in range(count):
        if comm is not None:
            comm.Barrier()
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times[count // 10 :])


def fitted(messages: dict[str, float]) -> tuple[float, float]:
    """Return latency (s) and bandwidth (bytes/s) of ``a + bytes / B``, in relative errors."""
    size, seconds = (
        np.array([float(v) for v in part]) for part in zip(*messages.items(), strict=True)
    )
    left = np.column_stack([np.ones_like(size), size]) / seconds[:, None]
    (a, b), *_ = np.linalg.lstsq(left, np.ones_like(size), rcond=None)
    return max(float(a), 1e-7), 1 / float(b)


def predicted(alone: float, size: int, n: int, latency: float, bandwidth: float) -> float:
    """Return the time of a step on n ranks: a ring's volume, a tree's latency."""
    volume = 2 * (n - 1) / n * size / bandwidth
    return alone / n + math.ceil(math.log2(n)) * latency + volume


def run(ranks: int, threads: int = 1) -> dict[str, Any]:
    """Measure in other processes."""
    if ranks == 0:
        command = [sys.executable, "-m", "benchmarks.scaling", "alone", str(threads)]
    else:
        beside = Path(sys.executable).parent
        mpiexec = shutil.which("mpiexec", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
        if mpiexec is None:
            sys.exit("benchmarks.scaling needs MPI: pip install 'dlfs[mpi]'")
        command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "mpi4py"]
        command += ["-m", "benchmarks.scaling", "ranks"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def report() -> None:
    """Print the tables of docs/scaling.md."""
    one, two_threads, two = run(0), run(0, threads=2), run(2)
    sizes = {}
    for name, (net, data) in networks().items():
        net.build(data(1)[0].shape[1:])
        sizes[name] = 4 * net.parameter_count()
    print("| network | rows | 1 thread | 2 threads | 2 ranks | speed-up of 2 ranks |")
    print("|---|---|---|---|---|---|")
    for key, alone in one["steps"].items():
        name, rows = key.split()
        t, n = two_threads["steps"][key], two["steps"][key]
        print(
            f"| {name} | {rows} | {1e3 * alone:.2f} ms | {1e3 * t:.2f} ms | {1e3 * n:.2f} ms "
            f"| {alone / n:.2f} |"
        )
    print("\n| bytes | Allreduce, 2 ranks |\n|---|---|")
    for size, seconds in two["messages"].items():
        print(f"| {int(size):,} | {1e6 * seconds:.0f} us |")
    latency, bandwidth = fitted(two["messages"])
    print(f"\nFit: latency {1e6 * latency:.1f} us, {bandwidth / 1e9:.2f} GB/s\n")
    print("Efficiency T_1 / (n T_n): the batch stays", ROWS, "rows / each rank has", ROWS, "rows")
    print("| network | cable | " + " | ".join(f"{n:,} ranks" for n in COUNTS) + " | pays up to |")
    print("|---" * (len(COUNTS) + 3) + "|")
    for name, size in sizes.items():
        alone = one["steps"][f"{name} {ROWS}"]
        for cable, (a, bytes_per_second) in CABLES.items():
            line = (a or latency, bytes_per_second or bandwidth)
            cells = []
            for n in COUNTS:
                strong = alone / n / predicted(alone, size, n, *line)
                weak = alone / predicted(n * alone, size, n, *line)
                cells.append(f"{strong:.0%} / {weak:.0%}" if n <= ROWS else f"- / {weak:.0%}")
            best = [n for n in range(2, ROWS + 1) if predicted(alone, size, n, *line) < alone]
            half = [n for n in best if predicted(alone, size, n, *line) < 2 * alone / n]
            print(f"| {name} | {cable} | {' | '.join(cells)} | {max(half, default=1)} |")


def main() -> None:
    """Measure in this process, or start the processes that do, and report."""
    if len(sys.argv) == 1:
        report()
        return
    if sys.argv[1] == "alone":
        set_num_threads(int(sys.argv[2]))
        print(json.dumps(measure(None)))
        return
    from mpi4py import MPI

    found = measure(MPI.COMM_WORLD)
    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
