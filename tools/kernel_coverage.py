"""The lines of ``dlfs_ext`` that the tests of ``tests/ext`` reach: ``make coverage-kernels``.

The C code is compiled once for each instruction set and dtype, and into several modules. A line
counts as reached if it is in one of these copies; lines that are reached in some copies only are
listed with the others. A line of Cython counts as reached if a line of the C that it became is.
Run it where the kernels were compiled with gcc's ``--coverage``, after the tests.
"""

import gzip
import json
import re
import subprocess
import sys
import tempfile
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

COPIES = [
    f"{target}_{dtype}" for target in ("generic", "avx2", "avx512") for dtype in ("f32", "f64")
]

# The comment that Cython writes above what a line became.
MARK = re.compile(r'\s*/\* "(dlfs_ext/.+\.(?:pyx|pxd))":(\d+)$')

Counts = dict[str, dict[int, dict[str, int]]]


def main() -> int:
    """Print the share of each file, and the lines that are not reached."""
    counts: Counts = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for source in reports():
        if "dlfs_ext/csrc/" in source["file"]:
            add_c(source, counts)
        elif source["file"].startswith("dlfs_ext/"):
            add_cython(source, counts)
    for ends in ((".h",), (".pyx", ".pxd")):
        report({name: counts[name] for name in sorted(counts) if name.endswith(ends)})
    return 0


def reports() -> Iterator[dict[str, Any]]:
    """Yield what gcov says of each source of each module."""
    notes = sorted(str(path.absolute()) for path in Path("build").rglob("*.gcda"))
    if not notes:
        sys.exit("no module was compiled with --coverage and run: make coverage-kernels")
    with tempfile.TemporaryDirectory() as folder:
        command = ["gcov", "--json-format", "--preserve-paths", *notes]
        subprocess.run(command, check=True, cwd=folder, capture_output=True)
        for found in Path(folder).glob("*.gcov.json.gz"):
            yield from json.loads(gzip.decompress(found.read_bytes()))["files"]


def add_c(source: dict[str, Any], counts: Counts) -> None:
    """Add the lines of a header, under the name of the copy that they are in."""
    lines = counts[source["file"].split("dlfs_ext/")[-1]]
    for line in source["lines"]:
        name = line.get("function_name", "")
        copy = next((copy for copy in COPIES if name.endswith(copy)), "all")
        lines[line["line_number"]][copy] += line["count"]


def add_cython(source: dict[str, Any], counts: Counts) -> None:
    """Add the lines of Cython that became the lines of C in a generated file.

    Only those in functions: a module's own lines run when it is imported.
    """
    marks: list[tuple[str, int] | None] = [None]
    for text in Path(source["file"]).read_text("utf-8").split("\n"):
        mark = MARK.match(text)
        marks.append((mark[1], int(mark[2])) if mark else marks[-1])
    for line in source["lines"]:
        mark = marks[line["line_number"]] if line["line_number"] < len(marks) else None
        if mark is not None and line.get("function_name", "").startswith(("__pyx_pf", "__pyx_f_")):
            counts[mark[0].removeprefix("dlfs_ext/")][mark[1]]["all"] += line["count"]


def report(counts: Counts) -> None:
    """Print a line for each file, below it what is not reached, and the share of all."""
    reached, every = 0, 0
    for name, lines in counts.items():
        some = sorted(number for number, seen in lines.items() if any(seen.values()))
        never = sorted(lines.keys() - set(some))
        print(f"{len(some):5} of {len(lines):5}  {name}")
        if never:
            print(wrapped(f"not reached: {ranges(never)}"))
        partly: dict[str, list[int]] = defaultdict(list)
        for number in some:
            missing = [copy for copy, count in sorted(lines[number].items()) if not count]
            if missing:
                partly[", ".join(missing)].append(number)
        for copies, numbers in partly.items():
            print(wrapped(f"not in {copies}: {ranges(numbers)}"))
        reached, every = reached + len(some), every + len(lines)
    print(f"{reached:5} of {every:5}  lines reached, {100 * reached / max(every, 1):.1f} %\n")


def wrapped(text: str) -> str:
    """Return a text below the name of a file."""
    return textwrap.fill(text, 100, initial_indent=" " * 16, subsequent_indent=" " * 20)


def ranges(numbers: list[int]) -> str:
    """Return numbers with dashes for those that follow one another.

    Examples
    --------
    >>> ranges([3, 5, 6, 7, 9])
    '3, 5-7, 9'
    """
    ends = [place for place, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
    runs = [numbers[i:j] for i, j in pairwise([0, *ends, len(numbers)])]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


if __name__ == "__main__":
    sys.exit(main())
