"""The teacher's copies and the handouts: what is in them, and what is not."""

import json
from pathlib import Path

import pytest

import dlfs
from dlfs.classroom.chapters import chapter_notebooks, notebooks_folder
from dlfs.classroom.exercises import (
    find_exercises,
    read_notebook,
    solved_exercises,
    source,
    tagged,
    without_regions,
)
from dlfs.classroom.grade import read_templates
from dlfs.classroom.handout import export, handout, teachers_copy
from dlfs.classroom.needs import names_of, needed
from tests.support.commands import run

TITLES = [title for title, notebook in chapter_notebooks().items() if find_exercises(notebook)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("class")
    export(folder)
    return folder


@pytest.mark.parametrize("title", TITLES)
def test_a_handout_has_every_exercise_and_no_solution(folder, title) -> None:
    given = chapter_notebooks()[title]
    exercises = find_exercises(given)
    copied = read_notebook(folder / "source" / f"{title}.ipynb")
    handed_out = read_notebook(folder / "release" / f"{title}.ipynb")
    assert [exercise.name for exercise in solved_exercises(copied)] == [e.name for e in exercises]
    assert [exercise.name for exercise in solved_exercises(handed_out)] == [
        exercise.name for exercise in exercises
    ]
    text = json.dumps(handed_out)
    for mark in ("BEGIN SOLUTION", "HIDDEN TESTS", "<summary>Solution", '"solution:'):
        assert mark not in text
    for exercise in exercises:
        cell = next(c for c in handed_out["cells"] if tagged(c, "exercise") == exercise.name)
        assert source(cell) == source(given["cells"][exercise.place]).rstrip()
        checks = [source(c) for c in handed_out["cells"] if tagged(c, "check") == exercise.name]
        assert [check.strip() for check in checks] == [check.strip() for check in exercise.checks]
    ids = [cell["id"] for cell in handed_out["cells"]]
    assert len(set(ids)) == len(ids)
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.from_dict(handed_out))
    nbformat.validate(nbformat.from_dict(teachers_copy(given, title, nbgrader=True)))


def test_the_chapters_can_be_chosen(tmp_path, capsys) -> None:
    assert run("class", "export", tmp_path, "--chapters", "3,5") == 0
    out = capsys.readouterr().out
    assert "5 handouts are in" in out
    found = {path.parent.name for path in tmp_path.glob("release/*/*.ipynb")}
    assert found == {"03_dlfs", "05_convolutions"}


@pytest.mark.parametrize(
    ("chapters", "said"),
    [("99", "chapters must be from [1, 2, 3"), ("three", "must be numbers"), ("3;5", "numbers")],
)
def test_chapters_must_exist(tmp_path, capsys, chapters, said) -> None:
    assert run("class", "export", tmp_path / "new", "--chapters", chapters) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_teachers_changes_are_kept_and_handed_out(tmp_path, capsys) -> None:
    export(tmp_path, [3])
    path = tmp_path / "source" / "03_dlfs" / "Code.ipynb"
    before = path.read_text()
    path.write_text(before.replace("# Chapter 3: a deep", "# Our chapter 3: a deep"))
    (tmp_path / "README.md").write_text("mine")
    assert run("class", "export", tmp_path, "--chapters", 3) == 0
    assert "0 teacher's copies, with solutions, are new" in capsys.readouterr().out
    assert "# Our chapter 3" in path.read_text()
    assert "# Our chapter 3" in (tmp_path / "release" / "03_dlfs" / "Code.ipynb").read_text()
    assert (tmp_path / "README.md").read_text() == "mine"
    assert run("class", "export", tmp_path, "--chapters", 3, "--force") == 0
    assert path.read_text() == before


def test_a_file_in_the_way_is_named(tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert run("class", "export", tmp_path / "file") == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_region_without_an_end_is_not_handed_out(folder) -> None:
    copied = read_notebook(folder / "source" / "03_dlfs" / "Code.ipynb")
    cell = next(cell for cell in copied["cells"] if tagged(cell, "exercise") == "tanh")
    cell["source"] = source(cell).replace("### END SOLUTION", "")
    with pytest.raises(ValueError, match="'### BEGIN SOLUTION' has no other end"):
        handout(copied)


def test_nbgrader_gets_its_metadata_and_checks_that_raise(tmp_path) -> None:
    assert run("class", "export", tmp_path, "--chapters", 3, "--nbgrader") == 0
    cells = read_notebook(tmp_path / "source" / "03_dlfs" / "Code.ipynb")["cells"]
    ours = [cell["metadata"]["nbgrader"] for cell in cells if "nbgrader" in cell["metadata"]]
    assert len({about["grade_id"] for about in ours}) == len(ours)
    assert sum(about.get("points", 0) for about in ours if about["grade"]) == 4
    assert sum(about["solution"] for about in ours) == 4
    (first,) = (cell for cell in cells if "functools.partial" in source(cell))
    assert cells.index(first) < min(n for n, c in enumerate(cells) if tagged(c, "exercise"))
    names: dict = {}
    exec(source(first), names)
    with pytest.raises(AssertionError, match="not right yet"):
        names["check"]("count", 1, 2)
    compile((tmp_path / "nbgrader_config.py").read_text(), "config", "exec")


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "must be a notebook"), ("[]", "format 4"), ('{"cells": 3}', "format 4"),
     ('{"cells": [3]}', "format 4"), ("[" * 10**5, "must be a notebook")],
)  # fmt: skip
def test_what_is_no_notebook_is_refused(tmp_path, text, said) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_notebook(path)


