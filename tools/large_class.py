"""Grades a class of made submissions, most of them broken: ``python -m tools.large_class``.

Each row of the table must be right. The time is printed.
"""

import csv
import sys
import tempfile
import time
from pathlib import Path

from dlfs.commands import cli
from tests.support.classroom import KINDS, expected, make_class


def main() -> int:
    """Grade a submission of each kind; return 1 if a row is wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_class(folder, KINDS)
        begin = time.monotonic()
        cli.main(["class", "grade", name, *sys.argv[1:]])
        seconds = time.monotonic() - begin
        with (folder / "grades.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    wanted = expected(KINDS)
    wrong = 0
    for row in rows:
        outcome, hint, note = wanted.pop((row["student"], row["notebook"], row["exercise"]))
        if row["outcome"] != outcome or hint not in row["first hint"] or row["note"] != note:
            wrong += 1
            print(f"wrong: {row}\n  it must be {outcome!r}, {hint!r}, {note!r}")
    wrong += len(wanted)
    print(f"{len(KINDS)} submissions, {len(rows)} rows, {wrong} wrong, {seconds:.0f} seconds")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
