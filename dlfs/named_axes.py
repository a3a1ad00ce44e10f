"""Shapes by name: which arrays a kernel takes, declared in one call.

    check_arrays("dense", W=(W, "features neurons"), x=(x, "batch features"), b=(b, "1 neurons"))

demands float arrays of one dtype, in which axes of one name have one length. This runs at every
call of the reference, and a training repeats the same calls: shapes that fit are remembered.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

import numpy as np

from dlfs.checks import FLOAT_DTYPES, check_float_array
from dlfs.types import Array

Axes: TypeAlias = str | tuple[int | str, ...]
"""The axes of an array: names in a string, or names and lengths in a tuple."""

_FORMULA = re.compile(r"(?=.*[*+])(?:(\d+)\*)?(\w+)(?:\+(\d+))?")

MOST_FITTING = 4096
_fitting: set[tuple[Any, ...]] = set()
"""The types, dtypes, shapes and axes of arrays that fitted each other."""


def check_arrays(owner: str, /, **arrays: tuple[Array, Axes]) -> None:
    """Demand arrays of float32, or of float64, whose shapes fit each other.

    A name takes its length from the first array that has it. So the array that decides about the
    others, such as the weights, comes first, and the gradient of an output last. ``...`` stands for
    any further axes, the same in all arrays; ``1...`` for a 1 in the place of each. ``4*hidden``
    and ``hidden+1`` are computed from the axis ``hidden``, which must not be empty.

    Parameters
    ----------
    owner : str
        The function or class, for the error message.
    **arrays : (array, axes)
        Under the name of each argument, its value and its axes: ``"batch features ..."``, or a
        tuple of names and lengths, ``("batch", 3)``.

    Raises
    ------
    TypeError
        If an argument is not a NumPy array of float32 or float64, or the dtypes differ.
    ValueError
        If a shape does not fit.

    Examples
    --------
    >>> x, W = np.ones((2, 3)), np.ones((4, 5))
    >>> check_arrays("dense", W=(W, "features neurons"), x=(x, "batch features"))
    Traceback (most recent call last):
    ValueError: dense: x must have shape (batch, 4), got (2, 3)
    """
    try:
        shapes = tuple([(type(a), a.dtype, a.shape, axes) for a, axes in arrays.values()])
        if shapes in _fitting:
            return
    except AttributeError:
        shapes = ()  # not an array
    _check(owner, arrays)
    if len(_fitting) == MOST_FITTING:
        _fitting.clear()
    _fitting.add(shapes)


def _check(owner: str, arrays: Mapping[str, tuple[Array, Axes]]) -> None:
    lengths: dict[int | str, Any] = {"1": 1}
    dtype: Any = None
    for name, (array, axes) in arrays.items():
        if type(array) is not np.ndarray or array.dtype not in FLOAT_DTYPES:
            check_float_array(array, owner, name)
        if dtype is None:
            dtype = array.dtype
        elif array.dtype != dtype:
            _refuse_dtype(owner, name, arrays)
        names, place = _parsed(axes)
        shape: tuple[Any, ...] = array.shape
        if place is not None:
            # The further axes count as one, whose length is a tuple.
            end = array.ndim - len(names) + place + 1
            if end >= place:
                shape = (*shape[:place], shape[place:end], *shape[end:])
                lengths.setdefault("1...", (1,) * (end - place))
        if len(shape) != len(names):
            _refuse_shape(owner, name, array, names, lengths)
        known = dict(lengths)
        for axis, length in zip(names, shape, strict=True):
            if not _fits(axis, length, known):
                _refuse_shape(owner, name, array, names, lengths)
        lengths = known


def _fits(axis: int | str, length: Any, known: dict[int | str, Any]) -> bool:
    """Return whether an axis may have a length, and enter the length of a new name."""
    formula = _FORMULA.fullmatch(axis) if isinstance(axis, str) else None
    if formula is None:
        return bool(length == known.setdefault(axis, axis if isinstance(axis, int) else length))
    times, name, plus = int(formula[1] or 1), formula[2], int(formula[3] or 0)
    unit = known.setdefault(name, (length - plus) // times)
    return bool(unit >= 1 and length == times * unit + plus)


@lru_cache(maxsize=1024)
def _parsed(axes: Axes) -> tuple[tuple[int | str, ...], int | None]:
    """Return the names of the axes, and the place of the ``...`` among them."""
    names = tuple(axes.split()) if isinstance(axes, str) else axes
    places = [place for place, axis in enumerate(names) if axis in ("...", "1...")]
    return names, places[0] if places else None


def _refuse_dtype(owner: str, name: str, arrays: Mapping[str, tuple[Array, Axes]]) -> NoReturn:
    """Raise TypeError for the dtypes of all arrays up to ``name``."""
    names = list(arrays)[: list(arrays).index(name) + 1]
    got = ", ".join(f"{each} {arrays[each][0].dtype}" for each in names)
    raise TypeError(f"{owner}: all arrays must have the same dtype, got {got}")


def _refuse_shape(
    owner: str, name: str, array: Array, names: tuple[int | str, ...], lengths: Mapping[Any, Any]
) -> NoReturn:
    """Raise ValueError for a shape, given the lengths of the axes of the arrays before."""
    expected: list[int | str] = []
    for axis in names:
        length = lengths.get(axis, axis)
        formula = _FORMULA.fullmatch(axis) if isinstance(axis, str) else None
        if formula is not None:
            unit = lengths.get(formula[2])
            length = re.sub(r"([*+])", r" \1 ", formula[0])
            if unit is not None:
                length = int(formula[1] or 1) * unit + int(formula[3] or 0)
        expected += length if isinstance(length, tuple) else [length]
    known = all(isinstance(length, int) for length in expected)
    if "..." in expected and array.ndim < len(names) - 1:
        named = ", ".join(str(axis) for axis in names if axis != "...")
        what = f"at least {len(names) - 1} dimensions ({named}), got shape {array.shape}"
    elif known or len(expected) == array.ndim or "..." in expected:
        wanted = ", ".join(map(str, expected)) + ("," if len(expected) == 1 else "")
        what = f"shape ({wanted}), got {array.shape}"
    else:
        named = ", ".join(map(str, names))
        what = f"{len(names)} dimensions ({named}), got {array.ndim} (shape {array.shape})"
    raise ValueError(f"{owner}: {name} must have {what}")
