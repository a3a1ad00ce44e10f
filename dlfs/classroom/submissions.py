"""Finds the answers in what students hand in.

A submission is a folder below ``submitted``, or a single notebook there; its name is the
student's. A notebook says in its metadata which one it is (``handout`` writes that), so it may
have any name.
"""

import ast
from dataclasses import dataclass, field
from pathlib import Path

from dlfs.classroom.exercises import (
    Exercise,
    Notebook,
    is_code,
    read_notebook,
    source,
    tagged,
    without_regions,
)
from dlfs.classroom.needs import names_of, needed, plain_python


@dataclass
class Template:
    """A notebook of the teacher's copy, its exercises, and the statements of its cells."""

    title: str
    notebook: Notebook
    exercises: list[Exercise]

    def __post_init__(self) -> None:
        """List the code of the cells, and what students got of it."""
        cells = self.notebook["cells"]
        self.code = [source(cell) if is_code(cell) else "" for cell in cells]
        self.handed_out = {without_regions(code).strip() for code in self.code}
        self.bound: set[str] = set()
        self.statements: list[tuple[int, str]] = []
        for place, code in enumerate(self.code):
            for statement in ast.parse(plain_python(code)).body:
                text = ast.unparse(statement)
                self.statements.append((place, text))
                self.bound |= names_of(text).bound | names_of(text).changed


@dataclass
class Answer:
    """The code of an answer; None if its cell is missing."""

    code: str | None
    note: str = ""


@dataclass
class Submission:
    """What a student handed in, by the title of the notebook."""

    student: str
    notebooks: dict[str, Notebook] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_submissions(folder: Path, templates: list[Template]) -> list[Submission]:
    """Return the submissions in a folder, sorted by the student's name."""
    found: dict[str, Submission] = {}
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    for entry in entries:
        if entry.name.startswith((".", "__")) or entry.name == "README.md":
            continue
        if not entry.is_dir() and entry.suffix != ".ipynb":
            continue
        student = entry.name if entry.is_dir() else entry.stem
        submission = found.setdefault(student, Submission(student))
        paths = sorted(entry.rglob("*.ipynb")) if entry.is_dir() else [entry]
        for path in paths:
            if not any(p.startswith(".") for p in path.relative_to(folder).parts):
                _add(submission, path, templates)
    return [found[student] for student in sorted(found)]


def _add(submission: Submission, path: Path, templates: list[Template]) -> None:
    try:
        notebook = read_notebook(path)
    except (ValueError, OSError) as error:
        submission.notes.append(str(error))
        return
    title = _title(path, notebook, templates)
    if title is None:
        submission.notes.append(f"{path.name} does not belong to this class")
    elif title in submission.notebooks:
        submission.notes.append(f"{title} exists twice: {path.name} was not graded")
    else:
        submission.notebooks[title] = notebook


def _title(path: Path, notebook: Notebook, templates: list[Template]) -> str | None:
    titles = [template.title for template in templates]
    metadata = notebook.get("metadata")
    ours = metadata.get("dlfs") if isinstance(metadata, dict) else None
    said = ours.get("notebook") if isinstance(ours, dict) else None
    by_path = "/".join((path.parent.name, path.stem))
    return next((title for title in (said, by_path) if title in titles), None)


def find_answer(template: Template, exercise: Exercise, notebook: Notebook) -> Answer:
    """Return the answer to an exercise, with the student's own cells that it needs.

    Cells that a student adds between an exercise and its check belong to the answer. Others are
    used if they make a name that the answer uses and the handout does not make.
    """
    cells = [cell for cell in notebook["cells"] if is_code(cell)]
    begin = next(
        (n for n, cell in enumerate(cells) if tagged(cell, "exercise") == exercise.name), -1
    )
    checks = [n for n, cell in enumerate(cells) if tagged(cell, "check") == exercise.name]
    if begin < 0:
        begin = _by_its_check(template, exercise, [source(cell) for cell in cells])
        if begin < 0:
            return Answer(None, "The exercise's cell is missing.")
    own = [source(cells[begin])]
    for cell in cells[begin + 1 :]:
        if tagged(cell, "check") or tagged(cell, "exercise"):
            break
        if source(cell).strip() not in template.handed_out:
            own.append(source(cell))
    code = "\n".join(map(plain_python, own))
    others = [
        source(cell)
        for cell in cells[:begin]
        if not tagged(cell, "check")
        and not tagged(cell, "exercise")
        and source(cell).strip() not in template.handed_out
    ]
    return Answer(_with_own_cells(template, code, others), _changed(exercise, cells, checks))


def _by_its_check(template: Template, exercise: Exercise, codes: list[str]) -> int:
    """Return the place of the cell before the exercise's check, if the tags were lost."""
    checks = {without_regions(check).strip() for check in exercise.checks}
    for place, code in enumerate(codes):
        if code.strip() in checks:
            return place - 1
    return -1


def _with_own_cells(template: Template, code: str, others: list[str]) -> str:
    try:
        names = names_of(code)
    except (SyntaxError, ValueError):
        return code
    missing = (names.used | names.later) - template.bound - names.bound
    more = [plain_python(others[place]) for place in needed(others, missing)]
    return "\n".join([*more, code])


def _changed(exercise: Exercise, cells: list[Notebook], places: list[int]) -> str:
    """Say whether the student's notebook has other checks than the handout."""
    handed_out = [without_regions(check).strip() for check in exercise.checks]
    if [source(cells[place]).strip() for place in places] == handed_out:
        return ""
    if not places:
        return "The check was removed; the original was used."
    return "The check was changed; the original was used."
