"""PyTorch at its best: a C library that keeps freed memory instead of returning it to the system.

Fresh memory costs page faults. dlfs reuses its own buffers; PyTorch relies on malloc, whose
thresholds count only if they are in the environment before the process starts.
"""

import os
import sys

TUNED = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(1 << 26),
}


def start_again_tuned() -> None:
    """Replace this process by itself with tuned memory, if it does not have that yet."""
    if any(os.environ.get(name) != value for name, value in TUNED.items()):
        os.environ.update(TUNED)
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])
