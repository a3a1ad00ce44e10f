"""How long a thread that waits for another keeps its processor busy.

libgomp's threads spin for milliseconds before they sleep. On a machine that others use, too, the
thread that is waited for does not get the processor that the waiting one holds: training on two
threads was seen to take fifty times as long as on one. A tenth of a millisecond is enough: from one
kernel of a training step to the next the threads stay awake, for waking them takes almost as long.
Where even this is too long, runtime.pyx finds out and uses one thread.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

SPINS = "6000"
"""Turns of libgomp's waiting loop: some 15 nanoseconds each."""


@contextmanager
def short_waiting() -> Iterator[None]:
    """Let a libgomp that is loaded meanwhile wait only shortly, unless the user has chosen.

    It reads the environment when it is loaded, and never again.
    """
    if any(os.environ.get(name) for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")):
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = SPINS
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]
