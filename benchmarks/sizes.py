"""Cost over size: ``python -m benchmarks.sizes`` draws benchmarks/cost_over_size.png.

The time per multiply-add of the forward pass and both gradients, one thread: of dense layers for
batches of 1 to 1,024 and widths of 32 to 2,048, and of 3x3 convolutions for images of 8x8 to
128x128 pixels. Above a million multiply-adds it should stay within 1.5 times the best. Processor
time is measured, so that other programs disturb less.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import dlfs_ext
from benchmarks.kernels import Convolution, numbers
from benchmarks.limit import Limit, work_of
from benchmarks.machine import multiply_adds
from benchmarks.work import DTYPES, on_threads

PICTURE = Path(__file__).with_name("cost_over_size.png")
BATCHES = [4**power for power in range(6)]
WIDTHS = [2**power for power in range(5, 12)]
SIDES = [2**power for power in range(3, 8)]
LARGE, GOAL = 1e6, 1.5

Calls = Sequence[tuple[str, Sequence[Any]]]
"""Names of kernels, with their arguments."""


class Cost(NamedTuple):
    """One size: its multiply-adds, its time, and the least time that the machine allows."""

    line: str
    size: int
    dtype: str
    work: float
    seconds: float
    limit: float

    @property
    def kind(self) -> str:
        return self.line.split(",")[0]

    @property
    def each(self) -> float:
        return self.seconds / self.work


def sizes(dtype: str) -> Iterator[tuple[str, int, Calls]]:
    for batch in BATCHES:
        for width in WIDTHS:
            x, W, grad = (
                numbers(s, dtype) for s in ((batch, width), (width, width), (batch, width))
            )
            yield (
                f"dense, batch {batch:,}",
                width,
                [
                    ("weight_multiply", (x, W)),
                    ("weight_multiply_input_grad", (grad, W)),
                    ("weight_multiply_param_grad", (grad, x)),
                ],
            )
    for channels, batch in ((16, 1), (16, 16), (64, 1), (64, 16)):
        for side in SIDES:
            size = Convolution(channels, channels, 3, side, batch)
            x, W, grad = size.arrays(dtype)
            yield (
                f"3x3 convolution of {channels} channels, batch {batch}",
                side,
                [
                    ("conv2d", (x, W, *size.options)),
                    ("conv2d_input_grad", (grad, W, x.shape, *size.options)),
                    ("conv2d_param_grad", (grad, x, W.shape, *size.options)),
                ],
            )


def measure(seconds: float = 0.1) -> list[Cost]:
    """Time all sizes; `seconds` for each, and at least 3 runs."""
    costs = []
    with on_threads(1):
        for dtype in DTYPES:
            peak = max(timed(lambda dtype=dtype: multiply_adds(dtype)) for _ in range(20))
            for line, size, calls in sizes(dtype):
                costs.append(one(line, size, dtype, calls, peak, seconds))
    return costs


def timed(work: Any) -> float:
    """Return the operations per second of work that returns their number."""
    started = time.thread_time()
    operations = work()
    return float(operations) / (time.thread_time() - started)


def one(line: str, size: int, dtype: str, calls: Calls, peak: float, seconds: float) -> Cost:
    kernels = [(getattr(dlfs_ext, name), args) for name, args in calls]
    limit = Limit(
        [work_of(name, tuple(args), getattr(dlfs_ext, name)(*args)) for name, args in calls]
    )
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        started = time.thread_time()
        for kernel, args in kernels:
            kernel(*args)
        times.append(time.thread_time() - started)
    median = statistics.median(times)
    return Cost(line, size, dtype, limit.multiply_adds, median, limit.seconds(peak))


def best(costs: Sequence[Cost], cost_: Cost) -> float:
    """Return the least time per multiply-add of this kind and dtype."""
    return min(c.each for c in costs if (c.kind, c.dtype) == (cost_.kind, cost_.dtype))


def draw(costs: Sequence[Cost], path: Path = PICTURE) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogFormatter

    kinds = list(dict.fromkeys(cost.kind for cost in costs))
    figure, axes = plt.subplots(
        len(DTYPES), len(kinds), figsize=(13, 7), sharex="col", layout="constrained", squeeze=False
    )
    for row, dtype in zip(axes, DTYPES, strict=True):
        for axis, kind in zip(row, kinds, strict=True):
            some = [cost for cost in costs if (cost.kind, cost.dtype) == (kind, dtype)]
            for line in dict.fromkeys(cost.line for cost in some):
                points = [cost for cost in some if cost.line == line]
                axis.loglog(
                    [cost.work for cost in points],
                    [1e12 * cost.each for cost in points],
                    marker="o", markersize=3, label=line.removeprefix(f"{kind}, "),
                )  # fmt: skip
            least = 1e12 * best(costs, some[0])
            axis.axhspan(least, GOAL * least, color="0.9", zorder=0)
            axis.axvline(LARGE, color="0.6", linewidth=0.8)
            axis.set_title(f"{kind}, {dtype}")
            axis.grid(alpha=0.3)
            axis.yaxis.set_major_formatter(LogFormatter())
            axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
        row[0].set_ylabel("picoseconds per multiply-add")
    for axis in axes[-1]:
        axis.set_xlabel("multiply-adds, forward and both gradients")
    for axis in axes[0]:
        axis.legend(fontsize=8, loc="upper right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def table(costs: Sequence[Cost]) -> list[str]:
    """Return the lines of a table: the time per multiply-add over the best, above a million."""
    rows = [
        "| line | dtype | sizes | within 1.5 | worst, at size | its time over the limit |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for line, dtype in dict.fromkeys((cost.line, cost.dtype) for cost in costs):
        large = [c for c in costs if (c.line, c.dtype) == (line, dtype) and c.work >= LARGE]
        if large:
            factors = [cost.each / best(costs, cost) for cost in large]
            worst = int(np.argmax(factors))
            rows.append(
                f"| {line} | {dtype} | {len(large)} | {sum(f <= GOAL for f in factors)} "
                f"| {factors[worst]:.2f}, {large[worst].size} "
                f"| {large[worst].seconds / large[worst].limit:.2f} |"
            )
    return rows


def main() -> None:
    costs = measure()
    draw(costs)
    print("\n".join(table(costs)))


if __name__ == "__main__":
    main()
