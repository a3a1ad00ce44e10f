"""Checks without execution: source and notebook match, and outputs are clean."""

import json
import re
from pathlib import Path

from nbformat import NotebookNode

from dlfs.classroom.exercises import Exercise, find_exercises
from dlfs.exercises import OPEN
from tools.notebooks import pairs, solutions

MOST_BYTES = 700_000

# For paths of any machine, so nothing here depends on this one.
TRACES = {
    "a path of a machine": re.compile(
        r"(?<![\w.])/(?:tmp|home|Users|root|work|opt|usr|mnt|private|var)/[\w.]|site-packages"
        r"|[A-Z]:\\\\?Users|ipython-input|ipykernel_\d"
    ),
    "an address in memory": re.compile(r"\b0x[0-9a-f]{8,}"),
}


def problems(source: Path) -> list[str]:
    """Return the problems of a pair of files."""
    try:
        made = pairs.make_notebook(source)
        pairs.settings(source)
        exercises = find_exercises(made)
    except ValueError as error:
        return [str(error)]
    path = source.with_suffix(".ipynb")
    if not path.exists():
        return [f"{path.name} is missing: python -m tools.notebooks run {source.name}"]
    stored = pairs.stored_notebook(source)
    found = []
    if pairs.cells(made) != pairs.cells(stored):
        found.append("source and notebook differ: run it, or sync it if only its text has changed")
    if stored.metadata.get("dlfs", {}).get("digest") != pairs.digest(stored):
        found.append("code and outputs do not match: run it")
    if path.stat().st_size > MOST_BYTES:
        found.append(
            f"size must be at most {MOST_BYTES:,} bytes, got {path.stat().st_size:,}: use smaller "
            "pictures"
        )
    for number, cell in enumerate(stored.cells, 1):
        if cell.cell_type == "code":
            found += [f"cell {number}: {problem}" for problem in _output_problems(cell)]
    found += solutions_problems(stored, exercises)
    return found


def _output_problems(cell: NotebookNode) -> list[str]:
    found = []
    if cell.execution_count is None and cell.source.strip():
        found.append("not executed")
    for output in cell.outputs:
        if output.output_type == "error":
            found.append(f"an error is stored: {output.ename}")
        if output.output_type == "stream" and output.name == "stderr":
            found.append("it wrote to stderr")
        text = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/png")}
        shown = output.get("text", "") + json.dumps(text, ensure_ascii=False)
        for what, pattern in TRACES.items():
            if trace := pattern.search(shown):
                around = shown[max(trace.start() - 20, 0) : trace.end() + 20]
                found.append(f"{what} in its output: ...{around}...")
    return found


def solutions_problems(stored: NotebookNode, exercises: list[Exercise]) -> list[str]:
    """Return the exercises that are not stored as unsolved."""
    answers = solutions.answers(stored, solved=False)
    return [
        f"exercise {exercise.name} must be stored unsolved, got {answers.get(exercise.name)!r}"
        for exercise in exercises
        if answers.get(exercise.name) != OPEN
    ]


def sync(source: Path) -> bool:
    """Copy changed text into a notebook whose code has not changed; say whether it could."""
    made, stored = pairs.make_notebook(source), pairs.stored_notebook(source)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    run = [cell for cell in stored.cells if cell.cell_type == "code"]
    same = [cell.source for cell in code] == [cell.source for cell in run]
    if not same or stored.metadata.get("dlfs", {}).get("digest") != pairs.digest(stored):
        return False
    for new, old in zip(code, run, strict=True):
        new.execution_count, new.outputs = old.execution_count, old.outputs
    pairs.write(made, source)
    return True
