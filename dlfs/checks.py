"""Checks of arguments.

Every check raises ValueError (the value is wrong) or TypeError (the type is wrong). The message
names the function or class (``owner``) and the argument (``name``), and says what the argument must
be and what it was. Both backends and everything above them use these functions, so one mistake has
one message everywhere.
"""

import functools
import inspect
import math
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from dlfs.types import Array, Shape

T = TypeVar("T")

MOST_SHOWN = 80
"""The most characters of a value that an error message shows."""

FLOAT_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))

LARGEST_ARRAY = 2**56
"""The most numbers that a shape may describe; in bytes, still far from overflowing 64 bits."""

REAL: dict[str, Any] = {}
POSITIVE: dict[str, Any] = {"low": 0.0, "low_open": True}
NOT_NEGATIVE: dict[str, Any] = {"low": 0.0}
FRACTION: dict[str, Any] = {"low": 0.0, "high": 1.0, "high_open": True}
"""Ranges of numbers, as ``check_real`` takes them; the 1 does not belong to FRACTION."""

_ARRAYS = (np.ndarray, np.generic)

_AT_A_TIME = 1 << 20
"""The size of the parts in which ``check_finite`` reads an array."""


def shortened(text: str, most: int = MOST_SHOWN) -> str:
    """Return a text, or its beginning and "..." where it is longer than ``most`` characters.

    Examples
    --------
    >>> shortened("a very long text", 9)
    'a very...'
    """
    return text if len(text) <= most else f"{text[: most - 3]}..."


def shown(value: object, most: int = MOST_SHOWN) -> str:
    """Return the repr of a value for an error message, shortened: values come from files, too.

    Examples
    --------
    >>> shown("text"), len(shown("text" * 1000))
    ("'text'", 80)
    """
    try:
        return shortened(repr(value), most)
    except (ValueError, RecursionError):  # an integer of more digits than Python writes
        return f"a value of type {type(value).__name__}"


def printable(text: str) -> str:
    r"""Return a text on one line, with control characters escaped: it may come from a file.

    Examples
    --------
    >>> print(printable("red: \x1b[31m"))
    red: \x1b[31m
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def retold(words: Mapping[str, str], note: str = "") -> Iterator[None]:
    """Within the block, rewrite a ValueError or TypeError in terms of what the user passed.

    Parameters
    ----------
    words : mapping
        Replacements in the message, such as the shape of the data for the shape of one row.
    note : str, default ""
        Appended to a message in which nothing was replaced.

    Examples
    --------
    >>> with retold({"(1, 3)": "(50, 3)"}):
    ...     raise ValueError("got shape (1, 3)")
    Traceback (most recent call last):
    ValueError: got shape (50, 3)
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        told = str(error)
        for word, other in words.items():
            told = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", other.replace("\\", r"\\"), told)
        if told == str(error):
            told += note
        if told == str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(told) from error


def check_float_array(array: object, owner: str, name: str, ndim: int | None = None) -> None:
    """Demand a NumPy array of float32 or float64, with ``ndim`` axes if that is given.

    Subclasses of ndarray are refused, because their operators may mean something else (``*`` of
    np.matrix) and their masks would be lost. A memmap is an ordinary array in a file.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{owner}: {name} must be a NumPy array, got {type(array).__name__}")
    if type(array) is not np.ndarray and type(array) is not np.memmap:
        plain_array(array, owner, name)
        raise TypeError(
            f"{owner}: {name} must be a plain NumPy array, got {type(array).__name__}; "
            f"np.asarray({name}) makes it one"
        )
    if array.dtype not in FLOAT_DTYPES:
        raise TypeError(f"{owner}: {name} must be a float32 or float64 array, got {array.dtype}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(
            f"{owner}: {name} must have {ndim} dimensions, got {array.ndim} (shape {array.shape})"
        )


def check_float_dtype(dtype: Any, owner: str) -> "np.dtype[Any]":
    """Return float32 or float64, given under any of its names, as a dtype; refuse others."""
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"{owner}: dtype must be float32 or float64, got {dtype!r}") from error
    # NumPy takes None for float64.
    if dtype is None or found not in FLOAT_DTYPES:
        got = found if dtype is not None else None
        raise TypeError(f"{owner}: dtype must be float32 or float64, got {got}")
    return found


def check_kind(array: object, kinds: str, what: str, owner: str, name: str) -> None:
    """Demand an array whose dtype is of one of NumPy's kinds, such as "iu" for integers."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        got = getattr(array, "dtype", type(array).__name__)
        raise TypeError(f"{owner}: {name} must be {what}, got {got}")


def check_same_dtype(owner: str, **arrays: Array) -> None:
    """Demand one dtype for all ``arrays``."""
    if len({array.dtype for array in arrays.values()}) > 1:
        got = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{owner}: all arrays must have the same dtype, got {got}")


