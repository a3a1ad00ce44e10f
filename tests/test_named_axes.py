"""Shapes by name: what fits is taken, and what does not is told by name, shape and dtype."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlfs.named_axes import check_arrays


def ones(*shape: int, dtype: str = "float64") -> np.ndarray:
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": ([1.0], "...")}, "f: x must be a NumPy array, got list"),
        (
            {"x": (np.ones(2, int), "...")},
            "f: x must be a float32 or float64 array, got int64",
        ),
        (
            {"x": (ones(2), "n"), "y": (ones(2, dtype="float32"), "n"), "z": (None, "n")},
            "f: all arrays must have the same dtype, got x float64, y float32",
        ),
        ({"x": (ones(2), "n features")}, "f: x must have 2 dimensions (n, features), got 1 (shape"),
        (
            {"x": (ones(2), "n features ...")},
            "f: x must have at least 2 dimensions (n, features), got shape (2,)",
        ),
        ({"x": (ones(3), "... n 1 2")}, "f: x must have at least 3 dimensions (n, 1, 2), got"),
        (
            {"W": (ones(3, 4), "n m"), "x": (ones(2, 4), "batch n")},
            "f: x must have shape (batch, 3), got (2, 4)",
        ),
        (
            {"x": (ones(2, 3, 4), "n features ..."), "b": (ones(1, 3), "1 features 1...")},
            "f: b must have shape (1, 3, 1), got (1, 3)",
        ),
        (
            {"x": (ones(2, 3, 4), "..."), "y": (ones(2, 3), "...")},
            "f: y must have shape (2, 3, 4), got (2, 3)",
        ),
        ({"x": (ones(2), ())}, "f: x must have shape (), got (2,)"),
        ({"x": (ones(2), (3,))}, "f: x must have shape (3,), got (2,)"),
        ({"x": (ones(2, 3), ("n", 4))}, "f: x must have shape (n, 4), got (2, 3)"),
        ({"x": (ones(2, 3), ("n", 4, 5))}, "f: x must have 3 dimensions (n, 4, 5), got 2"),
    ],
)
def test_what_does_not_fit_is_told(arrays: dict, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(words)}"):
        check_arrays("f", **arrays)


lengths = st.integers(0, 3)


@given(st.data(), lengths, lengths, st.lists(lengths, max_size=3))
def test_exactly_the_shapes_that_fit_are_taken(data, batch: int, features: int, more: list) -> None:
    x = ones(batch, features, *more)
    fitting = {
        "1 features 1...": (1, features, *(1 for _ in more)),
        "batch features ...": x.shape,
        "batch ... 1": (batch, *more, 1),
        "... features": (*more, features),
        "batch": (batch,),
    }
    axes = data.draw(st.sampled_from(sorted(fitting)))
    other = tuple(data.draw(st.lists(lengths, max_size=5)))
    shape = data.draw(st.sampled_from([fitting[axes], other]))

    def call() -> None:
        check_arrays("f", x=(x, "batch features ..."), y=(ones(*shape), axes))

    if shape == fitting[axes]:
        call()
    else:
        with pytest.raises(ValueError, match=r"^f: y must have .*got "):
            call()


def test_a_memmap_is_an_array(tmp_path) -> None:
    array = np.memmap(tmp_path / "x", np.float32, "w+", shape=(2, 3))
    check_arrays("f", x=(array, "batch features"))
