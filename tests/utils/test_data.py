"""One-hot rows, standardizing and splitting."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import model_selection

from dlfs import datasets
from dlfs.datasets import prepare as data

# --- one-hot ---

integer_dtypes = st.sampled_from([np.uint8, np.int8, np.int32, np.int64, np.uint64])


@given(st.lists(st.integers(0, 20)), st.integers(21, 30), integer_dtypes)
def test_one_hot_has_its_one_in_the_labels_column(labels, num_classes: int, dtype) -> None:
    rows = data.one_hot(np.array(labels, dtype=dtype), num_classes)
    assert rows.shape == (len(labels), num_classes)
    assert rows.dtype == np.float64
    expected = [[float(c == label) for c in range(num_classes)] for label in labels]
    assert rows.tolist() == expected


def test_one_hot_counts_the_classes_itself() -> None:
    assert data.one_hot([0, 3]).shape == (2, 4)
    assert data.one_hot([0, 3], dtype="float32").dtype == np.float32
    assert data.one_hot([], 3).shape == (0, 3)
    # 255 + 1 must not wrap around to 0
    assert data.one_hot(np.array([255], dtype=np.uint8)).shape == (1, 256)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([0, 3], 3), ValueError, "labels must be from 0 to 2, got 3 at index 1"),
        (([0, -1], 3), ValueError, "got -1 at index 1"),
        (([-1],), ValueError, "got -1 at index 0"),
        (([[0], [1]], 3), ValueError, "1 dimension, got 2"),
        ((0, 3), ValueError, "1 dimension, got 0"),
        (([0.0, 1.0], 3), TypeError, "labels must be integers, got float64"),
        (([True], 3), TypeError, "labels must be integers, got bool"),
        ((["1"], 3), TypeError, "labels must be integers"),
        (([],), ValueError, "num_classes must be given"),
        (([0], 0), ValueError, "num_classes must be at least 1"),
        (([0], 2.0), TypeError, "num_classes must be an integer"),
        (([0], 2, np.int64), TypeError, "dtype must be float32 or float64, got int64"),
        (([0], 2, "floatish"), TypeError, "dtype must be float32 or float64, got 'floatish'"),
        (([[0, 1], [0]], 2), ValueError, "labels is not a rectangular array"),
    ],
)
def test_one_hot_refuses(arguments: tuple, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"one_hot: .*{words}"):
        data.one_hot(*arguments)


# --- standardizing ---

tables = hnp.arrays(
    st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(tables)
def test_standardized_training_data_has_mean_0_and_variance_1(X: np.ndarray) -> None:
    kept = X.copy()
    (Z,) = data.standardize(X)
    assert Z.dtype == X.dtype
    assert Z.shape == X.shape
    assert np.array_equal(X, kept), "the input was changed"
    constant = (X == X[0]).all(axis=0)
    assert not Z[:, constant].any()
    # A spread that is small beside the values is known only to that many digits less, and Z is
    # rounded to the dtype.
    spread = X.std(axis=0, dtype=np.float64)
    size = np.abs(X).max(axis=0).astype(np.float64)
    eps = np.finfo(np.float64).eps * np.where(constant, 0, size / np.where(constant, 1, spread))
    tolerance = 8 * len(X) * (eps + np.finfo(X.dtype).eps)
    Z = Z.astype(np.float64)
    assert (np.abs(Z.mean(axis=0)) <= tolerance).all()
    assert (np.abs((Z**2).mean(axis=0) - 1) <= 2 * len(X) * tolerance)[~constant].all()


@given(tables)
def test_inverse_undoes_transform(X: np.ndarray) -> None:
    scaler = data.Standardizer.fit(X)
    back = scaler.inverse(scaler.transform(X))
    # Z is rounded relative to itself, that is by eps |X - mean|, and the sum by eps |X|.
    bound = 8 * np.finfo(X.dtype).eps * (np.abs(X) + np.abs(scaler.mean) + np.abs(X - scaler.mean))
    assert back.dtype == X.dtype
    assert (np.abs(back - X.astype(np.float64)) <= bound).all()


def test_test_data_is_scaled_by_the_training_data() -> None:
    X_train, X_test = np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[10.0, 6.0], [1.0, 5.0]])
    Z_train, Z_test = data.standardize(X_train, X_test)
    assert Z_train.tolist() == [[-1, 0], [1, 0]]
    assert Z_test.tolist() == [[9, 1], [0, 0]]


@given(st.floats(-1e300, 1e300), st.integers(1, 50))
def test_constant_columns_become_exactly_0(value: float, rows: int) -> None:
    scaler = data.Standardizer.fit(np.full((rows, 1), value))
    assert scaler.mean.tolist() == [value]
    assert scaler.scale.tolist() == [1]
    assert not scaler.transform(np.full((3, 1), value)).any()


@pytest.mark.parametrize("unit", [1e-200, 1e-310, 1e200, 2.0**1022])
def test_values_whose_squares_leave_the_range_are_standardized(unit: float) -> None:
    (Z,) = data.standardize(np.array([-unit, unit]))
    np.testing.assert_allclose(Z, [-1, 1], rtol=4 * np.finfo(float).eps)


def test_float32_columns_are_measured_in_float64() -> None:
    # 1 apart on top of 2^23: every sum of these in float32 would lose the difference
    X = 2.0**23 + np.tile(np.array([[0], [1]], dtype=np.float32), (500, 1))
    assert X.dtype == np.float32
    scaler = data.Standardizer.fit(X)
    assert scaler.mean.tolist() == [2.0**23 + 0.5]
    assert scaler.scale.tolist() == [0.5]
    assert scaler.transform(X)[:2].tolist() == [[-1], [1]]


def test_whole_numbers_become_float64() -> None:
    (Z,) = data.standardize(np.array([[0], [255]], dtype=np.uint8))
    assert Z.dtype == np.float64
    assert Z.tolist() == [[-1], [1]]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: data.Standardizer.fit(np.zeros((0, 3))), ValueError, "at least 1 row"),
        (lambda: data.Standardizer.fit(np.zeros(())), ValueError, "at least 1 dimension"),
        (lambda: data.Standardizer.fit(np.array([np.nan])), ValueError, "must be finite, got nan"),
        (lambda: data.Standardizer.fit(np.array(["a"])), TypeError, "array of real numbers"),
        (
            lambda: data.Standardizer.fit(np.full(4, 1.7e308) * [1, 1, 1, 0.9]),
            ValueError,
            "overflow",
        ),
        (lambda: data.standardize(np.ones((2, 3)), np.ones((2, 4))), ValueError, r"\(n, 3\) .*got"),
        (lambda: data.standardize(np.ones((2, 3)), np.ones(3)), ValueError, r"got \(3,\)"),
        (
            lambda: data.standardize(np.ones((2, 1)), np.array([[np.inf]])),
            ValueError,
            r"transform: X must be finite, got inf at index \(0, 0\)",
        ),
        (
            lambda: data.Standardizer.fit(np.ones((2, 3))).inverse(np.ones((2, 4))),
            ValueError,
            "inverse: X must have the shape",
        ),
    ],
)
def test_standardizing_refuses(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# --- splitting ---


@given(
    rows=st.integers(2, 200),
    test_size=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_split_is_scikit_learns(rows: int, test_size: float, seed: int) -> None:
    X, y = np.arange(2 * rows).reshape(rows, 2), np.arange(rows)
    assume(0 < np.ceil(test_size * rows) < rows)
    ours = data.train_test_split(X, y, test_size, seed)
    theirs = model_selection.train_test_split(X, y, test_size=test_size, random_state=seed)
    for got, expected in zip(ours, theirs, strict=True):
        assert np.array_equal(got, expected)


def test_split_is_the_books_for_boston() -> None:
    X, y, _ = datasets.boston()
    ours = data.train_test_split(X, y, test_size=0.3, seed=80718)
    theirs = model_selection.train_test_split(X, y, test_size=0.3, random_state=80718)
    assert [len(part) for part in ours] == [354, 152, 354, 152]
    for got, expected in zip(ours, theirs, strict=True):
        assert np.array_equal(got, expected)


def test_split_without_a_seed_differs() -> None:
    X = np.arange(100)
    first, second = (data.train_test_split(X, X)[1] for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"y": np.zeros(9)}, ValueError, "same number of rows, got 10 and 9"),
        ({"y": [0] * 10}, TypeError, "y must be a NumPy array"),
        ({"test_size": 0.0}, ValueError, "test_size"),
        ({"test_size": 1}, ValueError, "test_size"),
        ({"test_size": 0.95}, ValueError, "both parts must have rows"),
        ({"test_size": float("nan")}, ValueError, "test_size"),
        ({"test_size": "0.3"}, TypeError, "test_size must be a number"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"seed": 2**32}, ValueError, "seed must be below"),
        ({"seed": 0.5}, TypeError, "seed must be an integer"),
        ({"X": np.zeros(()), "y": np.zeros(())}, ValueError, "at least 1 dimension"),
        ({"X": np.zeros(0), "y": np.zeros(0)}, ValueError, "both parts must have rows"),
    ],
)
def test_split_refuses(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"train_test_split: .*{words}"):
        data.train_test_split(**({"X": np.zeros(10), "y": np.zeros(10)} | arguments))