def check_shape(array: Array, shape: Shape, owner: str, name: str) -> None:
    """Demand exactly ``shape``."""
    if array.shape != tuple(shape):
        raise ValueError(f"{owner}: {name} must have shape {tuple(shape)}, got {array.shape}")


def checked_output_grad(thing: Any, output_grad: Array) -> Array:
    """Return a gradient that suits the last output of an Operation or layer, as a plain array."""
    output = getattr(thing, "output", None)
    known = type(output_grad) is np.ndarray and output_grad.dtype in FLOAT_DTYPES
    if known and output is not None and output_grad.shape == output.shape:
        return output_grad
    name = type(thing).__name__
    if output is None:
        raise RuntimeError(f"{name}: backward was called before forward")
    plain = plain_float_array(output_grad, name, "output_grad")
    if plain.shape != output.shape:
        raise ValueError(
            f"{name}: output_grad must have the shape of the output, {output.shape}, "
            f"got {plain.shape}"
        )
    return plain


@functools.cache
def takes(function: Callable[..., Any], argument: str) -> bool:
    """Return whether a function has an argument of this name."""
    return argument in inspect.signature(function).parameters


def check_returned(array: object, owner: str, method: str) -> None:
    """Demand that a method which a subclass writes returns an array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{owner}: {method} must return an array, got {type(array).__name__}{_hint(array)}"
        )


def check_same_shape(grad: object, array: Array, owner: str, grad_name: str, name: str) -> None:
    """Demand that a gradient which a subclass computes has the shape of what it belongs to."""
    shape = grad.shape if isinstance(grad, _ARRAYS) else None
    if shape != array.shape:
        got = type(grad).__name__ if shape is None else shape
        raise ValueError(
            f"{owner}: {grad_name} must have the shape of {name}, {array.shape}, "
            f"got {got}{_hint(grad)}"
        )


def _hint(returned: object) -> str:
    return ": is a return missing?" if returned is None else ""


def check_int(
    value: object,
    owner: str,
    name: str,
    minimum: int | None = None,
    maximum: int | None = None,
) -> int:
    """Demand a whole number from ``minimum`` to ``maximum``, and return it as an int.

    NumPy integers count as whole numbers; booleans and floats do not.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{owner}: {name} must be an integer, got {shown(value)}")
    number = int(value)
    if minimum is not None and number < minimum:
        raise ValueError(f"{owner}: {name} must be at least {minimum}, got {shown(number)}")
    if maximum is not None and number > maximum:
        raise ValueError(f"{owner}: {name} must be at most {maximum}, got {shown(number)}")
    return number