def test_regions_are_cut_wherever_they_are() -> None:
    code = "a = 1\n  ### BEGIN SOLUTION\n  b\n### END SOLUTION\nc\n### BEGIN HIDDEN TESTS\nd\n"
    assert without_regions(code + "### END HIDDEN TESTS") == "a = 1\nc\n"


# --- which cells are needed ---

CELLS = [
    "import numpy as np",
    "x = np.ones(3)",
    "def f():\n    return g() + y",
    "y = 3",
    "x[0] = 2",
    "def g():\n    return x",
    "for n in range(3):\n    z = n\n    x.sort()",
    "if y:\n    w = f()",
    "w = 3\nw += 1",
]


@pytest.mark.parametrize(
    ("names", "places"),
    [
        ({"y"}, [3]),
        ({"x"}, [0, 1, 4, 6]),
        ({"g"}, [0, 1, 4, 5, 6]),
        ({"f"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"w"}, [8]),
        ({"n"}, [0, 1, 4, 6]),
        ({"unknown", "len"}, []),
    ],
)
def test_the_cells_that_make_a_name(names, places) -> None:
    assert needed(CELLS, names) == places


def test_a_name_bound_in_some_cases_only_is_looked_for_further_back() -> None:
    assert needed(["w = 1", "y = 2", "if y:\n    w = 3"], {"w"}) == [0, 1, 2]
    assert needed(["w = 1", "w += 2"], {"w"}) == [0, 1]
    assert needed(["w = 1", "def f():\n    global w\n    w = 2", "f()"], {"w"}) == [0, 1]
    assert needed(["w = 1", "w = w + 1"], {"w"}) == [0, 1]
    assert needed(["w = 1", "w = 2\nv = w"], {"v"}) == [1]


def test_local_names_of_functions_are_not_needed() -> None:
    names = names_of("def f(a):\n    b = a\n    b.c = 1\n    return [d for d in b]")
    assert names.changed == set()
    assert names.later == set()


def notebook(*cells: tuple[str, str]) -> dict:
    """Return a notebook of cells with one tag each; what is not an exercise is code."""
    return {
        "nbformat": 4,
        "metadata": {},
        "cells": [
            {
                "cell_type": "markdown" if tag.startswith("solution") else "code",
                "metadata": {"tags": [tag]},
                "source": text,
            }
            for tag, text in cells
        ],
    }


TASK, SOLUTION = ("exercise:a", "x = ..."), ("solution:a", "```python\nx = 1\n```")
CHECK = ("", 'check("a", x, 1)')


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([TASK, CHECK], "exercise a has no cell solution:a"),
        ([TASK, CHECK, ("exercise:b", "")], "exercise a has no cell solution:a"),
        ([SOLUTION], "solution:a does not follow exercise:a"),
        ([("exercise:b", ""), CHECK, SOLUTION], "solution:a does not follow exercise:a"),
        ([TASK, SOLUTION], "exercise a must have a check and a block of Python"),
        ([TASK, CHECK, ("solution:a", "x = 1")], "must have a check and a block of Python"),
        ([TASK, CHECK, SOLUTION] * 2, "exercises must have different names"),
    ],
)
def test_exercises_of_a_chapter_that_are_not_whole_are_named(cells, said) -> None:
    with pytest.raises(ValueError, match=said):
        find_exercises(notebook(*cells))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([TASK, TASK], "exercises must have different names, got 'a' twice"),
        ([("check:a", ""), TASK], "check:a must follow exercise:a"),
        ([("exercise:a", "x = = 1")], "an exercise's cell must be Python: invalid syntax"),
    ],
)
def test_exercises_of_a_teacher_that_are_not_whole_are_named(cells, said) -> None:
    with pytest.raises(ValueError, match=said):
        solved_exercises(notebook(*cells))


def test_a_chapter_without_exercises_has_no_handout(tmp_path, monkeypatch) -> None:
    chapters = {"01/Code": notebook(CHECK), "01/Math": notebook(TASK, CHECK, SOLUTION)}
    monkeypatch.setattr("dlfs.classroom.handout.chapter_notebooks", lambda numbers: chapters)
    export(tmp_path)
    assert [path.stem for path in tmp_path.glob("release/*/*.ipynb")] == ["Math"]


def test_what_jupyter_saves_in_between_is_not_handed_out(tmp_path) -> None:
    export(tmp_path, [3])
    saved = tmp_path / "source" / "03_dlfs" / ".ipynb_checkpoints" / "Code-checkpoint.ipynb"
    saved.parent.mkdir()
    saved.write_text("half a noteb")
    _, handouts = export(tmp_path, [3])
    assert sorted(path.stem for path in handouts) == ["Code", "Math"]
    assert {template.title for template in read_templates(tmp_path / "source")} == {
        "03_dlfs/Code", "03_dlfs/Math",
    }  # fmt: skip


def test_a_cell_that_is_not_python_makes_no_names() -> None:
    assert needed(["%%bash\nx = 1", "x = 2", "x ="], {"x"}) == [1]


def test_the_notebooks_are_in_the_package_or_beside_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("dlfs.classroom.chapters.files", lambda package: tmp_path / package)
    monkeypatch.setattr(dlfs, "__file__", str(tmp_path / "dlfs" / "__init__.py"))
    with pytest.raises(FileNotFoundError, match="dlfs came without the notebooks"):
        notebooks_folder()
    beside, inside = tmp_path / "notebooks", tmp_path / "dlfs" / "notebooks"
    beside.mkdir()
    (beside / "README.md").write_text("")
    assert notebooks_folder() == beside
    inside.mkdir(parents=True)
    assert notebooks_folder() == inside
