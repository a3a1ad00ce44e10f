"""Every solution is right; typical wrong attempts are not, and get the hints of ``hints.txt``.

``hints.txt`` has been read by a person: each hint names the mistake, or is the exercise's own. If
one changes, read it, and write the file again: ``python -m tests.classroom.test_attempts``.

Chapters 3 to 5, and all of them in the thorough profile: ``make test-class``.
"""

import os
import sys
from pathlib import Path

import pytest

from dlfs.classroom.chapters import chapter_notebooks
from dlfs.classroom.exercises import Exercise, find_exercises, solved_exercises
from dlfs.classroom.grade import Limits, run_answers
from dlfs.classroom.handout import teachers_copy
from dlfs.classroom.needs import essential
from dlfs.classroom.submissions import Template
from tests.classroom.attempts import ATTEMPTS, WHOLE

PAGE = Path(__file__).with_name("hints.txt")
EXERCISES = {
    title: found
    for title, notebook in chapter_notebooks().items()
    if (found := find_exercises(notebook))
}
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
RUN = [title for title in EXERCISES if THOROUGH or title[:2] in ("03", "04", "05")]
LIMITS = Limits(seconds=120.0, memory=4096)


def attempts_of(template: Template, exercise: Exercise, solved: Exercise) -> list[str]:
    """Return the solution, and the wrong attempts."""
    stub = solved.solution.partition("### BEGIN SOLUTION")[0]
    found = [exercise.solution]
    for old, new in ATTEMPTS[template.title][exercise.name]:
        assert old == WHOLE or old in exercise.solution, (exercise.name, old)
        found.append(new if old == WHOLE else exercise.solution.replace(old, new, 1))
    # Some solutions continue the handout's class, and some show what they are good for.
    return [essential(f"{stub}\n{code}", solved.binds) for code in found]


def results(title: str) -> list[tuple[str, str, str, str]]:
    """Return exercise, change, outcome and hint, the solution's first."""
    copied = teachers_copy(chapter_notebooks()[title], title)
    solved = solved_exercises(copied)
    template = Template(title, copied, solved)
    names, answers = [], []
    for place, exercise in enumerate(EXERCISES[title]):
        changes = ["", *(f"{old} -> {new}" for old, new in ATTEMPTS[title][exercise.name])]
        codes = attempts_of(template, exercise, solved[place])
        names += [(exercise.name, change) for change in changes]
        answers += [(place, code) for code in codes]
    found = run_answers(template, answers, LIMITS)
    return [(*name, r["outcome"], r["hint"]) for name, r in zip(names, found, strict=True)]


def told(title: str, found: list[tuple[str, str, str, str]]) -> list[str]:
    """Return the lines of hints.txt; the words of NumPy's errors may change, so they are cut."""
    lines = []
    for name, change, _, hint in found:
        if change:
            short = hint.partition(":")[0] if "raises" in hint.partition(":")[0] else hint
            lines.append(f"{title} | {name} | {change!r} | {short}")
    return lines


def test_every_exercise_has_attempts() -> None:
    assert {title: set(named) for title, named in ATTEMPTS.items()} == {
        title: {exercise.name for exercise in found} for title, found in EXERCISES.items()
    }


@pytest.mark.parametrize("title", RUN)
def test_solutions_are_right_and_attempts_get_hints_that_name_the_mistake(title) -> None:
    if title.startswith("07"):
        pytest.importorskip("torch")
    found = results(title)
    for name, change, outcome, hint in found:
        assert outcome == ("not right yet" if change else "right"), (name, change, outcome, hint)
    known = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"{title} |")]
    assert told(title, found) == known


if __name__ == "__main__":
    only = sys.argv[1:]
    old = PAGE.read_text("utf-8").splitlines() if PAGE.exists() else []
    lines = []
    for title in EXERCISES:
        if only and not title.startswith(tuple(only)):
            lines += [line for line in old if line.startswith(f"{title} |")]
        else:
            lines += told(title, results(title))
    PAGE.write_text("\n".join(lines) + "\n", "utf-8")
