"""Arrays of every dtype and memory layout, and a call that checks that they do not change."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
LAYOUTS = ("C", "Fortran", "strided", "reversed", "transposed", "read-only")

dtypes = st.sampled_from(DTYPES)
layouts = st.sampled_from(LAYOUTS)
seeds = st.integers(0, 2**32 - 1)


def arranged(array: np.ndarray, layout: str) -> np.ndarray:
    """Return the same numbers in another memory layout."""
    if not array.ndim:
        return np.array(array)
    if layout == "Fortran":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.zeros(tuple(2 * size for size in array.shape), dtype=array.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if layout == "reversed":
        backwards = tuple(slice(None, None, -1) for _ in array.shape)
        return np.ascontiguousarray(array[backwards])[backwards]
    if layout == "transposed":
        axes = (*range(1, array.ndim), 0)
        return np.ascontiguousarray(array.transpose(axes)).transpose(np.argsort(axes))
    result = np.array(array, order="C")
    if layout == "read-only":
        result.flags.writeable = False
    return result


def drawn(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, layout: str = "C"
) -> np.ndarray:
    """Return standard normal numbers of a dtype in a layout."""
    return arranged(np.asarray(rng.standard_normal(shape)).astype(dtype), layout)


def watched(kernel: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a kernel, and check that its inputs do not change and that it keeps their dtype."""
    arrays = [arg for arg in args if isinstance(arg, np.ndarray)]
    before = [array.copy() for array in arrays]
    result = kernel(*args, **options)
    for array, kept in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, kept, err_msg=f"{kernel.__name__} wrote into an input")
    floating = [array.dtype for array in arrays if array.dtype.kind == "f"]
    for output in result if isinstance(result, tuple) else (result,):
        if isinstance(output, np.ndarray) and output.dtype.kind == "f":
            assert output.dtype == floating[0], f"{kernel.__name__} changed the dtype"
    return result


def assert_within(
    actual: np.ndarray, expected: np.ndarray, bound: np.ndarray | float, what: str = ""
) -> None:
    """Check ``|actual - expected| <= bound``, entry by entry, and equal shapes."""
    assert actual.shape == np.shape(expected), f"{what}: {actual.shape} != {np.shape(expected)}"
    error = np.abs(np.asarray(actual, dtype=np.float64) - expected)
    # not <=, so that NaN fails
    wrong = ~(error <= bound)
    if np.any(wrong):
        at = tuple(np.argwhere(wrong)[0])
        limit = np.broadcast_to(bound, error.shape)[at]
        raise AssertionError(
            f"{what}: {actual[at]!r} instead of {expected[at]!r} at {at}, "
            f"error {error[at]:.3g} > {limit:.3g}"
        )


def sum_bound(terms: int, magnitude: np.ndarray | float, dtype: Any) -> np.ndarray | float:
    """Bound the error of a sum of ``terms`` products, added in any order.

    Each product meets at most ``terms`` roundings on its way into the sum, of eps/2 each;
    ``magnitude`` is the sum of the absolute values. The expected value, summed in float64, is off
    by as much or less: hence eps and not eps/2. The 1 makes room for the second order. Near 0 a
    rounding costs no less than the smallest number there is.
    """
    info = np.finfo(dtype)
    return (terms + 1) * (float(info.eps) * magnitude + float(info.smallest_subnormal))
