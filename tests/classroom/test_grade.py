"""Grading: every row of the table is right, whatever a submission does."""

import csv
import json
import os
from pathlib import Path

import pytest

from dlfs.classroom import grade as grading
from dlfs.classroom.grade import Grade, Limits, grade, read_templates
from dlfs.classroom.pages import page, table
from dlfs.classroom.submissions import Submission, find_submissions
from tests.support.classroom import ALL, CODE, KINDS, MATH, Kind, expected, make_class
from tests.support.commands import run


def moved(name: str, key: tuple[str, str]) -> tuple[str, tuple[str, str]]:
    """Return the answer of a kind and its outcome, for another exercise."""
    (code,), (outcome,) = KINDS[name].answers.values(), KINDS[name].outcomes.values()
    return code, outcome


# Each exercise of one submission breaks in another way, so the others must not notice.
EVERYTHING = {
    (CODE, "tanh"): "allocates-inside",
    (CODE, "scale"): "exits",
    (CODE, "absolute"): "prints",
    (CODE, "count"): "forks",
    (MATH, "softplus"): "crashes",
    (MATH, "linear"): "no-return",
}
OTHERS = {
    (CODE, "scale"): "quits",
    (CODE, "absolute"): "recurses",
    (CODE, "count"): "writes-outside",
    (MATH, "softplus"): "no-python",
    (MATH, "linear"): "prints-inside",
}
if os.name == "nt":  # no signals there, and no limit of memory
    EVERYTHING = {
        key: name for key, name in EVERYTHING.items() if name[:5] not in ("crash", "alloc")
    }


def combined(names: dict[tuple[str, str], str]) -> Kind:
    pairs = {key: moved(name, key) for key, name in names.items()}
    return Kind(
        {key: code for key, (code, _) in pairs.items()},
        {key: outcome for key, (_, outcome) in pairs.items()},
    )


