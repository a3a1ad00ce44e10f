"""Random cases of every Operation, layer and loss of the library, and of a few networks.

A recipe draws one case: a target with random sizes and options, and a fitting input. Its decisions
come from a Chooser: the suite draws them at random, and hypothesis can draw and shrink them.
"""

from dlfs.gradcheck.cases.find import unregistered
from dlfs.gradcheck.cases.registry import RECIPES, Recipe
from dlfs.gradcheck.cases.sketch import Case, Chooser, RandomChooser, Sketch

__all__ = ["RECIPES", "Case", "Chooser", "RandomChooser", "Recipe", "Sketch", "unregistered"]
