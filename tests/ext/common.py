"""Shared by the tests of the compiled kernels: arrays in every memory layout, and tolerances.

Tolerances are bounds of the rounding error:

- `assert_ulps` for elementwise results: a number of units in the last place.
- `assert_linear` for sums of products: n terms, each rounded once and each partial sum once, are
  off by at most n eps / 2 times the sum of the terms' magnitudes, in whatever order they are
  added. The magnitudes are those of this very call: the reference computes their sum.
- `assert_within` for everything else, with a bound that the test computes.
"""

import ctypes
import importlib
import mmap
import os
from collections.abc import Iterator

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np

import dlfs_ext
from dlfs import reference
from dlfs_ext import fallback, threads  # type: ignore[attr-defined]

DTYPES = st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)])
wide = np.longdouble
"""Wider than float64 where the platform has such a type."""


def each_number_of_threads(*counts: int) -> Iterator[int]:
    """Set each number of threads in turn, which then share even the smallest work."""
    before, least = dlfs_ext.get_num_threads(), threads._least_share(1.0)
    try:
        for count in counts:
            dlfs_ext.set_num_threads(count)
            yield count
    finally:
        threads._least_share(least)
        dlfs_ext.set_num_threads(before)


def twins(module):
    """The compiled module with this name, and the reference."""
    return importlib.import_module(f"dlfs_ext.{module}"), reference


def in_layout(array, layout):
    """The same numbers in another memory layout."""
    if layout == "fortran":
        array = np.asfortranarray(array)
    elif layout == "reversed":
        turn = (slice(None, None, -1),) * array.ndim
        array = np.ascontiguousarray(array[turn])[turn]
    elif layout == "strided":
        spread = np.full(tuple(2 * size for size in array.shape), np.nan, array.dtype)
        every_second = (slice(None, None, 2),) * array.ndim
        spread[every_second] = array
        array = spread[every_second]
    elif layout == "unaligned":
        raw = np.zeros(array.nbytes + 1, np.uint8)
        shifted = raw[1:].view(array.dtype).reshape(array.shape)
        shifted[...] = array
        array = shifted
    elif layout == "read-only":
        array = array.copy()
        array.flags.writeable = False
    elif layout in ("first", "last"):
        array = beside_forbidden_memory(array, layout)
    return array


def beside_forbidden_memory(array, place):
    """A copy whose first or last byte is at the edge of memory: reading on ends the process."""
    if os.name != "posix" or not array.size:
        return array
    size = -(-array.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = np.frombuffer(mmap.mmap(-1, size + mmap.PAGESIZE), np.uint8)
    edge, start = (size, size - array.nbytes) if place == "last" else (0, mmap.PAGESIZE)
    address = ctypes.c_void_p(memory.ctypes.data + edge)
    assert ctypes.CDLL(None).mprotect(address, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


LAYOUTS = st.sampled_from(
    ["plain", "first", "last", "fortran", "reversed", "strided", "unaligned", "read-only"]
)


@st.composite
def arrays(draw, shape, dtype, low=-4.0, high=4.0, layouts=LAYOUTS, planted=(0.0, -0.0)):
    """Numbers from a seeded generator (they shrink to a smaller shape, not to zeros).

    Half of the arrays have some of the `planted` numbers among theirs.
    """
    seed = draw(st.integers(0, 2**16))
    generator = np.random.default_rng(seed)
    array = generator.uniform(low, high, shape).astype(dtype)
    if seed % 2 and planted:
        some = generator.random(shape) < 0.2
        array[some] = generator.choice(np.array(planted, dtype), int(some.sum()))
    return in_layout(array, draw(layouts))


def shapes(min_dims=1, max_dims=4, min_side=0, max_side=9):
    return hnp.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )


def assert_within(found, wanted, allowed):
    """Equal but for `allowed`, number by number; nan and infinity stand where they stand.

    `wanted` is in float64, or wider. What is allowed also covers numbers too small for the dtype:
    two units of its smallest.
    """
    dtype = found.dtype
    assert found.shape == np.shape(wanted)
    smallest = np.finfo(dtype).smallest_subnormal
    with np.errstate(all="ignore"):
        rounded = np.asarray(wanted).astype(dtype)
        same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
        error = np.abs(found.astype(wide) - wanted)
        good = same | (error <= np.asarray(allowed, wide) + 2 * wide(smallest))
        if not good.all():
            ratio = np.where(good, 0, error / (np.asarray(allowed, wide) + smallest))
            ratio = np.where(np.isnan(ratio), np.inf, ratio)
            worst = np.unravel_index(ratio.argmax(), ratio.shape)
            raise AssertionError(
                f"{(~good).sum()} of {good.size} numbers are off by more than rounding; the worst, "
                f"at {tuple(map(int, worst))}: {found[worst]!r} for {np.asarray(wanted)[worst]!r}, "
                f"{float(ratio[worst]):.3g} times what is allowed"
            )


def assert_ulps(found, wanted, units, size=None):
    """Off by at most `units` units in the last place of the wanted number, computed more exactly.

    `size`, where terms may cancel, is the sum of their magnitudes: its units count then.
    """
    size = np.abs(wanted) if size is None else size
    with np.errstate(all="ignore"):
        rounded = np.asarray(size).astype(found.dtype)
        unit = np.spacing(np.minimum(rounded, np.finfo(found.dtype).max))
        allowed = units * unit.astype(wide)
    assert_within(found, wanted, allowed)


def widened(value):
    """A float32 array as float64, exactly; everything else as it is."""
    floats = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(np.float64) if floats else value


def assert_linear(fast, reference, arguments, terms, **options):
    """Compare a kernel whose every result is a sum of up to `terms` products of its arguments.

    The reference computes it in float64. That may itself round as often as the kernel, so n terms
    may be off by n eps, not n eps / 2, of the sum of their magnitudes; and 2 eps for the roundings
    before and after.
    """
    found = fast(*arguments, **options)
    values = [widened(value) for value in arguments]
    sizes = [np.abs(v) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in values]
    wanted, size = reference(*values, **options), reference(*sizes, **options)
    dtype = next(v.dtype for v in arguments if isinstance(v, np.ndarray) and v.dtype.kind == "f")
    if not isinstance(found, tuple):
        found, wanted, size = (found,), (wanted,), (size,)
    assert len(found) == len(wanted)
    for one, other, bound in zip(found, wanted, size, strict=True):
        assert one.dtype == dtype
        assert_within(one, other, (terms + 2) * np.finfo(dtype).eps * bound)


def fallbacks(call):
    """What `call()` returns, and the kernels that left their work to the reference meanwhile."""
    before = fallback.counts.copy()
    result = call()
    return result, dict(fallback.counts - before)