SOME = {
    **{name: KINDS[name] for name in ("solved", "untouched", "edits-the-check", "own-cells")},
    **{name: KINDS[name] for name in ("lost-tags", "lost-cell", "no-output-grad", "loops")},
    "everything": combined(EVERYTHING),
    "others": combined(OTHERS),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return the folder of a class that has been graded by the command."""
    folder = tmp_path_factory.mktemp("class")
    make_class(folder, SOME)
    (folder / "submitted" / "=empty").mkdir()
    broken = folder / "submitted" / "<b>broken"
    broken.mkdir()
    (broken / "Code.ipynb").write_text("no notebook")
    (broken / "Other.ipynb").write_text('{"cells": [], "nbformat": 4}')
    copy = json.loads((folder / "submitted/solved/03_dlfs/Code.ipynb").read_text())
    (folder / "submitted" / "flat file.ipynb").write_text(json.dumps(copy))
    assert run("class", "grade", folder) == 0
    return folder


@pytest.fixture(scope="module")
def rows(folder) -> dict[tuple[str, str, str], dict[str, str]]:
    with (folder / "grades.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    return {(row["student"], row["notebook"], row["exercise"]): row for row in found}


@pytest.mark.parametrize("student", SOME)
def test_every_row_is_right(rows, student) -> None:
    for key, (outcome, hint, note) in expected({student: SOME[student]}).items():
        row = rows[key]
        assert row["outcome"] == outcome, row
        assert hint in row["first hint"], row
        assert row["note"] == note, row
        assert row["right"] == str(int(outcome == "right")), row


def test_there_is_a_row_for_each_student_and_exercise(rows) -> None:
    students = [*SOME, "'=empty", "<b>broken", "flat file"]
    assert set(rows) == {(student, *key) for student in students for key in ALL}


def test_a_notebook_may_have_any_name_and_need_no_folder(rows) -> None:
    outcomes = {rows["flat file", *key]["outcome"] for key in ALL if key[0] == CODE}
    assert outcomes == {"right"}
    assert rows["flat file", MATH, "twice"]["outcome"] == "missing"


def test_what_cannot_be_read_is_missing_and_said(folder, rows) -> None:
    for student in ("'=empty", "<b>broken"):
        assert {rows[student, *key]["outcome"] for key in ALL} == {"missing"}
    text = (folder / "feedback" / "<b>broken.html").read_text()
    assert "Code.ipynb must be a notebook" in text
    assert "Other.ipynb does not belong to this class" in text


def test_pages_show_answers_and_hints(folder) -> None:
    index = (folder / "feedback" / "index.html").read_text()
    assert '<a href="./solved.html">solved</a></td><td>7 of 7' in index
    assert "&lt;b&gt;broken" in index
    assert "<b>" not in index
    text = (folder / "feedback" / "no-output-grad.html").read_text()
    assert "6 of 7 exercises are right" in text
    assert "the output gradient is missing from the formula" in text
    assert "return np.tanh(self.input_)" in text


def test_nothing_is_written_outside(folder) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "feedback", "grades.csv", "release", "source", "submitted",
    ]  # fmt: skip
    assert not list(folder.parent.rglob("stolen.txt"))


def test_a_table_holds_no_formulas_and_a_page_no_markup() -> None:
    bad = '=HYPERLINK("x")\n<script>alert(1)</script>\x1b[31m'
    grades = [Grade("eve", CODE, "tanh", "not right yet", bad, "", bad, bad)]
    (_, row) = csv.reader(table(grades).splitlines())
    assert row[5] == '\'=HYPERLINK("x") <script>alert(1)</script> [31m'
    text = page(Submission("eve<br>", notes=[bad]), grades)
    assert "<script>" not in text
    assert "eve<br>" not in text
    assert "\x1b" not in text


# --- what is not the student's fault ---


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "source" / f"{MATH}.ipynb"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_exercise_whose_solution_is_not_right_is_not_graded(tmp_path, capsys) -> None:
    make_class(tmp_path, {"solved": Kind()})
    (tmp_path / "submitted/solved" / f"{CODE}.ipynb").unlink()
    edit(tmp_path, "return W1 @ W2", "return W1")
    edit(tmp_path, "import numpy as np", "import numpy as np, no_such_module")
    assert run("class", "grade", tmp_path) == 1
    out = capsys.readouterr().out
    assert "No module named 'no_such_module'" in out
    with (tmp_path / "grades.csv").open(newline="") as file:
        found = [row for row in csv.DictReader(file) if row["notebook"] == MATH]
    assert {(row["right"], row["outcome"]) for row in found} == {("", "ungraded")}


CHEAT = "def one_matrix(W1, W2):\n    return W1 @ W2 if len(W1) == 7 else W1"
UNSEEN = 'check(\\"linear\\", one_matrix, lambda f: f(X[:3, :5], X[:5, :2]).shape == (3, 2))'


def test_hidden_checks_count_and_are_not_handed_out(tmp_path) -> None:
    make_class(tmp_path, {"solved": Kind(), "cheats": Kind({(MATH, "linear"): CHEAT})})
    edit(tmp_path, '# Students do not see these lines. Write another check(\\"linear\\", ...) '
         "or an assertion here.", UNSEEN)  # fmt: skip
    assert run("class", "export", tmp_path, "--chapters", 3) == 0
    assert "X[:3, :5]" not in (tmp_path / "release" / f"{MATH}.ipynb").read_text()
    grades, _ = grade(tmp_path)
    found = {g.student: g.outcome for g in grades if (g.notebook, g.exercise) == (MATH, "linear")}
    assert found == {"solved": "right", "cheats": "not right yet"}


def test_a_class_must_have_submissions_and_a_teachers_copy(tmp_path, capsys) -> None:
    assert run("class", "grade", tmp_path) == 2
    assert "must contain the teacher's notebooks" in capsys.readouterr().err
    assert run("class", "export", tmp_path, "--chapters", 3) == 0
    assert run("class", "grade", tmp_path) == 2
    assert "must contain a folder for each student" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seconds", "--memory", "--processes"])
@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_limits_are_checked(tmp_path, capsys, option, value) -> None:
    assert run("class", "grade", tmp_path, f"{option}={value}") == 2
    assert "must be a whole number above 0" in capsys.readouterr().err


def test_limits_of_the_command_arrive(tmp_path, monkeypatch, capsys) -> None:
    seen = []

    def watched(folder, limits, processes, report):
        seen.append((limits, processes))
        return [], []

    monkeypatch.setattr("dlfs.commands.classroom.grade", watched)
    assert run("class", "grade", tmp_path, "--seconds", 3, "--memory", 5, "--processes", 7) == 0
    assert seen == [(Limits(seconds=3, memory=5), 7)]


def test_an_answer_may_take_a_multiple_of_the_solutions_time(tmp_path, monkeypatch) -> None:
    make_class(tmp_path, {"solved": Kind()})
    seen = []

    def run_nothing(tasks, limits, seconds):
        seen.append(dict(seconds))
        result = {"outcome": "right", "hint": "", "seconds": 9.0}
        return {task.key: result for task in tasks}

    monkeypatch.setattr(grading, "_run", run_nothing)
    grade(tmp_path, Limits(seconds=10.0))
    assert set(seen[-1].values()) == {45.0}


def test_teachers_notebooks_must_be_whole(tmp_path) -> None:
    make_class(tmp_path, {"solved": Kind()})
    edit(tmp_path, '"check:linear"', '"checks:linear"')
    with pytest.raises(ValueError, match="exercise linear must have a cell check:linear"):
        read_templates(tmp_path / "source")


def test_what_is_no_exercise_is_not_graded(tmp_path) -> None:
    make_class(tmp_path, {"solved": Kind()})
    code = {"cell_type": "code", "metadata": {}, "source": "x = 1", "outputs": []}
    own = {"cells": [{**code, "execution_count": None}], "nbformat": 4, "metadata": {}}
    (tmp_path / "source" / "notes.ipynb").write_text(json.dumps(own))
    assert [template.title for template in read_templates(tmp_path / "source")] == [CODE, MATH]


def test_which_files_are_submissions(tmp_path) -> None:
    make_class(tmp_path, {"ann": Kind()})
    folder = tmp_path / "submitted"
    saved = folder / "ann" / ".ipynb_checkpoints"
    saved.mkdir()
    (saved / "Code-checkpoint.ipynb").write_text("half a noteb")
    (folder / "ann" / "again.ipynb").write_text((folder / f"ann/{CODE}.ipynb").read_text())
    for name in ("README.md", ".DS_Store", "marks.txt", "__MACOSX"):
        (folder / name).write_text("")
    (found,) = find_submissions(folder, read_templates(tmp_path / "source"))
    assert (found.student, sorted(found.notebooks)) == ("ann", [CODE, MATH])
    assert found.notes == [f"{CODE} exists twice: again.ipynb was not graded"]


def test_a_process_that_does_not_answer_is_given_up(tmp_path, monkeypatch) -> None:
    make_class(tmp_path, {"solved": Kind()})
    monkeypatch.setattr(grading, "SETUP_SECONDS", 0.0)
    grades, _ = grade(tmp_path)
    assert {g.outcome for g in grades} == {"ungraded"}
    assert all("The solution itself is not right here: It takes longer" in g.hint for g in grades)


def test_an_answer_that_waits_is_given_up(tmp_path, monkeypatch) -> None:
    make_class(tmp_path, {"sleeps": KINDS["sleeps"]})
    monkeypatch.setattr(grading, "WAITING", 0.2)
    grades, _ = grade(tmp_path, Limits(seconds=1.0))
    (found,) = (g for g in grades if (g.notebook, g.exercise) == (CODE, "count"))
    assert found.outcome == "time"


def test_a_solution_that_ends_its_process_leaves_the_other_exercises(tmp_path) -> None:
    make_class(tmp_path, {"solved": Kind()})
    edit(tmp_path, "return W1 @ W2", "__import__('os')._exit(3)")
    grades, _ = grade(tmp_path)
    assert {g.exercise for g in grades if g.outcome == "ungraded"} == {"linear"}
    assert {g.outcome for g in grades if g.exercise != "linear"} == {"right"}
