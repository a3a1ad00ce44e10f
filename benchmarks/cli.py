"""The command line; ``python -m benchmarks --help``."""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import dlfs_ext
from benchmarks import accuracy, epoch, peak_memory, report, runner, sizes
from benchmarks.work import DTYPES
from dlfs.backend import use_backend

RESULTS = Path(__file__).with_name("RESULTS.md")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time dlfs, PyTorch and dlfs's own reference side by side.",
    )
    add = made.add_argument
    add(
        "--only",
        nargs="+",
        default=[],
        metavar="WORD",
        help="only lines that contain one of these words",
    )
    add("--threads", nargs="+", type=int, default=[1, 2])
    add("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    add("--seconds", type=float, default=0.8, help="seconds per line")
    add("--quick", action="store_true", help="a third of a second per line, one thread, no epoch")
    add(
        "--isa",
        choices=["avx2"],
        help="the instructions that all libraries may use at most; a full run includes this one, "
        "on one thread",
    )
    add("--no-others", action="store_true", help="only PyTorch: no reference, JAX, torch.compile")
    add("--no-epoch", action="store_true", help="leave out the demo's epoch")
    add("--epoch-runs", type=int, default=3)
    add("--list", action="store_true", help="show the lines and stop")
    add("--note", default="", help="a remark on this run for the readers of the results")
    add(
        "--output",
        type=Path,
        default=None,
        help="the file that a full run writes (benchmarks/RESULTS.md)",
    )
    return made


def main() -> int:
    arguments = parser().parse_args()
    works = runner.chosen(arguments.only)
    if arguments.list:
        print("\n".join(work.title for work in works))
        return 0
    if not works and not {"epoch", "demo"} & {word.lower() for word in arguments.only}:
        print(f"no line contains any of these words: {', '.join(arguments.only)}", file=sys.stderr)
        return 2
    use_backend("fast")
    seconds = arguments.seconds
    threads = arguments.threads
    if arguments.quick:
        seconds, threads = 0.3, threads[:1]
    if arguments.isa:
        works = [replace(work, targets=(1.0, 1.0), share=None) for work in works]
    others = not (arguments.no_others or arguments.isa)
    results = []
    for result in runner.run(works, arguments.dtypes, threads, seconds, others):
        results.append(result)
        print(report.line(result), flush=True)
    epochs = []
    wanted = not arguments.only or {"epoch", "demo"} & {word.lower() for word in arguments.only}
    if wanted and not (arguments.no_epoch or arguments.quick or arguments.isa):
        for count in threads:
            epochs.append(epoch.measure(count, arguments.epoch_runs))
            print(report.epoch_line(epochs[-1]), flush=True)
    path = arguments.output
    if arguments.isa:
        if path is not None:
            path.write_text(report.lower_instructions(results))
    elif path or not (arguments.only or arguments.quick or arguments.no_epoch or not others):
        path = path or RESULTS
        costs = sizes.measure()
        sizes.draw(costs, path.with_name(sizes.PICTURE.name))
        further = [report.costs(costs), report.memories(peak_memory.measure()), avx2(arguments)]
        accuracies = accuracy.measure()
        print("\n".join(map(report.accuracy_line, accuracies)))
        path.write_text(report.markdown(results, epochs, accuracies, further, arguments.note))
        print(f"Wrote {path}")
    missed = sum(result.missed for result in results) + sum(e.ratio < 1 for e in epochs)
    print(f"{missed} of {len(results) + len(epochs)} lines miss their target.")
    return 0


def avx2(arguments: argparse.Namespace) -> str:
    """Time the same lines in a process whose libraries all use AVX2; return the section."""
    if "avx512" not in dlfs_ext.available_isas():
        return ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "avx2.md")
        command = [sys.executable, "-m", "benchmarks", "--isa", "avx2", "--threads", "1"]
        command += ["--seconds", str(arguments.seconds), "--output", str(path)]
        command += ["--dtypes", *arguments.dtypes]
        command += ["--only", *arguments.only] if arguments.only else []
        subprocess.run(command, check=True)
        return path.read_text()
