"""What the contract of the kernels asks of NumPy: no floating-point warnings, and always arrays.

A kernel means the same in every backend. Compiled loops overflow and underflow without a word,
whatever ``np.seterr`` says, and return an array of no dimensions where NumPy's functions return a
scalar. The package applies `quiet` to all its kernels, so none of them has to think of it.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def quiet(function: Callable[P, R]) -> Callable[P, R]:
    """Return ``function`` deaf to ``np.seterr``, and with arrays for NumPy's scalars."""

    @functools.wraps(function)
    def kernel(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(all="ignore"):
            result: Any = _as_arrays(function(*args, **kwargs))
        return result  # type: ignore[no-any-return]

    return kernel


def _as_arrays(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple(_as_arrays(part) for part in result)
    return np.asarray(result) if isinstance(result, np.generic) else result
