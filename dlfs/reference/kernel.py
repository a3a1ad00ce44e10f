"""The decorator of all kernels: it keeps the part of the contract that NumPy alone would break.

Compiled loops overflow and underflow in silence, whatever ``np.seterr`` says, and return an array
of no dimensions where NumPy's functions return a scalar. So do the functions decorated here.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[str, Callable[..., Any]] = {}
"""All kernels by name, in the order of their modules: the one list of them."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Enter a function in ``KERNELS``, without NumPy's warnings and scalars."""

    @functools.wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(all="ignore"):
            result: Any = function(*args, **kwargs)
        if type(result) is tuple:
            result = tuple(np.asarray(r) if isinstance(r, np.generic) else r for r in result)
        elif isinstance(result, np.generic):
            result = np.asarray(result)
        return result  # type: ignore[no-any-return]

    KERNELS[function.__name__] = quiet
    return quiet