def check_real(
    value: object,
    owner: str,
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """Demand a finite number between ``low`` and ``high``, and return it as a float."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{owner}: {name} must be a number, got {shown(value)}")
    number = float(value)
    too_low = number <= low if low_open else number < low
    too_high = number >= high if high_open else number > high
    if not math.isfinite(number) or too_low or too_high:
        opening = "(" if low_open or low == -math.inf else "["
        closing = ")" if high_open or high == math.inf else "]"
        raise ValueError(
            f"{owner}: {name} must be a finite number in {opening}{low:g}, {high:g}{closing}, "
            f"got {shown(number)}"
        )
    return number


def optional(check: Callable[..., T], value: object, *details: Any, **limits: Any) -> T | None:
    """Return None where a value is None, else what ``check(value, *details, **limits)`` returns.

    Examples
    --------
    >>> optional(check_int, None, "Dense", "neurons", 1)
    >>> optional(check_int, 13, "Dense", "neurons", 1)
    13
    """
    return None if value is None else check(value, *details, **limits)


def check_range(values: Array, highest: int, owner: str, name: str) -> None:
    """Demand numbers from 0 to ``highest`` in an array."""
    if values.size and not 0 <= values.min() <= values.max() <= highest:
        raise ValueError(
            f"{owner}: {name} must lie in 0..{highest}, got {values.min()}..{values.max()}"
        )


def check_probabilities(target: Array, owner: str, slack: float, axis: int = -1) -> None:
    """Demand rows of probabilities, along ``axis``, whose sums miss 1 by at most ``slack``."""
    sums = target.sum(axis=axis, dtype=np.float64)
    if target.size and not (target.min() >= 0 and np.all(np.abs(sums - 1) <= slack)):
        raise ValueError(
            f"{owner}: each row of target must hold probabilities that sum to 1 (one-hot rows, "
            f"for example), got values {target.min()}..{target.max()} "
            f"and sums {sums.min()}..{sums.max()}"
        )


def check_flag(value: object, owner: str, name: str) -> bool:
    """Demand True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{owner}: {name} must be True or False, got {shown(value)}")
    return bool(value)


def check_choice(value: T, choices: Iterable[Any], owner: str, name: str) -> T:
    """Demand one of ``choices``, and return it."""
    options = list(choices)
    # compared only with its like: an array would answer with an array
    if not any(value is o or (isinstance(value, type(o)) and value == o) for o in options):
        listed = ", ".join(repr(option) for option in options)
        raise ValueError(f"{owner}: {name} must be one of {listed}; got {shown(value)}")
    return value


def check_instance(value: object, kind: type[T], owner: str, name: str) -> T:
    """Demand an instance of ``kind``, and return it; say so when the class itself was passed."""
    if isinstance(value, type) and issubclass(value, kind):
        raise TypeError(
            f"{owner}: {name} must be an instance, got the class itself; "
            f"write {value.__name__}() with its parentheses"
        )
    if not isinstance(value, kind):
        wanted = f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"
        raise TypeError(f"{owner}: {name} must be {wanted}, got {type(value).__name__}")
    return value


def check_layer_input(input_: object, owner: str) -> Array:
    """Demand an array, and return it as a plain one."""
    return check_instance(plain_array(input_, owner, "input_"), np.ndarray, owner, "the input")


def check_input_shape(
    shape: Sequence[int], owner: str, ndim: int | None = None, name: str = "input_shape"
) -> Shape:
    """Demand a tuple of sizes, none of them negative, and return it as a tuple of ints."""
    if isinstance(shape, str | bytes) or not isinstance(shape, Sequence):
        raise TypeError(f"{owner}: {name} must be a tuple of integers, got {shown(shape)}")
    sizes = tuple(shape)
    if set(map(type, sizes)) != {int} or min(sizes) < 0:
        sizes = tuple(check_int(size, owner, name, minimum=0) for size in shape)
    if ndim is not None and len(sizes) != ndim:
        raise ValueError(f"{owner}: {name} must have {ndim} entries, got {sizes}")
    # Without the zeros, because sizes are multiplied in any order.
    if math.prod(filter(None, sizes)) > LARGEST_ARRAY:
        raise ValueError(f"{owner}: {name} must describe at most {LARGEST_ARRAY} numbers")
    return sizes


def plain_array(values: Any, owner: str, name: str) -> Any:
    """Return an array of a subclass as a plain one, a view; return other values unchanged.

    np.matrix would bring its own ``*``, and a memmap its class into every result. A masked array
    is refused if anything in it is masked: the values below the mask would be used.
    """
    if type(values) is np.ndarray or not isinstance(values, np.ndarray):
        return values
    _check_mask(values, owner, name)
    return np.asarray(values)


def plain_float_array(values: Any, owner: str, name: str) -> Array:
    """Demand an array of float32 or float64, and return it as a plain one."""
    plain: Array = plain_array(values, owner, name)
    check_float_array(plain, owner, name)
    return plain


def as_array(values: object, owner: str, name: str) -> Array:
    """Return ``values`` as a plain array of any dtype: a view where they are an array already."""
    if isinstance(values, np.ndarray):
        return plain_array(values, owner, name)
    if hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
        try:
            return np.from_dlpack(values)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise TypeError(f"{owner}: {name} cannot be read through DLPack: {error}") from error
    # np.asarray would drop the masks of rows and entries, too.
    rows = values if isinstance(values, list | tuple) else ()
    for row in rows:
        for entry in (row, *row) if isinstance(row, list | tuple) else (row,):
            _check_mask(entry, owner, name)
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{owner}: {name} is not a rectangular array: {error}") from error


def _check_mask(values: object, owner: str, name: str) -> None:
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{owner}: {name} must have no masked entries, because the values below the mask would "
            f"be used; replace them with {name}.filled(value), or leave their rows out"
        )


def as_number_array(values: object, owner: str, name: str) -> Array:
    """Return ``values`` as a plain array of real numbers, and keep integers integers."""
    array = as_array(values, owner, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{owner}: {name} must be an array of real numbers, got {array.dtype}")
    return array


def as_float_array(values: object, owner: str, name: str, dtype: Any = None) -> Array:
    """Return ``values`` as a floating array; what is not numeric raises TypeError.

    Integers and booleans become float64 (or ``dtype``). An array that already has the right dtype
    is returned as it is, without a copy.
    """
    if dtype is not None and type(values) is np.ndarray and values.dtype == dtype:
        return values
    array = as_number_array(values, owner, name)
    if dtype is None:
        dtype = array.dtype if array.dtype in FLOAT_DTYPES else np.float64
    return array.astype(dtype, copy=False)


def check_finite(array: Array, owner: str, name: str) -> None:
    """Refuse NaN and infinity, and say where the first one is."""
    if array.dtype.kind != "f":
        return
    # Part by part: of an array in a file, no more than a part is in memory.
    rows = max(1, _AT_A_TIME // max(1, math.prod(array.shape[1:])))
    parts = (array[i : i + rows] for i in range(0, len(array), rows)) if array.ndim else (array,)
    if all(np.isfinite(part).all() for part in parts):
        return
    bad = ~np.isfinite(array)
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    raise ValueError(
        f"{owner}: {name} must be finite, got {array[where]} at index {where} "
        f"({int(bad.sum())} such values)"
    )
