"""The command line: ``python -m tools.notebooks {run,test,check,sync} [PATH ...]``."""

import argparse
import sys
from pathlib import Path

from tools.notebooks import check, execute, pairs
from tools.notebooks.execute import Job


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "run": "execute from source, and store the notebooks with their outputs",
        "test": "execute from source, without storing",
        "check": "check, without execution, that source, notebook and outputs match",
        "sync": "copy changed text into notebooks whose code has not changed",
    }
    for name, text in helps.items():
        sub = commands.add_parser(name, help=text)
        sub.add_argument("paths", nargs="*", help="sources, notebooks or folders; default: all")
        if name in ("run", "test"):
            sub.add_argument("--at-once", type=int, default=2, help="number of kernels (2)")
        if name == "test":
            sub.add_argument("--backend", choices=[*pairs.BACKENDS, "all"], default="fast")
    arguments = parser.parse_args()
    sources = pairs.find_sources(arguments.paths)
    if not sources:
        print("there are no notebooks", file=sys.stderr)
        return 2
    if arguments.command in ("check", "sync"):
        return _check(sources, arguments.command == "sync")
    backend = arguments.backend if arguments.command == "test" else "fast"
    return _execute(sources, backend, arguments.at_once, arguments.command == "run")


def _execute(sources: list[Path], backend: str, at_once: int, store: bool) -> int:
    jobs = []
    for source in sources:
        allowed = pairs.settings(source)
        wanted = [b for b in allowed["backends"] if store or backend in (b, "all")]
        jobs += [Job(source, b, allowed["alone"]) for b in wanted[: 1 if store else None]]
    execute.execute_all(jobs, at_once)
    print()
    for job in jobs:
        state = "FAILED" if job.problems else "passed"
        print(f"{pairs.title(job.source):<42}{job.backend:<11}{state}{job.seconds:8.1f} s")
    for job in jobs:
        for problem in job.problems:
            print(f"\n{pairs.title(job.source)} on {job.backend}: {problem}")
        if store and not job.problems and job.notebook is not None:
            pairs.write(job.notebook, job.source)
    failed = sum(bool(job.problems) for job in jobs)
    print(f"\nNotebooks: {len(jobs) - failed} passed, {failed} failed")
    return int(failed > 0)


def _check(sources: list[Path], sync: bool) -> int:
    failed = 0
    for source in sources:
        if sync and source.with_suffix(".ipynb").exists():
            check.sync(source)
        found = check.problems(source)
        failed += bool(found)
        for problem in found:
            print(f"{pairs.title(source)}: {problem}")
    print(f"Notebooks: {len(sources) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
