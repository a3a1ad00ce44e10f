"""What the tests of the compiled kernels share: arrays in every memory layout, and tolerances."""

import importlib

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np

DTYPES = st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)])


def twins(module):
    """The compiled module of this name and its reference."""
    fast = importlib.import_module(f"dlfs_ext.{module}")
    return fast, importlib.import_module(f"dlfs.reference.{module}")


def in_layout(array, layout):
    """The same numbers, lying differently in memory."""
    if layout == "fortran":
        array = np.asfortranarray(array)
    elif layout == "reversed":
        turn = (slice(None, None, -1),) * array.ndim
        array = np.ascontiguousarray(array[turn])[turn]
    elif layout == "strided":
        wide = np.full(tuple(2 * size for size in array.shape), np.nan, array.dtype)
        every_second = (slice(None, None, 2),) * array.ndim
        wide[every_second] = array
        array = wide[every_second]
    elif layout == "unaligned":
        raw = np.zeros(array.nbytes + 1, np.uint8)
        shifted = raw[1:].view(array.dtype).reshape(array.shape)
        shifted[...] = array
        array = shifted
    elif layout == "read-only":
        array = array.copy()
        array.flags.writeable = False
    return array


LAYOUTS = st.sampled_from(["plain", "fortran", "reversed", "strided", "unaligned", "read-only"])


@st.composite
def arrays(draw, shape, dtype, low=-4.0, high=4.0):
    """Numbers from a seeded generator (they shrink to a smaller shape, not to zeros)."""
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    array = generator.uniform(low, high, shape).astype(dtype)
    return in_layout(array, draw(LAYOUTS))


def shapes(min_dims=1, max_dims=4, min_side=0, max_side=9):
    return hnp.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )


def assert_close(fast, reference, terms, scale=1.0):
    """Equal within the rounding of sums of `terms` numbers no larger than `scale`.

    A sum of n numbers of size s is off by at most n * eps / 2 times n * s, in whatever order it is
    taken; here are two such sums. The 8 is for the few roundings before and after them.
    """
    if isinstance(reference, tuple):
        assert isinstance(fast, tuple)
        assert len(fast) == len(reference)
        for one, other in zip(fast, reference, strict=True):
            assert_close(one, other, terms, scale)
        return
    if isinstance(reference, float):
        assert isinstance(fast, float)
    else:
        assert fast.dtype == reference.dtype
        assert fast.shape == reference.shape
    eps = np.finfo(getattr(reference, "dtype", np.float64)).eps
    np.testing.assert_allclose(
        np.asarray(fast, np.float64),
        np.asarray(reference, np.float64),
        rtol=8 * eps,
        atol=(terms + 8) * eps * max(terms, 1) * scale,
    )
