"""Fingerprints: equal for equal data however they are stored, different for other data."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dlfs.train.fingerprint import fingerprint

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)
DTYPES = st.sampled_from(["float32", "float64", "int64", "uint8"])


@given(st.data(), SHAPES, DTYPES)
def test_every_number_of_a_small_array_counts(data, shape, dtype):
    array = data.draw(arrays.arrays(dtype, shape))
    found = fingerprint(array)
    assert found == fingerprint(array.copy()) == fingerprint(np.asfortranarray(array))
    assert found == fingerprint(np.repeat(array, 2, axis=0)[::2])
    if array.size:
        other = array.copy()
        other.view("uint8").reshape(-1)[data.draw(st.integers(0, array.nbytes - 1))] ^= 1
        assert fingerprint(other) != found
    assert fingerprint(np.zeros(shape, "int16")) != found
    assert fingerprint(array[None]) != found


def test_large_arrays_are_told_apart_by_a_sample_with_both_ends():
    array = np.random.default_rng(0).standard_normal((3000, 700))
    found = fingerprint(array)
    for rows in (slice(0, 1), slice(-1, None), slice(1000, 1100)):
        other = array.copy()
        other[rows] += 1
        assert fingerprint(other) != found
    assert fingerprint(array[::-1]) != found
    column = array.copy()
    column[:, 123] += 1
    assert fingerprint(column) != found, "a column that differs in all rows is seen"


def test_of_a_memmap_only_a_sample_is_read(tmp_path):
    # A file with a hole: a terabyte, which takes no room, and hours to be read.
    path = tmp_path / "data"
    with path.open("wb") as file:
        file.truncate(2**40)
    data = np.memmap(path, dtype="float32", mode="r", shape=(2**20, 2**18))
    assert fingerprint(data)["shape"] == [2**20, 2**18]


def test_a_memmap_is_the_same_data_as_the_array_in_it(tmp_path):
    array = np.random.default_rng(0).standard_normal((1000, 30))
    np.save(tmp_path / "a.npy", array)
    assert fingerprint(np.load(tmp_path / "a.npy", mmap_mode="r")) == fingerprint(array)
