"""Random cases of everything in the library that has a gradient.

A recipe draws one case: a target with random sizes and options, and an input that suits it. It asks
a Chooser for its decisions, so that the suite can draw them at random, and hypothesis can draw them
too and shrink them.
"""

from dlfs.gradcheck.cases.find import unregistered
from dlfs.gradcheck.cases.registry import RECIPES, Recipe
from dlfs.gradcheck.cases.sketch import Case, Chooser, RandomChooser, Sketch

__all__ = ["RECIPES", "Case", "Chooser", "RandomChooser", "Recipe", "Sketch", "unregistered"]
