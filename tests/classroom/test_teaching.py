"""docs/teaching.md: its exercises and sections exist, and its recipe has commands."""

import re
from pathlib import Path

import pytest

from dlfs.classroom.chapters import chapter_notebooks
from dlfs.classroom.exercises import find_exercises, source
from dlfs.classroom.pages import COLUMNS, WORDS

PAGE = Path(__file__).parents[2] / "docs" / "teaching.md"
NOTEBOOKS = chapter_notebooks()

pytestmark = pytest.mark.source_tree


def weeks() -> list[list[str]]:
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return [[number, *(cell.strip() for cell in rest.split("|"))] for number, rest in rows]


def test_the_course_has_14_weeks() -> None:
    assert [int(week[0]) for week in weeks()] == list(range(1, 15))
    assert all(len(week) == 5 and all(week) for week in weeks())


def test_the_course_names_notebooks_sections_and_exercises_that_exist() -> None:
    for number, notebooks, _, exercises, _ in weeks():
        groups = exercises.split("; ")
        named = notebooks.split("; ")
        assert len(groups) == len(named), number
        for notebook, names in zip(named, groups, strict=True):
            chapter, name = re.match(r"(\d+) (\w+)", notebook).groups()
            (title,) = [t for t in NOTEBOOKS if re.fullmatch(rf"0?{chapter}_\w+/{name}", t)]
            known = [exercise.name for exercise in find_exercises(NOTEBOOKS[title])]
            assert set(names.split(", ")) <= set(known), number
            text = "\n".join(map(source, NOTEBOOKS[title]["cells"]))
            for section in re.findall(r"\d+", notebook)[1:]:
                assert f"\n## {section}. " in f"\n{text}", (number, section)


def test_no_exercise_of_the_course_is_given_twice() -> None:
    given = []
    for _, notebooks, _, exercises, _ in weeks():
        for notebook, names in zip(notebooks.split("; "), exercises.split("; "), strict=True):
            given += [(notebook.split(",")[0], name) for name in names.split(", ")]
    assert len(set(given)) == len(given)


def test_the_page_names_every_outcome_and_column() -> None:
    text = PAGE.read_text("utf-8")
    assert ",".join(COLUMNS) in text
    table = text.partition("| outcome | meaning |")[2].partition("\n\n")[0]
    first = re.findall(r"^\| ([a-z][^|]+) \|", table, re.MULTILINE)
    named = {name for names in first for name in names.split(", ")}
    assert named == set(WORDS)


def test_the_recipe_is_run_by_make_test_room() -> None:
    room = pytest.importorskip("tools.room")
    outside, inside = room.recipe()
    assert "pip download" in outside
    assert "--no-index" in inside
