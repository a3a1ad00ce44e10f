"""Operations and losses as students write them, each with one mistake."""

from tests.mutants.students import (
    attention,
    elementwise,
    fresh,
    later,
    normalization,
    softmaxes,
    sums,
)
from tests.mutants.students.catalogue import CORRECT, STUDENTS, Student

__all__ = [
    "CORRECT",
    "STUDENTS",
    "Student",
    "attention",
    "elementwise",
    "fresh",
    "later",
    "normalization",
    "softmaxes",
    "sums",
]
