"""Selects works, and times them."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks import kernels, networks, pieces
from benchmarks.limit import of_step
from benchmarks.machine import multiply_adds
from benchmarks.work import FAST, REFERENCE, Result, Work, on_threads
from dlfs.commands.stopwatch import interleaved
from dlfs.types import Array

PEAK = "peak"


def all_works() -> list[Work]:
    return [*networks.works(), *kernels.works(), *pieces.works()]


def chosen(patterns: Sequence[str]) -> list[Work]:
    """Return the works whose title contains one of these words; all if no word is given."""
    found = all_works()
    if patterns:
        lowered = [pattern.lower() for pattern in patterns]
        found = [
            work
            for work in found
            if any(p in f"{work.section}: {work.title}".lower() for p in lowered)
        ]
    return found


def run(
    works: Sequence[Work],
    dtypes: Sequence[str],
    thread_counts: Sequence[int],
    seconds: float,
    others: bool,
) -> Iterator[Result]:
    """Time each work; with the `others`: reference, JAX and torch.compile."""
    for threads in thread_counts:
        with on_threads(threads):
            for work in works:
                for dtype in dtypes:
                    yield time_work(work, dtype, threads, seconds, others)


def time_work(work: Work, dtype: str, threads: int, seconds: float, others: bool) -> Result:
    calls = work.make(dtype)
    if not (others and work.reference):
        calls.pop(REFERENCE, None)
    # JAX cannot change its number of threads after the start.
    if others and work.compilers is not None and threads == 1:
        calls |= work.compilers(dtype)
    if not work.random:
        compare({name: call() for name, call in calls.items()}, dtype, work.title)
    if work.multiply_adds is not None or work.step is not None:
        calls[PEAK] = functools.partial(multiply_adds, dtype)
    times = interleaved(calls, seconds, threads)
    limit = None if work.step is None else of_step(work.step(dtype))
    result = Result(work, dtype, threads, times, limit=limit)
    if PEAK in times:
        result.peak = threads * multiply_adds(dtype) / times.pop(PEAK)
    return result


def compare(results: dict[str, Any], dtype: str, title: str) -> None:
    """Demand that all contenders computed the same: otherwise their times cannot be compared."""
    ours = first(results[FAST])
    scale = max(float(np.abs(ours).max()), 1e-9)
    # Sums of thousands of terms in another order.
    tolerance = 1e4 * np.finfo(dtype).eps * scale * np.sqrt(ours.size)
    for name, result in results.items():
        found = first(result)
        # PyTorch's weights have the output channels first, and recurrent networks the time axis.
        orders = [found, found.swapaxes(0, 1)] if found.ndim > 1 else [found]
        # NaN is not below the tolerance.
        if not any(
            order.shape == ours.shape and np.linalg.norm(order - ours) < tolerance
            for order in orders
        ):
            raise AssertionError(f"{title}: {name} and {FAST} computed different results")


def first(result: Any) -> Array:
    """Return the first array of a result."""
    result = result[0] if isinstance(result, tuple) else result
    return np.asarray(result.detach() if isinstance(result, torch.Tensor) else result)
