"""The memory that a training step takes, in dlfs and PyTorch: ``python -m benchmarks.peak_memory``.

Each measurement is a process of its own. A step of one row comes first: it loads the code and makes
the optimizer's state. Then the largest size of the process during three steps is compared with its
size before them. Malloc has its usual settings. Linux only.
"""

import ctypes
import gc
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import SETTINGS
from benchmarks.networks import LSTM, VGG, Network
from benchmarks.work import DTYPES, FAST, TORCH, on_threads
from dlfs.backend import use_backend

NETWORKS = {"VGG": VGG, "LSTM": LSTM}


@dataclass(frozen=True)
class Memory:
    """Bytes above those before the step, for each contender."""

    name: str
    dtype: str
    sizes: dict[str, int]


def measure() -> list[Memory]:
    if not sys.platform.startswith("linux"):
        return []
    return [
        Memory(network.name, dtype, {who: in_process(key, dtype, who) for who in (FAST, TORCH)})
        for key, network in NETWORKS.items()
        for dtype in DTYPES
    ]


def in_process(key: str, dtype: str, who: str) -> int:
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, "-m", "benchmarks.peak_memory", key, dtype, who]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(done.stdout)


def of_step(network: Network, dtype: str, who: str) -> int:
    if who == FAST:
        call, X, y = network.trainer(dtype), *network.data(dtype)
        call(X[:1], y[:1])
    else:
        net, X, y = network.in_torch(dtype)
        call = network.torch_trainer(net)
        row = (slice(None), slice(1)) if network.vocabulary else slice(1)
        call(X[row], y[row])
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the largest size is now the present one
    before = status("VmRSS")
    for _ in range(3):
        call(X, y)
    return status("VmHWM") - before


def status(field: str) -> int:
    """Return a size of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


def main() -> None:
    if len(sys.argv) == 4:
        key, dtype, who = sys.argv[1:]
        with use_backend("fast"), on_threads(1):
            print(of_step(NETWORKS[key], dtype, who))
        return
    for memory in measure():
        sizes = ", ".join(f"{who} {size / 1e6:.1f} MB" for who, size in memory.sizes.items())
        print(f"{memory.name}, {memory.dtype}: {sizes}")


if __name__ == "__main__":
    main()
