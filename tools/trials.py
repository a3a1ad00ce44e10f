"""Run tests on a change in a fork of this process: for ``mutate.py`` and ``mutate_kernels.py``."""

import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from _pytest.runner import runtestprotocol

T = TypeVar("T")

MEMORY = 8 << 30
PASSED, FAILED, CRASHED, TOO_LONG = "passed", "failed", "crashed", "too long"
OUTCOMES = {0: PASSED, 1: FAILED, -signal.SIGPROF: TOO_LONG, -signal.SIGALRM: TOO_LONG}


def attempt(
    items: list[pytest.Item],
    limits: list[float],
    begin: Callable[[], object] = int,
    fork: Callable[[], int] = os.fork,
) -> tuple[str, int, float]:
    """Run tests in a process of their own, until one fails.

    Parameters
    ----------
    items : list of pytest.Item
    limits : list of float
        For each test, seconds of CPU time, which do not depend on the machine's load.
    begin : callable
        Called in the new process, before the first test.
    fork : callable

    Returns
    -------
    outcome : str, the number of the test that ran last, and the seconds of CPU time
    """
    ours, theirs = os.pipe()
    child = fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            begin()
            for item, limit in zip(items, limits, strict=True):
                os.write(theirs, b".")
                # These end the process by a signal; a deadlock takes no CPU time.
                signal.setitimer(signal.ITIMER_PROF, limit)
                signal.alarm(60 + 10 * int(limit))
                if not passes(item):
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(1)  # also where a change raises what pytest lets through
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        begun = len(pipe.read())
    _, status, usage = os.wait4(child, 0)
    outcome = OUTCOMES.get(os.waitstatus_to_exitcode(status), CRASHED)
    return outcome, begun - 1, usage.ru_utime + usage.ru_stime


def passes(item: pytest.Item) -> bool:
    """Run one test."""
    reports = runtestprotocol(item, log=False, nextitem=None)
    return not any(report.failed for report in reports)


def first_of(order: list[T], seconds: dict[T, float], most: float) -> Iterator[T]:
    """Go through tests until they have taken ``most`` seconds together."""
    total = 0.0
    for test in order:
        yield test
        total += seconds[test]
        if total > most:
            return


def say(text: str) -> None:
    """Print to the terminal, even while pytest captures output."""
    print(text, file=sys.__stdout__, flush=True)
