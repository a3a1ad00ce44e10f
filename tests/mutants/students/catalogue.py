"""The catalogue of students' classes: Operations and losses of their own, one mistake each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlfs.gradcheck import GradientReport, check_gradients

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Student:
    """A class that a student wrote.

    Attributes
    ----------
    mistake : str
        What is wrong, in a few words; empty if it is correct.
    kind : type
    hints : tuple of str
        The kinds of hint that name the mistake.
    x, param, y : tuple of int
        The shapes of the input, the parameter and a loss's targets; () if it has none of them.
    """

    mistake: str
    kind: type[Any]
    hints: tuple[str, ...]
    x: Shape
    param: Shape
    y: Shape

    @property
    def name(self) -> str:
        return self.kind.__name__

    def check(self, seed: int) -> GradientReport:
        """Check it with random numbers."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(self.x)
        param = rng.standard_normal(self.param)
        y = rng.dirichlet(np.ones(self.y[-1]), self.y[:-1]) if self.y else None
        target = self.kind(param) if self.param else self.kind()
        return check_gradients(target, x, y=y, seed=seed, backend="reference")


STUDENTS: list[Student] = []
CORRECT: list[Student] = []


def student(
    mistake: str, *hints: str, x: Shape = (), param: Shape = (), y: Shape = ()
) -> Callable[[type[Any]], type[Any]]:
    """Enter a class with a mistake; the shapes are those of the correct class if not given."""

    def enter(kind: type[Any]) -> type[Any]:
        if all(known.name != kind.__name__ for known in STUDENTS):
            right = next(s for base in kind.__mro__ for s in CORRECT if s.name == base.__name__)
            shapes = (x or right.x, param or right.param, y or right.y)
            STUDENTS.append(Student(mistake, kind, hints, *shapes))
        return kind

    return enter


def correct(*, x: Shape, param: Shape = (), y: Shape = ()) -> Callable[[type[Any]], type[Any]]:
    """Enter a correct class, which others get wrong."""

    def enter(kind: type[Any]) -> type[Any]:
        if all(known.name != kind.__name__ for known in CORRECT):
            CORRECT.append(Student("", kind, (), x, param, y))
        return kind

    return enter
