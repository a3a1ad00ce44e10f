"""Settings that must be in the environment before the process starts.

Malloc is tuned for PyTorch: freed memory is kept instead of returned to the system, because new
memory costs page faults. dlfs reuses its buffers. JAX gets one thread. A lower instruction set is
requested from all libraries.
"""

import os
import sys

SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "PJRT_NPROC": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
AVX2 = {
    "DLFS_ISA": "avx2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false --xla_cpu_max_isa=AVX2",
}


def start_again() -> None:
    """Restart this process with these settings, unless it already has them."""
    settings = SETTINGS | (AVX2 if "avx2" in sys.argv else {})
    if any(os.environ.get(name) != value for name, value in settings.items()):
        os.environ.update(settings)
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]])
