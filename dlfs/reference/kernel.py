"""The decorator of all kernels: it checks arguments, and makes NumPy behave as compiled loops do.

Compiled loops overflow and underflow without a warning, whatever ``np.seterr`` says, and return an
array of no dimensions where NumPy's functions return a scalar.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from dlfs.checks import check_input_shape, check_real
from dlfs.named_axes import check_arrays

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[str, Callable[..., Any]] = {}
"""All kernels by name, in the order of their modules: the one list of them."""


def kernel(**declared: str | int | dict[str, Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Enter a function in ``KERNELS``, with checked arguments and without NumPy's warnings.

    Parameters
    ----------
    **declared : str, int or dict
        The axes of each float array, as ``check_arrays`` takes them, in the order of the checks: an
        array that does not fit those before it is named in the error. The length of each argument
        that is a shape: the function receives a tuple of integers. And the range of each number,
        for ``check_real``: the function receives the number as a float.
    """
    axes = {key: value for key, value in declared.items() if isinstance(value, str)}
    lengths = {key: value for key, value in declared.items() if isinstance(value, int)}
    ranges = {key: value for key, value in declared.items() if isinstance(value, dict)}

    needed = axes.keys() | lengths.keys()

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name, parameters = function.__name__, list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            given: Any = dict(zip(parameters, args, strict=False)) | kwargs
            if len(given) < len(args) + len(kwargs) or not needed <= given.keys():
                function(*args, **kwargs)  # Python says which argument is missing or too much
            if axes:
                check_arrays(name, **{key: (given[key], axes[key]) for key in axes})
            for key, length in lengths.items():
                given[key] = check_input_shape(given[key], name, length, key)
            for key in ranges:
                if key in given:
                    given[key] = check_real(given[key], name, key, **ranges[key])
            with np.errstate(all="ignore"):
                result: Any = function(**given)  # type: ignore[call-arg]
            if type(result) is tuple:
                result = tuple(np.asarray(r) if isinstance(r, np.generic) else r for r in result)
            elif isinstance(result, np.generic):
                result = np.asarray(result)
            return result

        KERNELS[name] = checked
        return checked

    return decorate
