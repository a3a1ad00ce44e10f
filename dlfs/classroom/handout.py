"""Writes the notebooks of a class: the teacher's copies, and the handouts made from them.

A teacher's copy is a notebook of a chapter in which the cell of each exercise holds the solution
between two lines, and the last cell that checks it may hold checks that students do not see. The
lines are those of nbgrader:

    ### BEGIN SOLUTION        ### BEGIN HIDDEN TESTS
    ...                       ...
    ### END SOLUTION          ### END HIDDEN TESTS

The handout is the copy without these regions, and without the cells that explain the solutions.
"""

import copy
import json
import re
from pathlib import Path
from typing import Any

from dlfs.classroom.chapters import chapter_notebooks
from dlfs.classroom.exercises import (
    Cell,
    Exercise,
    Notebook,
    find_exercises,
    is_code,
    read_notebook,
    solved_exercises,
    source,
    tagged,
    without_regions,
)
from dlfs.utils.files import write_atomically

RAISING = """\
# nbgrader counts an error as a wrong answer, so the checks of this copy raise one.
import functools

import dlfs.exercises

check = functools.partial(dlfs.exercises.check, raises=True)
"""

HIDDEN = """\
### BEGIN HIDDEN TESTS
# Students do not see these lines. Write another check("{name}", ...) or an assertion here.
### END HIDDEN TESTS
"""

NBGRADER = """\
# Settings of nbgrader for this class. The notebooks are in source/CHAPTER/; run, for example,
#
#     nbgrader generate_assignment {first} --force
#     nbgrader autograde {first}
#     nbgrader export
#
# --force, because dlfs has already written a handout. Submissions: submitted/STUDENT/{first}/.

c = get_config()
c.CourseDirectory.course_id = "dlfs"
# The handout keeps the first lines of an exercise's cell; nothing stands in for the solution.
c.ClearSolutions.code_stub = {{"python": ""}}
c.ClearSolutions.text_stub = ""
# A chapter's notebook also trains networks.
c.ExecutePreprocessor.timeout = 900
"""

README = """\
# A class with dlfs

| Folder | What it holds |
|---|---|
| `source/` | your notebooks: with solutions, and with room for hidden checks |
| `release/` | the handouts: give these to the students |
| `submitted/` | what comes back: `submitted/STUDENT/NOTEBOOK.ipynb`, under any file name |

You may change the notebooks in `source/`: remove exercises, change a check, write your own, or add
hidden checks between the lines `### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`. The command

    dlfs class export {folder}

then makes the handouts from them again. To grade everything in `submitted/`:

    dlfs class grade {folder}

It writes `grades.csv` and a page for each student into `feedback/`. Each submission runs in its own
process, with limits of time and memory. The limits are for accidents; they do not protect you from
code written to do harm.
"""


def export(
    folder: Path, chapters: list[int] | None = None, nbgrader: bool = False, force: bool = False
) -> tuple[list[Path], list[Path]]:
    """Write a class's notebooks; return the paths of new teacher's copies and of all handouts.

    Teacher's copies that exist are kept, unless ``force`` is True. Handouts are always made again.

    Parameters
    ----------
    folder : Path
    chapters : list of int or None
        Default: all.
    nbgrader : bool, default False
        Write the metadata and the settings of nbgrader, too.
    force : bool, default False
        Overwrite the teacher's copies.

    Raises
    ------
    ValueError
        If a chapter does not exist.
    NotADirectoryError
        If a file is in the way.
    """
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise NotADirectoryError(f"{part} is not a folder")
    new = []
    for title, notebook in chapter_notebooks(chapters).items():
        if not find_exercises(notebook):
            continue
        path = folder / "source" / f"{title}.ipynb"
        if path.exists() and not force:
            continue
        write(path, teachers_copy(notebook, title, nbgrader))
        new.append(path)
    handouts = []
    for path in sorted((folder / "source").rglob("*.ipynb")):
        if ".ipynb_checkpoints" not in path.parts:
            target = folder / "release" / path.relative_to(folder / "source")
            write(target, handout(read_notebook(path)))
            handouts.append(target)
    (folder / "submitted").mkdir(exist_ok=True)
    _write_if_missing(folder / "README.md", README.format(folder=folder.name))
    if nbgrader:
        first = handouts[0].parent.name
        _write_if_missing(folder / "nbgrader_config.py", NBGRADER.format(first=first))
    return new, handouts


