"""Every mistake of the students' classes is caught, and a hint is never wrong.

``students/told.txt`` has what is said of each, with the text of a line in place of its number, and
must be true. If it changes, read it, and write it again: ``python -m tests.mutants.test_students``.
"""

import functools
import inspect
import linecache
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlfs.gradcheck import GradientReport
from tests.mutants.students import CORRECT, STUDENTS, Student, later
from tests.mutants.students.held_out import HELD_OUT

PAGE = Path(later.__file__).with_name("told.txt")
LATER = [student for student in STUDENTS if student.kind.__module__ == later.__name__]


def test_the_catalogue_is_large() -> None:
    assert len(STUDENTS) >= 100
    assert {student.name for student in STUDENTS} >= HELD_OUT


@pytest.mark.parametrize("student", CORRECT, ids=lambda student: student.name)
def test_a_correct_class_passes(student: Student) -> None:
    assert student.check(0)


@functools.cache
def report_of(student: Student) -> GradientReport:
    return student.check(0)


@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: student.name)
def test_a_mistake_is_caught_and_no_hint_is_wrong(student: Student) -> None:
    report = report_of(student)
    assert report.verdict == "wrong"
    assert [hint.kind for hint in report.hints[:1] if hint.kind not in student.hints] == []


@pytest.mark.parametrize("students", [STUDENTS, LATER], ids=["all", "held out"])
def test_most_mistakes_get_a_hint(students: list[Student]) -> None:
    assert sum(bool(report_of(student).hints) for student in students) >= 0.8 * len(students)


def told(student: Student) -> Iterator[str]:
    """Iterate over findings, hints and facts."""
    report = report_of(student)
    file = inspect.getfile(student.kind)

    def line(found: re.Match[str]) -> str:
        return f"line {linecache.getline(file, int(found[1])).strip()!r}"

    said = [
        *(
            f"{finding.kind} (found) | {finding.message.partition(' (in ')[0]}"
            for finding in report.findings
        ),
        *(f"{hint.kind} | {hint}" for hint in report.hints),
        *(f"{fact.kind} (a fact) | {fact}" for fact in report.facts),
    ]
    for text in said or ["nothing more"]:
        yield f"{student.name} | {re.sub(r'line ([0-9]+)', line, text)}"


@pytest.mark.parametrize("student", STUDENTS, ids=lambda student: student.name)
def test_what_is_told_of_a_mistake(student: Student) -> None:
    page = PAGE.read_text("utf-8").splitlines()
    assert [*told(student)] == [line for line in page if line.startswith(f"{student.name} | ")]
    changed = [hint for hint in report_of(student).hints if " put `" in hint.message]
    assert {hint.file for hint in changed} <= {inspect.getfile(student.kind)}


if __name__ == "__main__":
    lines = [line for student in STUDENTS for line in told(student)]
    PAGE.write_text("".join(f"{line}\n" for line in lines), "utf-8")
