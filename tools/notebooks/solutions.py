"""Exercises: the check of each prints "not yet done", and "right" for the solution.

``dlfs.classroom.exercises`` finds the exercises of a notebook.
"""

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from dlfs.classroom.exercises import Exercise
from dlfs.exercises import OPEN


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