def teachers_copy(notebook: Notebook, title: str, nbgrader: bool = False) -> Notebook:
    """Return a copy with the solutions in the exercises' cells."""
    made: Notebook = copy.deepcopy(notebook)
    ours = made["metadata"].setdefault("dlfs", {})
    ours.pop("digest", None)
    ours["notebook"] = title
    exercises = find_exercises(made)
    for exercise in exercises:
        _solve(made["cells"], exercise, nbgrader)
    if nbgrader:
        made["cells"] = [cell for cell in made["cells"] if tagged(cell, "solution") is None]
        place = min(exercise.place for exercise in exercises)
        made["cells"].insert(place, _raising_cell())
    return made


def _solve(cells: list[Cell], exercise: Exercise, nbgrader: bool) -> None:
    cell = cells[exercise.place]
    cell["source"] = (
        f"{source(cell).rstrip()}\n\n### BEGIN SOLUTION\n{exercise.solution.rstrip()}\n"
        "### END SOLUTION\n"
    )
    _clear(cell)
    last = exercise.check_places[-1]
    for place in exercise.check_places:
        metadata = cells[place]["metadata"]
        metadata.setdefault("tags", []).append(f"check:{exercise.name}")
        metadata.update(editable=False, deletable=False)
        _clear(cells[place])
    cells[last]["source"] = f"{source(cells[last]).rstrip()}\n\n{HIDDEN.format(name=exercise.name)}"
    if nbgrader:
        name = re.sub(r"\W+", "-", exercise.name)
        cell["metadata"]["nbgrader"] = _nbgrader(f"exercise-{name}", solution=True)
        for place in exercise.check_places:
            graded = place == last
            suffix = "" if graded else f"-{place}"
            cells[place]["metadata"]["nbgrader"] = _nbgrader(
                f"check-{name}{suffix}", locked=True, grade=graded
            )


def _nbgrader(
    name: str, solution: bool = False, locked: bool = False, grade: bool = False
) -> dict[str, Any]:
    described = {
        "grade": grade,
        "grade_id": name,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    return {**described, "points": 1} if grade else described


def _raising_cell() -> Cell:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "nbgrader-check",
        "metadata": {"nbgrader": _nbgrader("raising-checks", locked=True), "deletable": False},
        "outputs": [],
        "source": RAISING,
    }


def _clear(cell: Cell) -> None:
    cell["outputs"], cell["execution_count"] = [], None


def handout(notebook: Notebook) -> Notebook:
    """Return a teacher's notebook without solutions, explanations and hidden checks.

    Raises
    ------
    ValueError
        If the exercises are not whole, or a line that begins or ends a region is left.
    """
    made: Notebook = copy.deepcopy(notebook)
    places = {place for e in solved_exercises(made) for place in (e.place, *e.check_places)}
    for place, cell in enumerate(made["cells"]):
        if not is_code(cell):
            continue
        code = source(cell)
        kept = without_regions(code)
        if "### BEGIN " in kept or "### END " in kept:
            first = next(line for line in kept.splitlines() if "### " in line)
            raise ValueError(f"the region must be whole: {first.strip()!r} has no other end")
        if kept != code:
            cell["source"] = kept.rstrip()
        if place in places:
            _clear(cell)
    made["cells"] = [cell for cell in made["cells"] if tagged(cell, "solution") is None]
    return made


def write(path: Path, notebook: Notebook) -> None:
    """Write a notebook, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def _write_if_missing(path: Path, text: str) -> None:
    if not path.exists():
        write_atomically(path, text)
