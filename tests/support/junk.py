"""Values that a user might pass by mistake, sorted by the expected kind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

NAN, INF = float("nan"), float("inf")


class Thing:
    """An object that no function of the library accepts."""

    def __repr__(self) -> str:
        return "Thing()"


NEVER = [None, "text", b"bytes", {}, Thing(), Thing]
"""Wrong for every argument, except those that may be None or a word."""

NOT_ARRAYS = [*NEVER, 1.0, True, [1.0], [[1.0]], (), range(3), np.float64(1.0)]
NOT_NUMBERS = [*NEVER, "1", True, np.True_, 1j, [1], (1,), np.array([1]), np.array(1), Decimal(1)]
NOT_INTEGERS = [*NOT_NUMBERS, 1.5, 1.0, NAN, INF, np.float64(1)]
NOT_FLAGS = [*NEVER, 0, 1, 1.0, "True", [], [True], np.array([True])]
NOT_SHAPES = [*NEVER, "12", 3, 1.5, (1.5,), (None,), ("1",), (-1,), ((1,),), {1: 2}]
WRONG_DTYPES = ["int64", "uint8", "bool", "float16", "complex128", "object", "str", ">f8", "<M8[s]"]


@dataclass(frozen=True)
class Wanted:
    """What an argument must be.

    ``bad`` returns invalid values, given a valid one. An error must contain one of the words
    ``names``, besides the name of the argument.
    """

    bad: Callable[[Any], list[Any]]
    names: tuple[str, ...] = field(default=())


def array(
    *names: str, ndim: bool = False, dtypes: list[str] = WRONG_DTYPES, optional: bool = False
) -> Wanted:
    """A NumPy array of float32 or float64; with ``ndim``, with as many axes as the valid one."""

    def bad(valid: np.ndarray) -> list[Any]:
        with np.errstate(all="ignore"):
            others = [np.abs(valid).astype(dtype) for dtype in dtypes]
        if np.dtype(np.longdouble) != np.float64:
            others.append(valid.astype(np.longdouble))
        if ndim:
            others += [valid[None], valid[0], np.array(1.0, dtype=valid.dtype)]
        wrong = [*NOT_ARRAYS, list(valid), *others]
        return [value for value in wrong if not (optional and value is None)]

    return Wanted(bad, names)


def real(
    low: float = -INF, high: float = INF, low_open: bool = False, high_open: bool = False
) -> Wanted:
    outside = [NAN, INF, -INF, np.float64(NAN), np.float32(INF)]
    if low > -INF:
        outside += [low - 0.5, -1e300, *([low, -0.0] if low_open else [])]
    if high < INF:
        outside += [high + 0.5, 1e300, *([high] if high_open else [])]
    return Wanted(lambda _: [*NOT_NUMBERS, *outside])


def integer(minimum: int | None = None, *names: str, optional: bool = False) -> Wanted:
    outside = [] if minimum is None else [minimum - 1, -(10**30), np.int64(minimum - 1)]
    values = [*NOT_INTEGERS, *outside]
    return Wanted(lambda _: [value for value in values if not (optional and value is None)], names)


def pair(minimum: int, *names: str, optional: bool = False) -> Wanted:
    """One number for both axes, or two."""
    less = minimum - 1
    near = [1.5, 1.0, NAN, "1", True, 1j, less, (1, less), [less, 1], np.array([1, 1]), np.array(1)]
    near += [(), (1,), (1, 2, 3), (1, "2"), (1, 1.5), (None, 1), ((1, 1), 1), (True, 1), (1, NAN)]
    values = [*NEVER, *near]
    return Wanted(lambda _: [value for value in values if not (optional and value is None)], names)


def padding(ndim: int = 2) -> Wanted:
    near: list[Any] = [1.5, NAN, True, -1, (1, -1), (1, 2, 3), (), (1,), ("same", "same"), "SAME"]
    near += [np.array([1, 1]), [[1, 2, 3], 1], ((1, 1), (1, 1), (1, 1)), (1, None), (1, 1.5)]
    if ndim == 1:
        near.append(((1, 1), (1, 1)))
    return Wanted(lambda _: [*NEVER, *near])


def flag() -> Wanted:
    return Wanted(lambda _: NOT_FLAGS)


def choice(*, optional: bool = False) -> Wanted:
    values = [*NEVER, "", "Linear ", 3, 1.5, [], ["linear"], np.array(["linear", "tanh"])]
    return Wanted(lambda _: [v for v in values if not (optional and v is None)])


def weight_init() -> Wanted:
    """A word or a callable (also a class); None is the default."""
    return Wanted(lambda _: ["text", "Glorot", b"he", 1.0, {}, [], np.array(["he", "he"])])


def shape(length: int | None = None, *names: str) -> Wanted:
    wrong = [] if length is None else [(2,) * (length - 1), (2,) * (length + 1), ()]
    return Wanted(lambda _: [*NOT_SHAPES, np.array([1, 2]), *wrong], names)


def instance(*names: str, optional: bool = False) -> Wanted:
    """An object of one of the library's own classes."""
    values = [*NEVER, 1, [], np.ones(3)]
    return Wanted(lambda _: [v for v in values if not (optional and v is None)], names)


def dtype() -> Wanted:
    names = ["float16", "int64", "complex128", "nonsense", object, "object", 3, None, [], Thing()]
    return Wanted(lambda _: names)


def numbers(*names: str) -> Wanted:
    """Anything that NumPy converts to an array of real numbers."""
    values = ["text", None, Thing(), {}, [1, "a"], [[1.0], [1.0, 2.0]], 1j, np.array(["a"]), [None]]
    return Wanted(lambda _: [*values, np.array([1, None]), np.array([1j])], names)
