"""Times alternatives in turns, so that a busy machine slows all of them equally."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

MIN_ROUNDS = 5
SAMPLE_SECONDS = 5e-4
"""A sample repeats a short call for this many seconds, to make the clock's error negligible."""
LEAD = 3e-3
"""An alternative first runs untimed for this many seconds: the previous one has replaced the
content of the caches, while in training they are warm."""
THREADS_LEAD, REST = 2e-2, 0.12
"""With several threads, the previous alternative's spinning threads must sleep first: NumPy's BLAS
takes 70 to 110 milliseconds. Then an alternative's own threads must wake, which takes up to 5 on a
virtual machine."""


def interleaved(
    alternatives: Mapping[str, Callable[[], Any]],
    seconds: float = 1.0,
    threads: int = 1,
    rare: float = 0.5,
) -> dict[str, float]:
    """Return the median time per call of each alternative, all timed in turns: A B A B.

    Parameters
    ----------
    alternatives : mapping of name to callable without arguments
    seconds : float
        The approximate total time; there are at least 5 rounds.
    threads : int
        The number of threads used. With more than one, each turn begins with a pause and a longer
        untimed run.
    rare : float
        An alternative whose 5 calls take more than this share of the time is called only 5 times.

    Returns
    -------
    dict
        Name to seconds.

    Examples
    --------
    >>> times = interleaved({"sum": lambda: sum(range(99)), "no": lambda: None}, seconds=0.01)
    >>> times["sum"] > times["no"]
    True
    """
    once = {name: _first_time(call) for name, call in alternatives.items()}
    repeats = {name: max(1, round(SAMPLE_SECONDS / t)) for name, t in once.items()}
    slow = {name for name, t in once.items() if 2 * t * MIN_ROUNDS > rare * seconds}
    samples: dict[str, list[float]] = {name: [] for name in alternatives}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < MIN_ROUNDS or (time.perf_counter() < end and len(slow) < len(samples)):
        for name, call in alternatives.items():
            if name in slow and rounds >= MIN_ROUNDS:
                continue
            if threads > 1:
                time.sleep(REST)
            _run_for(THREADS_LEAD if threads > 1 else LEAD, call)
            started = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            samples[name].append((time.perf_counter() - started) / repeats[name])
        rounds += 1
    return {name: statistics.median(times) for name, times in samples.items()}


def _run_for(seconds: float, call: Callable[[], Any]) -> None:
    end = time.perf_counter() + seconds
    call()
    while time.perf_counter() < end:
        call()


def _first_time(call: Callable[[], Any]) -> float:
    call()
    started = time.perf_counter()
    call()
    return max(time.perf_counter() - started, 1e-8)


def readable(seconds: float) -> str:
    """Return a time in a readable unit.

    Examples
    --------
    >>> readable(0.0123)
    '12.3 ms'
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
