"""Limits how long a waiting thread keeps its processor busy.

libgomp's threads spin for milliseconds before they sleep. On a shared machine the spinning thread
occupies the processor that the working thread needs: training on two threads took up to fifty times
as long as on one. A tenth of a millisecond is enough: threads stay awake from one kernel of a
training step to the next.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

SPINS = "6000"
"""Iterations of libgomp's waiting loop, about 15 nanoseconds each."""


@contextmanager
def short_waiting() -> Iterator[None]:
    """Set a short waiting time for a libgomp loaded within the block, unless the user has set one.

    It reads the environment only when it is loaded.
    """
    if any(os.environ.get(name) for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")):
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = SPINS
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]
