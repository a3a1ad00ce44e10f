"""Exercises: the check of each prints "not yet done", and "right" for the solution.

In a source three parts follow each other: a cell tagged ``exercise:NAME``, one or more cells that
check it, and a markdown cell tagged ``solution:NAME`` with a block of Python.
"""

import re
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

OPEN = "not yet done"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass
class Exercise:
    """An exercise, the code that checks it, and the code that solves it."""

    name: str
    checks: list[str] = field(default_factory=list)
    solution: str = ""


def find_exercises(notebook: NotebookNode) -> list[Exercise]:
    """Return the exercises; raise ValueError if a part is missing."""
    found: list[Exercise] = []
    current: Exercise | None = None
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            kind, _, name = tag.partition(":")
            if kind == "exercise":
                if current:
                    raise ValueError(f"exercise {current.name} has no cell solution:{current.name}")
                current = Exercise(name)
                break
            if kind == "solution":
                if current is None or current.name != name:
                    raise ValueError(f"solution:{name} does not follow exercise:{name}")
                current.solution = "\n".join(BLOCK.findall(cell.source))
                if not current.solution or not current.checks:
                    raise ValueError(f"exercise {name} must have a check and a block of Python")
                found.append(current)
                current = None
        else:
            if current and cell.cell_type == "code":
                current.checks.append(cell.source)
    if current:
        raise ValueError(f"exercise {current.name} has no cell solution:{current.name}")
    if len({exercise.name for exercise in found}) < len(found):
        raise ValueError("exercises must have different names, got a repeated one")
    return found


def append_solutions(notebook: NotebookNode, exercises: list[Exercise]) -> None:
    """Append the solutions at the end, each followed by its checks."""
    for exercise in exercises:
        for code in (exercise.solution, *exercise.checks):
            notebook.cells.append(new_code_cell(code, metadata={"tags": ["solved"]}))


def judge(notebook: NotebookNode, exercises: list[Exercise]) -> list[str]:
    """Return the wrong answers of the checks in an executed notebook."""
    open_answers = answers(notebook, solved=False)
    solved_answers = answers(notebook, solved=True)
    problems = []
    for name in (exercise.name for exercise in exercises):
        if open_answers.get(name) != OPEN:
            said = open_answers.get(name, "nothing")
            problems.append(
                f"exercise {name}: its check must say {OPEN!r} before it is done, got {said!r}"
            )
        if not solved_answers.get(name, "").startswith("right"):
            said = solved_answers.get(name, "nothing")
            problems.append(
                f"exercise {name}: its check must say 'right' for the solution, got {said!r}"
            )
    return problems


def drop_solutions(notebook: NotebookNode) -> None:
    """Remove the cells that ``append_solutions`` added."""
    notebook.cells = [c for c in notebook.cells if "solved" not in c.metadata.get("tags", [])]


def answers(notebook: NotebookNode, solved: bool) -> dict[str, str]:
    """Return the first line that dlfs.exercises.check printed for each exercise."""
    found: dict[str, str] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code" or ("solved" in cell.metadata.get("tags", [])) != solved:
            continue
        for output in cell.outputs:
            for line in output.get("text", "").splitlines():
                name, colon, answer = line.partition(": ")
                if colon:
                    found.setdefault(name, answer)
    return found
