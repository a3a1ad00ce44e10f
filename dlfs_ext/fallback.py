"""Where a kernel leaves its work to the reference, and how often it did.

A kernel takes what is usual. For the rest (a parameter that is a view, a loss that is not finite)
it calls the reference, which says what is wrong or does the work. The result is right either way,
only slower; so a test that compares the two backends must know which of them it has seen.
"""

from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

counts: Counter[str] = Counter()
"""How often each kernel left its work to the reference, by its name."""

forbidden = False
"""Whether a kernel that does so raises; for tests."""


def take_over(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what the reference's ``function`` returns, and count it, unless it raises an error.

    If ``forbidden`` is set, a call that it does not refuse raises a RuntimeError.
    """
    result = function(*args, **kwargs)
    counts[function.__name__] += 1
    if forbidden:
        raise RuntimeError(f"{function.__name__} left its work to the reference")
    return result
