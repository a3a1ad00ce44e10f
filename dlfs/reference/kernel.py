"""The decorator of all kernels: it checks shapes, and makes NumPy behave as compiled loops do.

Compiled loops overflow and underflow without a warning, whatever ``np.seterr`` says, and return an
array of no dimensions where NumPy's functions return a scalar.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from dlfs.named_axes import check_arrays

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[str, Callable[..., Any]] = {}
"""All kernels by name, in the order of their modules: the one list of them."""


def kernel(**axes: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Enter a function in ``KERNELS``, with checked arrays and without NumPy's warnings.

    Parameters
    ----------
    **axes : str
        The axes of each float array, as ``check_arrays`` takes them, in the order of the checks: an
        array that does not fit those before it is named in the error.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name, parameters = function.__name__, list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            given: dict[str, Any] = dict(zip(parameters, args, strict=False)) | kwargs
            if axes and axes.keys() <= given.keys():  # else Python names what is missing
                check_arrays(name, **{key: (given[key], axes[key]) for key in axes})
            with np.errstate(all="ignore"):
                result: Any = function(*args, **kwargs)
            if type(result) is tuple:
                result = tuple(np.asarray(r) if isinstance(r, np.generic) else r for r in result)
            elif isinstance(result, np.generic):
                result = np.asarray(result)
            return result

        KERNELS[name] = checked
        return checked

    return decorate
