"""The catalogue of mutants: classes of the library with one classic mistake each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dlfs.gradcheck.cases import RECIPES, Case, Chooser


@dataclass(frozen=True)
class Mutant:
    """A wrong class.

    Attributes
    ----------
    mistake : str
        What is wrong, in a few words.
    kind : type
        The class: a subclass of the one that it gets wrong.
    hints : tuple of str
        Which hints are right; empty where none is expected.
    """

    mistake: str
    kind: type[Any]
    hints: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.kind.__name__

    def draw(self, choose: Chooser, dtype: str = "float64", backend: str = "reference") -> Case:
        """Draw a case of the right class, and slip the wrong one in."""
        right = next(base for base in self.kind.__mro__ if base.__name__ in RECIPES)
        case = RECIPES[right.__name__].draw(choose, dtype, backend)
        case.target.__class__ = self.kind
        return case


MUTANTS: list[Mutant] = []


def mutant(mistake: str, *hints: str) -> Callable[[type[Any]], type[Any]]:
    """Enter a class into the catalogue."""

    def enter(kind: type[Any]) -> type[Any]:
        # A test runner may import a module under two names.
        if all(known.mistake != mistake for known in MUTANTS):
            MUTANTS.append(Mutant(mistake, kind, hints))
        return kind

    return enter
