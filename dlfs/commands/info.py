"""``dlfs info``: what is installed here, and what it will use."""

import argparse
import importlib.metadata
import os
import platform

from dlfs import __version__, backend
from dlfs.datasets import files

HELP = "show versions, backends, threads and data"
DESCRIPTION = "Show what is installed here: versions, backends, threads, data."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options: it has none."""


def run(arguments: argparse.Namespace) -> int:
    """Print one fact a line."""
    for name, fact in facts():
        print(f"{name:<12}{fact}")
    return 0


def facts() -> list[tuple[str, str]]:
    """Return (name, fact) pairs."""
    lines = [
        ("dlfs", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    lines += [(name, _version(name)) for name in ("numpy", "scipy", "safetensors", "tqdm")]
    lines += [("backend", f"{backend.backend_name()} (in use)")]
    lines += [("", f"{name}: {state}") for name, state in _backends()]
    lines += [("threads", _threads()), ("data", _data())]
    return lines


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _backends() -> list[tuple[str, str]]:
    states = []
    for name in backend.PACKAGES:
        try:
            with backend.use_backend(name):
                states.append((name, "available"))
        except ImportError as error:
            states.append((name, str(error)))
    return states


def _threads() -> str:
    wanted = os.environ.get("OMP_NUM_THREADS")
    return f"{os.cpu_count()} processors" + (f", OMP_NUM_THREADS={wanted}" if wanted else "")


def _data() -> str:
    faults = []
    for name in files.FILES:
        try:
            files.read(name)
        except (files.MissingDataError, files.DamagedDataError) as error:
            faults.append(str(error))
    return "; ".join(faults) or f"{len(files.FILES)} files, all whole"
