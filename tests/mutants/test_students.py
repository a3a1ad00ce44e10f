"""Every mistake of the students' classes is caught, and a hint is never wrong."""

import functools

import pytest

from dlfs.gradcheck import GradientReport
from tests.mutants.students import CORRECT, STUDENTS, Student
from tests.mutants.students.held_out import HELD_OUT

TUNED = [student for student in STUDENTS if student.name not in HELD_OUT]


def test_a_third_is_held_out() -> None:
    assert len(STUDENTS) >= 60
    assert {student.name for student in STUDENTS} >= HELD_OUT
    assert len(HELD_OUT) == len(STUDENTS) // 3


@pytest.mark.parametrize("student", CORRECT, ids=lambda student: student.name)
def test_a_correct_class_passes(student: Student) -> None:
    for seed in range(3):
        assert student.check(seed)


@functools.cache
def report_of(student: Student) -> GradientReport:
    return student.check(0)


@pytest.mark.parametrize("student", TUNED, ids=lambda student: student.name)
def test_a_mistake_is_caught_and_no_hint_is_wrong(student: Student) -> None:
    report = report_of(student)
    assert report.verdict == "wrong"
    assert [hint.kind for hint in report.hints[:1] if hint.kind not in student.hints] == []


def test_most_mistakes_get_a_hint() -> None:
    assert sum(bool(report_of(student).hints) for student in TUNED) >= 0.8 * len(TUNED)
