"""Random calls of all kernels: ``python -m tools.fuzz [--calls N]``, or ``make fuzz``.

Most arguments are valid, some are slightly wrong, and some windows have several huge options. Fast
and reference must give the same results or the same error, and must not change their inputs.

Each batch of calls runs in its own process, which records the number of the current call. So a
crash or an endless loop can be identified, and ``--replay SEED NUMBER`` repeats that call alone. On
kernels compiled with gcc's sanitizers (``make fuzz``) a report ends the process, like a crash.
``make valgrind`` makes some calls under valgrind, which also sees reads of uninitialized memory.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

import dlfs_ext
from dlfs import backend
from dlfs_ext.memory import set_limit
from tools.fuzz_arguments import KERNELS, Arguments, Draw, enlarge, spoil

NAMES = list(KERNELS)
WINDOWS = [name for name in NAMES if "conv" in name or ("pool" in name and "global" not in name)]


def drawn(seed: int, number: int) -> tuple[str, Arguments, bool]:
    """Return a kernel, arguments for it, and whether their numbers are ordinary."""
    rng = random.Random(f"{seed} {number}")
    d = Draw(rng)
    way = rng.random()
    name = rng.choice(WINDOWS if way < 0.2 else NAMES)
    with np.errstate(all="ignore"):
        arguments = KERNELS[name](d)
    if way < 0.2:
        enlarge(name, arguments, d)
    elif way < 0.4:
        spoil(arguments, d)
    return name, arguments, d.tame


def outcome(name: str, arguments: Arguments) -> list[Any] | str:
    """Return the results and the arguments after the call, or the error as text."""
    try:
        result = getattr(backend.kernels, name)(**arguments)
    except (ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    results = list(result) if isinstance(result, tuple) else [result]
    return [*results, *arguments.values()]


def difference(found: Any, expected: Any, tame: bool) -> str:
    """Describe how the results of two backends differ, or return an empty text."""
    if isinstance(found, str) or isinstance(expected, str):
        # With two mistakes, each backend may report either.
        alike = isinstance(found, str) and isinstance(expected, str)
        return "" if alike else f"{found if isinstance(found, str) else expected}, on one only"
    for one, other in zip(found, expected, strict=True):
        if not isinstance(other, np.ndarray):
            if not (tame and isinstance(other, float)):
                continue
            if abs(one - other) > 1e-3 * (1 + abs(other)):
                return f"{one} is not {other}"
            continue
        if one.dtype != other.dtype or one.shape != other.shape:
            return f"{one.dtype} {one.shape} is not {other.dtype} {other.shape}"
        if not tame or other.dtype.kind not in "fi" or not other.size:
            continue
        # Sums of a few thousand terms: a different number matters here, not its last bits.
        eps = float(np.finfo(other.dtype).eps) if other.dtype.kind == "f" else 0.0
        bound = 3000 * eps * max(1.0, float(np.nanmax(np.abs(other))))
        near = np.abs(one - other) <= bound
        if not near.all() and not np.allclose(one, other, rtol=0, atol=bound, equal_nan=True):
            return "other numbers"
    return ""


def hardly_varies(x: Any) -> bool:
    """Say whether a normalization would magnify the rounding of a mean."""
    if not (isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.ndim >= 2 and x.size):
        return False
    least = min(x.std(axis=axes).min() for axes in ((0, *range(2, x.ndim)), -1))
    return bool(least < 1e-3 * np.abs(x).max())


def make(seed: int, number: int) -> str:
    """Make one call on the fast backend and the reference; return the difference, if any."""
    said = []
    name, tame = "", True
    for way in ("fast", "reference"):
        name, arguments, tame = drawn(seed, number)
        with backend.use_backend(way):
            said.append(outcome(name, arguments))
    if "norm" in name and hardly_varies(arguments.get("x")):
        tame = False
    wrong = difference(said[0], said[1], tame)
    return f"{name}: {wrong}" if wrong else ""


def child(seed: int, no_reuse: bool, first: int, calls: int, note: int) -> None:
    """Make the calls of one batch; record the number of each before making it."""
    warnings.simplefilter("ignore")
    dlfs_ext.set_isa(random.Random(f"{seed} {first}").choice(dlfs_ext.available_isas()))
    if no_reuse:
        set_limit(0)
    for number in range(first, first + calls):
        os.pwrite(note, b"%12d" % number, 0)
        wrong = make(seed, number)
        if wrong:
            sys.exit(wrong)


def batch(seed: int, no_reuse: bool, patience: int, first: int, calls: int) -> str:
    """Run a batch in its own process; return the failure, if any."""
    with tempfile.TemporaryFile() as file:
        note = file.fileno()
        command = [sys.executable, "-m", "tools.fuzz", "--seed", str(seed)]
        command += ["--no-reuse"] * no_reuse
        command += ["--child", str(first), str(calls), str(note)]
        try:
            done = subprocess.run(
                command,
                pass_fds=[note],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=patience + calls // 100,
                check=False,
            )
            if done.returncode == 0:
                return ""
            how = f"ended with {done.returncode}: {done.stderr[-4000:]}"
        except subprocess.TimeoutExpired:
            how = "did not end"
        number = os.pread(note, 12, 0).decode().strip() or "of none"
        return f"call {number} of seed {seed} {how}"


def show(seed: int, number: int) -> None:
    """Repeat one call in this process, and show it."""
    name, arguments, _ = drawn(seed, number)
    print(name)
    for key, value in arguments.items():
        kind = f"{value.dtype} {value.shape} {value.strides}" if hasattr(value, "dtype") else value
        print(f"  {key}: {kind}")
    sys.stdout.flush()
    print(make(seed, number) or "the same on both backends")


def main() -> None:
    """Make the calls requested on the command line."""
    parser = argparse.ArgumentParser(description="Make random calls of all kernels.")
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=5_000, help="calls in one process")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument(
        "--patience", type=int, default=300, help="seconds for a batch, plus 0.01 for each call"
    )
    parser.add_argument("--no-reuse", action="store_true", help="new memory for every array")
    parser.add_argument("--replay", type=int, nargs=2, metavar=("SEED", "NUMBER"))
    parser.add_argument("--child", type=int, nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.replay:
        return show(*given.replay)
    if given.child:
        return child(given.seed, given.no_reuse, *given.child)
    start, made, failures = time.monotonic(), 0, []
    firsts = range(0, given.calls, given.batch)
    sizes = [min(given.batch, given.calls - first) for first in firsts]
    with ThreadPoolExecutor(given.jobs) as pool:
        run = partial(batch, given.seed, given.no_reuse, given.patience)
        runs = pool.map(run, firsts, sizes)
        for size, wrong in zip(sizes, runs, strict=True):
            made += size
            if wrong:
                failures.append(wrong)
                print(wrong, flush=True)
            elif made % (20 * given.batch) == 0:
                print(f"{made} calls, {time.monotonic() - start:.0f} s", flush=True)
    print(f"{made} calls in {time.monotonic() - start:.0f} s, {len(failures)} batches failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
