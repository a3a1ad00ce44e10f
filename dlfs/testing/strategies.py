"""Strategies, named by the shape of their arrays: N batch, C channels, H height, W width.

T is time (or length), F features. Sizes start at 1 and shrink to 1. Numbers have three digits, so
that a failing case is easy to read and copy.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dlfs.gradcheck.cases.images import image_size, windows
from dlfs.gradcheck.cases.sketch import Sketch
from dlfs.testing.chooser import HypothesisChooser
from dlfs.types import Array

Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def arrays_NF(draw: Draw, dtype: str = "float64", most: int = 5) -> Array:
    """Draw rows of features, (batch, features).

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(arrays_NF())
    ... def test(x):
    ...     assert x.ndim == 2
    >>> test()
    """
    return _normal(draw, (_batch(draw), _size(draw, most)), dtype)


@st.composite
def arrays_NTF(draw: Draw, dtype: str = "float64", most: int = 4) -> Array:
    """Draw sequences, (batch, time, features).

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(arrays_NTF())
    ... def test(x):
    ...     assert x.ndim == 3
    >>> test()
    """
    return _normal(draw, (_batch(draw), _size(draw, most), _size(draw, most)), dtype)


@st.composite
def arrays_NCT(draw: Draw, dtype: str = "float64", most: int = 5) -> Array:
    """Draw signals, (batch, channels, time).

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(arrays_NCT())
    ... def test(x):
    ...     assert x.ndim == 3
    >>> test()
    """
    return _normal(draw, (_batch(draw), _size(draw, 3), _size(draw, most)), dtype)


@st.composite
def arrays_NCHW(draw: Draw, dtype: str = "float64", most: int = 5) -> Array:
    """Draw images, (batch, channels, height, width); height and width often differ.

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(arrays_NCHW(dtype="float32"))
    ... def test(x):
    ...     assert x.ndim == 4 and x.dtype == "float32"
    >>> test()
    """
    shape = (_batch(draw), _size(draw, 3), _size(draw, most), _size(draw, most))
    return _normal(draw, shape, dtype)


@st.composite
def labels_N(draw: Draw, batch: int, classes: int) -> Array:
    """Draw integer labels, (batch,).

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(labels_N(batch=4, classes=3))
    ... def test(y):
    ...     assert y.shape == (4,) and y.max() < 3
    >>> test()
    """
    return _rng(draw).integers(0, classes, batch)


@st.composite
def layouts(draw: Draw, arrays: st.SearchStrategy[Array]) -> Array:
    """Draw the same arrays in one of several memory layouts: strided, reversed, read-only, ...

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(layouts(arrays_NF()))
    ... def test(x):
    ...     assert x.ndim == 2  # x.flags and x.strides differ from case to case
    >>> test()
    """
    sketch = Sketch(HypothesisChooser(draw), "float64", "reference")
    sketch.arrays["x"] = draw(arrays)
    sketch.any_layout("x")
    return sketch.arrays["x"]


@st.composite
def dense_cases(draw: Draw, dtype: str = "float64") -> dict[str, Any]:
    """Draw ``x`` (batch, in_features) and weights ``W`` (in_features, out_features).

    Examples
    --------
    >>> from hypothesis import given
    >>> @given(dense_cases())
    ... def test(case):
    ...     assert case["x"].shape[1] == case["W"].shape[0]
    >>> test()
    """
    batch, features, neurons = _batch(draw), _size(draw, 4), _size(draw, 4)
    return {
        "x": _normal(draw, (batch, features), dtype),
        "W": _normal(draw, (features, neurons), dtype),
    }


@st.composite
def conv2d_cases(draw: Draw, dtype: str = "float64") -> dict[str, Any]:
    """Draw images ``x``, kernels ``W``, and matching stride, padding, dilation and groups.

    Examples
    --------
    >>> from hypothesis import given
    >>> from dlfs import reference
    >>> @given(conv2d_cases())
    ... def test(case):
    ...     output = reference.conv2d(**case)
    ...     assert len(output) == len(case["x"])
    >>> test()
    """
    sketch = Sketch(HypothesisChooser(draw), dtype, "reference")
    kernel = sketch.sizes(2, 1, 3)
    options = windows(sketch, 2)
    groups = sketch.choose.choice((1, 1, 2))
    channels_in, channels_out = sketch.sizes(2, 1, 2)
    size = image_size(sketch, kernel, options)
    return {
        "x": _normal(draw, (_batch(draw), channels_in * groups, *size), dtype),
        "W": _normal(draw, (channels_in, channels_out * groups, *kernel), dtype),
        **options,
        "groups": groups,
    }


def _batch(draw: Draw) -> int:
    return int(draw(st.integers(1, 3)))


def _size(draw: Draw, most: int) -> int:
    return int(draw(st.integers(1, most)))


def _rng(draw: Draw) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 999)))


def _normal(draw: Draw, shape: tuple[int, ...], dtype: str) -> Array:
    return _rng(draw).standard_normal(shape).round(3).astype(dtype)
