"""The exercises of a notebook: what is to be filled in, what checks it, and what solves it.

Three parts follow each other: a cell tagged ``exercise:NAME``, one or more code cells that check
it, and a text cell tagged ``solution:NAME`` with a block of Python. In a teacher's copy (see
``handout``) the first cell contains the solution, the cells that check it are tagged
``check:NAME``, and the text cell may be missing.

A notebook is the dictionary that its file contains (JSON).
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlfs.classroom.needs import names_of

BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)

_REGION = re.compile(
    r"^[ \t]*### BEGIN (SOLUTION|HIDDEN TESTS)[ \t]*\n.*?^[ \t]*### END \1[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)

Cell = dict[str, Any]
Notebook = dict[str, Any]


@dataclass
class Exercise:
    """An exercise, the code that checks it, and the code that solves it.

    ``place`` and ``check_places`` are the numbers of the cells in the notebook, and ``binds`` the
    names that an answer must define.
    """

    name: str
    checks: list[str] = field(default_factory=list)
    solution: str = ""
    place: int = 0
    check_places: list[int] = field(default_factory=list)
    binds: set[str] = field(default_factory=set)


def read_notebook(path: Path) -> Notebook:
    """Return a notebook of format 4; raise ValueError if the file is not one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "Code.ipynb")
    ...     _ = path.write_text('{"cells": [], "nbformat": 4}')
    ...     read_notebook(path)["cells"]
    []
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{path.name} must be a notebook (JSON)") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError(f"{path.name} must be a notebook of format 4, with a list of cells")
    return notebook


def source(cell: Cell) -> str:
    r"""Return the text of a cell, which files store as a string or as a list of lines.

    Examples
    --------
    >>> source({"cell_type": "code", "source": ["a = 1\n", "a"]})
    'a = 1\na'
    """
    text = cell.get("source", "")
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


def is_code(cell: Cell) -> bool:
    """Say whether a cell holds code."""
    return cell.get("cell_type") == "code"


def tagged(cell: Cell, kind: str) -> str | None:
    """Return NAME if the cell has a tag ``kind:NAME``, else None.

    Examples
    --------
    >>> tagged({"metadata": {"tags": ["exercise:tanh"]}}, "exercise")
    'tanh'
    """
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    for tag in tags if isinstance(tags, list) else []:
        found, colon, name = str(tag).partition(":")
        if colon and found == kind:
            return name
    return None


def without_regions(code: str) -> str:
    r"""Return a cell's code without solutions and hidden checks.

    Examples
    --------
    >>> without_regions("x = ...\n### BEGIN SOLUTION\nx = 3\n### END SOLUTION\n")
    'x = ...\n'
    """
    return _REGION.sub("", code)


def find_exercises(notebook: Any) -> list[Exercise]:
    """Return the exercises of one of the library's notebooks.

    Raises
    ------
    ValueError
        If a part is missing, or two exercises have one name.
    """
    found: list[Exercise] = []
    current: Exercise | None = None
    for place, cell in enumerate(notebook["cells"]):
        name, solved = tagged(cell, "exercise"), tagged(cell, "solution")
        if name is not None:
            if current:
                raise ValueError(f"exercise {current.name} has no cell solution:{current.name}")
            current = Exercise(name, place=place)
        elif solved is not None:
            if current is None or current.name != solved:
                raise ValueError(f"solution:{solved} does not follow exercise:{solved}")
            current.solution = "\n".join(BLOCK.findall(source(cell)))
            if not current.solution or not current.checks:
                raise ValueError(f"exercise {solved} must have a check and a block of Python")
            found.append(current)
            current = None
        elif current and is_code(cell):
            current.checks.append(source(cell))
            current.check_places.append(place)
    if current:
        raise ValueError(f"exercise {current.name} has no cell solution:{current.name}")
    if len({exercise.name for exercise in found}) < len(found):
        raise ValueError("exercises must have different names, got a repeated one")
    return found


def solved_exercises(notebook: Notebook) -> list[Exercise]:
    """Return the exercises of a teacher's copy, whose cells contain the solutions.

    Raises
    ------
    ValueError
        If an exercise has no cell ``check:NAME``, or two exercises have one name.
    """
    found: dict[str, Exercise] = {}
    for place, cell in enumerate(notebook["cells"]):
        if not is_code(cell):
            continue
        name, checked = tagged(cell, "exercise"), tagged(cell, "check")
        if name is not None:
            if name in found:
                raise ValueError(f"exercises must have different names, got {name!r} twice")
            code = source(cell)
            found[name] = Exercise(name, solution=code, place=place, binds=_defined(code))
        elif checked is not None:
            if checked not in found:
                raise ValueError(f"check:{checked} must follow exercise:{checked}")
            found[checked].checks.append(source(cell))
            found[checked].check_places.append(place)
    for exercise in found.values():
        if not exercise.checks:
            raise ValueError(f"exercise {exercise.name} must have a cell check:{exercise.name}")
    return list(found.values())


def _defined(code: str) -> set[str]:
    """Return the names that the handout's cell defines; all of the solution's if it is empty."""
    try:
        return names_of(without_regions(code)).bound or names_of(code).bound
    except SyntaxError as error:
        raise ValueError(f"an exercise's cell must be Python: {error}") from None
