"""A Chooser whose decisions are made and shrunk by hypothesis."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from dlfs.gradcheck.cases import RECIPES, Case, Chooser

T = TypeVar("T")


class HypothesisChooser(Chooser):
    """Makes decisions with hypothesis.

    Parameters
    ----------
    draw : callable
        The function ``draw`` of ``hypothesis.strategies.data()`` or ``composite``.

    Examples
    --------
    >>> from hypothesis import given, strategies
    >>> @given(strategies.data())
    ... def test(data):
    ...     chooser = HypothesisChooser(data.draw)
    ...     assert 1 <= chooser.integer(1, 3) <= 3
    ...     assert chooser.choice("ab") in "ab"
    >>> test()
    """

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high."""
        return int(self.draw(st.integers(low, high)))

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        chosen: T = self.draw(st.sampled_from(options))
        return chosen


@st.composite
def library_cases(
    draw: Callable[[st.SearchStrategy[Any]], Any], name: str, backend: str = "reference"
) -> Case:
    """Draw cases of one of dlfs's own classes, in float32 or float64.

    Parameters
    ----------
    name : str
        A name in ``dlfs.gradcheck.cases.RECIPES``.
    backend : str, default "reference"
        The backend named in the code of the case.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from dlfs.gradcheck import check_gradients
    >>> @settings(max_examples=5)
    ... @given(library_cases("Tanh"))
    ... def test(case):
    ...     assert check_gradients(case.target, case.x).verdict != "wrong"
    >>> test()
    """
    dtype = draw(st.sampled_from(("float64", "float32")))
    return RECIPES[name].draw(HypothesisChooser(draw), dtype, backend)
