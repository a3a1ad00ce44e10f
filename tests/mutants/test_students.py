"""Every mistake of the students' classes is caught, and a hint is never wrong."""

import functools

import pytest

from dlfs.gradcheck import GradientReport
from tests.mutants.students import CORRECT, STUDENTS, Student, later
from tests.mutants.students.held_out import HELD_OUT

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
