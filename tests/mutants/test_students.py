"""Every mistake of the students' classes is caught, and a hint is never wrong."""

import pytest

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


@pytest.mark.parametrize("student", TUNED, ids=lambda student: student.name)
def test_a_mistake_is_caught(student: Student) -> None:
    assert not student.check(0)
