"""Selects works, and times them."""

import functools
from collections.abc import Iterator, Sequence

from benchmarks import kernels, networks, sequences
from benchmarks.machine import multiply_adds
from benchmarks.work import REFERENCE, Result, Work, on_threads
from dlfs.commands.stopwatch import interleaved

PEAK = "peak"


def all_works() -> list[Work]:
    return [*networks.works(), *sequences.works(), *kernels.works()]


def chosen(patterns: Sequence[str]) -> list[Work]:
    """Return the works whose title contains one of these words; all if no word is given."""
    found = all_works()
    if patterns:
        lowered = [pattern.lower() for pattern in patterns]
        found = [work for work in found if any(p in work.title.lower() for p in lowered)]
    return found


def run(
    works: Sequence[Work],
    dtypes: Sequence[str],
    thread_counts: Sequence[int],
    seconds: float,
    with_reference: bool,
) -> Iterator[Result]:
    for threads in thread_counts:
        with on_threads(threads):
            for work in works:
                for dtype in dtypes:
                    yield time_work(work, dtype, threads, seconds, with_reference)


def time_work(work: Work, dtype: str, threads: int, seconds: float, with_reference: bool) -> Result:
    calls = work.make(dtype)
    if not with_reference:
        del calls[REFERENCE]
    if work.multiply_adds is not None:
        calls[PEAK] = functools.partial(multiply_adds, dtype)
    times = interleaved(calls, seconds, threads)
    result = Result(work, dtype, threads, times)
    if PEAK in times:
        result.peak = threads * multiply_adds(dtype) / times.pop(PEAK)
    return result
