"""``dlfs info``: show what is installed, and which backend and threads are used."""

import argparse
import importlib
import importlib.metadata
import os
import platform

from dlfs import __version__, backend
from dlfs.datasets import files

HELP = "show versions, extras, backends, threads and data"
DESCRIPTION = "Show what is installed: versions, extras, backends, threads, data."

EXTRAS = {
    "plots": "matplotlib",
    "sklearn": "scikit-learn",
    "onnx": "onnx",
    "images": "pillow",
    "mpi": "mpi4py",
    "torch": "torch",
    "notebooks": "jupyterlab",
}
"""The package that stands for each extra: if it is there, the extra counts as installed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options (none)."""


def run(arguments: argparse.Namespace) -> int:
    """Print one fact per line."""
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
    lines += [
        (("extras" if number == 0 else ""), f"{extra}: {_extra(extra, package)}")
        for number, (extra, package) in enumerate(EXTRAS.items())
    ]
    lines += [("backend", f"{backend.backend_name()} (in use)")]
    lines += [("", f"{name}: {state}") for name, state in _backends()]
    lines += [("threads", _threads()), ("data", _data())]
    return lines


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _extra(extra: str, package: str) -> str:
    version = _version(package)
    if version == "not installed":
        return f"missing; pip install 'dlfs[{extra}]'"
    return f"{package} {version}"


def _backends() -> list[tuple[str, str]]:
    states = []
    for name in backend.PACKAGES:
        try:
            with backend.use_backend(name):
                states.append((name, "available" + (_instructions() if name == "fast" else "")))
        except ImportError as error:
            states.append((name, str(error)))
    return states


def _instructions() -> str:
    """Return the instruction set that the compiled kernels use, and those available."""
    compiled = importlib.import_module(backend.PACKAGES["fast"])
    return f", on {compiled.isa()} instructions (of {', '.join(compiled.available_isas())})"


def _threads() -> str:
    names = ("DLFS_NUM_THREADS", "OMP_NUM_THREADS")
    wanted = "".join(f", {name}={os.environ[name]}" for name in names if os.environ.get(name))
    kernels = f"up to {backend.get_num_threads()} for compiled kernels"
    return f"{kernels}, {os.cpu_count()} processors{wanted}"


def _data() -> str:
    faults = []
    for name in files.FILES:
        try:
            files.read(name)
        except (files.MissingDataError, files.DamagedDataError) as error:
            faults.append(str(error))
    return "; ".join(faults) or f"{len(files.FILES)} files, all whole"
