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
    """Return what the reference's ``function`` returns, and count it.

    A call that the reference refuses, because an argument is wrong, is not counted.

    Parameters
    ----------
    function : callable
        The kernel's namesake in ``dlfs.reference``.

    Raises
    ------
    RuntimeError
        If ``forbidden`` is set.

    Examples
    --------
    >>> import numpy as np
    >>> import dlfs_ext
    >>> from dlfs_ext import fallback
    >>> before = fallback.counts["sgd_update"]
    >>> params = np.ones(6)
    >>> dlfs_ext.sgd_update(params[::2], np.ones(3), lr=0.5)
    >>> params, fallback.counts["sgd_update"] - before
    (array([0.5, 1. , 0.5, 1. , 0.5, 1. ]), 1)
    """
    result = function(*args, **kwargs)
    counts[function.__name__] += 1
    if forbidden:
        raise RuntimeError(f"{function.__name__} left its work to the reference")
    return result
