"""Times a training step kernel by kernel: ``python -m benchmarks.profile``."""

import argparse
import collections
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import dlfs
from benchmarks.networks import NETWORKS
from dlfs import backend
from dlfs.commands.stopwatch import readable

WARM, STEPS_TIMED = 30, 300


class Watch:
    """Replaces the kernels of the backend in use, and times every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float, float]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        kernel = getattr(backend.kernels, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = kernel(*args, **kwargs)
            ended = time.perf_counter()
            self.calls.append((label(name, args), started, ended))
            return result

        return timed


def label(name: str, args: tuple[Any, ...]) -> str:
    """Return a kernel's name with the shapes of its first two array arguments."""
    shapes = ["x".join(map(str, arg.shape)) for arg in args if isinstance(arg, np.ndarray)][:2]
    return f"{name}({', '.join(shapes)})"


def watched(watch: Watch) -> None:
    """Make every module of dlfs call its kernels through `watch`."""
    for name, module in list(sys.modules.items()):
        calls_them = getattr(module, "kernels", None) is backend.kernels and module is not backend
        if name.startswith("dlfs.") and calls_them:
            module.kernels = watch  # type: ignore[attr-defined]


def profile(step: Callable[[], None], watch: Watch) -> dict[str, float]:
    """Return the median seconds of each kernel of a step, and of the Python code between them."""
    for _ in range(WARM):
        step()
    rows = collections.defaultdict(list)
    for _ in range(STEPS_TIMED):
        watch.calls.clear()
        started = time.perf_counter()
        step()
        total = time.perf_counter() - started
        spent: dict[str, float] = collections.defaultdict(float)
        for name, begin, end in watch.calls:
            spent[name] += end - begin
        spent["Python, between the kernels"] = total - sum(spent.values())
        for name, seconds in spent.items():
            rows[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--only", default="", metavar="WORD", help="networks with it in their name")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    dlfs.set_num_threads(arguments.threads)
    dlfs.use_backend("fast")
    steps = {
        f"{network.name}, {dtype}": network.step(dtype)
        for network in NETWORKS
        if arguments.only.lower() in network.name.lower()
        for dtype in arguments.dtypes
    }
    watch = Watch()
    watched(watch)
    for name, step in steps.items():
        rows = profile(step, watch)
        total = sum(rows.values())
        print(f"\n{name}: {readable(total)}\n")
        for kernel, seconds in rows.items():
            print(f"    {readable(seconds):>8} {seconds / total:4.0%}  {kernel}")


if __name__ == "__main__":
    main()
