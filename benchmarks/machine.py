"""The machine: its description, and its speed at multiply-adds."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import torch

import dlfs
import dlfs_ext
from dlfs_ext import conv

ROUNDS = 200_000


def multiply_adds(dtype: str) -> float:
    """Run multiply-adds for about a millisecond; return their number."""
    return conv._peak_work(dtype, ROUNDS)


def description() -> list[tuple[str, str]]:
    """Describe the machine, and all versions that the results depend on."""
    return [
        ("Processor", f"{_processor()}, {os.cpu_count()} processors visible"),
        (
            "Instructions",
            f"dlfs {dlfs_ext.isa()}, PyTorch {torch.backends.cpu.get_cpu_capability()}",
        ),
        ("Load at the end", _load()),
        ("System", f"{platform.system()} {platform.machine()}, {_libc()}"),
        ("C compiler", _compiler()),
        ("Python", platform.python_version()),
        ("dlfs", dlfs.__version__),
        ("NumPy", f"{np.__version__}, {_blas()}"),
        ("PyTorch", torch.__version__),
    ]


def _load() -> str:
    """Return the load of the machine; the benchmark alone makes 1, or 2 with two threads."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return ", ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {}
    for line in text.split("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    found = fields.get("model name", platform.machine())
    numbers = [f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    return f"{found} ({', '.join(numbers)})" if numbers else found


def _libc() -> str:
    return " ".join(platform.libc_ver()).strip() or "C library unknown"


def _compiler() -> str:
    found = shutil.which(os.environ.get("CC", "cc"))
    if found is None:
        return "none here"
    result = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    return (result.stdout.splitlines() or ["unknown"])[0]


def _blas() -> str:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas.get('name', 'BLAS')} {blas.get('version', '')}".strip()
