"""All recipes: which function draws the cases of which class."""

from collections.abc import Callable
from dataclasses import dataclass

from dlfs.gradcheck.cases import images, layers, losses, networks, rows
from dlfs.gradcheck.cases.sketch import Case, Chooser, Sketch


@dataclass(frozen=True)
class Recipe:
    """How to draw cases.

    Attributes
    ----------
    name : str
        The class whose cases it draws, or the purpose of a network.
    kind : str
        "Operation", "Layer", "Loss" or "network".
    function : callable
        Draws a case with a sketch.
    """

    name: str
    kind: str
    function: Callable[[Sketch], Case]

    def draw(self, choose: Chooser, dtype: str = "float64", backend: str = "reference") -> Case:
        """Draw one case."""
        return self.function(Sketch(choose, dtype, backend))


def _gather() -> dict[str, Recipe]:
    kinds = {
        "Operation": {**rows.RECIPES, **images.RECIPES},
        "Layer": layers.RECIPES,
        "Loss": losses.RECIPES,
        "network": networks.RECIPES,
    }
    return {
        name: Recipe(name, kind, function)
        for kind, functions in kinds.items()
        for name, function in functions.items()
    }


RECIPES: dict[str, Recipe] = _gather()
"""All recipes by name."""
