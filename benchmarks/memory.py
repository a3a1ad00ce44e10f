"""Tunes malloc for PyTorch: freed memory is kept instead of returned to the system.

New memory costs page faults. dlfs reuses its buffers; PyTorch relies on malloc, whose thresholds
must be in the environment before the process starts.
"""

import os
import sys

TUNED = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(1 << 26),
}


def start_again_tuned() -> None:
    """Restart this process with tuned memory, unless it already has it."""
    if any(os.environ.get(name) != value for name, value in TUNED.items()):
        os.environ.update(TUNED)
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])
